"""The command line. Every import that costs time is inside the command that needs it."""
import argparse
import os
import sys
import warnings

from . import __version__
from .commands import (audit, bench, calibrate, cost, detect, evaluate, export, features, report, review, segments, synth,
                       train)
from .commands.terminal import note

COMMANDS = (train, evaluate, detect, report, export, cost, segments, review, calibrate, features, synth, audit, bench)


def parser() -> argparse.ArgumentParser:
    """All commands."""
    top = argparse.ArgumentParser(prog="npgru", description="The MobileGRU bird-call detector: train it on a folder of "
                                  "sound files, score it, find its bird in hours of sound.",
                                  epilog="npgru COMMAND --help tells what goes in, what comes out, and an example.")
    top.add_argument("--version", action="version", version=f"npgru {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
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
