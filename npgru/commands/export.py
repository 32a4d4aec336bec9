"""npgru export."""
from pathlib import Path

from .options import PRODUCTS, add_command


def run(args) -> int:
    from .. import checkpoint, export_tflite, int8, recipe
    trained, header = checkpoint.load_model(recipe.find_checkpoint(Path(args.run_folder), args.stage))
    integers = int8.freeze(trained, args.state_bits)
    facts = {name: header[name] for name in ("threshold", "calibration", "seed", "data_sha256", "npgru") if name in header}
    content = export_tflite.tflite_bytes(integers, args.gru, facts, args.names, args.minimal)
    checkpoint.write_atomically(Path(args.output), lambda file: file.write(content))
    print(f"{args.output}: {len(content)} bytes, GRU as {args.gru} with int{args.state_bits} state")
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "export", run, "Write a quantised network as a .tflite file.",
        "RUN: a run folder whose stage quantise or calibrate is finished, or such a checkpoint",
        "MODEL.tflite, of operators that TensorFlow Lite Micro has; front end, classes, threshold and provenance are inside",
        "npgru export run -o model.tflite")
    p.add_argument("run_folder", metavar="RUN", help="run folder or checkpoint")
    p.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write")
    p.add_argument("--gru", default="while", choices=["while", "unrolled", "step"],
                   help="a loop; its steps one after another; or one step with its state as input and output, for streaming, "
                   "without the convolutions (default: %(default)s)")
    p.add_argument("--state-bits", type=int, default=16, choices=[8, 16], help="of the GRU's gates and state (default: 16)")
    p.add_argument("--names", action="store_true", help="with the names of the tensors")
    p.add_argument("--minimal", action="store_true", help="without metadata, and all else that may be left out")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")
