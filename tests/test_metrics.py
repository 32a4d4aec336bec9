"""metrics.py against scikit-learn, a real Keras run, explicit resampling and identities counted by hand."""
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from npgru import metrics
from tolerances import AP_ABS_ERROR, KERAS_ABS_ERROR

GOLDEN = np.load(Path(__file__).parent / "golden" / "metrics.npz")
GOLDEN_CASES = [name[:-len("_auc")] for name in GOLDEN.files if name.endswith("_auc")]


def task(rng, n, n_levels=0, share=0.3):
    """y (n,) with at least one target, score (n,) in (0, 1); n_levels > 0 rounds the scores into ties."""
    y = rng.random(n) < share
    y[rng.integers(n)] = True
    score = 1 / (1 + np.exp(-rng.normal(2.0 * y - 1.0, 1.0)))
    return y, np.round(score * n_levels) / n_levels if n_levels else score


def recordings(rng, n):
    """Clips in clusters of unequal size."""
    return np.array([f"r{k}" for k in np.sort(rng.integers(0, max(2, n // 4), n))])


@pytest.mark.parametrize("n", [1, 2, 3, 17, 400])
@pytest.mark.parametrize("n_levels", [0, 1, 3, 20])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_average_precision_equals_scikit_learn(rng, n, n_levels, share):
    for _ in range(5):
        y, score = task(rng, n, n_levels, share)
        expected = sklearn_metrics.average_precision_score(y, score)
        assert abs(metrics.average_precision(y, score) - expected) < AP_ABS_ERROR


def test_average_precision_of_equal_scores_is_the_share_of_targets():
    assert metrics.average_precision([1, 0, 0, 0], [0.5] * 4) == 0.25
    assert metrics.average_precision([1], [0.0]) == 1.0
    assert metrics.average_precision([1, 0], np.array([True, False])) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_recall_curve_equals_scikit_learn(rng, dtype):
    y, score = task(rng, 60, 10)
    precision, recall, threshold = metrics.precision_recall_curve(y, score.astype(dtype))
    expected = sklearn_metrics.precision_recall_curve(y, score.astype(dtype))
    np.testing.assert_allclose(precision, expected[0][-2::-1], rtol=0, atol=AP_ABS_ERROR)
    np.testing.assert_allclose(recall, expected[1][-2::-1], rtol=0, atol=AP_ABS_ERROR)
    np.testing.assert_array_equal(threshold, expected[2][::-1])


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_pr_auc_keras_micro_equals_keras(case):
    ours = metrics.pr_auc_keras_micro(GOLDEN[case + "_y"], GOLDEN[case + "_score"])
    assert np.abs(ours - GOLDEN[case + "_auc"]).max() < KERAS_ABS_ERROR


def test_golden_file_names_its_generator():
    assert {"keras", "numpy", "backend"} <= set(json.loads(str(GOLDEN["versions"])))


@pytest.mark.parametrize("metric", [metrics.weighted_average_precision, metrics.weighted_pr_auc_keras_micro,
                                    partial(metrics.weighted_error_rate, threshold=0.4)])
@pytest.mark.parametrize("n_levels", [0, 7])
def test_weighting_equals_explicit_resampling(rng, metric, n_levels):
    y, score = task(rng, 50, n_levels)
    drawn = rng.integers(0, 50, (20, 50))
    drawn[:, 0] = np.flatnonzero(y)[0]
    weight = np.stack([np.bincount(row, minlength=50) for row in drawn])
    explicit = [metric(y[row], score[row], np.ones((1, 50)))[0] for row in drawn]
    np.testing.assert_allclose(metric(y, score, weight), explicit, rtol=0, atol=AP_ABS_ERROR)


def test_replicates_without_targets_are_nan():
    value = metrics.weighted_average_precision([1, 0, 0], [0.9, 0.1, 0.2], [[0, 1, 2], [1, 1, 1]])
    assert np.isnan(value[0]) and value[1] == 1.0


@pytest.mark.parametrize("n, n_levels", [(1, 0), (2, 0), (40, 0), (200, 5), (9, 1)])
def test_best_f1_is_the_best_over_all_thresholds_and_the_highest(rng, n, n_levels):
    y, score = task(rng, n, n_levels)
    by_hand = {t: sklearn_metrics.f1_score(y, score >= t) for t in np.unique(score)}
    threshold, f1 = metrics.best_f1(y, score)
    assert abs(f1 - max(by_hand.values())) < AP_ABS_ERROR
    assert threshold == max(t for t in by_hand if abs(by_hand[t] - f1) < AP_ABS_ERROR)


def test_confusion_matrix_and_error_rate_by_hand(rng):
    y, score = [0, 0, 0, 1, 1], [0.1, 0.5, 0.4, 0.5, 0.2]
    np.testing.assert_array_equal(metrics.confusion_matrix(y, score, 0.5), [[2, 1], [1, 1]])
    assert metrics.error_rate(y, score, 0.5) == 0.4
    y, score = task(rng, 300, 9)
    matrix = metrics.confusion_matrix(y, score, 4 / 9)
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(y, score >= 4 / 9))
    assert abs(metrics.error_rate(y, score, 4 / 9) - (matrix[0, 1] + matrix[1, 0]) / 300) < AP_ABS_ERROR


def test_bootstrap_is_the_same_for_the_same_seed_and_any_chunk(rng, monkeypatch):
    y, score = task(rng, 60)
    run = partial(metrics.bootstrap_interval, y, score, recordings(rng, 60), metrics.weighted_average_precision)
    first = run(np.random.default_rng(1), n_replicates=101)
    assert first == run(np.random.default_rng(1), n_replicates=101)
    assert first != run(np.random.default_rng(2), n_replicates=101)
    monkeypatch.setattr(metrics, "CELLS_PER_CHUNK", 7 * 60)
    assert first == run(np.random.default_rng(1), n_replicates=101)


def test_bootstrap_interval_covers_the_truth_and_widens_with_the_clusters(rng):
    """Error rate of a known coin: 95 % intervals cover it in most of 60 experiments; clones in clusters widen it."""
    covered = 0
    metric = partial(metrics.weighted_error_rate, threshold=0.5)
    for _ in range(60):
        y = rng.random(150) < 0.5
        score = np.where(rng.random(150) < 0.2, ~y, y).astype(float)
        low, high, n_dropped = metrics.bootstrap_interval(y, score, range(150), metric, rng, n_replicates=200)
        covered += low <= 0.2 <= high
        assert n_dropped == 0
    assert covered >= 50                                             # 95 % of 60 = 57; below 50 once in 10 000 runs
    clones = np.repeat(np.arange(150), 10)
    wide = metrics.bootstrap_interval(y[clones], score[clones], clones, metric, rng)
    narrow = metrics.bootstrap_interval(y[clones], score[clones], range(1500), metric, rng)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_bootstrap_counts_dropped_replicates(rng):
    y, score, recording = [1, 0, 0], [0.9, 0.2, 0.1], ["a", "b", "c"]
    low, high, n_dropped = metrics.bootstrap_interval(y, score, recording, metrics.weighted_average_precision, rng)
    assert (low, high) == (1.0, 1.0)
    assert 200 < n_dropped < 400                                     # (2/3)³ = 0.296 of 1000 lack recording a


@pytest.mark.parametrize("y, score, message", [
    ([0, 0], [0.1, 0.2], "none of the 2 clips is a target"),
    ([0, 1], [0.1, np.nan], "NaN"),
    ([0, 1], [0.1], "of one length"),
    ([], [], "not empty"),
    ([0, 2], [0.1, 0.2], "only 0 and 1"),
])
def test_refusals_say_what_is_wrong(y, score, message):
    for function in (metrics.average_precision, metrics.best_f1, metrics.precision_recall_curve):
        with pytest.raises(ValueError, match=message):
            function(y, score)


def test_refusals_of_ranges_and_recordings(rng):
    with pytest.raises(ValueError, match=r"needs softmax outputs"):
        metrics.pr_auc_keras_micro([0, 1], [0.0, 1.5])
    with pytest.raises(ValueError, match="at least 2 recordings"):
        metrics.bootstrap_interval([0, 1], [0.1, 0.9], ["a", "a"], metrics.weighted_average_precision, rng)
    with pytest.raises(ValueError, match="3 recording ids for 2 clips"):
        metrics.bootstrap_interval([0, 1], [0.1, 0.9], ["a", "b", "c"], metrics.weighted_average_precision, rng)
    with pytest.raises(ValueError, match="1 recording ids and 2 distances for 2 clips"):
        metrics.scores([0, 1], [0.1, 0.9], ["a"], ["A", None], rng)


def test_scores_agree_with_the_single_functions_and_are_json(rng):
    y, score = task(rng, 200)
    distance = [["A", "H", None, ""][k % 4] if y[k] else None for k in range(200)]
    recording = recordings(rng, 200)
    result = json.loads(json.dumps(metrics.scores(y, score, recording, distance, rng), allow_nan=False))
    threshold, f1 = metrics.best_f1(y, score)
    assert (result["best_f1"], result["best_f1_threshold"]) == (f1, threshold)
    assert result["average_precision"] == metrics.average_precision(y, score)
    assert result["pr_auc_keras_micro"] == metrics.pr_auc_keras_micro(y, score)
    assert sum(result["confusion_matrix"].values()) == result["n_clips"] == 200
    assert result["n_targets"] == y.sum() and result["n_recordings"] == len(set(recording))
    for name in ("average_precision", "pr_auc_keras_micro", "error_rate"):
        assert result[f"{name}_interval"][0] <= result[name] <= result[f"{name}_interval"][1]
    assert set(result["per_distance"]) == {"A", "H"}
    of_a = np.array([d == "A" for d in distance])
    assert result["per_distance"]["A"]["average_precision"] == metrics.average_precision(y[of_a | ~y], score[of_a | ~y])
    assert sum(r["n"] for r in result["per_recording"]["targets"].values()) == y.sum()
    worst = [r["false_positives"] for r in result["per_recording"]["worst_negatives"].values()]
    assert worst == sorted(worst, reverse=True) and 0 < len(worst) <= metrics.N_WORST_NEGATIVES


def test_scores_of_one_clip_say_why_there_is_no_interval(rng):
    result = metrics.scores([1], [0.7], ["r"], [None], rng)
    assert result["average_precision"] == 1.0 and result["per_distance"] == {}
    assert result["average_precision_interval"] is None and "one recording" in result["notes"][0]
    json.dumps(result, allow_nan=False)
