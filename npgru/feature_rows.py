"""Features of many clips, uint16 (N, T, M): an array while they are few; else a file, from which rows are read when asked for."""
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import numpy as np

IN_MEMORY_BYTES = 1 << 25           # 6 241 clips of 84 x 32
BLOCK = 1024                        # clips, 5.5 MB


class File:
    """A nameless file of rows, (T, M) uint16 each, for any number of threads; it ends with the last of its Rows."""

    def __init__(self, folder: Path):
        self.file, self.lock = tempfile.TemporaryFile(dir=folder, buffering=0), Lock()

    def __del__(self):
        if hasattr(self, "file"):
            self.file.close()

    def read(self, place: int, rows: np.ndarray) -> None:
        """Fill rows (n, T, M) from the one at `place` on."""
        with self.lock:
            self.file.seek(place * rows[0].nbytes)
            n_read = self.file.readinto(rows.data)
        if n_read != rows.nbytes:
            raise OSError(f"the file of features gave {n_read} bytes of {rows.nbytes}")

    def write(self, place: int, row: np.ndarray) -> None:
        with self.lock:
            self.file.seek(place * row.nbytes)
            n_written = self.file.write(row.data)
        if n_written != row.nbytes:
            raise OSError("no room is left for the file of features; set NPGRU_CACHE to a folder with more")


class Rows:
    """Some rows of a File, indexed like an array (N, T, M) along its first axis: each look reads what it needs, a copy."""
    dtype = np.dtype(np.uint16)

    def __init__(self, file: File, clip_shape: tuple[int, int], places: np.ndarray):
        self.file, self.places, self.shape = file, places, (len(places), *clip_shape)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows) -> np.ndarray:
        """A number, a slice, an array of numbers or of booleans -> (T, M) or (n, T, M)."""
        places = self.places[rows]
        x = np.empty((*np.shape(places), *self.shape[1:]), self.dtype)
        places, rows_of_x = np.ravel(places), x.reshape(-1, *self.shape[1:])
        first = np.flatnonzero(np.diff(places, prepend=-2) != 1)                 # neighbours are read together
        for start, end in zip(first, [*first[1:], len(places)]):
            self.file.read(int(places[start]), rows_of_x[start:end])
        return x

    def __setitem__(self, row: int, features: np.ndarray) -> None:
        """One row, (T, M)."""
        content = np.broadcast_to(features, self.shape[1:])
        self.file.write(int(self.places[row]), np.ascontiguousarray(content, self.dtype))


def room_for(n_clips: int, clip_shape: tuple[int, int], folder: Path) -> np.ndarray | Rows:
    """Room to write n_clips features (T, M) into, one by one: in memory, or above IN_MEMORY_BYTES in a file.

    folder   where the file is to be; where nothing can be written there, it is among the system's temporary files
    raises   OSError where the disk has no room for it
    """
    n_bytes = 2 * n_clips * clip_shape[0] * clip_shape[1]
    if n_bytes <= IN_MEMORY_BYTES:
        return np.empty((n_clips, *clip_shape), np.uint16)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = File(folder)
    except OSError:
        folder = Path(tempfile.gettempdir())
        file = File(folder)
    if n_bytes > (free := shutil.disk_usage(folder).free):
        raise OSError(f"features of {n_clips} clips need {n_bytes / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB; use fewer "
                      "clips, or set NPGRU_CACHE to a folder with more room")
    return Rows(file, clip_shape, np.arange(n_clips))


def part(x: np.ndarray | Rows, rows) -> np.ndarray | Rows:
    """x[rows] for an array; of Rows the rows asked for, and nothing is read yet."""
    return Rows(x.file, x.shape[1:], x.places[rows]) if isinstance(x, Rows) else x[rows]


def blocks(x: np.ndarray | Rows, size: int = BLOCK) -> Iterator[np.ndarray]:
    """x in arrays of up to `size` clips; an empty x is one empty array."""
    for start in range(0, max(len(x), 1), size):
        yield x[start:start + size]
