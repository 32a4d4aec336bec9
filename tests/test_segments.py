"""Segments: which detections are chosen, and what is cut out of their recordings."""
import numpy as np
import pytest
import soundfile

from npgru import cli, segments
from npgru.clips import Problem
from npgru.detections import About, Detection, Recording, write
from tolerances import SOUND_STEP

RATE_HZ = 22050


@pytest.fixture
def ramp(tmp_path, rng):
    """A stereo recording of 10 s, and its mean."""
    samples = rng.uniform(-0.5, 0.5, (10 * RATE_HZ, 2)).astype(np.float32)
    soundfile.write(tmp_path / "night one.wav", samples, RATE_HZ, "FLOAT")
    return tmp_path / "night one.wav", samples.mean(axis=1)


def detection(path, start_s, score, species="Wren"):
    return Detection(str(path), start_s, start_s + 2, species, score)


def table(path, *rows):
    with open(path, "wb") as file:
        write("csv", file, [Recording("/x", 10.0, RATE_HZ, rows)], About("/", 0, 8000))
    return path


def test_highest_and_spread_by_rank():
    found = [detection("/x", k, score) for k, score in enumerate([0.2, 0.9, 0.4, 0.9, 0.6, 0.1, 0.3])]
    assert [d.start_s for d in segments.choose(found, 3, "highest")] == [1, 3, 4]
    assert [d.score for d in segments.choose(found, 3, "spread")] == [0.9, 0.4, 0.1]
    assert len(segments.choose(found, 100, "spread")) == len(segments.choose(found, 7, "highest")) == 7
    assert [d.score for d in segments.choose(found, 1, "spread")] == [0.9]
    with pytest.raises(ValueError, match="accepted: highest, spread"):
        segments.choose(found, 3, "lowest")


@pytest.mark.parametrize("start_s, pad_s, first_s, last_s",
                         [(3.0, 0, 3, 5), (3.0, 1.5, 1.5, 6.5), (0.5, 1, 0, 3.5), (9.0, 1, 8, 10)])
def test_a_segment_is_the_recording_from_pad_before_to_pad_after(ramp, start_s, pad_s, first_s, last_s):
    found = segments.cut(detection(ramp[0], start_s, 0.5), pad_s)
    assert found.rate_hz == RATE_HZ and found.start_s == first_s
    assert np.array_equal(found.samples, ramp[1][round(first_s * RATE_HZ):round(last_s * RATE_HZ)])


def test_the_command_writes_names_with_score_and_offset_and_skips_what_is_gone(ramp, tmp_path, capsys):
    gone, short = tmp_path / "gone.wav", tmp_path / "short.wav"
    soundfile.write(short, np.zeros(RATE_HZ), RATE_HZ)
    rows = [detection(ramp[0], 3.0, 0.9876), detection(gone, 1.0, 0.8), detection(short, 4.0, 0.7),
            detection(ramp[0], 5.5, 0.25, "Parus major_Great/Tit"), detection(ramp[0], 7.0, 0.2)]
    assert cli.main(["segments", str(table(tmp_path / "d.csv", *rows)), "-o", str(tmp_path / "out"), "--min_conf", "0.25"]) == 0
    said = capsys.readouterr()
    assert {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.wav")} == {
        "Wren/0.9876_night one_3.00s.wav", "Parus major_Great_Tit/0.2500_night one_5.50s.wav"}
    assert "gone.wav: detection at 1 s: no such file" in said.err
    assert "short.wav: detection at 4 s: start_s=4 is after" in said.err
    assert "2 skipped" in said.err and "2 segments" in said.out
    samples, rate_hz = soundfile.read(tmp_path / "out" / "Wren" / "0.9876_night one_3.00s.wav")
    assert rate_hz == RATE_HZ and np.abs(samples - ramp[1][3 * RATE_HZ:5 * RATE_HZ]).max() < SOUND_STEP
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_recordings_of_the_same_name_do_not_overwrite_each_other(ramp, tmp_path):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / ramp[0].name
    other.write_bytes(ramp[0].read_bytes())
    rows = [detection(ramp[0], 3.0, 0.5), detection(other, 3.0, 0.5)]
    assert segments.write(rows, tmp_path / "out", 0.0, lambda items, **about: items) == []
    assert len(list((tmp_path / "out" / "Wren").iterdir())) == 2


def test_refusals_are_one_line(ramp, tmp_path, capsys):
    path = table(tmp_path / "d.csv", detection(ramp[0], 3.0, 0.5))
    for options, says in ((["--min_conf", "0.6"], "no detection with a score of at least 0.6"), (["--pad", "99"], "pad_s=99.0; accepted: 0 to 60")):
        assert cli.main(["segments", str(path), "-o", str(tmp_path / "out"), *options]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and says in error
    assert cli.main(["segments", str(tmp_path / "absent.csv"), "-o", str(tmp_path / "out")]) == 1
    gone = table(tmp_path / "gone.csv", detection(tmp_path / "gone.wav", 3.0, 0.5))
    assert cli.main(["segments", str(gone), "-o", str(tmp_path / "out")]) == 1


def test_every_detection_keeps_its_place_whatever_the_order_of_cutting(ramp, tmp_path):
    rows = [detection(ramp[0], 7.0, 0.9), detection(tmp_path / "gone.wav", 0.0, 0.8), detection(ramp[0], 1.0, 0.7)]
    found = dict(segments.cut_all(rows, 0.0))
    assert [isinstance(found[k], Problem) for k in range(3)] == [False, True, False]
    assert found[0].start_s == 7 and found[2].start_s == 1
