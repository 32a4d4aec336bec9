"""A user's decisions on detections -> the threshold for a wanted precision, and what a score means as a probability.

A decision is a score and whether the detection was right. All that is fitted holds for sound like the reviewed one, and
down to the lowest score that was reviewed: below it nobody listened.
"""
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy.special import betaincinv, expit, logit

from .clips import name_facts
from .corpus import NEGATIVE_NAMES
from .detections import LARGEST_LOGIT
from .tables import as_record, normal, number, read_rows

COLUMNS = ("path", "label", "score", "recording")
MIN_DECISIONS, MIN_OF_EACH = 20, 5
N_REPLICATES = 1000
FEW_REPLICATES = 0.5                # share of replicates that must reach the precision, else there is no interval


class CalibrationError(ValueError):
    """Decisions that nothing can be fitted to. One line: what was found, what is needed."""


@dataclass(frozen=True)
class Decisions:
    """score (n,) in [0, 1], right (n,) bool, recording (n,) names: decisions of one recording are not independent."""
    score: np.ndarray
    right: np.ndarray
    recording: np.ndarray


def read_decisions(path: Path) -> Decisions:
    """The CSV file of a review: path, label, score; label is one species where the detector was right, else Negatives.

    raises  TableError if it is no such table; CalibrationError with the line number of the first row that is wrong
    """
    rows = read_rows(path, COLUMNS[:3], COLUMNS)
    _, names = next(rows)
    found, species = [], ""
    for line, fields in rows:
        try:
            row = as_record(names, fields, COLUMNS)
            right = normal(row["label"]) not in NEGATIVE_NAMES
            species = species or (row["label"] if right else "")
            if not row["label"] or right and row["label"] != species:
                raise ValueError(f"label is {row['label']!r}; accepted: {species or 'one species'} where the detector was right, "
                                 "else Negatives; a model detects one species")
            name = Path(row["path"].replace("\\", "/")).with_suffix("")
            found.append((number(row["score"], "score", "a number from 0 to 1", high=1.0), right,
                          row["recording"] or name_facts(name.name, name.as_posix())[0]))
        except ValueError as error:
            raise CalibrationError(f"{path}, line {line}: {error}") from None
    score, right, recording = zip(*found) if found else ((), (), ())
    return Decisions(np.array(score, float), np.array(right, bool), np.array(recording, dtype=str))


def check_enough(decisions: Decisions) -> None:
    """raises CalibrationError for too few decisions, or too few of one kind"""
    n_right, n = int(decisions.right.sum()), len(decisions.right)
    if n < MIN_DECISIONS or not MIN_OF_EACH <= n_right <= n - MIN_OF_EACH:
        raise CalibrationError(f"found {n} decisions, {n_right} accepted and {n - n_right} rejected; needed: at least "
                               f"{MIN_DECISIONS}, and {MIN_OF_EACH} of each; review more detections, also of low scores "
                               "(npgru detect --min_conf 0.1)")


def lowest_threshold(score, right, weight, wanted: float) -> np.ndarray:
    """Lowest of the scores from which on at least the wanted share of the decisions is right.

        P(t) = Σ_{score_i >= t} w_i right_i / Σ_{score_i >= t} w_i                    (1)

    score, right (n,), weight (R, n) >= 0, one row a resampling; returns (R,), NaN where no score reaches it.
    """
    order = np.argsort(-score, kind="stable")
    s, w = score[order], weight[:, order]
    ends = np.append(np.flatnonzero(s[1:] != s[:-1]), len(s) - 1)                     # the last of equal scores
    n_called, n_right = np.cumsum(w, axis=1)[:, ends], np.cumsum(w * right[order], axis=1)[:, ends]
    is_there = np.diff(n_called, axis=1, prepend=0) > 0                               # in this resampling
    enough = is_there & (n_right >= wanted * n_called - 1e-9)                         # (1)
    last = len(ends) - 1 - np.argmax(enough[:, ::-1], axis=1)
    return np.where(enough.any(axis=1), s[ends][last], np.nan)


def clopper_pearson(n_right: int, n: int, level: float = 0.95) -> list[float]:
    """Exact interval of a share n_right / n of independent decisions. Source: Clopper & Pearson 1934, Biometrika 26."""
    tail = (1 - level) / 2
    return [float(betaincinv(n_right, n - n_right + 1, tail)) if n_right else 0.0,
            float(betaincinv(n_right + 1, n - n_right, 1 - tail)) if n_right < n else 1.0]


