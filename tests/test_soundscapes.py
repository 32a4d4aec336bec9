"""Windows and events: the definitions by hand, the curves by explicit counting, and the whole command."""
import json

import numpy as np
import pytest
import soundfile
from sklearn.metrics import average_precision_score

from npgru import cli, soundscapes
from npgru.annotations import Event
from npgru.soundscapes import AMBIGUOUS, NEGATIVE, POSITIVE, Heard
from tolerances import AP_ABS_ERROR


def heard(score, *calls, name="a.wav", step_s=2.0):
    start_s = step_s * np.arange(len(score))
    return Heard(name, start_s[-1] + 2, 2.0, start_s, np.array(score, float),
                 [Event(start, end, species, 2) for start, end, species in calls])


@pytest.mark.parametrize("call, truth", [
    ((2.5, 3.5), [NEGATIVE, POSITIVE, NEGATIVE]),                     # inside
    ((1.5, 2.5), [POSITIVE, POSITIVE, NEGATIVE]),                     # exactly 0.5 s in each
    ((1.6, 3.0), [AMBIGUOUS, POSITIVE, NEGATIVE]),                    # 0.4 s in the first
    ((2.0, 4.0), [NEGATIVE, POSITIVE, NEGATIVE]),                     # touching is not overlapping
    ((2.1, 2.3), [NEGATIVE, POSITIVE, NEGATIVE]),                     # a short call, all of it
    ((1.9, 2.1), [AMBIGUOUS, AMBIGUOUS, NEGATIVE]),                   # a short call, cut in two
    ((0.5, 5.5), [POSITIVE, POSITIVE, POSITIVE])])
def test_which_window_is_positive(call, truth):
    recording = heard([0, 0, 0], (*call, "Wren"))
    found, touches = soundscapes.window_truth(recording, recording.events, 0.5)
    assert found.tolist() == truth and touches.tolist() == [t != NEGATIVE for t in truth]


def test_a_window_with_enough_of_one_call_stays_positive_whatever_else_it_touches():
    for calls in [(2.5, 3.5), (3.9, 5.0)], [(3.9, 5.0), (2.5, 3.5)]:
        recording = heard([0, 0, 0], *((*call, "Wren") for call in calls))
        assert soundscapes.window_truth(recording, recording.events)[0].tolist() == [NEGATIVE, POSITIVE, POSITIVE]


def counted(windows, events, t):
    """Precision and recall over events by explicit counting; windows and events: lists of (start, end[, score])."""
    detections = [w for w in windows if w[2] >= t]
    def meet(a, b):
        return min(a[1], b[1]) > max(a[0], b[0])
    return (sum(any(meet(d, e) for e in events) for d in detections) / len(detections),
            sum(any(meet(d, e) for d in detections) for e in events) / len(events))


@pytest.mark.parametrize("step_s", [2.0, 1.0, 0.3])
def test_curves_and_numbers_are_those_of_explicit_counting(step_s):
    rng = np.random.default_rng(7)
    start_s = np.sort(rng.uniform(0, 100, 15))
    calls = [(a, min(a + rng.uniform(0.1, 4), b), "Wren") for a, b in zip(start_s, [*start_s[1:], 100])]
    score = rng.integers(0, 12, int(98 / step_s)) / 12                # many equal ones
    recording = heard(score, *calls, step_s=step_s)
    windows = [(a, a + 2, s) for a, s in zip(recording.start_s, score)]
    truth, touches = soundscapes.window_truth(recording, recording.events)
    curve = soundscapes.event_curve(touches, score, soundscapes.event_scores(recording, recording.events))
    for precision, recall, threshold in zip(*curve):
        assert (precision, recall) == counted(windows, calls, threshold)
    table = soundscapes.evaluate([recording], "wren", 0.5)
    precision, recall = counted(windows, calls, 0.5)
    assert table["events"]["recall"] == recall and abs(table["events"]["precision"] - precision) < AP_ABS_ERROR
    kept = truth != AMBIGUOUS
    assert abs(table["windows"]["average_precision"] - average_precision_score(truth[kept], score[kept])) < AP_ABS_ERROR
    assert table["windows"]["n_ambiguous"] == (~kept).sum() > 0
    n_alarms = sum(not counted([w], calls, 0)[0] for w in windows if w[2] >= 0.5)
    assert table["n_false_alarms"] == n_alarms and table["false_alarms_per_hour"] == n_alarms / (recording.duration_s / 3600)


