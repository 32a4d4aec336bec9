"""What is finished of an archive: a line of JSON a recording, appended when it is; read where it is needed, never whole.

A line that a crash cut off is taken away when the journal is opened again. One process at a time writes.
"""
import json
import os
from collections.abc import Iterator
from pathlib import Path

from .audio import printable
from .checkpoint import write_atomically
from .detect import Heard
from .detections import Detection, Recording

try:
    import fcntl
except ImportError:                             # Windows: nobody keeps two commands out of one folder
    fcntl = None

SYNC_EVERY = 1000                               # lines: what a power cut can cost; kill -9 costs none


class Journal:
    """An open journal. species: what its detections are called.

    raises  BlockingIOError, one line, while another command writes it
    """

    def __init__(self, path: Path, species: str):
        self._path, self._species, self._n_added = path, species, 0
        self._open()

    def _open(self):
        self._file = open(self._path, "a+b")
        if fcntl:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise BlockingIOError(f"{printable(self._path.parent)}: another `npgru detect` writes into it; wait for "
                                      "it, or give another folder with -o") from None
        self._at, end = {}, 0                                       # path of a recording -> where its line starts
        self._file.seek(0)
        for line in self._file:
            row = _row(line)
            if row is None:
                break
            self._at[row["path"]], end = end, end + len(line)
        self._file.truncate(end)

    def add(self, heard: Heard, stamp: tuple[int, int]) -> None:
        """Append a finished recording; stamp: bytes and time of change (ns) of its file, before it was read."""
        r = heard.recording
        row = {"path": r.path, "stamp": stamp, "duration_s": r.duration_s, "sample_rate_hz": r.sample_rate_hz,
               "windows": heard.n_windows, "start_utc": heard.start_utc, "warnings": heard.warnings,
               "detections": [(d.start_s, d.end_s, d.score, d.start_utc) for d in r.detections]}
        self._at[r.path] = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(row).encode() + b"\n")          # ASCII: also names that are not UTF-8 survive
        self._file.flush()
        self._n_added += 1
        if self._n_added % SYNC_EVERY == 0:
            os.fsync(self._file.fileno())

    def get(self, path: str, stamp: tuple[int, int] | None = None) -> Heard | None:
        """A finished recording, without its scores; None if it is not, or if its file has another stamp now."""
        if path not in self._at:
            return None
        self._file.seek(self._at[path])
        row = _row(self._file.readline())
        if stamp and tuple(row["stamp"]) != stamp:
            return None
        found = tuple(Detection(path, start_s, end_s, self._species, score, utc) for start_s, end_s, score, utc in row["detections"])
        recording = Recording(path, row["duration_s"], row["sample_rate_hz"], found)
        return Heard(recording, row["windows"], row["start_utc"], tuple(row["warnings"]))

    def sort(self) -> None:
        """Write it anew in the order of the paths, each once: the same bytes in whatever order they were finished."""
        write_atomically(self._path, self._write_sorted)
        self.close()
        self._open()

    def _write_sorted(self, out):
        for path in sorted(self._at):
            self._file.seek(self._at[path])
            out.write(self._file.readline())

    def paths(self) -> Iterator[str]:
        """Of all finished recordings."""
        return iter(self._at)

    def close(self) -> None:
        self._file.close()


def _row(line):
    """A line as a dict; None for one that is cut off or damaged."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) and "path" in row and "detections" in row else None
