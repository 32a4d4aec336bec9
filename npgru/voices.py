"""Songs as tables of notes: a Yellowhammer-like target and 13 other sounds of the field, by rule, not from recordings.

A table of notes is (n, 8) float64, one row a note:
start_s, duration_s, f_start_hz, f_end_hz, buzz_hz, buzz_depth_hz, amplitude, onset_rad.
"""
from dataclasses import dataclass

import numpy as np

RATE_HZ, N_SAMPLES = 16_000, 32_000   # 2.000 s clips
TARGET = "yellowhammer"


@dataclass(frozen=True)
class Voice:
    """A species: (low, high) of every number; an individual draws one value of each.

    Elements are rows of ranges: start, length, f_start_hz, f_end_hz, buzz_hz, buzz_depth_hz. In `note` start and
    length are in note periods, in `finals` in seconds: start after the end of what came before.
    """
    rate_hz: tuple                    # notes a second
    n_notes: tuple                    # notes a song
    note: tuple                       # elements of one note: together, or one a note in turn
    in_turn: bool = False
    rise_db: tuple = (-3, 3)          # last note re first note
    speed_up: tuple = (0.95, 1.05)    # note rate at the end / at the start
    wander: tuple = (0.0, 0.01)       # spread of ln f between notes: 0.01 stereotyped, 0.3 a warble
    finals: tuple = ()                # long last notes, each sung in 2 of 3 songs


NO_BUZZ = ((0, 1), (0, 0))
NO_ELEMENTS = np.zeros((0, 6, 2))
VOICES = {
    TARGET: Voice(                    # "a little bit of bread and no cheese": sweep and buzz, louder and louder
        (8.5, 10.5), (7, 13), rise_db=(6, 14), speed_up=(0.95, 1.1),
        note=(((0, 0.06), (0.16, 0.26), (6900, 7700), (5300, 6000), *NO_BUZZ),
              ((0.24, 0.3), (0.35, 0.5), (4700, 5600), (4400, 5300), (150, 330), (300, 600))),
        finals=(((0.02, 0.1), (0.06, 0.16), (6000, 7000), (5900, 6900), *NO_BUZZ),
                ((0.03, 0.15), (0.3, 0.6), (4500, 5500), (4300, 5200), (140, 330), (80, 400)))),
    "cirl_bunting": Voice(            # a dry rattle: the same band, faster, even
        (12.5, 19), (12, 28), note=(((0, 0.1), (0.3, 0.6), (5200, 7000), (3800, 5200), (0, 150), (0, 300)),)),
    "reed_bunting": Voice(            # few buzzy notes that speed up or slow down, not louder
        (3, 6), (4, 9), note=(((0, 0.1), (0.2, 0.5), (4300, 6500), (4000, 6800), (100, 300), (200, 600)),),
        speed_up=(0.5, 2), wander=(0.05, 0.15)),
    "corn_bunting": Voice(            # a jangle that speeds up from ticks to a rustle
        (6, 9), (12, 24), note=(((0, 0.1), (0.3, 0.7), (4800, 7600), (3500, 6000), (0, 250), (0, 500)),),
        speed_up=(2, 3), rise_db=(2, 10), wander=(0.03, 0.12)),
    "wren": Voice(                    # loud, fast, tonal
        (14, 24), (20, 40), note=(((0, 0.1), (0.4, 0.7), (4500, 7500), (3500, 6000), *NO_BUZZ),),
        wander=(0.02, 0.2)),
    "greenfinch": Voice(              # whistled trill, then a long wheeze
        (8, 15), (6, 14), note=(((0, 0.1), (0.4, 0.7), (2500, 4200), (2500, 4200), *NO_BUZZ),),
        finals=(((0.05, 0.3), (0.4, 0.8), (3600, 4800), (3000, 4200), (100, 250), (300, 800)),)),
    "great_tit": Voice(               # see-saw of two tones
        (4.5, 8), (6, 14), in_turn=True, note=(((0, 0.1), (0.5, 0.8), (3000, 4300), (3000, 4300), *NO_BUZZ),
                                               ((0, 0.1), (0.4, 0.8), (4600, 6800), (4600, 6800), *NO_BUZZ))),
    "blue_tit": Voice(                # a trill, not buzzed, not louder, after nothing
        (9, 16), (6, 16), note=(((0, 0.1), (0.4, 0.8), (4500, 6500), (4200, 5600), *NO_BUZZ),), rise_db=(-8, 2),
        finals=(((0.05, 0.2), (0.1, 0.3), (6500, 7600), (6500, 7600), *NO_BUZZ),)),
    "chiffchaff": Voice(              # two notes in turn, sharp falls
        (2.5, 4), (4, 10), in_turn=True, note=(((0, 0.1), (0.2, 0.35), (6000, 7500), (3600, 4500), *NO_BUZZ),
                                               ((0, 0.1), (0.2, 0.35), (5000, 6500), (3300, 4200), *NO_BUZZ)),
        wander=(0.02, 0.08)),
    "warbler": Voice(                 # never the same note twice
        (6, 12), (12, 24), note=(((0, 0.2), (0.4, 0.9), (3000, 6500), (3000, 6500), (0, 150), (0, 200)),),
        wander=(0.15, 0.35), rise_db=(-3, 10)),
    "blackbird": Voice(               # slow whistles
        (2, 4), (4, 8), note=(((0, 0.2), (0.5, 0.9), (1700, 2900), (1700, 2900), *NO_BUZZ),), wander=(0.1, 0.25),
        finals=(((0.05, 0.2), (0.1, 0.3), (4000, 7000), (4000, 7000), (50, 200), (200, 800)),)),
    "cuckoo": Voice(                  # low, below the detector's band
        (2, 3), (2, 6), in_turn=True, note=(((0, 0.1), (0.3, 0.5), (640, 720), (600, 680), *NO_BUZZ),
                                            ((0, 0.1), (0.4, 0.7), (520, 580), (500, 560), *NO_BUZZ))),
    "crow": Voice(                    # harsh
        (1.5, 3), (2, 5), note=(((0, 0.1), (0.5, 0.8), (1500, 2600), (1300, 2200), (70, 140), (700, 1300)),)),
    "cricket": Voice(                 # steady and narrow
        (15, 60), (40, 130), note=(((0, 0.1), (0.4, 1.1), (3800, 7400), (3800, 7400), *NO_BUZZ),), wander=(0, 0.001)),
}


