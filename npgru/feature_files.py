"""Sound files -> arrays of features on disk, for people and other programs."""
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from . import audio, features
from .checkpoint import write_atomically
from .clips import Problem
from .front_end import FrontEnd

FRONT_ENDS = {"paper": FrontEnd.paper, "baseline": FrontEnd.baseline}


def slice_of(path, front_end: FrontEnd, clip_s: float) -> np.ndarray:
    """The loudest clip_s seconds of a sound file, int16 (n,), zeros after the end of a shorter one."""
    return audio.loudest_slice(path, front_end.sample_rate_hz, round(clip_s * front_end.sample_rate_hz))


def output_paths(files: Sequence[str], output: Path) -> list[Path]:
    """Where each file's array goes: output itself for one file, else output/<file name without suffix>.npy.

    raises  ValueError when two files would give the same array, or output is of the wrong kind
    """
    if len(files) == 1:
        if output.is_dir():
            raise ValueError(f"{output}: is a folder; for one sound file give the array's name, such as {output}/x.npy")
        return [output]
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; for several sound files give a folder")
    names = [f"{Path(file).stem}.npy" for file in files]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{count} of the sound files would be written to {output / name}; give them in several calls")
    return [output / name for name in names]


def write(files: Sequence[str], output: Path, front_end: FrontEnd, clip_s: float = 2.0, as_float: bool = False,
          backend: str | None = None, progress: Callable | None = None) -> tuple[list[Problem], float]:
    """One .npy (T, M) a file: uint16, or float32 of the float log-mel.

    returns  the files that could not be used, and for as_float the largest difference from the fixed-point features
    raises   audio.AudioError when there is one file and it cannot be used; ValueError as output_paths, or when
             clip_s is shorter than a window or longer than an hour
    """
    if not front_end.window_len / front_end.sample_rate_hz <= clip_s <= 3600:
        raise ValueError(f"clip_s={clip_s}; accepted: {front_end.window_len / front_end.sample_rate_hz} (one window) to 3600")
    problems, largest = [], 0.0
    jobs = list(zip(files, output_paths(files, output)))
    for file, path in progress(jobs, desc="features", unit="file") if progress and len(jobs) > 1 else jobs:
        try:
            for text in audio.info(file).warnings:
                warnings.warn(f"{file}: {text}", UserWarning, stacklevel=2)
            samples = slice_of(file, front_end, clip_s)
        except audio.AudioError as error:
            if len(files) == 1:
                raise
            problems.append(Problem(file, error.reason))
            continue
        x = features.float_log_mel(samples, front_end) if as_float else features.log_mel(samples, front_end, backend)
        if as_float:
            largest = max(largest, features.fixed_float_difference(samples, front_end)[0])
        if len(files) > 1:
            output.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda out: np.save(out, x))
    return problems, largest
