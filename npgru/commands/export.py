"""npgru export."""
from pathlib import Path

from .options import PRODUCTS, add_command, probability


def run(args) -> int:
    from .. import checkpoint, detector
    found = detector.load(args.model, args.stage, args.state_bits or 16)
    integers = found.integers
    if integers is None:
        raise ValueError(f"{args.model}: the network is not quantised; train it with --stages ...,quantise or ...,calibrate")
    if args.state_bits not in (None, integers.state_bits):
        raise ValueError(f"{args.model}: its GRU has int{integers.state_bits} state, frozen already; leave --state-bits out")
    if args.format == "c":
        return write_c(args, integers, found.facts)
    from .. import export_tflite
    known = ("threshold", "calibration", "seed", "data_sha256", "npgru")
    facts = {name: found.facts[name] for name in known if name in found.facts}
    content = export_tflite.tflite_bytes(integers, args.gru, facts, args.names, args.minimal, args.target)
    checkpoint.write_atomically(Path(args.output), lambda file: file.write(content))
    print(f"{args.output}: {len(content)} bytes, GRU as {args.gru} with int{integers.state_bits} state")
    return 0


def write_c(args, integers, facts) -> int:
    from tqdm import tqdm

    from .. import emulator, export_c
    folder = Path(args.output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; --format c writes a folder")
    cores = tqdm(export_c.CORES if args.measure and not emulator.missing() else (), "counting instructions", disable=None, leave=False)
    files = export_c.folder_files(integers, cores, *decision(args, facts))
    export_c.write_folder(folder, files)
    print(f"{folder}: {len(files)} files of C99, GRU with int{integers.state_bits} state; its README.md says how to build them")
    return 0


def decision(args, facts) -> tuple[float, str]:
    """The threshold that goes into the folder, and where it comes from: what `npgru detect` takes."""
    if args.min_conf is not None:
        return args.min_conf, "given to npgru export"
    if facts.get("threshold") is None:
        raise ValueError(f"{args.model}: states no threshold; give one with --min_conf")
    if known := facts.get("calibration"):
        return facts["threshold"], f"calibrated to precision {known['wanted_precision']:g}"
    return facts["threshold"], "F1 was best there in validation"


def add(commands) -> None:
    p = add_command(
        commands, "export", run, "Write a quantised network as a .tflite file, or as a folder of C for a device.",
        "MODEL: a run folder whose stage quantise or calibrate is finished, such a checkpoint, or a .tflite file",
        "a .tflite file of operators that TensorFlow Lite Micro has; front end, classes, threshold and provenance are inside;\n"
        "        or --format c: C99 with weights, kernels, front end and the files of build systems, the same integers",
        "npgru export run -o model.tflite\n  npgru export run --format c -o detector")
    p.add_argument("model", metavar="MODEL", help="run folder, checkpoint or .tflite file")
    p.add_argument("-o", "--output", required=True, metavar="OUT", help="the file, or with --format c the folder, to write")
    p.add_argument("--format", default="tflite", choices=["tflite", "c"], help="(default: %(default)s)")
    p.add_argument("--gru", default="while", choices=["while", "unrolled", "step"],
                   help="a loop; its steps one after another; or one step with its state as input and output, for streaming, "
                   "without the convolutions (default: %(default)s)")
    p.add_argument("--state-bits", type=int, choices=[8, 16], help="of the GRU's gates and state (default: 16)")
    p.add_argument("--target", choices=["esp-nn"], help="dense layers of a .tflite file in multiples of 8 outputs, which "
                   "Espressif's kernels need; the same integers come out")
    p.add_argument("--names", action="store_true", help="with the names of the tensors")
    p.add_argument("--minimal", action="store_true", help="without metadata, and all else that may be left out")
    p.add_argument("--no-measure", dest="measure", action="store_false", help="--format c: no counts in its README.md, "
                   "which take arm-none-eabi-gcc, qemu-system-arm and some seconds")
    p.add_argument("--min_conf", "--min-conf", type=probability, metavar="P", help="--format c: lowest score of a detection, "
                   "0 to 1 (default: the model's own, which npgru detect takes too)")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")
