"""Many recordings -> tables of detections in one folder: resumed after a crash, the same bytes on any number of processes.

The folder holds, beside the tables, npgru_settings.toml (model and options: another run with others is refused),
npgru_files.csv (a row a recording), npgru_summary.txt, and a journal with a line for each recording that is finished,
from which tables are made. A recording's tables are written before its line in the journal.
"""
import csv
import glob
import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tomli_w

from . import __version__, clips, config, detections, workers
from .audio import AudioError, printable
from .checkpoint import write_atomically
from .clips import Problem
from .detect import Heard, Task, hear
from .detections import COMBINED, ENDINGS, About
from .journal import Journal

SETTINGS, JOURNAL, FILES, SUMMARY = "npgru_settings.toml", "npgru_journal.jsonl", "npgru_files.csv", "npgru_summary.txt"
SCORES_ENDING = ".npgru.scores.csv"
MOST_SHOWN = 20         # skipped recordings in the summary
FILE_COLUMNS = ("File", "Duration (s)", "Sample rate (Hz)", "Windows", "Detections", detections.UTC_COLUMN, "Note")


class ArchiveError(ValueError):
    """Recordings or a folder that cannot be used. One line: where, what was found, what is accepted, what to do."""


class Inputs(NamedTuple):
    """What is to be heard. root: the folder that holds all; paths: absolute, sorted, each once."""
    root: str
    paths: list[str]
    notices: list[str]
    problems: list[Problem]


def find(inputs: Sequence[str]) -> Inputs:
    """Files, folders (all sound files below them, hidden ones not) and patterns such as "card*/**/*.wav".

    raises  ArchiveError where there is nothing of such a name, or no sound in all of it
    """
    paths, roots, other, found = set(), [], Counter(), clips.Found([], [], [])
    for text in inputs:
        matches = [text] if os.path.lexists(text) else sorted(glob.glob(text, recursive=True))
        if not matches:
            raise ArchiveError(f"{printable(text)}: there is no such file or folder; accepted: sound files, folders, patterns "
                               "such as 'card/**/*.wav'; check the name")
        for match in map(os.path.abspath, matches):
            is_folder = os.path.isdir(match)
            roots.append(match if is_folder else os.path.dirname(match))
            paths.update(clips.sound_files(match, other, found) if is_folder else [match])
    if not paths:
        kinds = ", ".join(f"{n} {printable(suffix)}" for suffix, n in sorted(other.items())) or "it is empty"
        raise ArchiveError(f"{printable(inputs[0])}: holds no sound files ({kinds}); accepted: files that end on "
                           f"{' '.join(sorted(clips.SOUND_SUFFIXES)[:8])} ..., or name the file itself")
    if other:
        kinds = ", ".join(f"{n} {printable(suffix)}" for suffix, n in sorted(other.items()))
        found.notices.append(f"{sum(other.values())} file(s) that are not sound by their names were not read ({kinds})")
    try:
        return Inputs(os.path.commonpath(roots), sorted(paths), found.notices, found.problems)
    except ValueError:                                          # two drives of Windows
        raise ArchiveError("the recordings are on several drives; accepted: one; give them in several calls") from None


def settings_of(task: Task, root: str, model: Path) -> dict:
    """Everything that changes a table's content, as a table for TOML. model: the file of the network."""
    kind = "int8" if task.detector.integers else "float"
    return {"npgru": __version__, "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "network": kind,
            "recordings_in": printable(root), "clip_s": task.detector.clip_s, "overlap_s": task.grid.overlap_s,
            "min_conf": task.choice.min_conf, "species": task.choice.species, "merge_consecutive": task.choice.merge,
            "top_n": task.choice.top_n, "utc_offset_s": "" if task.local_offset is None else task.local_offset.total_seconds(),
            "batch_size": 0 if task.detector.integers else task.batch}         # an integer network's scores do not know it


