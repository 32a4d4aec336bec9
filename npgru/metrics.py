"""How good a detector is: average precision, the challenge's AP, best F1, error rate, bootstrap intervals.

Everywhere: y_true (n,) of 0 (negative) and 1 (target), score (n,) finite, higher = more like the target, n clips.
A clip is called a target when score >= threshold. With weight (R, n) >= 0 clip i counts weight[r, i] times in
replicate r: R replicates of a bootstrap are one matrix of weights and one sort, equal to R explicit resamplings.
"""
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

KERAS_N_THRESHOLDS = 200         # keras.metrics.AUC's default, used by the paper and the challenge
CELLS_PER_CHUNK = 1_000_000      # (replicates x clips) in memory at once: 8 MB an array
N_REPLICATES = 1000
N_WORST_NEGATIVES = 5            # recordings listed by `scores` for their false positives


def _checked(y_true, score):
    """y_true, score of any array type -> bool (n,), float (n,); ValueError says which rule is broken."""
    y, s = np.asarray(y_true), np.asarray(score)
    if s.dtype.kind in "biu":
        s = s.astype(float)
    if y.ndim != 1 or s.shape != y.shape or y.size == 0:
        raise ValueError(f"y_true {y.shape} and score {s.shape} must be one-dimensional, of one length, not empty")
    if not np.all((y == 0) | (y == 1)):
        raise ValueError(f"y_true must hold only 0 and 1, found {np.unique(y)[:5].tolist()}")
    if not np.all(np.isfinite(s)):
        raise ValueError(f"{np.count_nonzero(~np.isfinite(s))} of {s.size} scores are NaN or infinite; "
                         "look for a diverged training or a broken file")
    return y == 1, s


def _checked_with_targets(y_true, score):
    y, s = _checked(y_true, score)
    if not y.any():
        raise ValueError(f"none of the {y.size} clips is a target, so recall and average precision are not defined; "
                         "evaluate on a split that holds target clips")
    return y, s


def _counts(y, weight, order, ends):
    """Counts at thresholds: order (n,) sorts the scores downwards, the first ends[e] of them are called targets.

        TP_e = Σ_{i < ends_e} w_i y_i,   FP_e = Σ_{i < ends_e} w_i (1 − y_i)      (1)   i in sorted order

    y (n,) bool, weight (R, n), order (n,), ends (E,) in [0, n]; returns TP, FP (R, E).
    """
    sorted_weight = weight[:, order]                                          # (R, n)
    called = np.zeros((len(weight), len(order) + 1), sorted_weight.dtype)     # column 0: nothing is called
    np.cumsum(sorted_weight, axis=1, out=called[:, 1:])
    called = called[:, ends]                                                  # (R, E)  TP + FP
    hits = np.zeros((len(weight), len(order) + 1), sorted_weight.dtype)
    np.cumsum(sorted_weight * y[order], axis=1, out=hits[:, 1:])
    tp = hits[:, ends]
    return tp, called - tp                                                    # (1)


def _distinct(score):
    """score (n,) -> order (n,) downwards, ends (E,): behind the last clip of every group of equal scores."""
    order = np.argsort(-score, kind="stable")
    s = score[order]
    return order, np.append(np.flatnonzero(s[1:] != s[:-1]) + 1, len(s))


def _ratio(numerator, denominator):
    """numerator / denominator, 0 where the denominator is 0 (Keras: divide_no_nan)."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)


def precision_recall_curve(y_true, score) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall at every distinct score.

        P = TP / (TP + FP),   R = TP / n_targets                              (2)

    y_true (n,), score (n,); returns precision (E,), recall (E,) in [0, 1] and threshold (E,) falling, so recall rises.
    raises  ValueError: no targets, NaN scores, lengths differ
    """
    y, s = _checked_with_targets(y_true, score)
    order, ends = _distinct(s)
    tp, fp = _counts(y, np.ones((1, len(y))), order, ends)
    return tp[0] / (tp[0] + fp[0]), tp[0] / y.sum(), s[order][ends - 1]       # (2)


