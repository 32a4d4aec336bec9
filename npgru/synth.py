"""A seeded synthetic corpus as sound files in BioDCASE's layout: a Yellowhammer-like song against birds and noise.

Made, not recorded: good for trying the whole package and for its tests, never for a statement about real birds.
The birds are in voices.py; here they get a place, a distance, weather, a name and a file. Every draw is from a
generator keyed by (seed, what it decides), so clip i of a split is the same in a corpus of any size.
"""
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from npgru.voices import N_SAMPLES, RATE_HZ, TARGET, VOICES, render, song_notes, uniform

GENERATOR_VERSION = 1                 # raise it when one sample of one clip changes
N_FFT = 36_864                        # clip and reverberation, so that the circular convolution does not wrap
BAND_HZ = (2000, 7500)                # where the detector listens: noise levels are stated in this band
DISTANCES_M = dict(zip("ABCDEFGH", (5, 8, 12, 18, 27, 40, 60, 90)))
DISTANCE_ORDER = "AECGBFDH"           # any few targets in a row are near and far
SPLITS = ("Training_Set", "Validation_Set", "Test_Set")
INDIVIDUALS = (range(1, 9), range(9, 11), range(11, 13))        # target individuals per split: 8 / 2 / 2, disjoint
PLACES = (range(1, 8), range(8, 11), range(11, 14))     # per split, for targets and negatives; 7 and 3: coprime to the
                                      # 8 distances and 17 kinds, so that every combination comes up in turn
N_CLIPS = (8, 100_000)                # smallest and largest training set
N_OTHER_INDIVIDUALS = (12, 4, 4)      # of every other species, per split
MARKER, UNFINISHED, ABOUT = "synthetic_corpus.json", "synthetic_corpus.json.part", "README.txt"
ABOUT_TEXT = """Synthetic sounds, made by npgru synth (version {version}): {n_train_clips} training clips, seed {seed}.
No bird was recorded. Use them to try npgru and to test it; scores on them say nothing about real birds.
YH_S<individual, 2 digits><song, 3 digits>_P<place>_<distance>: distances A to H are 5, 8, 12, 18, 27, 40, 60, 90 m.
Individuals and places of the three sets are disjoint. bird_* are other species, Background_* wind, rain, insects...
"""
PLACE, WHO, VARIANT, CLIP = range(4)  # what a random generator decides: the first number of its key
WEATHERS = ("background", "wind", "rain", "traffic")
OTHERS = tuple(name for name in VOICES if name != TARGET)
KINDS = OTHERS + WEATHERS             # negatives take these in turn


