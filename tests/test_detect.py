"""Windows over a recording: the same integers in any blocks, frames computed once, the scores of `evaluate`."""
import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from npgru import audio, detect, detector, features, pcm
from npgru.detect import Choice, Grid, choose
from npgru.features import FrontEnd
from soundcheck import noise, write

CLIP, STRIDE = 32000, 384


@pytest.fixture(scope="module")
def found(finished):
    return detector.load(finished)


def song(rng, seconds, rate_hz=16000):
    """Noise with chirps, so that scores differ from window to window."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    chirps = np.sin(2 * np.pi * (4000 + 500 * (t % 2)) * (t % 2)) * (t % 7 < 3)
    return np.float32(0.05 * rng.standard_normal(len(t)) + 0.2 * chirps)


def cut(samples, n):
    return (samples[i:i + n] for i in range(0, len(samples), n))


def window_scores(found, samples, starts):
    """The reference: each window cut out, zeros after the end, scored as a clip of its own."""
    clips = np.stack([np.pad(samples[start:start + CLIP], (0, max(0, start + CLIP - len(samples)))) for start in starts])
    return found.scores(features.log_mel(clips, found.front_end))


@pytest.mark.parametrize("overlap_s", [0, 0.001, 0.5, 1, 1.5, 1.976])
def test_a_window_has_the_score_of_a_clip_of_its_samples(found, rng, overlap_s):
    samples, grid = song(rng, 23.7), detect.grid_of(found, overlap_s)
    score, n = detect.scores(cut(samples, 5000), found, grid, batch=5)
    assert n == len(samples) and len(score) > 10 and len(set(score)) > 3
    starts = np.arange(len(score)) * grid.step_samples
    np.testing.assert_array_equal(score, window_scores(found, features.to_int16(samples), starts))


@pytest.mark.parametrize("overlap_s", [0, 1.2])
@pytest.mark.parametrize("n_block, batch", [(1, 3), (383, 1), (32001, 2), (10**6, 64), (7777, 4)])
def test_blocks_and_batches_change_nothing(found, rng, overlap_s, n_block, batch):
    samples, grid = song(rng, 9.3), detect.grid_of(found, overlap_s)
    expected, _ = detect.scores([samples], found, grid)
    score, n = detect.scores(cut(samples, n_block), found, grid, batch)
    assert n == len(samples) and np.array_equal(score, expected)


def test_the_score_is_that_of_evaluate_on_a_file_of_these_samples(found, rng, tmp_path):
    samples = features.to_int16(song(rng, 8))
    write(tmp_path / "long.wav", samples)
    score = detect.hear(str(tmp_path / "long.wav"), detect.Task(found, detect.grid_of(found, 0.7), Choice(0, "Wren"))).scores
    step = detect.grid_of(found, 0.7).step_samples
    for k in (0, 2, len(score) - 1):
        clip = audio.loudest_slice(write(tmp_path / "clip.wav", samples[k * step:k * step + CLIP]), 16000, CLIP)
        assert found.scores(features.log_mel(clip, found.front_end)[None]) == score[k]


@pytest.mark.parametrize("overlap_s, step", [(0, 32000), (0.001, 83 * STRIDE), (1, 41 * STRIDE), (1.976, STRIDE),
                                             (0.5, 62 * STRIDE), (2 - 50 * STRIDE / 16000, 50 * STRIDE)])
def test_overlapping_windows_start_on_whole_frames_and_overlap_at_least_as_asked(found, overlap_s, step):
    grid = detect.grid_of(found, overlap_s)
    assert grid.step_samples == step and grid.overlap_s >= overlap_s - 1e-12


@pytest.mark.parametrize("overlap_s", [-0.1, 1.9761, 2, 5, float("nan")])
def test_other_overlaps_are_refused(found, overlap_s):
    with pytest.raises(ValueError, match="accepted: 0 to 1.976 s"):
        detect.grid_of(found, overlap_s)


@pytest.mark.parametrize("n, overlap_s, n_windows", [
    (0, 0, 0), (1, 0, 1), (CLIP - 1, 0, 1), (CLIP, 0, 1), (CLIP + 1, 0, 1),
    (CLIP + CLIP // 2 - 1, 0, 1), (CLIP + CLIP // 2, 0, 2), (2 * CLIP, 0, 2),
    (CLIP, 1, 1), (CLIP + 1, 1, 2), (41 * STRIDE + CLIP, 1, 2), (41 * STRIDE + CLIP + 1, 1, 3)])
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_last_window(found, rng, n, overlap_s, n_windows, batch):
    """One more window where sound is left that no other has, and at least half of it is sound; always one."""
    score, n_samples = detect.scores([song(rng, 5)[:n]], found, detect.grid_of(found, overlap_s), batch)
    assert (len(score), n_samples) == (n_windows, n)


@pytest.mark.parametrize("front_end", [FrontEnd.paper(), FrontEnd.baseline(), FrontEnd(512, 640, 16000, 12, 32, 2000, 7500, 6, True)])
def test_every_frame_is_computed_once(front_end, rng, monkeypatch):
    """Frames on the common grid: as many as the recording has; and each window's padded one."""
    computed, log_mel = [], features.log_mel

    def counted(samples, given):
        y = log_mel(samples, given)
        computed.append(y.reshape(-1, y.shape[-1]))
        return y

    class Found:
        clip_s, scores = 2.0, staticmethod(lambda x: x[:, 0, 0].astype(float))

    Found.front_end = front_end
    monkeypatch.setattr(detect.features, "log_mel", counted)
    grid = detect.grid_of(Found, 1.5)
    n = (5 * 7 - 1) * grid.step_samples + CLIP                  # 35 windows in batches of 7
    score, _ = detect.scores(cut(song(rng, 30)[:n], 5000), Found, grid, batch=7)
    n_frames = 1 + (n - front_end.window_len) // front_end.window_stride
    assert len(score) == 35 and sum(map(len, computed)) == n_frames + 35 * front_end.pad_tail