def average_precision(y_true, score) -> float:
    """Average precision of the target class, in (0, 1]: what scikit-learn calls average_precision_score.

    raises  ValueError: no targets (not defined), NaN scores, lengths differ
    """
    return float(weighted_average_precision(y_true, score, np.ones((1, len(y_true))))[0])


def weighted_average_precision(y_true, score, weight) -> np.ndarray:
    """Average precision of R weightings of the same clips.

        AP = Σ_e (R_e − R_{e−1}) P_e,   R_0 = 0                               (3)   e: distinct scores, falling

    y_true (n,), score (n,), weight (R, n) >= 0; returns (R,), NaN in replicates whose targets all weigh 0.
    Not interpolated; a group of equal scores is one step.
    """
    y, s = _checked_with_targets(y_true, score)
    tp, fp = _counts(y, np.asarray(weight), *_distinct(s))
    steps = np.diff(tp, axis=1, prepend=0)                                    # (R, E)  (R_e − R_{e−1}) n_targets
    n_targets = tp[:, -1]
    total = (steps * _ratio(tp, tp + fp)).sum(axis=1)
    return np.where(n_targets > 0, _ratio(total, n_targets), np.nan)          # (3)


def pr_auc_keras_micro(y_true, score) -> float:
    """The number the paper and the challenge call AP: both softmax columns pooled, 200 thresholds, interpolated.

    Equals keras.metrics.AUC(curve="PR") on one-hot y_true and softmax outputs, to Keras' own float32 rounding.
    y_true (n,), score (n,) in [0, 1]: the target's column; the other column is 1 − score. Returns [0, 1].
    raises  ValueError: a score outside [0, 1], NaN, lengths differ
    """
    return float(weighted_pr_auc_keras_micro(y_true, score, np.ones((1, len(y_true))))[0])


def weighted_pr_auc_keras_micro(y_true, score, weight) -> np.ndarray:
    """pr_auc_keras_micro of R weightings of the same clips; weight (R, n) >= 0, returns (R,).

        k = max(0, ⌈s (N − 1)⌉ − 1)                                           (4)   bucket, float32; N = 200
        TP_j, FP_j over k >= j,   p = TP + FP                                 (5)   threshold j = j / (N − 1)
        g_j = (TP_j − TP_{j+1}) / (p_j − p_{j+1}),   c_j = TP_{j+1} − g_j p_{j+1}      (6)   slope, intercept
        AUC = Σ_j g_j (TP_j − TP_{j+1} + c_j ln(p_j / p_{j+1})) / n_positives (7)

    x / 0 = 0, and the logarithm is 0 where p_{j+1} = 0. n_positives = n: every clip has one true column.
    Source: Davis & Goadrich, ICML 2006; keras/src/metrics/confusion_metrics.py, AUC.interpolate_pr_auc.
    """
    y, s = _checked(y_true, score)
    if s.min() < 0 or s.max() > 1:
        raise ValueError(f"scores reach from {s.min()} to {s.max()}; this metric needs softmax outputs in [0, 1]")
    s, weight = s.astype(np.float32), np.asarray(weight)
    pooled = np.concatenate([s, np.float32(1) - s])                           # (2n,) both columns
    bucket = np.ceil(pooled * np.float32(KERAS_N_THRESHOLDS - 1)).astype(np.int64) - 1
    bucket = np.maximum(bucket, 0)                                            # (4)
    order = np.argsort(-bucket, kind="stable")
    ends = np.searchsorted(-bucket[order], -np.arange(KERAS_N_THRESHOLDS), side="right")
    tp, fp = _counts(np.concatenate([y, ~y]), np.tile(weight, 2), order, ends)    # (5)  (R, N)
    p = tp + fp
    dtp = tp[:, :-1] - tp[:, 1:]
    slope = _ratio(dtp, p[:, :-1] - p[:, 1:])                                 # (6)
    intercept = tp[:, 1:] - slope * p[:, 1:]
    log_ratio = np.log(np.where(p[:, 1:] > 0, p[:, :-1] / np.maximum(p[:, 1:], 1e-300), 1.0))
    return _ratio((slope * (dtp + intercept * log_ratio)).sum(axis=1), tp[:, 0])  # (7)