def test_recordings_without_calls_and_other_species_are_negative():
    a = heard([0.9, 0.8, 0.1], (0.5, 1.5, "Wren"), (2.5, 3.5, "Robin"))
    b = heard([0.7, 0.2], name="b.wav")
    table = soundscapes.evaluate([a, b], "Wren", 0.6)
    assert table["n_false_alarms"] == 2 and table["false_alarms_by_species"] == {"Robin": 1}
    assert table["windows"]["n_positive"] == 1 and table["windows"]["average_precision"] == 1.0
    assert [f["n_false_alarms"] for f in table["files"]] == [1, 1] and table["files"][1]["events"]["average_precision"] is None
    assert table["windows"]["average_precision_interval"] is None and "fewer than 2" in table["notes"][0]
    assert soundscapes.evaluate([b], "Wren", 0.6)["curves"] == {}
    json.dumps(table, allow_nan=False)


def test_a_call_that_no_window_reaches_is_missed_at_every_threshold():
    table = soundscapes.evaluate([heard([0.5, 0.4], (0.5, 1.5, "Wren"), (4.5, 5, "Wren"))], "Wren", 0.0)
    assert table["events"]["n_found"] == 1 and table["events"]["average_precision"] == 0.5


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Two recordings of 12 s: rising chirps at 2.2 and 8 s in the first, noise in the second; and their annotations."""
    folder, rng, t = tmp_path_factory.mktemp("card"), np.random.default_rng(1), np.arange(24000) / 16000
    for name, starts in (("song.flac", (2.2, 8.0)), ("noise.wav", ())):
        samples = 0.05 * rng.standard_normal(12 * 16000)
        for start in starts:
            samples[int(16000 * start):][:24000] += 0.2 * np.sin(2 * np.pi * (4000 + 500 * t) * t)
        soundfile.write(folder / name, samples, 16000)
    (folder / "calls.csv").write_text("file,start_s,end_s,species\nsong.flac,2.2,3.7,Wren\nsong.flac,8.0,9.5,Wren\n")
    return folder


def test_evaluate_with_annotations(finished, card, capsys):
    options = ["evaluate", str(finished), str(card), "--annotations", str(card / "calls.csv"), "--overlap", "0.5"]
    assert cli.main([*options, "--json"]) == 0
    said = capsys.readouterr()
    table = json.loads(said.out)
    assert table["species"] == "Wren" and table["events"]["n"] == 2 and len(table["files"]) == 2
    assert "no calls are annotated in noise.wav" in said.err and abs(table["hours"] - 24 / 3600) < 1e-12
    assert cli.main([*options, "--min_conf", "0"]) == 0
    text = capsys.readouterr().out
    assert "2 of 2 calls found" in text and "windows" in text and "noise.wav" in text


def test_bad_rows_are_one_line_each(finished, card, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("file,start_s,end_s,species\nsong.flac,2,x,Wren\nsong.flac,3,4,Wren\nnone.wav,1,2,Wren\n")
    assert cli.main(["evaluate", str(finished), str(card), "--annotations", str(tmp_path / "bad.csv")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("npgru: error: ") for line in said)
    assert {line.split("bad.csv, ")[1].split(":")[0] for line in said} == {"line 2", "line 4"}


@pytest.mark.parametrize("options, says", [
    (["--overlap", "2"], "overlap of 2 s; accepted: 0 to 1.976 s"),
    (["--min-overlap", "0"], "min_overlap_s=0.0; accepted: above 0"),
    (["--target", ""], None)])
def test_numbers_out_of_range_are_refused(finished, card, capsys, options, says):
    code = cli.main(["evaluate", str(finished), str(card), "--annotations", str(card / "calls.csv"), *options])
    assert code == (1 if says else 0) and (says or "") in capsys.readouterr().err
