"""npgru detect."""
import os
import sys
import time
from contextlib import closing
from pathlib import Path

from .options import PRODUCTS, add_command, non_negative, positive, probability, whole
from .terminal import archive_bar, note

KINDS = ("table", "audacity", "kaleidoscope", "csv", "parquet")     # detections.ENDINGS, whose import costs time
ENCODINGS = ("u8", "s16le", "s16be", "s24le", "s32le", "f32le")     # pcm.ENCODINGS
ALL = 1 << 30                                                       # windows to join: as many as there are


def run(args) -> int:
    if ("-" in args.inputs) != (args.rate is not None) or "-" in args.inputs[1:]:
        note("error: '-' reads raw samples from standard input: it is the only INPUT and needs --rate; "
             "sound files state their rate themselves")
        return 2
    return of_stream(args) if args.inputs == ["-"] else of_archive(args)


def task_of(args):
    """-> what is the same for every recording, and the file of the network."""
    from .. import detect, detector, recorded_at
    found, file = detector.load(args.model, args.stage), detector.file_of(args.model, args.stage)
    if not found.integers and Path(args.model).is_dir() and not args.stage:
        raise ValueError(f"{args.model}: has no integer network yet; finish its stage quantise, or use --stage "
                         f"{file.stem} for the float one")
    threshold = args.min_conf if args.min_conf is not None else found.facts.get("threshold")
    if threshold is None:
        raise ValueError(f"{args.model}: states no threshold; give one with --min_conf")
    choice = detect.Choice(threshold, args.species or found.classes[1], max(1, args.merge_consecutive), args.top_n)
    offset = None if args.utc_offset is None else recorded_at.parsed_offset(args.utc_offset)
    return detect.Task(found, detect.grid_of(found, args.overlap), choice, offset, args.batch_size), file


def output_of(args, task, root):
    """Where tables go, and which."""
    from .. import archive, detections
    if "parquet" in args.rtype:
        detections.pyarrow_modules()                                # missing: said now, not after hours
    calibration = task.detector.facts.get("calibration")
    about = detections.About(root, task.grid.front_end.mel_low_hz, task.grid.front_end.mel_high_hz,
                             platt=calibration and tuple(calibration["platt"]))
    return archive.Output(Path(args.output), root, tuple(dict.fromkeys(args.rtype)), args.combine_results, args.scores, about)


def of_archive(args) -> int:
    from .. import archive
    task, model = task_of(args)
    inputs = archive.find(args.inputs)
    output = output_of(args, task, inputs.root)
    for text in [*inputs.notices, *(f"skipped {problem}" for problem in inputs.problems)]:
        note(text)
    archive.prepare(output.folder, archive.settings_of(task, inputs.root, model), args.overwrite)
    skipped, begun, new_s = {}, time.monotonic(), 0.0
    with closing(archive.open_journal(output.folder, task)) as journal, \
            archive_bar(inputs.paths) as bar, \
            closing(archive.run(inputs.paths, task, output, journal, who(args, task, bar))) as outcomes:
        for path, heard, reason, stamp in outcomes:
            if reason and args.strict:
                raise ValueError(f"{path}: {reason}")
            bar.add(path, heard, reason, new=stamp is not None)
            if reason:
                skipped[path] = reason
            elif stamp:
                new_s += heard.recording.duration_s
        summary = archive.finish(inputs, output, journal, skipped)
    speed = f", {new_s / (time.monotonic() - begun):.0f} times real time" if new_s else ", all finished before"
    print(f"{summary}\n{output.folder}: {', '.join(output.kinds)}{speed}")
    return 0 if summary.n_heard else 1


def who(args, task, bar):
    """Who hears."""
    from .. import archive
    rate_hz = task.grid.front_end.sample_rate_hz
    return archive.Workers(args.threads, args.cluster, lambda n_samples: bar.heard(n_samples / rate_hz))


def of_stream(args) -> int:
    from .. import archive, detect, pcm
    task, model = task_of(args)
    output = output_of(args, task, os.getcwd())
    archive.prepare(output.folder, archive.settings_of(task, "-", model), args.overwrite)
    blocks = pcm.blocks(sys.stdin.fileno(), args.rate, args.channels, args.encoding, task.grid.front_end.sample_rate_hz)
    with archive_bar([]) as bar:
        heard = detect.hear_blocks(until_interrupted(blocks), detect.Source("-", args.rate), task, who(args, task, bar).progress)
    archive.write_all(output, heard, task)
    print(f"{heard.recording.duration_s:.3f} s, {heard.n_windows} windows, {len(heard.recording.detections)} detections")
    return 0


