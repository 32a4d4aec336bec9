"""npgru report."""
import os
from pathlib import Path

from .options import add_command, positive
from .terminal import progress_bar


def run(args) -> int:
    from .. import report
    path = report.write_report(Path(args.run_folder), args.data and Path(args.data), args.threads, progress_bar)
    print(f"{path}: open it in a browser; its figures are in {path.parent / 'figures'} as PNG and SVG")
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "report", run, "Show a run as one HTML page: what each stage costs and is worth, where it errs.",
        "RUN: a run folder with at least one finished stage; DATA: only if the data is no longer where it was trained on",
        "RUN/report.html, which needs no other file, and RUN/figures/*.png, *.svg",
        "npgru report run")
    p.add_argument("run_folder", metavar="RUN", help="run folder")
    p.add_argument("data", nargs="?", metavar="DATA", help="folder or .csv file (default: what the run was trained on)")
    p.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N",
                   help="threads that decode sound and compute features; never changes a result (default: all cores)")