def uniform(ranges, rng: np.random.Generator) -> np.ndarray:
    """ranges (..., 2) of (low, high) -> (...), one draw of each."""
    ranges = np.asarray(ranges, dtype=float)
    return rng.uniform(ranges[..., 0], ranges[..., 1])


def song_notes(voice: Voice, who: np.random.Generator, variant: np.random.Generator,
               rng: np.random.Generator) -> np.ndarray:
    """One song as a table of notes (n, 8), from time 0.

    who draws what the individual keeps, variant what its song type keeps, rng what changes with every song.
    """
    rate, rise, speed_up, wander = uniform((voice.rate_hz, voice.rise_db, voice.speed_up, voice.wander), who)
    note, finals = uniform(voice.note, who), uniform(voice.finals or NO_ELEMENTS, who)     # (E, 6)
    pitch, tempo = 1 + variant.uniform((-0.04, -0.1), (0.04, 0.1))
    n, n_elements = int(rng.integers(*voice.n_notes)), len(note)
    part = np.arange(n) / n                                                   # of the song gone by, 0 to 1
    period = 1 / (rate * tempo * speed_up ** part)                            # (n,) s
    start = np.cumsum(period) - period
    table = np.empty((n, n_elements, 8))
    table[:, :, 0] = start[:, None] + note[:, 0] * period[:, None]
    table[:, :, 1] = note[:, 1] * period[:, None]
    table[:, :, 2:6] = note[:, 2:]
    table[:, :, 2:4] *= pitch * np.exp(wander * rng.standard_normal((n, 1, 1)))
    table[:, :, 6] = 10 ** ((rise * (part - 1) + rng.normal(0, 1, n)) / 20)[:, None]
    if voice.in_turn:
        table = table[np.arange(n), np.arange(n) % n_elements]
    rows, end = list(table.reshape(-1, 8)), start[-1] + period[-1]
    for final in finals:
        if rng.random() < 2 / 3:
            rows.append(np.r_[end + final[0], final[1], final[2:4] * pitch, final[4:], 0.8, 0])
            end += final[0] + final[1]
    table = np.array(rows)
    table[:, 7] = rng.uniform(0, 2 * np.pi, len(table))
    return table


def render(notes: np.ndarray, start_s: float) -> np.ndarray:
    """notes (n, 8) beginning at start_s of the clip -> samples (N_SAMPLES,), amplitude 1 for a note of amplitude 1.

        f(u) = f_start + (f_end − f_start) u,   u = time within the note / duration           (1)
        φ(u) = 2π duration (f_start u + (f_end − f_start) u²/2) + depth/buzz sin(2π buzz t)   (2)
        sample = amplitude · min(1, 6u, 6(1 − u)) · sin(φ + onset)                            (3)
    """
    n_each = np.maximum(1, (notes[:, 1] * RATE_HZ).astype(int))               # samples per note
    of_note = np.repeat(np.arange(len(notes)), n_each)                        # ragged rows laid end to end
    k = np.arange(len(of_note)) - np.repeat(np.cumsum(n_each) - n_each, n_each)
    at = np.floor((notes[:, 0] + start_s) * RATE_HZ).astype(int)[of_note] + k
    inside = (at >= 0) & (at < N_SAMPLES)
    at, k, of_note = at[inside], k[inside], of_note[inside]
    f_start, f_end, buzz, depth, amplitude, onset = notes[:, 2:].T
    t = k / RATE_HZ                                                           # = duration · u
    u = k / n_each[of_note]
    turns = t * (f_start[of_note] + (0.5 * (f_end - f_start))[of_note] * u)   # (2) first part, in turns
    phase = 2 * np.pi * turns + onset[of_note]
    buzzed = (depth > 0)[of_note]                                             # the rest would add sin(...) times 0
    index = (depth / np.maximum(buzz, 1))[of_note[buzzed]]                    # rad
    phase[buzzed] += index * np.sin((2 * np.pi * buzz)[of_note[buzzed]] * t[buzzed])          # (2) second part
    samples = amplitude[of_note] * np.minimum(1, 6 * np.minimum(u, 1 - u)) * np.sin(phase)    # (3)
    return np.bincount(at, weights=samples, minlength=N_SAMPLES)
