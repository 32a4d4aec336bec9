"""A recording of any length -> a score for each window -> detections; in blocks, with every frame computed once.

Window k is the clip_s seconds from sample k step_samples on, at the rate of the model. Its score is the one that
`evaluate` gives a clip of exactly these samples, whatever the blocks are in which they come.
"""
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from . import audio, features
from .detections import Detection, Recording
from .detector import Detector
from .front_end import FrontEnd
from .recorded_at import iso, recorded_at

BATCH = 64              # windows a call: 4 MB of samples
BLOCK_S = 16.0          # of sound read at once


@dataclass(frozen=True)
class Grid:
    """Where the windows of every recording lie, in samples.

    Without overlap they touch. With overlap they start on every `hops`-th frame, so that neighbours share their frames:
    the step asked for, rounded down to whole strides of the front end (24 ms), so that they overlap by at least that.
    """
    front_end: FrontEnd
    window_samples: int
    hops: int               # strides from one window to the next; 0: they touch

    @property
    def step_samples(self) -> int:
        return self.hops * self.front_end.window_stride or self.window_samples

    @property
    def overlap_s(self) -> float:
        """What neighbours share."""
        return (self.window_samples - self.step_samples) / self.front_end.sample_rate_hz

    @property
    def n_full(self) -> int:
        """Frames of a window that lie in it with all their samples."""
        return self.front_end.n_frames(self.window_samples) - self.front_end.pad_tail


def grid_of(detector: Detector, overlap_s: float) -> Grid:
    """raises ValueError for an overlap that is negative or leaves less than one stride from window to window."""
    front_end = detector.front_end
    n, rate_hz, stride = round(detector.clip_s * front_end.sample_rate_hz), front_end.sample_rate_hz, front_end.window_stride
    longest_s = (n - stride) / rate_hz
    if not 0 <= overlap_s <= longest_s:
        raise ValueError(f"overlap of {overlap_s:g} s; accepted: 0 to {longest_s:g} s, the windows have {detector.clip_s:g} s")
    return Grid(front_end, n, int((n - overlap_s * rate_hz) / stride + 1e-9) if overlap_s else 0)


def scores(blocks: Iterable[np.ndarray], detector: Detector, grid: Grid, batch: int = BATCH,
           progress: Callable[[int], None] | None = None) -> tuple[np.ndarray, int]:
    """Blocks (n,) float32 of a recording -> the score of each window (W,) float64, and how many samples there were.

    A last window reaches beyond the end, zeros after it, if there are samples that no other window has and half of it
    is sound. A recording shorter than a window has one window, whatever its length.

    batch     windows scored at once; the float network's last digits may depend on it, an integer network's do not
    progress  called with the number of samples that have been scored since the last call
    """
    found, n_samples = [], 0
    for samples, n_new, n_windows in _batches(blocks, grid, batch):
        n_samples += n_new
        if not found:
            shared = np.empty((0, grid.front_end.mel_n_channels), np.uint16)
        if n_windows:
            x, shared = window_features(samples, shared, n_windows, grid)
            found.append(detector.scores(x))
        if progress:
            progress(n_new)
    return np.concatenate(found or [np.empty(0)]), n_samples


def _batches(blocks, grid, batch):
    """-> (samples of so many windows int16, how many of them are new, so many windows); zeros after the recording's end."""
    n, step = grid.window_samples, grid.step_samples
    samples, have, fresh, first = np.empty((batch - 1) * step + n, np.int16), 0, 0, True
    for block in blocks:
        block = features.to_int16(block)
        while len(block):
            taken = block[:len(samples) - have]
            samples[have:have + len(taken)] = taken
            have, fresh, block = have + len(taken), fresh + len(taken), block[len(taken):]
            if have == len(samples):
                yield samples, fresh, batch
                samples[:n - step] = samples[batch * step:]
                have, fresh, first = n - step, 0, False
    n_windows = 1 + (have - n) // step if have >= n else 0
    covered = (n_windows - 1) * step + n if n_windows or not first else 0
    rest = have - n_windows * step
    if have > covered and (2 * rest >= n or first and not n_windows):
        samples[have:] = 0
        n_windows += 1
    yield samples, fresh, n_windows