@pytest.mark.parametrize("front_end", [FrontEnd.baseline(), FrontEnd(512, 640, 16000, 12, 32, 2000, 7500, 6, True)])
@pytest.mark.parametrize("hops", [1, 9, 49])
def test_shared_frames_for_other_front_ends(front_end, hops, rng):
    """A stride above the window length leaves the padded frame nothing but zeros; hops above n_full share nothing."""
    grid, samples = Grid(front_end, CLIP, hops), features.to_int16(song(rng, 40))
    shared, at, step = np.empty((0, front_end.mel_n_channels), np.uint16), 0, grid.step_samples
    for n_windows in (3, 1, 4):
        x, shared = detect.window_features(samples[at:], shared, n_windows, grid)
        expected = np.stack([samples[at + k * step:][:CLIP] for k in range(n_windows)])
        np.testing.assert_array_equal(x, features.log_mel(expected, front_end))
        at += n_windows * step


@pytest.mark.parametrize("rate_hz, channels, encoding, subtype", [
    (16000, 1, "s16le", "PCM_16"), (44100, 2, "s16le", "PCM_16"), (48000, 1, "s24le", "PCM_24"), (22050, 1, "f32le", "FLOAT"),
    (8000, 3, "s32le", "PCM_32"), (96000, 1, "u8", "PCM_U8")])
def test_a_file_and_a_pipe_of_its_samples_give_the_same_scores(found, rng, tmp_path, rate_hz, channels, encoding, subtype):
    samples = np.stack([song(rng, 7, rate_hz)] * channels, axis=1)
    write(tmp_path / "x.wav", samples, rate_hz, subtype=subtype)
    soundfile.write(tmp_path / "x.raw", samples, rate_hz, format="RAW", subtype=subtype,
                    endian="FILE" if encoding == "u8" else "LITTLE")
    grid = detect.grid_of(found, 0.9)
    whole, n = detect.scores([audio.read(tmp_path / "x.wav", 16000)], found, grid)
    with open(tmp_path / "x.raw", "rb") as raw:
        piped = detect.scores(pcm.blocks(raw.fileno(), rate_hz, channels, encoding, 16000, block_s=0.0317), found, grid)
    blocks = detect.scores(audio.blocks(tmp_path / "x.wav", 16000, block_s=0.0123), found, grid)
    assert np.array_equal(piped[0], whole) and np.array_equal(blocks[0], whole) and piped[1] == blocks[1] == n


def runs_of(score, choice):
    """The definition of choose, window by window."""
    found, k = [], 0
    while k < len(score):
        end = k
        while end < len(score) and end - k < choice.merge and score[end] >= choice.min_conf:
            end += 1
        if end > k:
            found.append((k, end - 1, max(score[k:end])))
        k = max(end, k + 1)
    best = sorted(range(len(found)), key=lambda i: (-found[i][2], i))[:choice.top_n or None]
    return [found[i] for i in sorted(best)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0.1, 0.5, 0.6, 0.9]), max_size=30), st.integers(1, 5), st.integers(0, 6))
def test_choose_joins_neighbours_and_keeps_the_best(score, merge, top_n):
    choice = Choice(0.5, "Wren", merge, top_n)
    assert list(choose(np.array(score), choice)) == runs_of(score, choice)


def test_hear_tells_when_and_where(found, rng, tmp_path):
    path = write(tmp_path / "20230501_235958.WAV", song(rng, 5.2, 24000), 24000)
    task = detect.Task(found, detect.grid_of(found, 0), Choice(0.0, "Parus major_Great Tit"))
    heard = detect.hear(str(path), task)
    assert heard.n_windows == 3 and heard.recording.duration_s == 5.2 and heard.recording.sample_rate_hz == 24000
    assert [(d.start_s, d.end_s, d.start_utc) for d in heard.recording.detections] == [
        (0.0, 2.0, "2023-05-01T23:59:58.000Z"), (2.0, 4.0, "2023-05-02T00:00:00.000Z"), (4.0, 5.2, "2023-05-02T00:00:02.000Z")]
    assert [d.score for d in heard.recording.detections] == heard.scores.tolist()
    assert {d.file for d in heard.recording.detections} == {str(path)}


def test_progress_counts_every_sample(found, rng):
    told = []
    detect.scores(cut(song(rng, 9), 1000), found, detect.grid_of(found, 1), batch=2, progress=told.append)
    assert sum(told) == 9 * 16000


def test_a_float_network_too(finished, rng):
    found = detector.load(finished, "student")
    samples, grid = song(rng, 12), detect.grid_of(found, 1)
    score, _ = detect.scores(cut(samples, 999), found, grid, batch=4)
    assert np.array_equal(score, detect.scores([samples], found, grid, batch=4)[0])


def test_the_real_soundscape_with_its_song(shared_data, found):
    """XC694890 to its end at its own 16 kHz, whole and in odd blocks."""
    path, grid = shared_data / "soundscapes" / "XC694890_great_tit.flac", detect.grid_of(found, 1.3)
    whole = detect.scores([audio.read(path, 16000)], found, grid)
    blocks = detect.scores(audio.blocks(path, 16000, block_s=0.777), found, grid, batch=13)
    assert np.array_equal(whole[0], blocks[0]) and whole[1] == blocks[1]
