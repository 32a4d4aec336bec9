"""Clips become features, whatever is among them: cached, in order, and with a word about each that is left out."""
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from npgru import audio, dataset, features
from npgru.dataset import AudioError, Clip, DatasetError, batches, discover, load_features
from npgru.front_end import FrontEnd

PAPER = FrontEnd.paper()


@pytest.fixture(autouse=True)
def no_unexpected_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def clips(tmp_path, rng):
    """12 clips of 0.5 to 3 s in four formats."""
    made = []
    for i in range(12):
        path = tmp_path / "sound" / f"{i}.{('wav', 'flac', 'ogg', 'mp3')[i % 4]}"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.standard_normal(8000 * (1 + i % 6)) * 0.1, (16000, 32000)[i % 2])
        made.append(Clip(path, "Tit", i % 2, "train"))
    return made


def test_features_are_those_of_the_loudest_slice(clips, tmp_path):
    found, kept, problems = load_features(clips, PAPER, cache_dir=tmp_path / "cache")
    assert found.shape == (12, 84, 32) and found.dtype == np.uint16 and kept == clips and not problems
    for clip, x in zip(clips, found):
        assert np.array_equal(x, features.log_mel(audio.loudest_slice(clip.path, 16000, 32000), PAPER))
    part = [replace(clip, start_s=0.1, end_s=0.4) for clip in clips]
    short = load_features(part, PAPER, clip_s=0.25, cache_dir=tmp_path / "cache").features
    assert short.shape == (12, PAPER.n_frames(4000), 32)
    assert np.array_equal(short[3], features.log_mel(audio.loudest_slice(clips[3].path, 16000, 4000, 0.1, 0.4), PAPER))


def test_threads_and_cache_change_nothing(clips, tmp_path):
    first = load_features(clips, PAPER, cache_dir=tmp_path / "a").features
    for threads in (1, 2, 7):
        for folder in ("a", f"b{threads}"):
            found = load_features(clips, PAPER, cache_dir=tmp_path / folder, threads=threads)
            assert np.array_equal(found.features, first) and found.clips == clips


def test_the_cache_is_used_repaired_and_not_needed(clips, tmp_path, monkeypatch):
    first = load_features(clips, PAPER, cache_dir=tmp_path / "cache").features
    files = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(files) == 12
    with monkeypatch.context() as patch:
        patch.setattr(audio, "loudest_slice", None)                         # nothing is decoded any more
        assert np.array_equal(load_features(clips, PAPER, cache_dir=tmp_path / "cache").features, first)
    files[0].write_bytes(files[0].read_bytes()[:999])
    files[1].write_bytes(b"")
    assert np.array_equal(load_features(clips, PAPER, cache_dir=tmp_path / "cache").features, first)
    assert files[0].stat().st_size == files[1].stat().st_size == files[2].stat().st_size
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="features cannot be kept there") as caught:
        assert np.array_equal(load_features(clips, PAPER, cache_dir=tmp_path / "file", threads=2).features, first)
    assert len(caught) == 1
    monkeypatch.setenv("NPGRU_CACHE", str(tmp_path / "from_environment"))
    load_features(clips, PAPER)
    assert len(list((tmp_path / "from_environment").rglob("*.npy"))) == 12


@pytest.mark.parametrize("threads", [1, 3])
def test_bad_files_are_reported_counted_and_skipped(clips, tmp_path, threads):
    good = load_features(clips, PAPER, cache_dir=tmp_path / "cache").features
    bad = [tmp_path / "missing.wav", tmp_path / "text.wav", tmp_path / "empty.flac", tmp_path]
    bad[1].write_text("no sound")
    bad[2].write_bytes(b"")
    mixed = [Clip(bad[0], "Tit"), *clips[:5], Clip(bad[1], "Tit"), Clip(bad[2], "Tit"), *clips[5:], Clip(bad[3], "Tit"),
             replace(clips[0], start_s=99.0)]
    found = load_features(mixed, PAPER, cache_dir=tmp_path / "cache", threads=threads)
    assert np.array_equal(found.features, good) and found.clips == clips
    assert [problem.path for problem in found.problems] == [*bad, clips[0].path]
    assert all("accepted" in str(problem) and "\n" not in str(problem) for problem in found.problems)
    with pytest.raises(AudioError, match="missing.wav: no such file"):
        load_features(mixed, PAPER, cache_dir=tmp_path / "cache", threads=threads, strict=True)
    with pytest.raises(DatasetError, match="none of 2 clips can be used; the first: .*missing.wav"):
        load_features([mixed[0], mixed[6]], PAPER, cache_dir=tmp_path / "cache")
    with pytest.raises(DatasetError, match="none of 0 clips"):
        load_features([], PAPER, cache_dir=tmp_path / "cache")


