"""npgru features."""
from pathlib import Path

from .options import add_command
from .terminal import note, progress_bar, tell_problems


def run(args) -> int:
    from .. import config, feature_files
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


def add(commands) -> None:
    p = add_command(
        commands, "features", run, "Compute the log-mel features of sound files.",
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
