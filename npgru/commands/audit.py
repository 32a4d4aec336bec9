"""npgru audit."""
from pathlib import Path

from .options import add_command, data_options, positive, whole
from .terminal import note, progress_bar, tell_problems

WIDTHS = "{:<58}{:<22}{:>7}  {:>10}  {}"


def run(args) -> int:
    from .. import audit
    if args.data and not args.model:
        raise ValueError("DATA without a model; give MODEL.tflite before it")
    claims = list(model_claims(args) if args.model else audit.claims(args.cases, args.seed))
    print(WIDTHS.format("claim", "witness", "cases", "worst", "verdict"))
    n_failed = n_absent = 0
    for claim in claims:
        row = audit.checked(claim)
        worst = "" if row.worst is None else f"{row.worst:.2g}"
        print(WIDTHS.format(row.claim, row.witness, row.cases or "", worst, row.verdict), flush=True)
        n_failed += row.failed
        n_absent += claim.check is None
    note(f"{len(claims) - n_failed - n_absent} claims hold, {n_failed} fail, {n_absent} could not be checked here")
    return 1 if n_failed else 0


def model_claims(args):
    """Of the user's model, on random clips and on his own."""
    import numpy as np

    from .. import audit, bench_int8, dataset, export_tflite, import_tflite
    path = Path(args.model)
    integers, facts = import_tflite.read_tflite(path)
    shape = export_tflite.clip_shape(integers)[1:3]
    rng = np.random.default_rng(args.seed)
    clips = {"random clips": audit.with_extremes(bench_int8.features_like_real_ones(args.cases, shape, rng))}
    if args.data:
        corpus = dataset.discover(Path(args.data), split="all", target=args.target, seed=facts.get("seed", 0), strict=args.strict)
        chosen = corpus.clips if len(corpus.clips) <= args.cases else [
            corpus.clips[k] for k in np.sort(rng.permutation(len(corpus.clips))[:args.cases])]
        x, _, refused = dataset.load_features(chosen, integers.front_end, integers.clip_s, threads=args.threads,
                                              strict=args.strict, progress=progress_bar)
        tell_problems(corpus.notices, [*corpus.problems, *refused])
        clips["your clips"] = np.asarray(x)
    return audit.claims_of_model(path.read_bytes(), integers, clips)


def add(commands) -> None:
    p = add_command(
        commands, "audit", run, "Check what the package claims about its numbers, or your exported model.",
        "nothing: the package itself; MODEL: a file of `npgru export`; DATA: clips of yours, as for train",
        "a table of claims, who else computed the same, how many cases, the worst difference, and a verdict;\n"
        "        1 as exit code if a claim fails. Runtimes that are installed are witnesses: pip install ai-edge-litert, ...",
        "npgru audit model.tflite my_recordings")
    p.add_argument("model", nargs="?", metavar="MODEL", help=".tflite file of `npgru export`")
    p.add_argument("data", nargs="?", metavar="DATA", help="folder or .csv file of clips")
    p.add_argument("--cases", type=positive, default=60, metavar="N",
                   help="random cases of an operator, or clips of a model (default: %(default)s)")
    p.add_argument("--seed", type=whole, default=0, metavar="N", help="of all that is drawn (default: 0)")
    data_options(p)
