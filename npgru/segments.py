"""Detections -> those to listen to, each cut out of its recording at the recording's own rate."""
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from . import audio
from .audio import AudioError, printable
from .checkpoint import write_atomically
from .clips import Problem
from .detections import Detection

CHOICES = ("highest", "spread")
MAX_PAD_S = 60.0


class Segment(NamedTuple):
    """The sound around a detection: samples (n,) float32, channels averaged, at rate_hz; it begins at start_s."""
    detection: Detection
    samples: np.ndarray
    rate_hz: int
    start_s: float


def choose(detections: Sequence[Detection], number: int, how: str) -> list[Detection]:
    """At most `number` of the detections, by falling score; of equal scores in the order of file and time.

    how     "highest": those with the highest scores; "spread": from the highest to the lowest, evenly by rank: what a
            threshold is fitted to must also hold detections that are wrong
    """
    if how not in CHOICES:
        raise ValueError(f"choose={how!r}; accepted: {', '.join(CHOICES)}")
    ranked = sorted(detections, key=lambda d: (-d.score, d.file, d.start_s))
    if how == "highest" or len(ranked) <= number:
        return ranked[:number]
    return [ranked[k] for k in np.linspace(0, len(ranked) - 1, number).round().astype(int)]


def cut(detection: Detection, pad_s: float = 0.0, highest_rate_hz: int | None = None) -> Segment:
    """The sound from pad_s before a detection to pad_s after it, as far as the recording goes.

    highest_rate_hz   a recording with a higher rate is resampled to it; None: every rate is kept
    raises            AudioError where the recording is gone, damaged, or shorter than the detection says
    """
    rate_hz = audio.info(detection.file).sample_rate_hz
    rate_hz = min(rate_hz, highest_rate_hz or rate_hz)
    start_s = max(detection.start_s - pad_s, 0.0)
    samples = np.concatenate(list(audio.blocks(detection.file, rate_hz, start_s, detection.end_s + pad_s)))
    return Segment(detection, samples, rate_hz, start_s)


def cut_all(detections: Sequence[Detection], pad_s: float, highest_rate_hz: int | None = None
            ) -> Iterator[tuple[int, Segment | Problem]]:
    """Each detection's index with its segment, or the reason why there is none; file by file, so that the disk reads on."""
    if not 0 <= pad_s <= MAX_PAD_S:
        raise ValueError(f"pad_s={pad_s}; accepted: 0 to {MAX_PAD_S:g}, in seconds")
    for k in sorted(range(len(detections)), key=lambda k: (detections[k].file, detections[k].start_s)):
        try:
            yield k, cut(detections[k], pad_s, highest_rate_hz)
        except AudioError as error:
            yield k, Problem(detections[k].file, f"detection at {detections[k].start_s:g} s: {error.reason}")


def segment_name(detection: Detection) -> str:
    """Score, recording, offset: sorted by name, the lowest scores come first."""
    return f"{detection.score:.4f}_{printable(Path(detection.file).stem)}_{detection.start_s:.2f}s.wav"


def write(detections: Sequence[Detection], folder: Path, pad_s: float, progress: Callable) -> list[Problem]:
    """folder/<label>/<score>_<recording>_<offset>s.wav of each detection, 16-bit; returns those that could not be cut."""
    problems, taken = [], {}
    for _, segment in progress(cut_all(detections, pad_s), total=len(detections), desc="segments", unit="clip"):
        if isinstance(segment, Problem):
            problems.append(segment)
            continue
        detection = segment.detection
        place = folder / printable(detection.species).replace("/", "_") / segment_name(detection)
        taken[place] = taken.get(place, 0) + 1
        if taken[place] > 1:                              # recordings of one name in several folders
            place = place.with_name(f"{place.stem}_{taken[place]}.wav")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, lambda file: soundfile.write(file, segment.samples, segment.rate_hz, "PCM_16", format="WAV"))
    return problems