def window_features(samples, shared, n_windows, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """samples (at least those of n_windows windows,) int16 -> features uint16 (n_windows, T, M), and frames to share.

    shared    the first frames of the first window, where the windows before have computed them
    returns   also the frames that the next windows share with these
    """
    front_end, n, step = grid.front_end, grid.window_samples, grid.step_samples
    samples = samples[:(n_windows - 1) * step + n]
    if not grid.hops:
        return features.log_mel(samples.reshape(n_windows, n), front_end), shared
    inside = replace(front_end, pad_tail=False)
    frames = np.concatenate([shared, features.log_mel(samples[len(shared) * front_end.window_stride:], inside)])
    x = np.lib.stride_tricks.sliding_window_view(frames, grid.n_full, axis=0)[::grid.hops].transpose(0, 2, 1)
    if front_end.pad_tail:                                  # a window's own last frame: the samples left, then zeros
        N, at = front_end.window_len, grid.n_full * front_end.window_stride
        tails = np.zeros((n_windows, N), np.int16)
        if at < n:
            tails[:, :n - at] = np.lib.stride_tricks.sliding_window_view(samples[at:], n - at)[::step]
        own = features.log_mel(tails.reshape(-1), replace(inside, window_stride=N))
        x = np.concatenate([x, own[:, None]], axis=1)
    return x, frames[n_windows * grid.hops:]


@dataclass(frozen=True)
class Choice:
    """Which windows become detections.

    min_conf      the lowest score           merge     join up to so many neighbouring windows, 1: none
    species       what the tables call it    top_n     of a recording only so many, those of the highest scores; 0: all
    """
    min_conf: float
    species: str
    merge: int = 1
    top_n: int = 0


def choose(score: np.ndarray, choice: Choice) -> Iterator[tuple[int, int, float]]:
    """score (W,) -> (first window, last window, score) of each detection, in the order of their starts.

    Windows of at least min_conf. Neighbours among them are joined, from the first on, up to `merge` to a detection; its
    score is the highest of its windows. Of equal scores the earlier stays in the top_n.
    """
    windows = np.flatnonzero(score >= choice.min_conf)
    runs = np.split(windows, np.flatnonzero(np.diff(windows) != 1) + 1) if len(windows) else []
    parts = [run[i:i + choice.merge] for run in runs for i in range(0, len(run), choice.merge)]
    found = [(int(part[0]), int(part[-1]), float(score[part].max())) for part in parts]
    if choice.top_n:
        found = sorted(sorted(found, key=lambda one: -one[2])[:choice.top_n])
    yield from found


@dataclass(frozen=True)
class Heard:
    """A recording, its detections, and what else is worth knowing of it."""
    recording: Recording
    n_windows: int
    start_utc: str                                      # of its first sample, "" where nothing tells it
    warnings: tuple[str, ...]                           # such as: cut short
    scores: np.ndarray | None = field(default=None, repr=False, compare=False)     # (n_windows,) float64; None: not kept


@dataclass(frozen=True)
class Task:
    """All that is the same for every recording."""
    detector: Detector
    grid: Grid
    choice: Choice
    local_offset: timedelta | None = None               # what recorders' clocks are ahead of UTC, where they do not say
    batch: int = BATCH


@dataclass(frozen=True)
class Source:
    """Where samples come from."""
    path: str                                           # absolute; "-" for standard input
    sample_rate_hz: int
    begun: datetime | None = None                       # its first sample, UTC
    warnings: tuple[str, ...] = ()


def hear(path: str, task: Task, progress: Callable[[int], None] | None = None) -> Heard:
    """Score one sound file, given as an absolute path. raises audio.AudioError"""
    info = audio.info(path)
    source = Source(path, info.sample_rate_hz, recorded_at(path, info.comment, task.local_offset), info.warnings)
    return hear_blocks(audio.blocks(path, task.grid.front_end.sample_rate_hz, block_s=BLOCK_S), source, task, progress)


def hear_blocks(blocks: Iterable[np.ndarray], source: Source, task: Task, progress=None) -> Heard:
    """The same of blocks (n,) float32 at the model's rate, from wherever they come."""
    rate_hz, step, n = task.grid.front_end.sample_rate_hz, task.grid.step_samples, task.grid.window_samples
    score, n_samples = scores(blocks, task.detector, task.grid, task.batch, progress)

    def seconds(samples):
        return round(min(samples, n_samples) / rate_hz, 6)

    detections = tuple(Detection(source.path, seconds(first * step), seconds(last * step + n), task.choice.species, value,
                                 iso(source.begun, seconds(first * step)))
                       for first, last, value in choose(score, task.choice))
    recording = Recording(source.path, seconds(n_samples), source.sample_rate_hz, detections)
    return Heard(recording, len(score), iso(source.begun), source.warnings, score)