def _generator(seed, *key):
    """PCG64 by name: numpy may change what default_rng means."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True)
class Clip:
    """What clip `index` of a split is, before anything is drawn. individual and variant count within the kind."""
    path: str                         # <split>/<class>/<name>.wav
    kind: str                         # a voice or a weather
    individual: int
    variant: int
    place: int
    distance: str                     # A..H; of weathers without meaning


def plan_clip(split: int, index: int) -> Clip:
    """Clip `index` of SPLITS[split]: every third is a target, the negatives take the kinds in turn.

    Target names YH_S<individual, 2 digits><song, 3 digits>_P<place>_<distance>: unique, a song at a place is one
    recording heard from up to 8 distances. Negative names are unique over the splits.
    """
    birds, places, n = INDIVIDUALS[split], PLACES[split], index // 3
    if index % 3 == 0:
        turn, bird = divmod(n, len(birds))
        song, place = turn // 8, places[(turn // 8 + bird) % len(places)]
        distance = DISTANCE_ORDER[(turn + 3 * bird) % 8]
        name = f"YH_S{birds[bird]:02d}{song:03d}_P{place:02d}_{distance}"
        return Clip(f"{SPLITS[split]}/Yellowhammer/{name}.wav", TARGET, birds[bird], song, place, distance)
    n = index - n - 1                                                         # the n-th negative
    turn, kind = n // len(KINDS), KINDS[n % len(KINDS)]
    other, variant = turn % N_OTHER_INDIVIDUALS[split], turn // N_OTHER_INDIVIDUALS[split]
    name = f"{'bird' if kind in OTHERS and kind != 'cricket' else 'Background'}_{3 * n + split:06d}"
    return Clip(f"{SPLITS[split]}/Negatives/{name}.wav", kind, 100 * split + other, variant,
                places[n % len(places)], DISTANCE_ORDER[n % 8])


def _unit(amplitude, band_hz=(0, RATE_HZ)):
    """Spectrum shape (n_bins,) -> scaled so that noise of this shape has root mean square 1 within the band."""
    f = np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)
    inside = amplitude[(f >= band_hz[0]) & (f <= band_hz[1])]
    return amplitude * N_FFT / (2 * np.sqrt(np.sum(inside ** 2)))


def _noise(amplitude, rng):
    """Spectrum of Gaussian noise: amplitude (n_bins,) -> (n_bins,) complex."""
    return amplitude * rng.standard_normal(2 * len(amplitude), dtype=np.float32).view(np.complex64)


@lru_cache(maxsize=16)
def _place(seed, place):
    """A place: noise amplitude (n_bins,) and reverberation (n_bins,) at 1 m, both constant for all its clips."""
    rng = _generator(seed, PLACE, place)
    f = np.maximum(np.fft.rfftfreq(N_FFT, 1 / RATE_HZ), 60)
    level_db, slope, reverberation_s, critical_m = uniform(((-52, -44), (0.3, 1.2), (0.15, 0.4), (40, 150)), rng)
    n_tail = N_FFT - N_SAMPLES
    tail = rng.standard_normal(n_tail) * 10 ** (-3 * np.arange(n_tail) / (RATE_HZ * reverberation_s))
    tail *= 1 / (critical_m * np.sqrt(np.sum(tail ** 2)))
    return 10 ** (level_db / 20) * _unit((f / 1000) ** -slope, BAND_HZ), np.fft.rfft(tail, N_FFT)


@lru_cache(maxsize=64)
def _path(seed, place, distance_m):
    """From the bird at 1 m to the recorder: (n_bins,) complex, by spreading, air and reverberation.

        H(f) = 10^(−a(f) d / 20) / d · (1 + d R(f)),   a = 0.03 (f / 4 kHz)² dB/m             (1)

    a: ISO 9613-1 at 10 °C and 70 % humidity, rounded. Direct sound falls with distance d, reverberation R does not.
    """
    f_hz = np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)
    air = 10 ** (-0.03 * (f_hz / 4000) ** 2 * distance_m / 20)
    return air / distance_m * (1 + distance_m * _place(seed, place)[1])       # (1)


@lru_cache
def _weather_amplitude(kind):
    """Noise amplitude (n_bins,) of a weather, root mean square 1."""
    f = np.maximum(np.fft.rfftfreq(N_FFT, 1 / RATE_HZ), 40)
    return _unit({"wind": f ** -1.5, "traffic": 1 / (1 + (f / 700) ** 2), "rain": np.ones_like(f)}[kind])


def _weather(kind, rng):
    """Wind, rain or traffic (N_SAMPLES,) of root mean square about 1, with gusts; zeros for `background`."""
    if kind == "background":
        return np.zeros(N_SAMPLES)
    samples = np.fft.irfft(_noise(_weather_amplitude(kind), rng), N_FFT)[:N_SAMPLES]
    gust_hz, gust_rad, depth = rng.uniform((0.3, 0, 0.2), (1.5, 2 * np.pi, 0.8))
    samples *= 1 + depth * np.sin(2 * np.pi * gust_hz * np.arange(N_SAMPLES) / RATE_HZ + gust_rad)
    if kind == "rain":
        n_drops = int(rng.integers(20, 400))
        samples[rng.integers(0, N_SAMPLES, n_drops)] += 15 * rng.standard_normal(n_drops)
    return samples


def _sung(seed, kind, individual, variant, place, distance, rng):
    """Spectrum (n_bins,) of one song at a distance, somewhere in the clip, possibly cut by its borders."""
    number = list(VOICES).index(kind)
    notes = song_notes(VOICES[kind], _generator(seed, WHO, number, individual),
                       _generator(seed, VARIANT, number, individual, variant), rng)
    length_s = float(np.max(notes[:, 0] + notes[:, 1]))
    start_s = rng.uniform(-0.3 * length_s, max(0.0, 2 - 0.7 * length_s))
    loudness = 10 ** (rng.normal(0, 3) / 20)
    return np.fft.rfft(loudness * render(notes, start_s), N_FFT) * _path(seed, place, DISTANCES_M[distance])


def clip_samples(seed: int, split: int, index: int) -> np.ndarray:
    """Clip `index` of SPLITS[split]: (N_SAMPLES,) int16, mono, 16 kHz; peak at most 0.9 of full scale.

    All classes are made alike, so that nothing but the song tells them apart: the same places, distances, weather and
    faint second birds, and a level (root mean square of the clip) drawn from -34 to -20 dB re full scale.
    """
    clip, rng = plan_clip(split, index), _generator(seed, CLIP, split, index)
    colour = _place(seed, clip.place)[0]
    spectrum = _noise(colour, rng)
    if clip.kind in VOICES:
        spectrum += _sung(seed, clip.kind, clip.individual, clip.variant, clip.place, clip.distance, rng)
    if rng.random() < 0.2:                                                    # a second bird, never the target
        kind, individual = OTHERS[rng.integers(len(OTHERS))], 100 * split + rng.integers(N_OTHER_INDIVIDUALS[split])
        spectrum += _sung(seed, kind, individual, 0, clip.place, "EFGH"[rng.integers(4)], rng)
    samples = np.fft.irfft(spectrum, N_FFT)[:N_SAMPLES]
    if clip.kind in WEATHERS or rng.random() < 0.25:
        kind = clip.kind if clip.kind in WEATHERS else WEATHERS[rng.integers(len(WEATHERS))]
        level_db = rng.uniform(-5, 10) + (15 if clip.kind in WEATHERS else 0)
        samples += 10 ** (level_db / 20) * 10 ** (-48 / 20) * _weather(kind, rng)
    gain = 10 ** (rng.uniform(-34, -20) / 20) / np.sqrt(np.mean(samples ** 2))
    gain = min(gain, 0.9 / np.max(np.abs(samples)))
    return np.rint(32767 * gain * samples).astype(np.int16)


def n_clips_per_split(n_train_clips: int) -> tuple[int, int, int]:
    """Training, validation and test clips: N, and N/4 (at least 12) each."""
    return n_train_clips, max(12, n_train_clips // 4), max(12, n_train_clips // 4)


def check_request(n_train_clips: int, seed: int) -> None:
    """raises ValueError for a number of clips or a seed that write_corpus would refuse."""
    if not N_CLIPS[0] <= n_train_clips <= N_CLIPS[1]:
        raise ValueError(f"{n_train_clips} training clips asked for; a corpus has {N_CLIPS[0]} to {N_CLIPS[1]} of them")
    if seed < 0:
        raise ValueError(f"seed={seed}; a seed is 0 or more")


def _listed(numbers):
    return ", ".join(f"{name}={value}" for name, value in numbers.items() if name != "sha256")


def _check_folder(folder, request):
    """The marker of this very corpus if the folder holds it finished, else None; ValueError if it holds others."""
    advice = "npgru synth writes into a new or empty folder, or completes a corpus of the same clips, seed and version"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder; {advice}: name another folder")
    for name in (MARKER, UNFINISHED):
        if (folder / name).is_file():
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            if {key: found.get(key) for key in request} != request:
                raise ValueError(f"{folder} holds a synthetic corpus with {_listed(found)}, asked for was "
                                 f"{_listed(request)}; {advice}: name another folder or delete this one")
            return found if name == MARKER else None
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    found = sorted(name for name in names if not name.startswith(".") and not name.endswith(".tmp"))
    if found:
        raise ValueError(f"{folder} is not empty (it holds {', '.join(found[:3])}{', ...' * (len(found) > 3)}) and no "
                         f"synthetic corpus; {advice}: name another folder")
    return None


def _write_text(path, text):
    path.with_name(path.name + ".tmp").write_text(text, encoding="utf-8")
    os.replace(path.with_name(path.name + ".tmp"), path)


def _write_clip(path, samples):
    """A WAV file that is there whole or not at all."""
    import soundfile                                                          # lazily: `npgru --help` stays fast
    wav = io.BytesIO()                # not straight to the disk: soundfile waits for it after every file
    soundfile.write(wav, samples, RATE_HZ, subtype="PCM_16", format="WAV")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(wav.getbuffer())
    os.replace(temporary, path)


def _sha256(folder, paths):
    """One hash over the names and bytes of the clips, in the order of paths."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.encode() + (folder / path).read_bytes())
    return digest.hexdigest()


