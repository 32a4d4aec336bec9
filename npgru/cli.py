"""The command line: arguments only, no maths. Every import that costs time is inside the command that needs it."""
import argparse
import os
import sys
import warnings
from pathlib import Path

from . import __version__


STAGES = ("teacher", "distil", "prune", "calibrate", "quantise")      # recipe.STAGES and PRODUCTS, whose import costs time
PRODUCTS = ("teacher", "student", "pruned", "calibrated", "quantised")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted: a whole number of at least 1")
    return int(text)


def seed_number(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted: a whole number of at least 0")
    return int(text)


def stages(text: str) -> list[str]:
    """Comma-separated stages, for argparse; in the order of the recipe, whatever the order of the text."""
    if unknown := [name for name in text.split(",") if name not in STAGES]:
        raise argparse.ArgumentTypeError(f"found {unknown[0]!r}; accepted: {', '.join(STAGES)}")
    return [name for name in STAGES if name in text.split(",")]


def progress_bar(iterable, **about):
    """tqdm on standard error: from half a second on, and seldom where nobody watches (a log file)."""
    from tqdm import tqdm
    return tqdm(iterable, leave=False, delay=0.5, mininterval=0.1 if sys.stderr.isatty() else 10, **about)


def note(text: str) -> None:
    """One line for people, beside the result."""
    print(f"npgru: {text}", file=sys.stderr)


def tell_problems(notices, problems) -> None:
    """What is worth knowing of the data; the clips that were left out, each with its reason, and their count."""
    for text in [*notices, *(f"skipped {problem}" for problem in problems)]:
        note(text)
    if problems:
        note(f"{len(problems)} skipped, see above")


def configured(args):
    """Defaults, then --config, then --set, then the options of their own -> Recipe."""
    from . import config, recipe
    table = config.read_toml(args.config) if args.config else {}
    table.pop("data", None)                                       # a run's config.toml says what it was trained on
    for assignment in args.set:
        config.set_option(table, assignment)
    for name in ("seed", "target"):
        if getattr(args, name) is not None:
            table[name] = getattr(args, name)
    return config.updated(recipe.Recipe(), table)


def run_train(args) -> int:
    from . import config, recipe, synth
    from .backend import Backend
    plan = configured(args)
    if args.print_config:
        print(config.to_toml(plan), end="")
        return 0
    run = Path(args.output)
    synth.check_request(args.clips, plan.seed)
    data_name = args.data or f"synthetic corpus of {args.clips} clips"
    recipe.check_run_folder(run, plan, data_name)
    unfinished = [stage for stage in args.stages if not recipe.stage_path(run, stage).is_file()]
    if not unfinished:
        note(f"{run}: {', '.join(args.stages)} finished before; nothing to do")
        return 0
    folder = Path(args.data or run / "synthetic_corpus")
    if not args.data:
        recipe.start_run_folder(run, plan, data_name)
        synth.write_corpus(folder, args.clips, plan.seed, progress=progress_bar)
    loaded = recipe.load_data(plan, folder, args.threads, args.strict, progress_bar)
    tell_problems(loaded.notices, loaded.problems)
    recipe.start_run_folder(run, plan, data_name)
    data = loaded.data
    print(f"{len(data.y_train)} training clips ({data.y_train.sum()} targets), {len(data.y_validation)} for validation "
          f"({data.y_validation.sum()} targets)", flush=True)
    for stage in unfinished:
        path = recipe.run_stage(run, stage, plan, loaded, tell_epoch, Backend(args.backend, args.threads))
        print(f"finished: {path}", flush=True)
    print(f"next: npgru evaluate {run} {folder} --split Test_Set")
    return 0


def tell_epoch(stage: str, state, n_epochs: int) -> None:
    """One line an epoch."""
    row = state.history[-1]
    print(f"{stage:<8} epoch {row['epoch']:>3}/{n_epochs}  loss {row['loss']:.4f}  validation loss "
          f"{row['validation_loss']:.4f}  average precision {row['validation_average_precision']:.4f}  "
          f"(kept: {state.best_score:.4f} of epoch {state.best_epoch})", flush=True)


def run_evaluate(args) -> int:
    import json

    from . import checkpoint, dataset, evaluate, recipe
    trained, header = checkpoint.load_model(recipe.find_checkpoint(Path(args.run_folder), args.stage))
    corpus = dataset.discover(Path(args.data), split=args.split, target=args.target, seed=header["seed"], strict=args.strict)
    features, clips, refused = dataset.load_features(corpus.clips, trained.front_end, trained.clip_s, threads=args.threads,
                                                     strict=args.strict, progress=progress_bar)
    tell_problems(corpus.notices, [*corpus.problems, *refused])
    score = evaluate.target_scores(trained, features)
    table = evaluate.score_table(clips, score)
    if args.scores:
        evaluate.write_scores(Path(args.scores), clips, score)
    print(json.dumps(table, indent=2) if args.json else evaluate.as_text(table))
    return 0


def run_report(args) -> int:
    from . import report
    path = report.write_report(Path(args.run_folder), args.data and Path(args.data), args.threads, progress_bar)
    print(f"{path}: open it in a browser; its figures are in {path.parent / 'figures'} as PNG and SVG")
    return 0


def run_synth(args) -> int:
    from . import synth
    corpus = synth.write_corpus(Path(args.folder), args.clips, args.seed, progress=progress_bar)
    print(f"{args.folder}: {corpus['n_clips']} clips, {args.clips} of them for training, {corpus['n_written']} written now; "
          f"sha256 {corpus['sha256']}")
    return 0


def run_features(args) -> int:
    from . import config, feature_files
    table = {}
    for assignment in args.set:
        config.set_option(table, assignment)
    front_end = config.updated(feature_files.FRONT_ENDS[args.front_end](), table)
    problems, largest = feature_files.write(args.files, Path(args.output), front_end, args.clip_s, args.float,
                                            args.backend, progress_bar)
    tell_problems([], problems)
    if args.float:
        note(f"the fixed-point features differ from these by at most {largest:.1f} units")
    return 1 if problems else 0


def run_export(args) -> int:
    from . import checkpoint, export_tflite, int8, recipe
    trained, header = checkpoint.load_model(recipe.find_checkpoint(Path(args.run_folder), args.stage))
    integers = int8.freeze(trained, args.state_bits)
    facts = {name: header[name] for name in ("threshold", "seed", "data_sha256", "npgru") if name in header}
    content = export_tflite.tflite_bytes(integers, args.gru, facts, args.names, args.minimal)
    checkpoint.write_atomically(Path(args.output), lambda file: file.write(content))
    print(f"{args.output}: {len(content)} bytes, GRU as {args.gru} with int{args.state_bits} state")
    return 0


def add_command(commands, name, run, summary, goes_in, comes_out, example):
    """A subcommand whose help says what goes in, what comes out, and shows an example."""
    parser = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter,
                                 description=f"{summary}\n\n  in:   {goes_in}\n  out:  {comes_out}",
                                 epilog=f"example:\n  {example}")
    parser.set_defaults(run=run)
    return parser