def until_interrupted(blocks):
    """blocks to their end, or to Ctrl-C: a stream may have no end, and what came is not lost."""
    try:
        yield from blocks
    except KeyboardInterrupt:
        note("interrupted; the tables hold what came until now")


def add(commands) -> None:
    p = add_command(
        commands, "detect", run, "Find the target in recordings of any length, and write tables of the detections.",
        "INPUT: sound files, folders with all below them, patterns; or - for raw samples on standard input with --rate\n"
        "        MODEL: a run folder (its integer network), a checkpoint (.npz) or a .tflite file",
        "OUT/<recording>.npgru.* for each, in the formats of --rtype; npgru_files.csv, a row a recording; npgru_summary.txt.\n"
        "        The same command continues after a crash, and ends with the same bytes",
        "npgru detect card1 card2 -m run -o found --rtype table csv --combine_results")
    p.add_argument("inputs", nargs="+", metavar="INPUT", help="sound file, folder, pattern such as 'card/**/*.wav', or -")
    p.add_argument("-m", "--model", required=True, metavar="MODEL", help="run folder, checkpoint or .tflite file")
    p.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the tables")
    p.add_argument("--stage", choices=PRODUCTS, help="which network of a run (default: the integers of its last stage)")
    which = p.add_argument_group("which windows become detections")
    which.add_argument("--min_conf", "--min-conf", type=probability, metavar="P",
                       help="lowest score, 0 to 1 (default: the model's own, at which F1 was best in validation)")
    which.add_argument("--overlap", type=non_negative, default=0.0, metavar="S",
                       help="seconds that neighbouring windows share at least; they start on whole frames (default: 0)")
    which.add_argument("--merge_consecutive", "--merge-consecutive", type=whole, nargs="?", default=1, const=ALL, metavar="N",
                       help="join up to N detections of neighbouring windows to one with the highest of their scores; "
                       "without N all (default: 1, none)")
    which.add_argument("--top_n", "--top-n", type=whole, default=0, metavar="N",
                       help="of each recording only the N detections of the highest scores (default: 0, all)")
    which.add_argument("--species", metavar="NAME", help="what the tables call it, 'Parus major_Great Tit' gives both names "
                       "(default: the target class of the model)")
    tables = p.add_argument_group("tables")
    tables.add_argument("--rtype", nargs="+", choices=KINDS, default=["table", "csv"], metavar="FORMAT",
                        help=f"{', '.join(KINDS)}; several allowed (default: table csv); table is Raven's")
    tables.add_argument("--combine_results", "--combine-results", action="store_true",
                        help="also one table of all recordings, of each format: OUT/combined.npgru.*")
    tables.add_argument("--scores", action="store_true", help="also the score of every window: <recording>.npgru.scores.csv")
    tables.add_argument("--utc_offset", "--utc-offset", metavar="+HH:MM", help="what the recorders' clocks were ahead of UTC, "
                        "for file names in local time (PREFIX_20230501_043000.wav)")
    tables.add_argument("--overwrite", action="store_true", help="remove results of another model or other options in OUT")
    work = p.add_argument_group("work; none of these changes a result")
    work.add_argument("--threads", type=positive, default=os.cpu_count() or 1, metavar="N", help="processes (default: all cores)")
    work.add_argument("--cluster", default="", metavar="ADDRESS",
                      help="a dask scheduler, tcp://host:8786, whose machines see INPUT under the same names; or local:N")
    work.add_argument("--batch_size", "--batch-size", type=positive, default=64, metavar="N",
                      help="windows scored at once (default: %(default)s)")
    work.add_argument("--strict", action="store_true", help="stop at the first bad recording instead of skipping it")
    raw_options(p.add_argument_group("raw samples on standard input"))


def raw_options(raw) -> None:
    """Of samples that no header describes."""
    raw.add_argument("--rate", type=positive, metavar="HZ", help="sample rate")
    raw.add_argument("--channels", type=positive, default=1, metavar="N", help="interleaved channels (default: 1)")
    raw.add_argument("--encoding", choices=ENCODINGS, default="s16le", help="of a sample (default: %(default)s)")
