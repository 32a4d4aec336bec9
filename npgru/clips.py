"""A folder or a CSV manifest -> clips, each with its class, split, recording and distance; and what could not be used.

Two layouts of folders, <split>/<class>/**/<sound file> and <class>/**/<sound file>, and a table with a row per clip.
Nothing is left out without a word: what is not understood becomes a `Problem` or a notice.
"""
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .audio import printable
from .tables import TableError, as_record, normal, read_rows, seconds

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {"training_set": "train", "training": "train", "train": "train", "validation_set": "validation",
               "validation": "validation", "valid": "validation", "val": "validation",
               "test_set": "test", "testing": "test", "test": "test"}
ACCEPTED_SPLITS = "Training_Set, Validation_Set, Test_Set, or train, validation (val), test"
# Also sound that libsndfile does not read: such a file is refused by name later, not overlooked.
SOUND_SUFFIXES = frozenset(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .aif .aiff .aifc .au .snd .caf .sph .nist .voc .avr .paf "
    ".svx .8svx .m4a .mp4 .aac .wma .webm .amr .ape .wv .mka .ac3".split())
COLUMNS = ("path", "label", "split", "start_s", "end_s", "recording")
OF_A_REVIEW = ("score",)                                    # columns of its decisions that say nothing of a clip
XENO_CANTO = re.compile(r"(?<![A-Za-z0-9])XC[ _-]?(\d+)", re.IGNORECASE)
CUT_AT = re.compile(r"_\d+ms$")                             # where in the recording the clip starts
PLACED = re.compile(r"(YH_.+)_([A-H])")                     # YH_<song>_<place>_<distance>


class DatasetError(ValueError):
    """Data that cannot be used as a whole. One line: where, what was found, what is accepted, what to do."""


class Problem(NamedTuple):
    """A file, a folder or a row that was left out. str() is one line."""
    path: str
    reason: str

    def __str__(self):
        return f"{printable(self.path)}: {self.reason}"


@dataclass(frozen=True)
class Clip:
    """One example: a sound file, or a part of one; its loudest slice is what is learned or scored."""
    path: Path
    class_name: str                     # folder or label
    target: int = 0                     # 1 target, 0 negative
    split: str = ""                     # "train", "validation", "test"; "" where the data states none
    start_s: float = 0.0
    end_s: float | None = None          # None: to the end of the file
    recording: str = ""                 # clips of one recording are not independent: never in two splits
    distance: str | None = None         # "A" to "H" where the name tells it


class Found(NamedTuple):
    """What a layout holds, targets not chosen yet; parts of it that were not understood."""
    clips: list[Clip]
    notices: list[str]
    problems: list[Problem]


def name_facts(stem: str, otherwise: str) -> tuple[str, str | None]:
    """File name without suffix -> (recording, distance letter or None).

    "Great_Tit_XC122555_000500ms" -> XC122555, "Mallard_7_000500ms" -> Mallard_7, "YH_S1_P2_C" -> YH_S1_P2 and C;
    a name that tells nothing -> `otherwise`.
    """
    if xeno_canto := XENO_CANTO.search(stem):
        return f"XC{xeno_canto[1]}", None
    source = CUT_AT.sub("", stem)
    if placed := PLACED.fullmatch(source):
        return placed[1], placed[2]
    return source if source != stem else otherwise, None


def read_folder(root: Path) -> Found:
    """Clips below a folder of split folders, or of class folders. raises DatasetError if it is neither."""
    found = Found([], [], [])
    if not root.is_dir():
        raise DatasetError(f"{printable(root)}: no such folder or .csv file; accepted: a folder of clips, a CSV manifest")
    folders = _folders(root, found)
    splits = {folder: SPLIT_NAMES.get(normal(folder.name)) for folder in folders if _folders(folder, found)}
    if not any(splits.values()):                            # a class may be called "train": then it holds no folders
        own = normal(root.name)                             # of <split>_set alone is it clear that it is a split
        _read_classes(root, root, SPLIT_NAMES.get(own, "") if own.endswith("_set") else "", found)
        return found
    _report_loose(root, found, f"sound files in {ACCEPTED_SPLITS}, there in a folder per class")
    for folder in folders:
        if splits.get(folder):
            _read_classes(root, folder, splits[folder], found)
        elif n := len(sound_files(folder, Counter(), found)):
            found.problems.append(Problem(folder, f"{n} sound file(s) in a folder that is no split; accepted: "
                                          f"{ACCEPTED_SPLITS}, each with class folders; rename or move it"))
    return found


