"""npgru evaluate."""
from pathlib import Path

from .options import PRODUCTS, add_command, data_options
from .terminal import progress_bar, tell_problems


def run(args) -> int:
    import json

    from .. import dataset, detector, evaluate
    found = detector.load(args.run_folder, args.stage)
    corpus = dataset.discover(Path(args.data), split=args.split, target=args.target, seed=found.facts.get("seed", 0),
                              strict=args.strict)
    features, clips, refused = dataset.load_features(corpus.clips, found.front_end, found.clip_s, threads=args.threads,
                                                     strict=args.strict, progress=progress_bar)
    tell_problems(corpus.notices, [*corpus.problems, *refused])
    score = found.scores(features)
    table = evaluate.score_table(clips, score)
    if args.scores:
        evaluate.write_scores(Path(args.scores), clips, score)
    print(json.dumps(table, indent=2) if args.json else evaluate.as_text(table))
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "evaluate", run, "Score a trained run on clips that it has not seen.",
        "RUN: a run folder or a checkpoint (.npz); DATA: as for train, it may hold the asked split alone",
        "average precision and its 95 % interval by recording, the challenge's AP, best F1, confusion matrix, error\n"
        "        rate, scores per distance and recording; --scores: CSV with path, label (1 target), score",
        "npgru evaluate run recordings --split Test_Set --json --scores scores.csv")
    p.add_argument("run_folder", metavar="RUN", help="run folder or checkpoint")
    p.add_argument("data", metavar="DATA", help="folder or .csv file")
    p.add_argument("--split", default="Test_Set", metavar="NAME",
                   help="Training_Set, Validation_Set, Test_Set, or all (default: %(default)s)")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.add_argument("--scores", metavar="CSV", help="write a score for each clip")
    data_options(p)
