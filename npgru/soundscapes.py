"""A detector on long recordings whose calls are annotated: what is found, what is missed, how often it is wrong.

Windows. A window of the detector is positive where it overlaps a call of the target by at least min_overlap_s, or holds
the whole call where that is shorter; ambiguous, and left out, where it overlaps one by less; else negative. Calls of
other species are not the target: windows with nothing but them are negative, as are those of recordings without calls.

Events. A detection is a window whose score is at least the threshold. A call is found when a detection overlaps it,
by however little; a detection that overlaps no call is a false alarm. Over events, recall is the share of calls that are
found and precision the share of detections that are no false alarm; neighbouring detections are not merged, else a
detector that always sounds would be one long detection, and right.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import audio, detect, metrics
from .annotations import Event
from .audio import AudioError, Info
from .clips import Problem
from .detector import Detector
from .tables import normal

POSITIVE, NEGATIVE, AMBIGUOUS = 1, 0, -1
MIN_OVERLAP_S = 0.5
MAX_CURVE_POINTS = 1000             # of a curve in the result; a day of sound has 43 200 scores


@dataclass(frozen=True)
class Heard:
    """A recording as the detector heard it: start_s (n,) rising and score (n,) of its windows, window_s long."""
    name: str
    duration_s: float
    window_s: float
    start_s: np.ndarray
    score: np.ndarray
    events: Sequence[Event]


def recordings_of(paths: Sequence[str]) -> tuple[list[tuple[Path, Info]], list[Problem]]:
    """Sound files -> each with its facts; those that cannot be used."""
    found, problems = [], []
    for path in map(Path, paths):
        try:
            found.append((path, audio.info(path)))
        except AudioError as error:
            problems.append(Problem(path, error.reason))
    return found, problems


def hear(path: Path, detector: Detector, overlap_s: float) -> tuple[np.ndarray, np.ndarray]:
    """start_s (n,) and score (n,) of the windows that `npgru detect` hears in a recording. raises AudioError, ValueError"""
    rate_hz, grid = detector.front_end.sample_rate_hz, detect.grid_of(detector, overlap_s)
    score, _ = detect.scores(audio.blocks(path, rate_hz, block_s=detect.BLOCK_S), detector, grid)
    return np.arange(len(score)) * grid.step_samples / rate_hz, score


def overlaps(heard: Heard, events: Sequence[Event]):
    """For each event: the slice of windows that overlap it, and by how many seconds each."""
    for event in events:
        first = np.searchsorted(heard.start_s, event.start_s - heard.window_s, side="right")
        windows = slice(first, np.searchsorted(heard.start_s, event.end_s, side="left"))
        start_s = heard.start_s[windows]
        yield windows, np.minimum(start_s + heard.window_s, event.end_s) - np.maximum(start_s, event.start_s)


def window_truth(heard: Heard, events: Sequence[Event], min_overlap_s: float = MIN_OVERLAP_S) -> tuple[np.ndarray, np.ndarray]:
    """truth (n,) int8 of POSITIVE, NEGATIVE, AMBIGUOUS, and touches (n,) bool: the window overlaps an event at all."""
    truth, touches = np.full(len(heard.start_s), NEGATIVE, np.int8), np.zeros(len(heard.start_s), bool)
    for event, (windows, overlap_s) in zip(events, overlaps(heard, events)):
        enough = overlap_s >= min(min_overlap_s, event.end_s - event.start_s) - 1e-9
        truth[windows] = np.where(enough | (truth[windows] == POSITIVE), POSITIVE, AMBIGUOUS)
        touches[windows] = True
    return truth, touches


def event_scores(heard: Heard, events: Sequence[Event]) -> np.ndarray:
    """(E,): the highest score of the windows that overlap each event; -inf where there is none."""
    return np.array([heard.score[windows].max(initial=-np.inf) for windows, _ in overlaps(heard, events)], float)


def event_curve(touches, score, event_score) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and threshold, falling, at every distinct score of n windows with E >= 1 events.

        P(t) = #{i: score_i >= t, window i touches an event} / #{i: score_i >= t}     (1)
        R(t) = #{e: event_score_e >= t} / E                                           (2)

    touches (n,) bool, score (n,), event_score (E,); as metrics.precision_recall_curve, from which (2) differs.
    """
    threshold = np.unique(score)[::-1]
    called = np.searchsorted(np.sort(-score), -threshold, side="right")
    right = np.searchsorted(np.sort(-score[touches]), -threshold, side="right")
    found = np.searchsorted(np.sort(-event_score), -threshold, side="right")
    return right / called, found / len(event_score), threshold                        # (1), (2)


