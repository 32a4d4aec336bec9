"""npgru segments."""
from pathlib import Path

from .options import add_command, chosen, selection_options
from .terminal import progress_bar, tell_problems


def run(args) -> int:
    from .. import segments
    found = chosen(args)
    problems = segments.write(found, Path(args.output), args.pad, progress_bar)
    tell_problems([], problems)
    print(f"{args.output}: {len(found) - len(problems)} segments")
    return 1 if problems and len(problems) == len(found) else 0


def add(commands) -> None:
    p = add_command(
        commands, "segments", run, "Cut detections out of their recordings, to listen to them.",
        "DETECTIONS: a table that `npgru detect` wrote (csv, parquet or Raven table), or its folder",
        "DIR/<species>/<score>_<recording>_<offset>s.wav, mono, at the recording's own rate",
        "npgru segments detections -o clips --number 50")
    p.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the clips")
    selection_options(p, choose="highest", pad_s=0.0)