@dataclass(frozen=True)
class Output:
    """Where tables go, and which.

    folder, root    a recording root/a/b.wav gives the tables folder/a/b.wav.npgru.*
    kinds           of tables, keys of detections.ENDINGS
    combined        also one table of all recordings, of each kind
    scores          also the score of each window
    about           what all tables say
    """
    folder: Path
    root: str
    kinds: tuple[str, ...]
    combined: bool
    scores: bool
    about: About

    def path(self, recording: str, ending: str) -> Path:
        """The file of a recording's table; "-" is standard input."""
        return self.folder / (("stdin" if recording == "-" else os.path.relpath(recording, self.root)) + ending)


def prepare(folder: Path, settings: dict, overwrite: bool) -> None:
    """Make the folder, or check that it holds results of the same settings.

    settings    everything that changes a table's content
    overwrite   remove what another run with other settings has written, instead of refusing
    raises      ArchiveError, config.ConfigError; BlockingIOError where another command is writing what would be removed
    """
    if folder.exists() and not folder.is_dir():
        raise ArchiveError(f"{printable(folder)}: is a file; give a folder with -o")
    file = folder / SETTINGS
    if file.is_file():
        difference = config.first_difference(config.read_toml(file), settings)
        if difference and not overwrite:
            raise ArchiveError(f"{printable(folder)}: holds results with {difference}; use the same model and options to "
                               "continue them, another folder with -o, or --overwrite to remove them")
        if difference:
            Journal(folder / JOURNAL, "").close()
            for ending in (JOURNAL, *ENDINGS.values(), SCORES_ENDING):  # the journal first: a table alone is never believed
                for table in folder.rglob(f"*{ending}"):
                    table.unlink()
            file.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_atomically(file, lambda out: out.write(tomli_w.dumps(settings).encode()))


def open_journal(folder: Path, task: Task) -> Journal:
    """The journal of a prepared folder, for this process alone; what a killed one left half-written goes."""
    journal = Journal(folder / JOURNAL, task.choice.species)
    for leftover in folder.rglob(".*npgru*.tmp"):
        leftover.unlink(missing_ok=True)
    return journal


class Outcome(NamedTuple):
    """What became of a recording: heard, or a reason why not."""
    path: str
    heard: Heard | None
    reason: str
    stamp: tuple[int, int] | None = None


def attempt(task: Task, keep_scores: bool, progress: Callable[[int], None] | None, path: str) -> Outcome:
    """Hear one recording; whatever is wrong with it becomes a reason."""
    stamp = stamp_of(path)
    try:
        heard = hear(path, task, progress)
    except AudioError as error:
        return Outcome(path, None, error.reason)
    except Exception as error:                                  # never the end of the other recordings
        return Outcome(path, None, f"could not be processed ({type(error).__name__}: {' '.join(str(error).split())}); "
                                   "please report it, with the file")
    return Outcome(path, heard if keep_scores else replace(heard, scores=None), "", stamp)


