"""Clips -> cached features -> seeded batches x (B, T, M), targets (B,). A bad file is reported, counted and skipped."""
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import audio, features
from .audio import AudioError, printable
from .clips import Clip, DatasetError, Problem
from .corpus import Corpus, discover
from .feature_cache import FeatureCache, default_folder
from .feature_rows import Rows, part, room_for
from .front_end import FrontEnd

__all__ = ["AudioError", "Clip", "Corpus", "DatasetError", "Loaded", "Problem", "batches", "discover", "load_features"]


class Loaded(NamedTuple):
    """What `load_features` returns: features uint16 (N, T, M) of the N clips that were kept, the others as problems.

    Many are not in memory, but in a file: see npgru.feature_rows.
    """
    features: np.ndarray | Rows
    clips: list[Clip]
    problems: list[Problem]


def load_features(clips: Sequence[Clip], front_end: FrontEnd, clip_s: float = 2.0, cache_dir: Path | None = None,
                  threads: int = 1, strict: bool = False, progress: Callable | None = None) -> Loaded:
    """Features of the loudest clip_s seconds of every clip, from the cache or computed and kept there.

    clips      give all splits in one call: then the same sound in two of them is noticed
    cache_dir  default npgru.feature_cache.default_folder()
    threads    never changes a result
    strict     the first bad file raises AudioError, instead of becoming a problem
    progress   called as progress(iterable, total=, desc=, unit=) -> iterable, such as tqdm
    raises     DatasetError if no clip can be used, or there is no room for their features
    warns      UserWarning, one line each: files cut short, the same sound twice, a cache that cannot be written, ...
    """
    slice_samples = round(clip_s * front_end.sample_rate_hz)
    cache = FeatureCache(cache_dir or default_folder(), front_end, slice_samples)
    try:
        x = room_for(len(clips), cache.shape, cache.folder)
    except OSError as error:
        raise DatasetError(str(error)) from None
    kept, keys, problems, notices = [], [], [], {}

    def one(clip):
        return _clip_features(clip, front_end, slice_samples, cache)

    with closing(in_order(one, clips, threads)) as outcomes:
        shown = progress(outcomes, total=len(clips), desc="features", unit="clip") if progress else outcomes
        for outcome, clip in zip(shown, clips):
            if isinstance(outcome, AudioError):
                if strict:
                    raise outcome
                problems.append(Problem(clip.path, outcome.reason))
                continue
            key, x[len(kept)], notice = outcome
            kept.append(clip)
            keys.append(key)
            if notice:
                notices.setdefault(notice, []).append(clip.path)
    for text in [*_grouped(notices), *_same_sounds(kept, keys), *filter(None, [cache.failure])]:
        warnings.warn(text, UserWarning, stacklevel=2)
    if not kept:
        why = f"; the first: {problems[0]}" if problems else ""
        raise DatasetError(f"none of {len(clips)} clips can be used{why}")
    return Loaded(part(x, slice(len(kept))), kept, problems)


def in_order(work, items, threads):
    """work(item) of each item, in their order, in `threads` threads; stops promptly when closed."""
    if threads == 1:
        yield from map(work, items)
        return
    pool, waiting = ThreadPoolExecutor(threads), deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _clip_features(clip, front_end, slice_samples, cache):
    """-> key, features (T, M) uint16, notice or "". A bad file gives its AudioError, not raised."""
    try:
        key = cache.key(clip.path, clip.start_s, clip.end_s)
        found = cache.get(key)
        if found is None:
            samples = audio.loudest_slice(clip.path, front_end.sample_rate_hz, slice_samples, clip.start_s, clip.end_s)
            found = features.log_mel(samples, front_end), _sound_notice(clip, front_end)
            cache.put(key, *found)
        return key, *found
    except AudioError as error:
        return error
    except OSError as error:
        return _read_error(clip.path, error)


def _read_error(path, error):
    """An OSError in the words of audio, if it meets it too."""
    try:
        audio.info(path)
    except AudioError as better:
        return better
    return AudioError(path, f"cannot be read ({error.strerror}); accepted: a readable sound file; copy it again")


def _sound_notice(clip, front_end):
    """What should be known of a sound that is used, on one line, or ""."""
    info = audio.info(clip.path)
    notes = list(info.warnings)
    if info.sample_rate_hz / 2 < front_end.mel_high_hz:
        notes.append(f"recorded at {info.sample_rate_hz} Hz: holds nothing above {info.sample_rate_hz // 2} Hz, features "
                     f"reach up to {front_end.mel_high_hz:g} Hz")
    if clip.end_s is not None and clip.end_s > info.duration_s + 0.05:
        notes.append(f"end_s={clip.end_s:g} is after its end at {info.duration_s:.2f} s; what is there is used")
    return "; ".join(notes)


def _grouped(notices):
    """{text: paths} -> one line a text."""
    return [f"{printable(paths[0])}{f' and {len(paths) - 1} more' if paths[1:] else ''}: {text}"
            for text, paths in notices.items()]


def _same_sounds(clips, keys):
    """Notices on clips with the very same sound in two splits, or in both classes."""
    first, leaks, contradictions = {}, [], []
    for clip, key in zip(clips, keys):
        other = first.setdefault(key, clip)
        if other.split != clip.split:
            leaks.append((other, clip))
        if other.target != clip.target:
            contradictions.append((other, clip))
    return [f"{printable(pairs[0][0].path)} and {printable(pairs[0][1].path)} hold the same sound, but {what} "
            f"({len(pairs)} such pair(s)); {advice}" for pairs, what, advice in
            ((leaks, "are in different splits", "scores will be too good; remove one of them"),
             (contradictions, "one is a target and one is not", "remove the wrong one")) if pairs]


def batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The indices 0..n-1 in a new random order, as arrays of batch_size; the last may be smaller."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; accepted: at least 1")
    order = rng.permutation(n)
    for start in range(0, n, batch_size):
        yield order[start:start + batch_size]