def data_options(parser) -> None:
    """Options of every command that reads a corpus."""
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N",
                        help="threads that decode sound, compute features and train; never changes a result "
                        "(default: all cores)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad file instead of skipping it")
    parser.add_argument("--target", metavar="NAME", help="folder or label of the target, where there are several")


def train_command(commands) -> None:
    p = add_command(
        commands, "train", run_train, "Train a detector on a folder of sound files.",
        "DATA: Training_Set|Validation_Set|Test_Set/<Target>|Negatives/*.wav, one folder per class, or a CSV manifest\n"
        "        (path,label[,split,start_s,end_s,recording]); without DATA a synthetic corpus is written and used",
        "RUN: config.toml, environment.toml, log.csv, checkpoints/*.npz. The same command resumes a stopped run",
        "npgru train recordings -o run --seed 1")
    p.add_argument("data", nargs="?", metavar="DATA", help="folder or .csv file; none: a synthetic corpus in RUN")
    p.add_argument("-o", "--output", default="npgru_run", metavar="RUN", help="the run's folder (default: %(default)s)")
    p.add_argument("--stages", type=stages, default=list(STAGES), metavar="LIST",
                   help=f"of {', '.join(STAGES)} (default: all); calibrate quantises without training; a finished one "
                   "is not repeated")
    p.add_argument("--seed", type=seed_number, metavar="S", help="of every random number (default: 0)")
    p.add_argument("--clips", type=positive, default=512, metavar="N",
                   help="training clips of the synthetic corpus, when there is no DATA (default: %(default)s)")
    p.add_argument("--config", metavar="FILE", help="TOML configuration; options not in it keep their defaults")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="one option of the configuration, for example teacher.training.epochs=10 (several allowed)")
    p.add_argument("--backend", choices=["c", "numpy"], help="what trains: the C kernels or the NumPy layers; their last bits "
                   "differ (default: c where it is built)")
    p.add_argument("--print-config", action="store_true", help="print the configuration as TOML and stop")
    data_options(p)


