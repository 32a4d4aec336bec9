"""Detections as tables: what Raven, Audacity, Kaleidoscope, spreadsheets and pyarrow open; and back.

A table holds one recording or many. Times are seconds from the start of the recording, except where a table of many
stands for one long sound (Raven, Audacity): there they run on over the recordings.
Where a recording's time of day is known, tables have one more column: the start in UTC, ISO 8601. Of a calibrated
model, csv and parquet have one with the probability that a detection is right.
"""
import csv
import io
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .audio import printable

# kind of table -> how the names of its files end; COMBINED + the same: one table of all recordings.
ENDINGS = {"table": ".npgru.selection.table.txt", "audacity": ".npgru.audacity.txt",
           "kaleidoscope": ".npgru.kaleidoscope.csv", "csv": ".npgru.csv", "parquet": ".npgru.parquet"}
COMBINED = "combined"
CSV_COLUMNS = ("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File")
UTC_COLUMN = "Start (UTC)"
PROBABILITY_COLUMN = "Probability"
LARGEST_LOGIT = 13.8        # of 1 - 1e-6: a score of 0 or 1 is rounded, not certain
RAVEN_COLUMNS = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
                 "Species", "Confidence", "Begin Path", "File Offset (s)")
RAVEN_UTC_COLUMN = "Begin Time (UTC)"
KALEIDOSCOPE_COLUMNS = ("INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "TOP1MATCH", "TOP1DIST")
TWO_NAMES = re.compile(r"([A-Z][a-z-]+ [a-z-]+)_(.+)")       # BirdNET's labels: "Parus major_Great Tit"
ROW_GROUP = 1 << 16                                         # rows that a parquet file keeps together
NO_PYARROW = "parquet needs the package pyarrow ({}); install it with: pip install 'npgru[parquet]', or use csv"


class DetectionsError(ValueError):
    """A table that cannot be read or written. One line: file, what was found, what is accepted, what to do."""


class Detection(NamedTuple):
    """One row of every table: what was heard from start_s to end_s of a recording."""
    file: str               # the recording, an absolute path
    start_s: float
    end_s: float
    species: str            # the target class of the model
    score: float            # its probability, 0..1
    start_utc: str = ""     # "2023-05-01T04:30:01.008Z", "" where it is not known


@dataclass(frozen=True)
class Recording:
    """One recording and its detections, in the order of their starts: what is written."""
    path: str               # absolute
    duration_s: float
    sample_rate_hz: int     # of the file
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class About:
    """What the tables say of all recordings alike. root: the folder that holds them; Hz: the band that was looked at."""
    root: str
    low_hz: float
    high_hz: float
    utc: bool = False       # a column with absolute times
    platt: tuple[float, float] | None = None    # of a calibrated model: csv and parquet have a column of probabilities

    @property
    def more_columns(self) -> tuple[str, ...]:
        """Of csv and parquet, behind CSV_COLUMNS."""
        return (UTC_COLUMN,) * self.utc + (PROBABILITY_COLUMN,) * bool(self.platt)

    def more(self, detection: Detection) -> list:
        """What stands in them; None: not known."""
        return [detection.start_utc or None] * self.utc + ([probability(detection.score, self.platt)] if self.platt else [])


def probability(score: float, platt: tuple[float, float]) -> float:
    """σ(a logit(score) + b): how probably a detection is right, by the user's own decisions (npgru.calibration)."""
    a, b = platt
    logit = math.log(score / (1 - score)) if 0 < score < 1 else math.copysign(LARGEST_LOGIT, score - 0.5)
    return round(1 / (1 + math.exp(-(a * max(-LARGEST_LOGIT, min(logit, LARGEST_LOGIT)) + b))), 6)


def names_of(species: str) -> tuple[str, str]:
    """A label -> (scientific name, common name): both, where it is written like "Parus major_Great Tit"; else the same."""
    both = TWO_NAMES.fullmatch(species)
    return (both[1], both[2]) if both else (species, species)


def write(kind: str, file, recordings: Iterable[Recording], about: About) -> None:
    """Write one table to a binary file, a recording at a time.

    kind    a key of ENDINGS
    raises  DetectionsError without pyarrow, for parquet
    """
    if kind == "parquet":
        _write_parquet(file, recordings, about)
        return
    for line in LINES[kind](recordings, about):
        file.write(line.encode("utf-8", "surrogateescape"))     # names of files need not be UTF-8


def _raven_lines(recordings, about) -> Iterator[str]:
    """Raven selection table: tab-separated. Begin and end times run on over the recordings, File Offset does not."""
    yield "\t".join(RAVEN_COLUMNS + (RAVEN_UTC_COLUMN,) * about.utc) + "\n"
    n, before_s = 0, 0.0
    for recording in recordings:
        high_hz = min(about.high_hz, recording.sample_rate_hz / 2)
        for d in recording.detections:
            n += 1
            fields = [f"{n}", "Spectrogram 1", "1", f"{before_s + d.start_s:.6f}", f"{before_s + d.end_s:.6f}",
                      f"{min(about.low_hz, high_hz):g}", f"{high_hz:g}", names_of(d.species)[1], f"{d.score:.4f}", d.file,
                      f"{d.start_s:.6f}"] + [d.start_utc] * about.utc
            yield "\t".join(map(_one_field, fields)) + "\n"
        before_s += recording.duration_s


def _audacity_lines(recordings, about) -> Iterator[str]:
    """Audacity labels: start, end, label, tab-separated, no header. The score is in the label."""
    before_s = 0.0
    for recording in recordings:
        for d in recording.detections:
            label = _one_field(f"{names_of(d.species)[1]} {d.score:.4f}")
            yield f"{before_s + d.start_s:.6f}\t{before_s + d.end_s:.6f}\t{label}\n"
        before_s += recording.duration_s


def _one_field(text):
    """Without the characters that end a field or a line of a tab-separated table, which has no quotes."""
    return re.sub(r"[\t\r\n]", "\ufffd", text)


def _csv_lines(recordings, about) -> Iterator[str]:
    """Scores and times in full precision: what `read` gives back is what was written."""
    yield _csv_line(CSV_COLUMNS + about.more_columns)
    for recording in recordings:
        for d in recording.detections:
            yield _csv_line([d.start_s, d.end_s, *names_of(d.species), d.score, d.file, *about.more(d)])


def _kaleidoscope_lines(recordings, about) -> Iterator[str]:
    """Kaleidoscope: TOP1DIST is a distance, 0 the best match: 1 - score."""
    yield _csv_line(KALEIDOSCOPE_COLUMNS + (UTC_COLUMN,) * about.utc)
    for recording in recordings:
        folder, name = os.path.split(os.path.relpath(recording.path, about.root))
        for d in recording.detections:
            yield _csv_line([about.root, folder, name, d.start_s, round(d.end_s - d.start_s, 6), names_of(d.species)[1],
                             f"{1 - d.score:.4f}"] + [d.start_utc] * about.utc)


def _csv_line(fields):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


LINES = {"table": _raven_lines, "audacity": _audacity_lines, "csv": _csv_lines, "kaleidoscope": _kaleidoscope_lines}


def _write_parquet(file, recordings, about):
    """The columns of the CSV, a null where a start in UTC is not known; times and scores are float64."""
    pyarrow, parquet = pyarrow_modules()
    numbers = ("Start (s)", "End (s)", "Confidence", PROBABILITY_COLUMN)
    schema = pyarrow.schema([(name, pyarrow.float64() if name in numbers else pyarrow.string())
                             for name in CSV_COLUMNS + about.more_columns])
    with parquet.ParquetWriter(file, schema) as writer:
        rows = []
        for recording in recordings:
            rows += [(d.start_s, d.end_s, *names_of(d.species), d.score, printable(d.file), *about.more(d))
                     for d in recording.detections]
            while len(rows) >= ROW_GROUP:
                writer.write_table(_table(pyarrow, rows[:ROW_GROUP], schema))
                del rows[:ROW_GROUP]
        writer.write_table(_table(pyarrow, rows, schema))


def _table(pyarrow, rows, schema):
    columns = zip(*rows) if rows else [()] * len(schema)
    return pyarrow.table([pyarrow.array(column, field.type) for column, field in zip(columns, schema)], schema=schema)


def pyarrow_modules():
    """pyarrow and pyarrow.parquet. raises DetectionsError, which says how to install it"""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DetectionsError(NO_PYARROW.format(" ".join(str(error).split()))) from None
    return pyarrow, pyarrow.parquet


def read(path: Path | str) -> list[Detection]:
    """The detections of a table (csv, table or parquet, told by its columns), or of a folder that `npgru detect` wrote.

    A folder gives its combined table, or else all tables of one kind below it: csv, parquet, or table, in this order.
    raises  DetectionsError for anything else
    """
    path = Path(path)
    if path.is_dir():
        return [row for table in _tables_of(path) for row in read(table)]
    if not path.is_file():
        raise DetectionsError(f"{printable(path)}: there is no such file; give a table of `npgru detect`, or its folder")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            header = file.readline()
            file.seek(0)
            tabs = "\t" in header
            rows = csv.DictReader(file, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
            return _rows(path, list(rows.fieldnames or []), rows)
    except (OSError, csv.Error) as error:
        raise DetectionsError(f"{printable(path)}: cannot be read as a table ({error})") from None


def _tables_of(folder):
    for kind in ("csv", "parquet", "table"):
        combined = folder / (COMBINED + ENDINGS[kind])
        found = [combined] if combined.is_file() else sorted(folder.rglob(f"*{ENDINGS[kind]}"))
        if found:
            return found
    raise DetectionsError(f"{printable(folder)}: holds no table of detections; accepted: the folder that `npgru detect -o` "
                          "wrote, with --rtype csv, parquet or table")


def _read_parquet(path):
    _, parquet = pyarrow_modules()
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:                  # pyarrow's errors are of these two
        raise DetectionsError(f"{printable(path)}: cannot be read as parquet ({' '.join(str(error).split())})") from None
    return _rows(path, table.column_names, table.to_pylist())


def _rows(path, columns, rows):
    """Rows as dicts of a CSV, a parquet or a Raven table -> detections."""
    for known, convert in ((CSV_COLUMNS, _of_csv), (RAVEN_COLUMNS, _of_raven)):
        if set(known) <= set(columns):
            break
    else:
        raise DetectionsError(f"{printable(path)}: has the columns {printable(', '.join(columns)) or '(none)'}; accepted: "
                              f"{', '.join(CSV_COLUMNS)}, or a Raven selection table with Begin Path and File Offset (s)")
    detections = []
    for number, row in enumerate(rows, 2):
        try:
            detections.append(convert(row))
        except (TypeError, ValueError) as error:
            raise DetectionsError(f"{printable(path)}, row {number}: is no detection ({error}); correct or remove it") from None
    return detections


def _of_csv(row):
    scientific, common = row["Scientific name"], row["Common name"]
    species = common if scientific == common else f"{scientific}_{common}"
    return _checked(Detection(row["File"], float(row["Start (s)"]), float(row["End (s)"]), species, float(row["Confidence"]),
                              row.get(UTC_COLUMN) or ""))


def _of_raven(row):
    start_s = float(row["File Offset (s)"])
    length_s = float(row["End Time (s)"]) - float(row["Begin Time (s)"])
    return _checked(Detection(row["Begin Path"], start_s, round(start_s + length_s, 6), row["Species"],
                              float(row["Confidence"]), row.get(RAVEN_UTC_COLUMN) or ""))


def _checked(detection):
    if not (0 <= detection.start_s < detection.end_s < float("inf") and 0 <= detection.score <= 1 and detection.file):
        raise ValueError(f"start {detection.start_s} s, end {detection.end_s} s, score {detection.score}, file "
                         f"{printable(detection.file)!r}; accepted: 0 <= start < end, a score of 0 to 1, a file")
    return detection
