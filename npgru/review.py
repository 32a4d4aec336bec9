"""Detections -> one HTML page to listen to them and accept or reject each; it needs no network and no other file.

The page saves the decisions as a CSV file: a manifest of clips for training, and with its scores what `npgru calibrate`
reads. They also survive a reload. jinja2 and matplotlib (its colours, and Pillow) are the extra [report].
"""
import base64
import io
import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile

from .audio import printable
from .checkpoint import write_atomically
from .clips import Problem
from .corpus import POSITIVE_NAMES
from .detections import Detection
from .segments import Segment, cut_all
from .tables import normal

HIGHEST_RATE_HZ = 24_000            # of the sound in the page: up to 12 kHz, and a third of the bytes of 96 kHz
N_COLUMNS, N_ROWS = 360, 128        # pixels of a spectrogram
N_LEVELS = 40                       # colours: noise in few colours compresses well
WINDOW_S = 0.016
RANGE_DB = 55.0                     # below the loudest; what is fainter is dark


class ReviewError(ValueError):
    """One line: what is missing, and what to do."""


def write_page(detections: Sequence[Detection], path: Path, pad_s: float, title: str, progress: Callable) -> list[Problem]:
    """Write the page; returns the detections that are not in it, with reasons.

    pad_s     seconds of sound before and after each detection
    title     of the page, and the name of its decisions
    progress  called as progress(iterable, total=, desc=, unit=) -> iterable
    raises    ReviewError: an extra is not installed, or no detection can be shown
    """
    if missing := [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]:
        raise ReviewError(f"a review page needs {' and '.join(missing)}; install: pip install 'npgru[report]'")
    cards, problems = [None] * len(detections), []
    for k, segment in progress(cut_all(detections, pad_s, HIGHEST_RATE_HZ), total=len(detections), desc="clips", unit="clip"):
        if isinstance(segment, Problem) or (segment := with_text_name(segment)) and isinstance(segment, Problem):
            problems.append(segment)
        else:
            cards[k] = card(segment)
    cards = [shown for shown in cards if shown]
    if not cards:
        raise ReviewError(f"none of {len(detections)} detections can be shown; the first: {[*problems, 'there is none'][0]}")
    page = render(cards, title)
    write_atomically(path, lambda file: file.write(page.encode()))
    return problems


def with_text_name(segment: Segment) -> Segment | Problem:
    """A name that is not valid text cannot be in a page, nor in the CSV file that it saves."""
    path = segment.detection.file
    return segment if printable(path) == path else Problem(path, "its name is not valid text; rename the file")


def card(segment: Segment) -> dict:
    """What the page holds of a detection. box: its start and width as shares of the picture's; top_khz: the picture's edge."""
    d, seconds = segment.detection, len(segment.samples) / segment.rate_hz
    return {"path": os.path.abspath(d.file), "name": Path(d.file).name, "label": d.species, "score": float(d.score),
            "start_s": float(d.start_s), "end_s": float(d.end_s), "from_s": segment.start_s, "seconds": round(seconds, 3),
            "box": [round((d.start_s - segment.start_s) / seconds, 4), round((d.end_s - d.start_s) / seconds, 4)],
            "top_khz": segment.rate_hz / 2000, "picture": data_uri("image/png", png(spectrogram_db(segment))),
            "sound": data_uri("audio/flac", flac(segment))}


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def flac(segment: Segment) -> bytes:
    """The sound, as loud as it can be without clipping: what the microphone was set to does not matter here."""
    file, peak = io.BytesIO(), np.abs(segment.samples).max()
    soundfile.write(file, segment.samples * (0.9 / max(peak, 1e-4)), segment.rate_hz, "PCM_16", format="FLAC")
    return file.getvalue()


def spectrogram_db(segment: Segment) -> np.ndarray:
    """(N_ROWS, N_COLUMNS) float, dB below the loudest, at most 0; low frequencies in the last row.

    N_COLUMNS Hann windows of WINDOW_S, evenly over the sound; bins averaged in power to N_ROWS.
    """
    n_fft = max(2 * N_ROWS, round(WINDOW_S * segment.rate_hz) // 2 * 2)
    samples = np.pad(segment.samples, (n_fft // 2, n_fft))
    starts = np.linspace(0, len(segment.samples) - 1, N_COLUMNS).astype(int)
    frames = samples[starts[:, None] + np.arange(n_fft)] * np.hanning(n_fft)
    power = np.abs(np.fft.rfft(frames)[:, 1:]) ** 2                                    # (N_COLUMNS, n_fft / 2)
    edges = np.linspace(0, n_fft // 2, N_ROWS + 1).astype(int)
    rows = np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)                 # (N_COLUMNS, N_ROWS)
    db = 10 * np.log10(np.maximum(rows, 1e-12))
    return (db - db.max()).T[::-1]


def png(db) -> bytes:
    """A spectrogram in a few colours of viridis."""
    from matplotlib import colormaps
    from PIL import Image
    level = np.clip((db + RANGE_DB) / RANGE_DB * (N_LEVELS - 1), 0, N_LEVELS - 1).round().astype(np.uint8)
    image, file = Image.fromarray(level).convert("P"), io.BytesIO()
    image.putpalette((colormaps["viridis"](np.linspace(0, 1, N_LEVELS))[:, :3] * 255).round().astype(np.uint8).tobytes())
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def render(cards: list[dict], title: str) -> str:
    """The page; decisions are kept in the browser under the sha256 of what is reviewed."""
    import jinja2
    from markupsafe import Markup
    facts = [[c["path"], c["start_s"], c["end_s"], c["label"], c["score"]] for c in cards]
    key = "npgru review " + sha256(json.dumps(facts).encode()).hexdigest()[:32]
    data = json.dumps({"key": key, "title": title, "cards": cards}).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((resources.files("npgru") / "review.html.j2").read_text(encoding="utf-8"))
    names = sorted({"the target" if normal(c["label"]) in POSITIVE_NAMES else c["label"] for c in cards})
    return template.render(title=title, n=len(cards), species=" or ".join(names), data=Markup(data))
