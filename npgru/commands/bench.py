"""npgru bench."""
import os

from .options import add_command, positive
from .terminal import progress_bar


def run_train(args) -> int:
    import json

    from .. import bench_layers, bench_train
    from ..backend import Backend
    backend = Backend(args.backend, args.threads)
    if args.by_layer:
        table, text = bench_layers.profile(args.model, backend, args.clips), bench_layers.as_text
    else:
        table, text = bench_train.measure(args.model, backend, args.clips, progress=progress_bar), bench_train.as_text
    print(json.dumps(table, indent=2) if args.json else text(table))
    return 0


def add(commands) -> None:
    p = commands.add_parser("bench", help="Measure how fast this machine trains and runs the networks.",
                            description="Measure how fast this machine trains and runs the networks.")
    benches = p.add_subparsers(dest="bench", required=True, metavar="WHAT")
    add_train(benches)


def add_train(benches) -> None:
    p = add_command(
        benches, "train", run_train, "Samples a second of the training step, or the time of each layer.",
        "nothing: seeded numbers in the range of real features, in memory",
        "samples/s of batches, forward, loss, backward and Adam: the median of 5 epochs after a warm-up, and their spread.\n"
        "        --by-layer: ms, GFLOP/s and share of the machine's peak, layer by layer",
        "npgru bench train --model student --by-layer")
    p.add_argument("--model", default="teacher", choices=["teacher", "student"], help="(default: %(default)s)")
    p.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N",
                   help="threads of the C back end; NumPy has one (default: all cores)")
    p.add_argument("--backend", choices=["c", "numpy"], help="default: c where it is built")
    p.add_argument("--by-layer", action="store_true", help="where the time goes")
    p.add_argument("--clips", type=positive, default=3584, metavar="N", help="clips an epoch (default: %(default)s)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
