"""npgru cost."""
from .options import PRODUCTS, add_command

CORES = ("m0plus", "m3", "m4", "m7", "m33", "m55")


def run(args) -> int:
    import json
    import sys

    from .. import detector, device_costs, export_c
    integers = detector.load(args.model, args.stage, args.state_bits).integers
    if integers is None:
        raise ValueError(f"{args.model}: the network is not quantised; train it with --stages ...,quantise or ...,calibrate")
    measured = export_c.measured(integers, args.core) if args.measure else None
    report = device_costs.report(integers, args.core, measured)
    if args.json:
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        print(device_costs.as_text(report))
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "cost", run, "What a quantised network costs on a Cortex-M, without a board.",
        "MODEL: a run folder whose stage quantise or calibrate is finished, such a checkpoint, or a .tflite file",
        "multiply-adds and instructions of every layer, cycles and energy as ranges, RAM and flash",
        "npgru cost run --core m4\n  npgru cost model.tflite --measure --json")
    p.add_argument("model", metavar="MODEL", help="run folder, checkpoint or .tflite file")
    p.add_argument("--core", default="m4", choices=CORES, help="(default: %(default)s)")
    p.add_argument("--measure", action="store_true",
                   help="count in the emulator now; needs arm-none-eabi-gcc with newlib and qemu-system-arm")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.add_argument("--state-bits", type=int, default=16, choices=[8, 16], help="of the GRU's gates and state (default: 16)")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")
