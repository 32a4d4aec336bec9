"""npgru calibrate."""
from pathlib import Path

from .options import PRODUCTS, add_command, probability


def run(args) -> int:
    import json

    from .. import calibration, detector
    found = detector.load(args.model, args.stage)
    facts = calibration.calibrated_facts(Path(args.decisions), args.precision, found.facts)
    file = detector.store_facts(args.model, facts, args.stage)
    print(json.dumps(facts, indent=2) if args.json else f"{calibration.as_text(facts)}\nstored in {file}")
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "calibrate", run, "Fit a model's threshold and probabilities to your decisions on its detections.",
        "MODEL: a run folder, a checkpoint (.npz) or a .tflite file; DECISIONS: the CSV file that a review page saves",
        "threshold, precision and their intervals, stored in MODEL: `npgru detect` uses them from then on",
        "npgru calibrate model.tflite decisions.csv --precision 0.9")
    p.add_argument("model", metavar="MODEL", help="run folder, checkpoint or .tflite file; it is changed")
    p.add_argument("decisions", metavar="DECISIONS", help=".csv file with path, label, score")
    p.add_argument("--precision", type=probability, default=0.9, metavar="P",
                   help="share of detections that shall be right (default: %(default)s)")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of a run (default: the last that is finished)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
