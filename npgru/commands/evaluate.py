"""npgru evaluate."""
from pathlib import Path

from .options import PRODUCTS, add_command, data_options, non_negative, probability
from .terminal import note, progress_bar, tell_problems


def run(args) -> int:
    return run_recordings(args) if args.annotations else run_clips(args)


def run_clips(args) -> int:
    import json

    from .. import dataset, detector, evaluate
    if len(args.data) > 1:
        raise ValueError(f"{len(args.data)} DATA; accepted: one folder or .csv file of clips, or --annotations FILE.csv "
                         "for recordings")
    args.data = args.data[0]
    found = detector.load(args.run_folder, args.stage)
    corpus = dataset.discover(Path(args.data), split=args.split, target=args.target, seed=found.facts.get("seed", 0),
                              strict=args.strict)
    features, clips, refused = dataset.load_features(corpus.clips, found.front_end, found.clip_s, threads=args.threads,
                                                     strict=args.strict, progress=progress_bar)
    tell_problems(corpus.notices, [*corpus.problems, *refused])
    score, codes = found.scores_and_codes(features, args.threads)
    table = evaluate.score_table(clips, score)
    if args.scores:
        evaluate.write_scores(Path(args.scores), clips, score, codes)
    print(json.dumps(table, indent=2) if args.json else evaluate.as_text(table))
    return 0


def run_recordings(args) -> int:
    import json

    from .. import annotations, archive, detector, soundscapes
    from ..audio import printable
    from ..clips import DatasetError
    found = detector.load(args.run_folder, args.stage)
    threshold = args.min_conf if args.min_conf is not None else found.facts["threshold"]
    inputs = archive.find(args.data)
    recordings, unusable = soundscapes.recordings_of(inputs.paths)
    tell_problems([], [*inputs.problems, *unusable])
    if not recordings:
        raise DatasetError(f"{args.data[0]}: no recording can be used; accepted: sound files, and folders of them")
    events, notices, problems = annotations.read_annotations(Path(args.annotations), recordings)
    if problems:
        for problem in problems[1:]:
            note(f"error: {problem}")
        raise DatasetError(str(problems[0]))
    if silent := [path.name for (path, _), of_file in zip(recordings, events) if not of_file]:
        notices.append(f"no calls are annotated in {', '.join(map(printable, silent))}: every detection there is a false alarm")
    tell_problems(notices, [])
    species = annotations.target_species(events, args.target, found.classes[1])
    heard = [soundscapes.Heard(str(path), info.duration_s, found.clip_s, *soundscapes.hear(path, found, args.overlap), of_file)
             for (path, info), of_file in progress_bar(list(zip(recordings, events)), desc="recordings", unit="file")]
    table = soundscapes.evaluate(heard, species, threshold, args.min_overlap)
    print(json.dumps(table, indent=2) if args.json else soundscapes.as_text(table))
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "evaluate", run, "Score a trained run on clips that it has not seen.",
        "RUN: a run folder, a checkpoint (.npz) or a model of `npgru export` (.tflite)\n"
        "        DATA: as for train, it may hold the asked split alone",
        "average precision and its 95 % interval by recording, the challenge's AP, best F1, confusion matrix, error\n"
        "        rate, scores per distance and recording; --scores: CSV with path, label (1 target), score, and for a\n"
        "        quantised network raw_0, raw_1: the int8 outputs that a runtime gives",
        "npgru evaluate run recordings --split Test_Set --json --scores scores.csv")
    p.add_argument("run_folder", metavar="RUN", help="run folder, checkpoint or .tflite file")
    p.add_argument("data", nargs="+", metavar="DATA", help="folder or .csv file of clips; with --annotations recordings, or "
                   "folders of them")
    p.add_argument("--annotations", metavar="CSV", help="file,start_s,end_s,species of every call in the recordings; one "
                   "without rows holds none")
    p.add_argument("--overlap", type=non_negative, default=0.0, metavar="S", help="of neighbouring windows in recordings (default: 0)")
    p.add_argument("--min-overlap", type=float, default=0.5, metavar="S",
                   help="a window is positive from this much of a call on, or all of a shorter one (default: %(default)s)")
    p.add_argument("--min_conf", "--min-conf", type=probability, metavar="P",
                   help="score from which a window of a recording is a detection (default: the model's own threshold)")
    p.add_argument("--split", default="Test_Set", metavar="NAME",
                   help="Training_Set, Validation_Set, Test_Set, or all (default: %(default)s)")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of the run (default: the last that is finished)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.add_argument("--scores", metavar="CSV", help="write a score for each clip")
    data_options(p)
