"""npgru bench."""
import argparse
import os
from pathlib import Path

from .options import PRODUCTS, add_command, positive
from .terminal import progress_bar

WORKS = ("features", "training", "inference")                # bench_scale.RUNS, whose import costs time


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


def run_int8(args) -> int:
    import json

    import numpy as np

    from .. import bench_int8, detector
    if args.model:
        integers = detector.load(args.model, args.stage, args.state_bits).integers
        if integers is None:
            raise ValueError(f"{args.model}: is a float network; give a quantised one (--stage quantised, calibrated), or "
                             "leave --model out")
    else:
        x = bench_int8.features_like_real_ones(32, (84, 32), np.random.default_rng(0))
        integers = bench_int8.seeded_student(x, args.state_bits)
    table = bench_int8.measure(integers, args.threads, progress=progress_bar)
    print(json.dumps(table, indent=2) if args.json else bench_int8.as_text(table))
    return 0


def run_scale(args) -> int:
    import json

    from .. import bench_scale
    if args.plot:
        bench_scale.check_plot(Path(args.plot))
    table = bench_scale.measure(args.work, args.largest, args.threads, progress_bar)
    if args.plot:
        bench_scale.write_plot(Path(args.plot), table)
    print(json.dumps(table, indent=2) if args.json else bench_scale.as_text(table))
    return 0


def works(text: str) -> list[str]:
    """Comma-separated works of bench_scale, for argparse."""
    if unknown := [name for name in text.split(",") if name not in WORKS]:
        raise argparse.ArgumentTypeError(f"found {unknown[0]!r}; accepted: {', '.join(WORKS)}")
    return [name for name in WORKS if name in text.split(",")]


def add(commands) -> None:
    p = commands.add_parser("bench", help="Measure how fast this machine trains and runs the networks.",
                            description="Measure how fast this machine trains and runs the networks.")
    benches = p.add_subparsers(dest="bench", required=True, metavar="WHAT")
    add_train(benches)
    add_int8(benches)
    add_scale(benches)


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


def add_int8(benches) -> None:
    p = add_command(
        benches, "int8", run_int8, "Microseconds a clip of the integer network, beside other runtimes.",
        "nothing, or MODEL: a .tflite file, a run folder or a checkpoint of a quantised network; the features are random",
        "us a clip from features to scores, the median of 5 runs: of NumPy, C, and where they are installed of tflite-runtime\n"
        "        and ai-edge-litert on the exported file; first all are checked for equal results",
        "npgru bench int8 --model run --json")
    p.add_argument("--model", metavar="MODEL", help="default: the student with random weights")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of a run (default: the last that is finished)")
    p.add_argument("--state-bits", type=int, default=16, choices=[8, 16], help="of the GRU's gates and state (default: 16)")
    p.add_argument("--threads", type=positive, default=1, metavar="N",
                   help="of C and of other runtimes (default: %(default)s)")
    p.add_argument("--json", action="store_true", help="print one JSON object")


def add_scale(benches) -> None:
    p = add_command(
        benches, "scale", run_scale, "Time a clip and peak memory for more and more clips: both should stay flat.",
        "nothing: seeded sound and features",
        "us a clip (the fastest run of at least 3) and the most memory, for 100, 1000, .. N clips; each in its own process",
        "npgru bench scale --largest 10000 -o scale.svg")
    p.add_argument("--largest", type=positive, default=100_000, metavar="N", help="clips (default: %(default)s; some minutes)")
    p.add_argument("--work", type=works, default=list(WORKS), metavar="WHAT",
                   help=f"some of {','.join(WORKS)} (default: all)")
    p.add_argument("--threads", type=positive, default=1, metavar="N",
                   help="(default: %(default)s; more need some time to begin with, which few clips show)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.add_argument("-o", "--plot", metavar="PLOT", help="draw it, as .png or .svg")
