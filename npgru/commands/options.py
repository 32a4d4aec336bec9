"""What a command line may hold: types of options, and options that several commands have."""
import argparse
import os

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
