"""npgru synth."""
from pathlib import Path

from .options import add_command, positive, whole
from .terminal import progress_bar


def run(args) -> int:
    from .. import synth
    corpus = synth.write_corpus(Path(args.folder), args.clips, args.seed, progress=progress_bar)
    print(f"{args.folder}: {corpus['n_clips']} clips, {args.clips} of them for training, {corpus['n_written']} written now; "
          f"sha256 {corpus['sha256']}")
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "synth", run, "Write a seeded synthetic corpus of Yellowhammer-like songs as sound files.",
        "nothing but numbers: the same N and S give the same bytes",
        "DIR/Training_Set|Validation_Set|Test_Set/Yellowhammer|Negatives/*.wav, 2 s at 16 kHz, N of them for training",
        "npgru synth corpus --clips 512 --seed 1")
    p.add_argument("folder", metavar="DIR", help="new folder, or one that the same command has begun")
    p.add_argument("--clips", type=positive, default=512, metavar="N", help="training clips (default: %(default)s)")
    p.add_argument("--seed", type=whole, default=0, metavar="S", help="of every random number (default: 0)")
