"""Decisions -> threshold and probabilities: against counting, scipy and scikit-learn; stored in every kind of model."""
import csv
import json
import shutil

import numpy as np
import pyarrow.parquet
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from npgru import calibration, cli, detector
from npgru.calibration import CalibrationError, Decisions
from npgru.detections import probability, read
from tolerances import CLOPPER_ABS_ERROR, PLATT_ABS_ERROR


def decisions(n=400, n_recordings=20, seed=7, slope=0.7, shift=-0.5):
    """Logits of scores normal, right with probability σ(slope logit + shift)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, n)
    right = rng.uniform(size=n) < 1 / (1 + np.exp(-(slope * x + shift)))
    return Decisions(1 / (1 + np.exp(-x)).round(4), right, rng.integers(0, n_recordings, n).astype(str))


def counted_threshold(score, right, wanted):
    """By trying every score."""
    reached = [t for t in score if np.sum(right & (score >= t)) >= wanted * np.sum(score >= t) - 1e-9]
    return min(reached) if reached else np.nan


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9, 1.0])
def test_the_threshold_is_that_of_explicit_counting_also_resampled(wanted):
    rng, found = np.random.default_rng(3), decisions(60)
    score, n = found.score.round(1), len(found.score)                 # many equal scores
    assert np.array_equal(calibration.lowest_threshold(score, found.right, np.ones((1, n)), wanted)[0],
                          counted_threshold(score, found.right, wanted), equal_nan=True)
    rows = rng.integers(0, n, (20, n))
    weight = np.stack([np.bincount(r, minlength=n) for r in rows]).astype(float)
    expected = [counted_threshold(score[r], found.right[r], wanted) for r in rows]
    assert np.array_equal(calibration.lowest_threshold(score, found.right, weight, wanted), expected, equal_nan=True)


@pytest.mark.parametrize("n_right, n", [(0, 5), (5, 5), (1, 1), (45, 50), (300, 1000)])
def test_clopper_pearson_is_scipys(n_right, n):
    expected = binomtest(n_right, n).proportion_ci(0.95, "exact")
    assert np.abs(np.subtract(calibration.clopper_pearson(n_right, n), (expected.low, expected.high))).max() < CLOPPER_ABS_ERROR


def test_platt_is_the_logistic_regression_on_smoothed_targets():
    found = decisions()
    n_right, n = found.right.sum(), len(found.right)
    x = np.log(found.score / (1 - found.score)).clip(-calibration.LARGEST_LOGIT, calibration.LARGEST_LOGIT)[:, None]
    t = np.where(found.right, (n_right + 1) / (n_right + 2), 1 / (n - n_right + 2))
    model = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        np.concatenate([x, x]), np.repeat([1, 0], n), sample_weight=np.concatenate([t, 1 - t]))
    a, b = calibration.fit_platt(found.score, found.right)
    assert abs(a - model.coef_[0, 0]) < PLATT_ABS_ERROR and abs(b - model.intercept_[0]) < PLATT_ABS_ERROR
    assert abs(a - 0.7) < 0.15 and abs(b + 0.5) < 0.3                 # what they were drawn with
    p = np.array([probability(score, (a, b)) for score in found.score])
    assert np.all(np.diff(p[np.argsort(found.score)]) >= 0) and abs(p.mean() - found.right.mean()) < 0.02


def test_classes_that_do_not_overlap_and_scores_of_0_and_1_stay_finite():
    score, right = np.repeat([0.0, 0.2, 0.9, 1.0], 10), np.repeat([False, False, True, True], 10)
    a, b = calibration.fit_platt(score, right)
    assert 0 < a < 100 and np.isfinite(b)
    p = [probability(score, (a, b)) for score in (0.0, 1.0)]
    assert 0 < p[0] < 0.1 and 0.9 < p[1] < 1


def test_all_that_is_fitted_in_one_go():
    found = decisions()
    facts = calibration.calibrate(found, 0.9, np.random.default_rng(0))
    c, called = facts["calibration"], found.score >= facts["threshold"]
    assert facts["threshold"] == counted_threshold(found.score, found.right, 0.9)
    assert c["precision"] == found.right[called].mean() >= 0.9
    assert c["precision_interval"][0] < c["precision"] < c["precision_interval"][1]
    assert c["threshold_interval"][0] <= facts["threshold"] <= c["threshold_interval"][1]
    assert c["recall_of_accepted"] == (found.right & called).sum() / found.right.sum() and c["n_recordings"] == 20
    assert calibration.calibrate(found, 0.9, np.random.default_rng(0)) == facts
    json.dumps(facts, allow_nan=False)


def test_the_interval_resamples_recordings_not_decisions():
    """Copies of the same decisions in the same recording say nothing new: the interval must not shrink."""
    found = decisions(200, 8)
    copied = Decisions(*(np.tile(a, 10) for a in (found.score, found.right, found.recording)))
    narrow = Decisions(copied.score, copied.right, np.arange(2000).astype(str))
    once, ten, alone = (calibration.threshold_interval(d, 0.85, np.random.default_rng(1)) for d in (found, copied, narrow))
    assert once == ten and alone[1] - alone[0] < once[1] - once[0]
    one = Decisions(found.score, found.right, np.full(200, "a"))
    assert calibration.threshold_interval(one, 0.85, np.random.default_rng(1)) is None


@pytest.mark.parametrize("score, right, wanted, says", [
    ([0.5] * 19, [True] * 10 + [False] * 9, 0.9, "found 19 decisions, 10 accepted and 9 rejected; needed: at least 20, and 5 of"),
    ([0.5] * 40, [True] * 40, 0.9, "40 accepted and 0 rejected; needed: at least 20, and 5 of each; review more detections"),
    ([0.5] * 40, [True] * 4 + [False] * 36, 0.9, "4 accepted and 36 rejected"),
    ([0.5] * 40, [True] * 20 + [False] * 20, 0.9,
     "no threshold reaches precision 0.9 on these decisions; the best is 0.500 from score 0.5000 on; accepted: --precision 0.5"),
    (np.linspace(1, 0, 40), [False] * 20 + [True] * 20, 0.4, "the score tells nothing here"),
    ([0.5] * 40, [True] * 20 + [False] * 20, 0.0, "precision 0; accepted: above 0 and at most 1")])
def test_decisions_that_nothing_can_be_fitted_to_are_refused(score, right, wanted, says):
    found = Decisions(np.array(score, float), np.array(right), np.full(len(right), "a"))
    with pytest.raises(CalibrationError, match=says.replace("(", r"\(")):
        calibration.calibrate(found, wanted, np.random.default_rng(0))


def written(path, found, name="Wren"):
    rows = [f"/card/{recording}.wav,{name if right else 'Negatives'},1.0,3.0,{score}"
            for score, right, recording in zip(found.score, found.right, found.recording)]
    path.write_text("\n".join(["path,label,start_s,end_s,score", *rows]) + "\n")
    return path


@pytest.mark.parametrize("row, says", [
    ("/a.wav,Robin,1,2,0.5", "label is 'Robin'; accepted: Wren where the detector was right, else Negatives"),
    ("/a.wav,,1,2,0.5", "label is ''; accepted: Wren where"),
    ("/a.wav,Wren,1,2,", "score is ''; accepted: a number from 0 to 1"), ("/a.wav,Wren,1,2,1.5", "score is '1.5'")])
def test_a_wrong_row_is_named_with_its_line(tmp_path, row, says):
    path = written(tmp_path / "d.csv", decisions(30))
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(CalibrationError) as error:
        calibration.read_decisions(path)
    assert f"d.csv, line 32: {says}" in str(error.value)


@pytest.mark.parametrize("kind", ["run", "checkpoint", "tflite"])
def test_the_command_stores_it_in_every_kind_of_model(finished, tmp_path, kind, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    model = {"run": run, "checkpoint": run / "checkpoints" / "teacher.npz", "tflite": tmp_path / "m.tflite"}[kind]
    assert cli.main(["export", str(run), "-o", str(tmp_path / "m.tflite")]) == 0
    before = detector.load(model)
    path = written(tmp_path / "decisions.csv", decisions())
    assert cli.main(["calibrate", str(model), str(path), "--precision", "0.85"]) == 0
    assert "threshold " in capsys.readouterr().out
    after = detector.load(model)
    assert after.facts["threshold"] == counted_threshold(decisions().score, decisions().right, 0.85)
    assert after.facts["calibration"]["threshold_before"] == before.facts["threshold"]
    assert after.facts["calibration"]["wanted_precision"] == 0.85 and len(after.facts["calibration"]["decisions_sha256"]) == 64
    x = np.random.default_rng(0).integers(0, 900, (2, 84, 32)).astype(np.uint16)
    assert np.array_equal(before.scores(x), after.scores(x))          # the network itself is untouched
    assert cli.main(["calibrate", str(model), str(path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["calibration"]["threshold_before"] == before.facts["threshold"]          # of training, not of the first one


def test_export_carries_the_calibration(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = written(tmp_path / "decisions.csv", decisions())
    assert cli.main(["calibrate", str(tmp_path / "run"), str(path)]) == 0
    assert cli.main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "m.tflite")]) == 0
    run, tflite = (detector.load(tmp_path / name).facts for name in ("run", "m.tflite"))
    assert run["calibration"] == tflite["calibration"] and run["threshold"] == tflite["threshold"]


def test_refused_decisions_change_nothing(finished, tmp_path, capsys):
    before = (finished / "checkpoints" / "quantised.npz").read_bytes()
    for found, says in ((decisions(10), "needed: at least 20"), (decisions(slope=0.0, shift=-3.0), "no threshold reaches")):
        assert cli.main(["calibrate", str(finished), str(written(tmp_path / "d.csv", found))]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and says in error
    assert (finished / "checkpoints" / "quantised.npz").read_bytes() == before


def test_detect_uses_the_threshold_and_tells_probabilities(finished, corpus, tmp_path):
    """The detections of a calibrated model are those of at least its new threshold, each with a probability."""
    shutil.copytree(finished, tmp_path / "run")
    command = ["detect", str(corpus / "Test_Set"), "-m", str(tmp_path / "run"), "--combine_results", "--rtype", "csv", "parquet"]
    assert cli.main([*command, "-o", str(tmp_path / "all"), "--min_conf", "0"]) == 0
    score = np.sort([d.score for d in read(tmp_path / "all")])        # close to each other: the network is hardly trained
    found = Decisions(np.tile(score, 4), np.tile(score >= score[5], 4), np.repeat(list("abcd"), len(score)))
    assert cli.main(["calibrate", str(tmp_path / "run"), str(written(tmp_path / "decisions.csv", found))]) == 0
    facts = detector.load(tmp_path / "run").facts
    assert cli.main([*command, "-o", str(tmp_path / "out")]) == 0
    combined = tmp_path / "out" / "combined.npgru.csv"
    with open(combined, newline="") as file:
        rows = list(csv.DictReader(file))
    parquet = pyarrow.parquet.read_table(combined.with_suffix(".parquet")).to_pylist()
    assert rows and [float(row["Probability"]) for row in rows] == [row["Probability"] for row in parquet]
    assert [d.score for d in read(combined)] == [d.score for d in read(tmp_path / "all") if d.score >= facts["threshold"]]
    assert 0 < len(rows) < len(score)
    assert [float(row["Probability"]) for row in rows] == [
        probability(float(row["Confidence"]), facts["calibration"]["platt"]) for row in rows]