def step_area(precision, recall) -> float:
    """Σ (R_k − R_{k−1}) P_k: average precision of a curve whose recall rises."""
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def is_target(event: Event, species: str) -> bool:
    """Names of species are compared as those of classes."""
    return normal(event.species) == normal(species)


def evaluate(recordings: Sequence[Heard], species: str, threshold: float, min_overlap_s: float = MIN_OVERLAP_S) -> dict:
    """Everything `npgru evaluate --annotations` tells, as plain Python numbers that json.dumps takes.

    species     the target's name in the events
    threshold   of a detection
    returns     windows and events (average precision None where no call is annotated), false alarms per hour of sound,
                files: the same of each; the interval of the windows' average precision is by recording, 95 %
    """
    if not min_overlap_s > 0:
        raise ValueError(f"min_overlap_s={min_overlap_s}; accepted: above 0, in seconds")
    parts = [_part(heard, species, threshold, min_overlap_s) for heard in recordings]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    hours = sum(heard.duration_s for heard in recordings) / 3600
    table = {"species": species, "threshold": threshold, "min_overlap_s": min_overlap_s, "n_recordings": len(recordings),
             **_scores(whole, threshold, hours, min_overlap_s), "notes": []}
    kept = whole["truth"] != AMBIGUOUS
    recording = np.repeat([heard.name for heard in recordings], [len(part["truth"]) for part in parts])
    table["windows"]["average_precision_interval"] = None
    if sum(bool(len(part["event_score"])) for part in parts) < 2:
        table["notes"].append("no interval: fewer than 2 recordings hold calls of the target")
    elif table["windows"]["average_precision"] is not None:
        *interval, n_dropped = metrics.bootstrap_interval(whole["truth"][kept], whole["score"][kept], recording[kept],
                                                          metrics.weighted_average_precision, np.random.default_rng(0))
        table["windows"]["average_precision_interval"] = interval
        if n_dropped:
            table["notes"].append(f"interval: {n_dropped} of {metrics.N_REPLICATES} replicates held no call and were left out")
    table["false_alarms_by_species"] = _alarms_by_species(recordings, parts, species, threshold)
    table["curves"] = _curves(whole, kept)
    table["files"] = [{"file": heard.name, **_scores(part, threshold, heard.duration_s / 3600, min_overlap_s)}
                      for heard, part in zip(recordings, parts)]
    return table


def _part(heard, species, threshold, min_overlap_s):
    """The arrays of one recording that are joined for all of them."""
    events = [event for event in heard.events if is_target(event, species)]
    truth, touches = window_truth(heard, events, min_overlap_s)
    return {"truth": truth, "touches": touches, "score": heard.score, "event_score": event_scores(heard, events)}