def evaluate_command(commands) -> None:
    p = add_command(
        commands, "evaluate", run_evaluate, "Score a trained run on clips that it has not seen.",
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


def report_command(commands) -> None:
    p = add_command(
        commands, "report", run_report, "Show a run as one HTML page: what each stage costs and is worth, where it errs.",
        "RUN: a run folder with at least one finished stage; DATA: only if the data is no longer where it was trained on",
        "RUN/report.html, which needs no other file, and RUN/figures/*.png, *.svg",
        "npgru report run")
    p.add_argument("run_folder", metavar="RUN", help="run folder")
    p.add_argument("data", nargs="?", metavar="DATA", help="folder or .csv file (default: what the run was trained on)")
    p.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N",
                   help="threads that decode sound and compute features; never changes a result (default: all cores)")


def features_command(commands) -> None:
    p = add_command(
        commands, "features", run_features, "Compute the log-mel features of sound files.",
        "FILE...: sound files; of each the loudest slice of 2 s is used, shorter ones get zeros at their end",
        "one FILE: OUT.npy, uint16 (frames, bands); several: the folder OUT with <file name>.npy for each",
        "npgru features song.wav -o song.npy")
    p.add_argument("files", nargs="+", metavar="FILE", help="sound file")
    p.add_argument("-o", "--output", required=True, metavar="OUT", help="array file, or folder for several FILEs")
    p.add_argument("--front-end", default="paper", choices=["paper", "baseline"],
                   help="paper: 84 frames x 32 bands; baseline: the challenge's 55 x 40 (default: %(default)s)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="a field of the front end, for example pad_tail=false for 83 frames (several allowed)")
    p.add_argument("--clip_s", "--clip-s", type=float, default=2.0, metavar="S", help="length of the slice (default: 2)")
    p.add_argument("--float", action="store_true", help="the float log-mel (float32), and how far the two differ")
    p.add_argument("--backend", choices=["c", "numpy"], help="default: c where it is built; the same integers")


def export_command(commands) -> None:
    p = add_command(
        commands, "export", run_export, "Write a quantised network as a .tflite file.",
        "RUN: a run folder whose stage quantise or calibrate is finished, or such a checkpoint",
        "MODEL.tflite, of operators that TensorFlow Lite Micro has; front end, classes, threshold and provenance are inside",
        "npgru export run -o model.tflite")
    p.add_argument("run_folder", metavar="RUN", help="run folder or checkpoint")
    p.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write")
    p.add_argument("--gru", default="while", choices=["while", "unrolled", "step"],
                   help="a loop; its steps one after another; or one step with its state as input and output, for streaming, "
                   "without the convolutions (default: %(default)s)")
    p.add_argument("--state-bits", type=int, default=16, choices=[8, 16], help="of the GRU's gates and state (default: 16)")
    p.add_argument("--names", action="store_true", help="with the names of the tensors")
    p.add_argument("--minimal", action="store_true", help="without metadata, and all else that may be left out")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")


def synth_command(commands) -> None:
    p = add_command(
        commands, "synth", run_synth, "Write a seeded synthetic corpus of Yellowhammer-like songs as sound files.",
        "nothing but numbers: the same N and S give the same bytes",
        "DIR/Training_Set|Validation_Set|Test_Set/Yellowhammer|Negatives/*.wav, 2 s at 16 kHz, N of them for training",
        "npgru synth corpus --clips 512 --seed 1")
    p.add_argument("folder", metavar="DIR", help="new folder, or one that the same command has begun")
    p.add_argument("--clips", type=positive, default=512, metavar="N", help="training clips (default: %(default)s)")
    p.add_argument("--seed", type=seed_number, default=0, metavar="S", help="of every random number (default: 0)")


def parser() -> argparse.ArgumentParser:
    """All commands."""
    top = argparse.ArgumentParser(prog="npgru", description="The MobileGRU bird-call detector: train it on a folder of "
                                  "sound files, and score it.",
                                  epilog="npgru COMMAND --help tells what goes in, what comes out, and an example.")
    top.add_argument("--version", action="version", version=f"npgru {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (train_command, evaluate_command, report_command, export_command, features_command, synth_command):
        add(commands)
    return top


def one_line(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns 0 on success, 1 on failure, 2 on wrong use, 130 when interrupted."""
    args = parser().parse_args(argv)
    warnings.showwarning = lambda message, *_, **__: note(one_line(message))
    try:
        return args.run(args)
    except KeyboardInterrupt:
        note("interrupted; nothing is lost, the same command continues")
        return 130
    except BrokenPipeError:                                         # the reader of our output has gone: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError, ArithmeticError, MemoryError) as error:
        if os.environ.get("NPGRU_DEBUG"):
            raise
        note(f"error: {one_line(error)}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