def best_f1(y_true, score) -> tuple[float, float]:
    """The score to use as threshold, and F1 = 2 TP / (2 TP + FP + FN) there.

    y_true (n,), score (n,); returns (threshold, f1 in (0, 1]): one of the scores; of several with the same best F1
    the highest threshold (fewest detections). The threshold is chosen on these very clips: flattering for few clips.
    raises  ValueError: no targets, NaN scores, lengths differ
    """
    y, s = _checked_with_targets(y_true, score)
    order, ends = _distinct(s)
    tp, fp = _counts(y, np.ones((1, len(y))), order, ends)
    f1 = 2 * tp[0] / (tp[0] + fp[0] + y.sum())                                # TP + FN = n_targets
    best = int(np.argmax(f1))                                                 # the first maximum: highest threshold
    return float(s[order][ends[best] - 1]), float(f1[best])


def confusion_matrix(y_true, score, threshold: float) -> np.ndarray:
    """[[TN, FP], [FN, TP]] int64 (2, 2): row = truth, column = call (score >= threshold). Errors as above."""
    y, s = _checked(y_true, score)
    return np.bincount(2 * y + (s >= threshold), minlength=4).reshape(2, 2)


def error_rate(y_true, score, threshold: float) -> float:
    """(FP + FN) / n at a threshold, in [0, 1]; y_true (n,), score (n,). raises ValueError as above."""
    return float(weighted_error_rate(y_true, score, np.ones((1, len(y_true))), threshold)[0])


def weighted_error_rate(y_true, score, weight, threshold: float) -> np.ndarray:
    """error_rate of R weightings of the same clips; weight (R, n) >= 0, not all 0 in a row; returns (R,)."""
    y, s = _checked(y_true, score)
    weight = np.asarray(weight)
    return (weight @ (y != (s >= threshold))) / weight.sum(axis=1)


def bootstrap_interval(y_true, score, recording: Sequence, metric: Callable, rng: np.random.Generator,
                       n_replicates: int = N_REPLICATES, level: float = 0.95) -> tuple[float, float, int]:
    """Percentile interval of a metric, resampling whole recordings: clips of one recording are not independent.

    recording  (n,) any hashable id per clip
    metric     (y_true, score, weight (R, n)) -> (R,), NaN = not defined: one of the weighted_... functions above
    level      in (0, 1): 0.95 gives the quantiles 0.025 and 0.975
    returns    (low, high, n_dropped): replicates without a target have no AP; they are left out and counted
    raises     ValueError: fewer than 2 recordings, lengths differ, every replicate dropped
    Source: Efron & Tibshirani 1993, chapter 13 (percentile interval), with clusters as the units.
    """
    names, of_clip = np.unique(np.asarray(recording, dtype=str), return_inverse=True)     # of_clip (n,)
    n_names = len(names)
    if len(of_clip) != len(y_true):
        raise ValueError(f"{len(of_clip)} recording ids for {len(y_true)} clips")
    if n_names < 2:
        raise ValueError("an interval needs clips of at least 2 recordings; all clips are of one")
    rows = max(1, CELLS_PER_CHUNK // max(len(of_clip), n_names))
    values = []
    for start in range(0, n_replicates, rows):
        n_rows = min(rows, n_replicates - start)
        drawn = rng.integers(0, n_names, (n_rows, n_names)) + n_names * np.arange(n_rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=n_rows * n_names).reshape(n_rows, n_names)
        values.append(metric(y_true, score, times[:, of_clip].astype(float)))
    values = np.concatenate(values)
    kept = values[~np.isnan(values)]
    if not len(kept):
        raise ValueError(f"none of {n_replicates} replicates holds a target; more recordings with targets are needed")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), n_replicates - len(kept)