def test_every_odd_file_in_a_corpus(shared_data, tmp_path):
    root = tmp_path / "Tit"
    root.mkdir()
    for path in (shared_data / "odd").iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    (tmp_path / "Negatives").mkdir()
    (tmp_path / "Negatives" / "n.wav").write_bytes((shared_data / "odd" / "mono_16k_u8.wav").read_bytes())
    corpus = discover(tmp_path, "all")
    assert len(corpus.clips) == 29 and not corpus.problems and any("1 .csv" in notice for notice in corpus.notices)
    with pytest.warns(UserWarning) as caught:
        found = load_features(corpus.clips, PAPER, cache_dir=tmp_path / "cache", threads=2)
    assert {Path(problem.path).name for problem in found.problems} == {"empty_0_samples.wav", "not_audio.wav"}
    assert len(found.clips) == len(found.features) == 27
    by_name = {clip.path.name: x for clip, x in zip(found.clips, found.features)}
    assert not by_name["digital_silence_2s.wav"].any()
    assert np.array_equal(by_name["mono_48k_24bit.wav"], by_name["stereo_48k_extensible_24bit.wav"])
    texts = "\n".join(str(warning.message) for warning in caught)
    assert "truncated_data.wav: cut short: its header states 4.00 s" in texts and "recorded at 8000 Hz" in texts
    assert "n.wav and" in texts and "one is a target and one is not" in texts
    with pytest.warns(UserWarning) as again:                                # from the cache: the same words
        load_features(corpus.clips, PAPER, cache_dir=tmp_path / "cache")
    assert [str(warning.message) for warning in again] == [str(warning.message) for warning in caught]


def test_the_same_sound_in_two_splits_is_noticed(clips, tmp_path):
    copy = tmp_path / "copy.wav"
    copy.write_bytes(clips[0].path.read_bytes())
    with pytest.warns(UserWarning, match=r"0.wav and .*copy.wav hold the same sound, .* different splits \(1 such"):
        load_features([*clips, Clip(copy, "Tit", 0, "test")], PAPER, cache_dir=tmp_path / "cache")


def test_an_end_after_the_end_is_noticed(clips, tmp_path):
    with pytest.warns(UserWarning, match="end_s=9 is after its end at 0.50 s"):
        load_features([replace(clips[0], end_s=9.0)], PAPER, cache_dir=tmp_path / "cache")


def test_features_that_do_not_fit_onto_the_disk_are_refused_before_anything_is_taken(tmp_path):
    class Many(list):
        def __len__(self):
            return 10**12
    with pytest.raises(DatasetError, match="need 5376000.0 GB, .* has"):
        load_features(Many(), PAPER, cache_dir=tmp_path)


def test_progress_sees_every_clip(clips, tmp_path):
    seen = []

    def progress(iterable, total, desc, unit):
        assert (total, desc, unit) == (12, "features", "clip")
        for item in iterable:
            seen.append(item)
            yield item
        seen.append("finished")
    load_features(clips, PAPER, cache_dir=tmp_path / "cache", progress=progress)
    assert len(seen) == 13 and seen[-1] == "finished"


@pytest.mark.parametrize("threads", [1, 4])
def test_an_interruption_stops_promptly_and_leaves_a_good_cache(clips, tmp_path, monkeypatch, threads):
    calls, slice_of = [], audio.loudest_slice

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return slice_of(*args)
    monkeypatch.setattr(audio, "loudest_slice", interrupted)
    many = [replace(clip, start_s=0.001 * i) for i in range(50) for clip in clips]
    with pytest.raises(KeyboardInterrupt):
        load_features(many, PAPER, cache_dir=tmp_path / "cache", threads=threads)
    assert len(calls) <= 5 + 5 * threads
    n_kept = len(list((tmp_path / "cache").rglob("*.npy")))
    assert 4 <= n_kept and not list((tmp_path / "cache").rglob("*.tmp"))
    load_features(many[:60], PAPER, cache_dir=tmp_path / "cache")
    assert len(calls) + n_kept >= 60


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_killed_while_it_caches_is_continued(tmp_path, rng):
    paths = [tmp_path / f"{i}.wav" for i in range(150)]
    for path in paths:
        soundfile.write(path, rng.standard_normal(32000) * 0.1, 16000)
    code = ("import sys; from npgru import dataset, features; from pathlib import Path\n"
            "clips = [dataset.Clip(Path(p), 'Tit') for p in sys.argv[2:]]\n"
            "print('ready', flush=True)\n"
            "dataset.load_features(clips, features.FrontEnd.paper(), cache_dir=sys.argv[1], threads=2)")
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "cache", *paths], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        while not list((tmp_path / "cache").rglob("*.npy")) and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode in (-signal.SIGKILL, 0)
    clips = [Clip(path, "Tit") for path in paths]
    continued = load_features(clips, PAPER, cache_dir=tmp_path / "cache").features
    assert np.array_equal(continued, load_features(clips, PAPER, cache_dir=tmp_path / "fresh").features)


def test_batches_hold_every_index_once_in_a_seeded_order():
    drawn = list(batches(10, 4, np.random.default_rng(1)))
    assert [len(rows) for rows in drawn] == [4, 4, 2] and sorted(np.concatenate(drawn)) == list(range(10))
    again = list(batches(10, 4, np.random.default_rng(1)))
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again))
    rng = np.random.default_rng(1)
    assert not np.array_equal(np.concatenate(list(batches(10, 4, rng))), np.concatenate(list(batches(10, 4, rng))))
    assert list(batches(0, 4, rng)) == []
    with pytest.raises(ValueError, match="batch_size=0"):
        list(batches(3, 0, rng))


def test_the_public_names_exist():
    assert all(hasattr(dataset, name) for name in dataset.__all__)