def fit_platt(score, right) -> tuple[float, float]:
    """slope a, intercept b of P(right) = σ(a logit(score) + b), by Newton's method on Platt's smoothed targets.

        t = (N₊ + 1) / (N₊ + 2) where right, 1 / (N₋ + 2) where not                   (2)
        ∂/∂(a, b) of −Σ t ln p + (1 − t) ln(1 − p) is Σ (p − t) (x, 1)                (3)

    The targets keep a and b finite where the classes do not overlap. raises CalibrationError where a <= 0
    Source: Platt 1999; Lin, Lin & Weng 2007, Machine Learning 68 (the same loss, steps halved until it falls).
    """
    n_right = int(right.sum())
    t = np.where(right, (n_right + 1) / (n_right + 2), 1 / (len(right) - n_right + 2))            # (2)
    x = np.stack([np.clip(logit(score), -LARGEST_LOGIT, LARGEST_LOGIT), np.ones(len(score))])     # (2, n)

    def loss(v):
        return np.sum(np.logaddexp(0, v @ x) - t * (v @ x))

    v = np.array([0.0, np.log((n_right + 1) / (len(right) - n_right + 1))])
    for _ in range(100):
        p = expit(v @ x)
        step = np.linalg.solve((x * (p * (1 - p))) @ x.T + 1e-12 * np.eye(2), x @ (p - t))        # (3)
        while loss(v - step) > loss(v) and np.abs(step).max() > 1e-12:
            step = step / 2
        v = v - step
        if np.abs(step).max() < 1e-10:
            break
    if v[0] <= 0:
        raise CalibrationError("detections with high scores were not accepted more often than those with low ones, so the "
                               "score tells nothing here; train again with the decisions as data")
    return float(v[0]), float(v[1])


def threshold_interval(decisions: Decisions, wanted: float, rng: np.random.Generator) -> list[float] | None:
    """95 % percentile interval of lowest_threshold, whole recordings drawn with replacement; None where there is none."""
    names, of_row = np.unique(decisions.recording, return_inverse=True)
    if len(names) < 2:
        return None
    weight = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), N_REPLICATES)[:, of_row]
    found = lowest_threshold(decisions.score, decisions.right, weight.astype(float), wanted)
    found = found[~np.isnan(found)]
    return np.quantile(found, [0.025, 0.975]).tolist() if len(found) >= FEW_REPLICATES * N_REPLICATES else None


def calibrate(decisions: Decisions, wanted: float, rng: np.random.Generator) -> dict:
    """The facts that `npgru calibrate` stores in a model: threshold, and `calibration` with all that was fitted.

    wanted  precision, above 0 and at most 1
    raises  CalibrationError: too few decisions, or no threshold that reaches the precision
    """
    if not 0 < wanted <= 1:
        raise CalibrationError(f"precision {wanted:g}; accepted: above 0 and at most 1")
    check_enough(decisions)
    score, right = decisions.score, decisions.right
    threshold = lowest_threshold(score, right, np.ones((1, len(score))), wanted)[0]
    if np.isnan(threshold):
        best = max((right[score >= t].mean(), t) for t in np.unique(score))
        raise CalibrationError(f"no threshold reaches precision {wanted:g} on these decisions; the best is {best[0]:.3f} from "
                               f"score {best[1]:.4f} on; accepted: --precision {np.floor(100 * best[0]) / 100:g} or less, or "
                               "train again with the decisions as data")
    called = score >= threshold
    n_right, n = int(right[called].sum()), int(called.sum())
    return {"threshold": float(threshold), "calibration": {
        "wanted_precision": wanted, "precision": n_right / n, "precision_interval": clopper_pearson(n_right, n),
        "threshold_interval": threshold_interval(decisions, wanted, rng), "recall_of_accepted": n_right / int(right.sum()),
        "platt": list(fit_platt(score, right)), "lowest_reviewed_score": float(score.min()), "n_accepted": int(right.sum()),
        "n_rejected": int((~right).sum()), "n_recordings": len(np.unique(decisions.recording))}}


def calibrated_facts(path: Path, wanted: float, known: Mapping) -> dict:
    """Facts for a model's file: those of `calibrate`, where they come from, and the threshold that they replace."""
    facts = calibrate(read_decisions(path), wanted, np.random.default_rng(0))
    facts["calibration"]["decisions_sha256"] = sha256(path.read_bytes()).hexdigest()
    replaced = known.get("calibration", {}).get("threshold_before", known.get("threshold"))
    return {**facts, "calibration": {**facts["calibration"], "threshold_before": replaced}}


def as_text(facts: Mapping) -> str:
    """For people."""
    c = facts["calibration"]
    interval, (low, high) = c["threshold_interval"], c["precision_interval"]
    width = f"95 % interval {interval[0]:.6f} .. {interval[1]:.6f} (recordings drawn with replacement)" if interval else (
        "no interval: too few recordings")
    return "\n".join([
        f"{c['n_accepted']} accepted and {c['n_rejected']} rejected detections of {c['n_recordings']} recordings",
        f"threshold   {facts['threshold']:.6f}   {width}",
        f"precision   {c['precision']:.4f}     95 % interval {low:.4f} .. {high:.4f} (Clopper-Pearson: as if independent)",
        f"recall      {c['recall_of_accepted']:.4f}     of the accepted detections; what was never detected is not in it",
        f"probability σ({c['platt'][0]:.4f} logit(score) + {c['platt'][1]:.4f}), for scores from "
        f"{c['lowest_reviewed_score']:.4f} on"])