def _scores(part, threshold, hours, min_overlap_s):
    """Windows, events and false alarms of some arrays."""
    truth, touches, score, event_score = (part[name] for name in ("truth", "touches", "score", "event_score"))
    y, s = truth[truth != AMBIGUOUS], score[truth != AMBIGUOUS]
    called, found = score >= threshold, int((event_score >= threshold).sum())
    n_alarms = int((called & ~touches).sum())
    tp, n_called = int((y[s >= threshold]).sum()), int((s >= threshold).sum())
    return {
        "hours": hours,
        "windows": {"n": len(y), "n_positive": int(y.sum()), "n_ambiguous": int((truth == AMBIGUOUS).sum()),
                    "average_precision": metrics.average_precision(y, s) if y.any() else None,
                    "precision": tp / n_called if n_called else None, "recall": tp / int(y.sum()) if y.any() else None},
        "events": {"n": len(event_score), "n_found": found,
                   "average_precision": step_area(*event_curve(touches, score, event_score)[:2]) if len(event_score) else None,
                   "precision": 1 - n_alarms / int(called.sum()) if called.any() else None,
                   "recall": found / len(event_score) if len(event_score) else None},
        "n_detections": int(called.sum()), "n_false_alarms": n_alarms,
        "false_alarms_per_hour": n_alarms / hours}


def _alarms_by_species(recordings, parts, species, threshold):
    """{other species: false alarms that overlap one of its calls}."""
    counts = {}
    for heard, part in zip(recordings, parts):
        alarm = (heard.score >= threshold) & ~part["touches"]
        for other in sorted({event.species for event in heard.events if not is_target(event, species)}):
            _, touches = window_truth(heard, [event for event in heard.events if event.species == other])
            counts[other] = counts.get(other, 0) + int((alarm & touches).sum())
    return counts


def _curves(whole, kept):
    """{"windows", "events"}: lists of [threshold, precision, recall], at most MAX_CURVE_POINTS evenly chosen."""
    curves = {}
    if (whole["truth"] == POSITIVE).any():
        curves["windows"] = metrics.precision_recall_curve(whole["truth"][kept], whole["score"][kept])
    if len(whole["event_score"]):
        curves["events"] = event_curve(whole["touches"], whole["score"], whole["event_score"])
    return {name: _thinned(*curve) for name, curve in curves.items()}


def _thinned(precision, recall, threshold):
    rows = np.unique(np.linspace(0, len(threshold) - 1, min(len(threshold), MAX_CURVE_POINTS)).astype(int))
    return np.stack([threshold, precision, recall], axis=1)[rows].tolist()


def as_text(table: dict) -> str:
    """The result for people."""
    def number(value):
        return f"{value:.3f}" if value is not None else "-"

    w, e, interval = table["windows"], table["events"], table["windows"]["average_precision_interval"]
    lines = [f"{table['n_recordings']} recordings, {table['hours']:.3f} hours; target: {table['species']}; a detection is a "
             f"window with score >= {table['threshold']:.6f}",
             f"{'':<9}{'number':>9}{'average precision':>20}{'precision':>12}{'recall':>9}",
             f"{'windows':<9}{w['n_positive']:>9}{number(w['average_precision']):>20}{number(w['precision']):>12}"
             f"{number(w['recall']):>9}   of {w['n']} windows; {w['n_ambiguous']} ambiguous left out (less than "
             f"{table['min_overlap_s']:g} s of a call)" + (
                 f"; 95 % interval of the average precision {interval[0]:.3f} .. {interval[1]:.3f}" if interval else ""),
             f"{'events':<9}{e['n']:>9}{number(e['average_precision']):>20}{number(e['precision']):>12}"
             f"{number(e['recall']):>9}   {e['n_found']} of {e['n']} calls found",
             f"{table['n_false_alarms']} false alarms among {table['n_detections']} detections, "
             f"{table['false_alarms_per_hour']:.1f} an hour of sound"]
    lines += [f"  {n} of them overlap {name}" for name, n in table["false_alarms_by_species"].items()]
    lines.append(f"{'recording':<44}{'seconds':>9}{'calls':>7}{'found':>7}{'alarms':>8}{'alarms/h':>10}{'windows AP':>12}")
    lines += [f"{f['file'][-42:]:<44}{3600 * f['hours']:>9.1f}{f['events']['n']:>7}{f['events']['n_found']:>7}"
              f"{f['n_false_alarms']:>8}{f['false_alarms_per_hour']:>10.1f}{number(f['windows']['average_precision']):>12}"
              for f in table["files"]]
    lines += [f"note: {note}" for note in table["notes"]]
    return "\n".join(lines)