def _intervals(y, score, recording, threshold, rng):
    """The three [low, high] of `scores`, None where not defined, and notes that say why and what was left out."""
    metrics = {"average_precision": weighted_average_precision, "pr_auc_keras_micro": weighted_pr_auc_keras_micro,
               "error_rate": partial(weighted_error_rate, threshold=threshold)}
    if len(set(map(str, recording))) < 2:
        return dict.fromkeys((f"{name}_interval" for name in metrics)), ["no intervals: all clips are of one recording"]
    intervals, notes = {}, []
    for name, metric in metrics.items():
        low, high, n_dropped = bootstrap_interval(y, score, recording, metric, rng)
        intervals[f"{name}_interval"] = [low, high]
        if n_dropped:
            notes.append(f"{name}_interval: {n_dropped} of {N_REPLICATES} replicates held no target and were left out")
    return intervals, notes


def _per_distance(y, score, distance, threshold):
    """{letter: ...} of the targets of each distance, each against all negatives; unlettered are left out."""
    letter = np.array([text or "" for text in distance], dtype=str)
    table = {}
    for name in sorted(set(letter[y]) - {""}):
        of_letter = y & (letter == name)
        clips = of_letter | ~y
        table[str(name)] = {"n_targets": int(of_letter.sum()),
                            "average_precision": average_precision(y[clips], score[clips]),
                            "recall": float(np.mean(score[of_letter] >= threshold))}
    return table


def _per_recording(y, score, recording, threshold):
    """Every recording with targets, and the negatives of those with the most false positives, worst first."""
    names, of_clip = np.unique(np.asarray(recording, dtype=str), return_inverse=True)
    count = partial(np.bincount, minlength=len(names))                        # clips -> clips per recording
    n_targets, n_negatives, total = count(of_clip[y]), count(of_clip[~y]), count(of_clip[y], weights=score[y])
    n_hits, n_false = count(of_clip[y & (score >= threshold)]), count(of_clip[~y & (score >= threshold)])
    targets = {str(names[k]): {"n": int(n_targets[k]), "recall": float(n_hits[k] / n_targets[k]),
                               "mean_score": float(total[k] / n_targets[k])} for k in np.flatnonzero(n_targets)}
    worst = [k for k in np.argsort(-n_false, kind="stable")[:N_WORST_NEGATIVES] if n_false[k]]
    negatives = {str(names[k]): {"n": int(n_negatives[k]), "false_positives": int(n_false[k])} for k in worst}
    return {"targets": targets, "worst_negatives": negatives}


def scores(y_true, score, recording: Sequence, distance: Sequence, rng: np.random.Generator) -> dict:
    """Everything `npgru evaluate` tells, as plain Python numbers that json.dumps takes.

    y_true (n,), score (n,) in [0, 1], recording (n,) ids, distance (n,) of "A".."H" or None where names do not tell it.
    Thresholded numbers are at the best-F1 threshold of these clips. Intervals are 95 %, by recording; None = not
    defined, `notes` says why. raises ValueError: no targets, NaN, a score outside [0, 1], lengths differ
    """
    y, s = _checked_with_targets(y_true, score)
    if len(recording) != len(y) or len(distance) != len(y):
        raise ValueError(f"{len(recording)} recording ids and {len(distance)} distances for {len(y)} clips")
    threshold, f1 = best_f1(y, s)
    (tn, fp), (fn, tp) = confusion_matrix(y, s, threshold).tolist()
    intervals, notes = _intervals(y, s, recording, threshold, rng)
    return {"average_precision": average_precision(y, s), "pr_auc_keras_micro": pr_auc_keras_micro(y, s),
            "best_f1": f1, "best_f1_threshold": threshold, "confusion_matrix": {"tn": tn, "fp": fp, "fn": fn, "tp": tp},
            "error_rate": error_rate(y, s, threshold), **intervals, "n_clips": len(y), "n_targets": int(y.sum()),
            "n_recordings": len(set(map(str, recording))), "per_distance": _per_distance(y, s, distance, threshold),
            "per_recording": _per_recording(y, s, recording, threshold), "notes": notes}
