"""What a command line may hold: types of options, and options that several commands have."""
import argparse
import os
from pathlib import Path

STAGES = ("teacher", "distil", "prune", "calibrate", "quantise")      # recipe.STAGES and PRODUCTS, whose import costs time
PRODUCTS = ("teacher", "student", "pruned", "calibrated", "quantised")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted: a whole number of at least 1")
    return int(text)


def probability(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    return _number(text, 1.0, "a number from 0 to 1")


def non_negative(text: str) -> float:
    """A number of at least 0, for argparse."""
    return _number(text, float("inf"), "a number of at least 0")


def _number(text, high, accepted):
    try:
        if 0 <= float(text) <= high and float(text) != float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"found {text!r}; accepted: {accepted}")


def whole(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted: a whole number of at least 0")
    return int(text)


def stages(text: str) -> list[str]:
    """Comma-separated stages, for argparse; in the order of the recipe, whatever the order of the text."""
    if unknown := [name for name in text.split(",") if name not in STAGES]:
        raise argparse.ArgumentTypeError(f"found {unknown[0]!r}; accepted: {', '.join(STAGES)}")
    return [name for name in STAGES if name in text.split(",")]


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


def selection_options(parser, choose: str, pad_s: float) -> None:
    """Which detections are looked at, and how much around them; see `chosen`."""
    parser.add_argument("detections", metavar="DETECTIONS", help="table or folder of `npgru detect`")
    parser.add_argument("--number", type=positive, default=100, metavar="N", help="at most so many (default: %(default)s)")
    parser.add_argument("--choose", default=choose, choices=["highest", "spread"],
                        help="those with the highest scores, or spread evenly from high to low (default: %(default)s)")
    parser.add_argument("--min_conf", "--min-conf", type=probability, default=0.0, metavar="P", help="only scores of at least P")
    parser.add_argument("--pad", type=non_negative, default=pad_s, metavar="S",
                        help="seconds of sound before and after each detection (default: %(default)s)")


def chosen(args) -> list:
    """The detections that selection_options ask for."""
    from .. import detections, segments
    found = [d for d in detections.read(Path(args.detections)) if d.score >= args.min_conf]
    if not found:
        raise ValueError(f"{args.detections}: holds no detection with a score of at least {args.min_conf:g}; lower --min_conf")
    return segments.choose(found, args.number, args.choose)