def stamp_of(path: str) -> tuple[int, int] | None:
    """Bytes and time of change of a file; None for what is not there."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True)
class Workers:
    """Who hears: n processes of this machine, or a cluster (see npgru.workers). Neither changes a result.

    progress   called with the number of samples heard, where this very process hears
    """
    n: int = 1
    cluster: str = ""
    progress: Callable[[int], None] | None = None


def run(paths: Iterable[str], task: Task, output: Output, journal: Journal, who: Workers = Workers()) -> Iterator[Outcome]:
    """Hear all recordings that are not finished, and write their tables. Yields an Outcome for each, finished ones first."""
    unfinished = []
    for path in paths:
        heard = journal.get(path, stamp_of(path))
        if not heard or output.scores and not is_written(output.path(path, SCORES_ENDING)):
            unfinished.append(path)
            continue
        write_tables(output, heard, [kind for kind in output.kinds if not is_written(output.path(path, ENDINGS[kind]))])
        yield Outcome(path, heard, "")
    n_processes = max(1, min(who.n, len(unfinished)))
    here = n_processes == 1 and not who.cluster
    work = partial(attempt, task, output.scores, who.progress if here else None)
    for path, outcome in workers.results(work, unfinished, n_processes, who.cluster):
        if isinstance(outcome, workers.Lost):
            outcome = Outcome(path, None, outcome.reason)
        if outcome.heard:
            write_all(output, outcome.heard, task)
            journal.add(outcome.heard, outcome.stamp)
        yield outcome


def write_all(output: Output, heard: Heard, task: Task) -> None:
    """The tables of one recording, and the scores of its windows if they are wanted."""
    write_tables(output, heard, output.kinds)
    if output.scores:
        write_scores(output.path(heard.recording.path, SCORES_ENDING), heard, task)


def write_tables(output: Output, heard: Heard, kinds: Iterable[str]) -> None:
    """The tables of one recording, of these kinds."""
    for kind in kinds:
        path, about = output.path(heard.recording.path, ENDINGS[kind]), replace(output.about, utc=bool(heard.start_utc))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: detections.write(kind, file, [heard.recording], about), durable=False)


def write_scores(path: Path, heard: Heard, task: Task) -> None:
    """CSV with the start of each window in seconds, and its score."""
    path.parent.mkdir(parents=True, exist_ok=True)
    starts_s = np.arange(heard.n_windows) * task.grid.step_samples / task.grid.front_end.sample_rate_hz
    lines = [f"{round(start_s, 6)!r},{score!r}\n" for start_s, score in zip(starts_s.tolist(), heard.scores.tolist())]
    write_atomically(path, lambda file: file.write(("Start (s),Score\n" + "".join(lines)).encode()), durable=False)


def is_written(table: Path) -> bool:
    """There, and not empty, as a power cut may leave it; what people changed in it stays."""
    return table.is_file() and table.stat().st_size > 0


class Summary(NamedTuple):
    """An archive in numbers. str() is what is printed and kept."""
    n_files: int
    n_heard: int
    duration_s: float
    n_windows: int
    n_detections: int
    n_with: int             # recordings with detections
    skipped: dict           # path -> reason

    def __str__(self):
        lines = [f"{self.n_heard} of {self.n_files} recordings, {self.duration_s / 3600:.3f} hours, {self.n_windows} windows",
                 f"{self.n_detections} detections in {self.n_with} recordings", f"{len(self.skipped)} skipped"]
        lines += [f"  {Problem(path, reason)}" for path, reason in list(self.skipped.items())[:MOST_SHOWN]]
        more = len(self.skipped) - MOST_SHOWN
        return "\n".join(lines + [f"  and {more} more, see {FILES}"] * (more > 0))


def finish(inputs: Inputs, output: Output, journal: Journal, skipped: dict) -> Summary:
    """Write what belongs to all recordings together: combined tables, the table of files, the summary.

    skipped     {path: reason} of the recordings without a result; all others are in the journal
    """
    journal.sort()
    skipped = dict(sorted({**skipped, **dict(inputs.problems)}.items()))
    paths, total_s, n_windows, n_each, utc = [path for path in inputs.paths if path not in skipped], 0.0, 0, [], False
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(FILE_COLUMNS)
    for path in sorted([*paths, *skipped]):
        if path in skipped:
            rows.writerow([path, "", "", "", "", "", f"skipped: {skipped[path]}"])
            continue
        one = journal.get(path)
        r, n = one.recording, len(one.recording.detections)
        rows.writerow([path, r.duration_s, r.sample_rate_hz, one.n_windows, n, one.start_utc, "; ".join(one.warnings)])
        total_s, n_windows, utc = total_s + r.duration_s, n_windows + one.n_windows, utc or bool(one.start_utc)
        n_each.append(n)
    _write_text(output.folder / FILES, text.getvalue())
    for kind in output.kinds if output.combined else ():
        recordings = (journal.get(path).recording for path in paths)
        write_atomically(output.folder / (COMBINED + ENDINGS[kind]),
                         lambda file: detections.write(kind, file, recordings, replace(output.about, utc=utc)))
    summary = Summary(len(inputs.paths), len(paths), total_s, n_windows, sum(n_each), sum(n > 0 for n in n_each), skipped)
    _write_text(output.folder / SUMMARY, f"{summary}\n")
    return summary


def _write_text(path, text):
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))
