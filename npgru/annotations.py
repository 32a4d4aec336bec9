"""A CSV file of annotated calls -> the events of each recording; every row that cannot be used, with its number."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .audio import Info, printable
from .clips import DatasetError, Problem
from .tables import as_record, normal, read_rows, seconds

COLUMNS = ("file", "start_s", "end_s", "species")
END_TOLERANCE_S = 0.05              # an end that was rounded up is not an error


@dataclass(frozen=True)
class Event:
    """One annotated call, in seconds from the start of its recording; line: where in the CSV file it is."""
    start_s: float
    end_s: float
    species: str
    line: int


def read_annotations(path: Path, recordings: Sequence[tuple[Path, Info]]) -> tuple[list[list[Event]], list[str], list[Problem]]:
    """CSV with the columns file, start_s, end_s (seconds), species -> events per recording, notices, problems.

    recordings   files to evaluate. `file` may be a path, or the last parts of one: its name is enough where that is unique
    A row with a file alone says that the recording was listened to and holds nothing. Comma, semicolon or tab; UTF-8.
    Two calls of one species in one recording must not overlap: an event that is found would count twice.
    raises  TableError if it cannot be read as such a table
    """
    events, problems, unused = [[] for _ in recordings], [], set()
    rows = read_rows(path, COLUMNS, COLUMNS)
    _, names = next(rows)
    for line, texts in rows:
        try:
            fields = as_record(names, texts, COLUMNS)
            found = _recordings_of(fields["file"], recordings)
            if not found:
                if not any((folder / fields["file"]).is_file() for folder in {path.parent, *(p.parent for p, _ in recordings)}):
                    raise ValueError(f"no such recording: {printable(fields['file']) or '(empty)'}; accepted: the recordings "
                                     f"given, such as {printable(recordings[0][0].name)}; correct the name, or remove the row")
                unused.add(fields["file"])
            elif any(fields[name] for name in COLUMNS[1:]):
                _add(events[found[0]], _event(fields, line, recordings[found[0]][1].duration_s))
        except ValueError as error:
            problems.append(Problem(f"{path}, line {line}", str(error)))
    notices = [f"{printable(path)}: has rows of {len(unused)} recording(s) that were not given, such as "
               f"{printable(min(unused))}; not used"] if unused else []
    return events, notices, problems


def _recordings_of(name, recordings):
    """[index] of the recording that a row means, or []. raises ValueError where it could mean several."""
    parts = Path(name.replace("\\", "/")).parts if not Path(name).is_absolute() else Path(name).parts
    found = [k for k, (path, _) in enumerate(recordings) if parts and path.absolute().parts[-len(parts):] == parts]
    if len(found) > 1:
        raise ValueError(f"{printable(name)} could be {printable(recordings[found[0]][0])} or "
                         f"{printable(recordings[found[1]][0])}; accepted: one recording; write more of its path")
    return found


def _event(fields, line, duration_s):
    """One row -> Event; ValueError says which column, what was found, what is accepted."""
    start_s, end_s = (seconds(fields[name], name) for name in ("start_s", "end_s"))
    if end_s <= start_s:
        raise ValueError(f"end_s={end_s:g} is not after start_s={start_s:g}; accepted: start_s < end_s, in seconds")
    if end_s > duration_s + END_TOLERANCE_S:
        raise ValueError(f"end_s={end_s:g} is after the end of the recording at {duration_s:.2f} s; accepted: times within it")
    if not fields["species"]:
        raise ValueError("species is empty; accepted: a name; a row with a file alone says that it holds no call")
    return Event(start_s, end_s, fields["species"], line)


def _add(events, event):
    """Append an event; ValueError if it overlaps one of the same species."""
    for other in events:
        if normal(other.species) == normal(event.species) and min(event.end_s, other.end_s) > max(event.start_s, other.start_s):
            raise ValueError(f"{event.start_s:g} to {event.end_s:g} s overlaps line {other.line} ({other.start_s:g} to "
                             f"{other.end_s:g} s) of the same species; accepted: calls apart in time; make them one row")
    events.append(event)


def target_species(events: Sequence[Sequence[Event]], target: str | None, class_name: str) -> str:
    """The species that the model detects, as the annotations call it: the one asked for, the model's class, or the only one.

    raises  DatasetError where that is not clear; a species that was asked for may be in no row
    """
    names = sorted({event.species for of_recording in events for event in of_recording})
    same = [name for name in names if normal(name) == normal(target or class_name)]
    if same or target:
        return same[0] if same else target
    if len(names) == 1:
        return names[0]
    what = f"calls of {', '.join(map(printable, names))}" if names else "no call"
    raise DatasetError(f"the annotations hold {what}, the model detects {printable(class_name)!r}; say which species that is "
                       "with --target NAME")