def _read_classes(root, folder, split, found):
    """Add the clips of every class folder in `folder`."""
    other, root_chars = Counter(), len(os.path.join(root, "")) if root != Path() else 0
    _report_loose(folder, found, "sound files in a folder per class")
    for class_folder in _folders(folder, found):
        inside = [child.name for child in _folders(class_folder, found) if normal(child.name) in SPLIT_NAMES]
        if inside:
            raise DatasetError(f"{printable(class_folder)}: holds the split folder {inside[0]!r}; accepted: class "
                               f"folders in split folders ({ACCEPTED_SPLITS}); give that one, or move the splits out")
        paths = sound_files(class_folder, other, found)
        if not paths:
            found.notices.append(f"{printable(class_folder)}: holds no sound files")
        for path in paths:
            inside_root = os.path.splitext(path)[0][root_chars:].replace(os.sep, "/")
            recording, distance = name_facts(inside_root.rpartition("/")[2], inside_root)
            found.clips.append(Clip(Path(path), class_folder.name, 0, split, 0.0, None, recording, distance))
    if other:
        kinds = ", ".join(f"{n} {printable(suffix)}" for suffix, n in sorted(other.items()))
        found.notices.append(f"{printable(folder)}: {sum(other.values())} file(s) that are not sound by their names were "
                             f"not read ({kinds})")


def _folders(folder, found):
    """Folders in a folder, sorted, without hidden ones."""
    try:
        with os.scandir(folder) as entries:                 # asks the disk once for a folder, not once for a file
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        found.problems.append(Problem(folder, f"cannot be read ({error.strerror}); check its permissions"))
        return []


def _report_loose(folder, found, accepted):
    """Sound files directly in a folder that should hold folders only."""
    try:
        with os.scandir(folder) as entries:
            loose = sorted(entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in SOUND_SUFFIXES
                           and not entry.name.startswith(".") and not entry.is_dir())
    except OSError:                                         # reported by _folders
        return
    if loose:
        found.problems.append(Problem(folder, f"{len(loose)} sound file(s) directly in it, such as "
                                      f"{printable(loose[0])}, were left out; accepted: {accepted}; move them"))


def sound_files(folder, other, found):
    """Names of sound files below a folder, at any depth, sorted. Suffixes of all other files are counted in `other`."""
    paths, seen = [], set()

    def unreadable(error):
        found.problems.append(Problem(error.filename, f"cannot be read ({error.strerror}); check its permissions"))

    for base, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(base)
        if real in seen:                                    # a link to a folder above: a circle
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in SOUND_SUFFIXES and not name.startswith("."):
                paths.append(os.path.join(base, name))
            else:
                other["hidden" if name.startswith(".") else suffix or "without suffix"] += 1
    return sorted(paths)


def read_manifest(path: Path) -> Found:
    """Clips of a CSV file: columns path and label, and if wanted split, start_s, end_s (seconds), recording.

    Paths are relative to the file's folder; comma, semicolon or tab between fields; UTF-8. A bad row is a Problem.
    raises  DatasetError if it cannot be read as such a table
    """
    found = Found([], [], [])
    try:
        rows = read_rows(path, ("path", "label"), COLUMNS)
        _, names = next(rows)
        if unused := [printable(name) for name in names if name not in (*COLUMNS, *OF_A_REVIEW)]:
            found.notices.append(f"{printable(path)}: columns not used: {', '.join(unused)}")
        for line, fields in rows:
            _read_row(path, line, names, fields, found)
    except TableError as error:
        raise DatasetError(str(error)) from None
    return found


def _read_row(path, line, names, fields, found):
    """Add the clip of one row, or the reason why there is none."""
    try:
        found.clips.append(_row_clip(path.parent, as_record(names, fields, COLUMNS)))
    except ValueError as error:
        found.problems.append(Problem(f"{path}, line {line}", str(error)))


def _row_clip(folder, row):
    """One row -> Clip; ValueError says which column, what was found, what is accepted."""
    for name in ("path", "label"):
        if not row[name]:
            raise ValueError(f"{name} is empty; accepted: {'a sound file' if name == 'path' else 'the name of a class'}")
    split = SPLIT_NAMES.get(normal(row["split"]), "")
    if row["split"] and not split:
        raise ValueError(f"split is {row['split']!r}; accepted: {ACCEPTED_SPLITS}")
    start_s, end_s = _seconds(row, "start_s", 0.0), _seconds(row, "end_s", None)
    if end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s={end_s:g} is not after start_s={start_s:g}; accepted: start_s < end_s, in seconds")
    path = folder / row["path"]
    if not os.path.isfile(path) and os.path.isfile(folder / row["path"].replace("\\", "/")):
        path = folder / row["path"].replace("\\", "/")      # written on Windows
    if not os.path.isfile(path):
        raise ValueError(f"no such file: {printable(path)}; accepted: paths relative to the folder of the manifest")
    recording, distance = name_facts(path.stem, Path(row["path"]).with_suffix("").as_posix())
    return Clip(path, row["label"], 0, split, start_s, end_s, row["recording"] or recording, distance)


def _seconds(row, name, otherwise):
    """A field as seconds, finite and at least 0; empty: `otherwise`."""
    return seconds(row[name], name) if row[name] else otherwise