def write_corpus(folder: Path, n_train_clips: int, seed: int,
                 progress: Callable | None = None) -> dict:
    """Writes {Training_Set,Validation_Set,Test_Set}/{Yellowhammer,Negatives}/*.wav: 2.000 s, 16 kHz, mono, 16 bit.

    n_train_clips   8 to 100 000; validation and test get a quarter each, at least 12. Every third clip is a target
    seed            0 or more; the same seed gives the same bytes
    progress        called as progress(iterable, total=, desc=, unit=) -> iterable, such as tqdm
    returns         n_train_clips, seed, version, sha256 (of all names and files), n_clips and n_written (now)
    raises          ValueError: a number out of range, or the folder holds anything else than this very corpus
    Interrupted, the same call completes the corpus; finished, it writes only what is missing.
    """
    folder, request = Path(folder), {"n_train_clips": n_train_clips, "seed": seed, "version": GENERATOR_VERSION}
    check_request(n_train_clips, seed)
    finished = _check_folder(folder, request)
    folder.mkdir(parents=True, exist_ok=True)
    if finished is None:
        _write_text(folder / UNFINISHED, json.dumps(request))
        _write_text(folder / ABOUT, ABOUT_TEXT.format(**request))
    plan = [(split, k) for split, n in enumerate(n_clips_per_split(n_train_clips)) for k in range(n)]
    paths, n_written = [plan_clip(*clip).path for clip in plan], 0
    pairs = zip(paths, plan)
    for path, clip in progress(pairs, total=len(plan), desc="synthetic clips", unit="clip") if progress else pairs:
        if not (folder / path).is_file() or (folder / path).stat().st_size < 2 * N_SAMPLES:
            _write_clip(folder / path, clip_samples(seed, *clip))
            n_written += 1
    if finished is None:
        finished = {**request, "sha256": _sha256(folder, paths)}
        _write_text(folder / MARKER, json.dumps(finished))
        (folder / UNFINISHED).unlink()
    return {**finished, "n_clips": len(plan), "n_written": n_written}
