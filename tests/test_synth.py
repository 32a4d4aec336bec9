"""synth.py and voices.py: layout as promised, the same bytes again, and nothing but the song tells the class."""
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from npgru import synth, voices

LEVEL_AUC = (0.35, 0.65)     # of 80 targets and 160 negatives by level alone; chance is 0.5 ± 0.04 (1 sigma)
SONG_SHARE = 0.9             # of a song's energy in 4-7.8 kHz; edges and FM sidebands take the rest, we measure 0.98

NAME = re.compile(r"YH_S(?P<individual>\d\d)(?P<song>\d{3})_P(?P<place>\d\d)_(?P<distance>[A-H])\.wav")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "corpus"
    return folder, synth.write_corpus(folder, 48, seed=5)


def wavs(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.wav"))}


def test_layout_counts_and_format(corpus):
    folder, summary = corpus
    assert summary["n_clips"] == summary["n_written"] == 48 + 12 + 12
    for split, n in zip(synth.SPLITS, (48, 12, 12)):
        targets = [path.name for path in (folder / split / "Yellowhammer").iterdir()]
        negatives = [path.name for path in (folder / split / "Negatives").iterdir()]
        assert len(targets) == n // 3 and len(targets) + len(negatives) == n
        assert all(NAME.fullmatch(name) for name in targets)
        assert all(re.fullmatch(r"(bird|Background)_\d{6}\.wav", name) for name in negatives)
        assert {name.split("_")[0] for name in negatives} == {"bird"} | ({"Background"} if n > 24 else set())
    for path in folder.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (16000, 1, 32000, "PCM_16")
    assert "No bird was recorded" in (folder / synth.ABOUT).read_text(encoding="utf-8")


def test_same_seed_same_bytes_other_seed_other_bytes(corpus, tmp_path):
    folder, summary = corpus
    again = synth.write_corpus(tmp_path / "again", 48, seed=5)
    assert wavs(tmp_path / "again") == wavs(folder) and again == summary
    synth.write_corpus(tmp_path / "other", 48, seed=6)
    other = wavs(tmp_path / "other")
    assert other.keys() == wavs(folder).keys()
    assert all(other[name] != samples for name, samples in wavs(folder).items())


def test_sha256_is_of_names_and_bytes(corpus):
    folder, summary = corpus
    digest = hashlib.sha256()
    for split, n in enumerate(synth.n_clips_per_split(48)):
        for index in range(n):
            path = synth.plan_clip(split, index).path
            digest.update(path.encode() + (folder / path).read_bytes())
    assert digest.hexdigest() == summary["sha256"]
    assert json.loads((folder / synth.MARKER).read_text())["sha256"] == summary["sha256"]


def test_a_clip_does_not_depend_on_the_size_of_the_corpus(corpus, tmp_path):
    small = tmp_path / "small"
    synth.write_corpus(small, 8, seed=5)
    large = wavs(corpus[0])
    assert all(large[name] == samples for name, samples in wavs(small).items())


def test_names_are_unique_and_individuals_places_and_ids_disjoint_in_the_largest_corpus():
    seen, of_split = set(), []
    for split, n in enumerate(synth.n_clips_per_split(synth.N_CLIPS[1])):
        clips = [synth.plan_clip(split, index) for index in range(n)]
        seen |= {clip.path.split("/")[-1] for clip in clips}
        of_split.append(({(clip.kind, clip.individual) for clip in clips if clip.kind in synth.VOICES},
                         {clip.place for clip in clips}))
    assert len(seen) == sum(synth.n_clips_per_split(synth.N_CLIPS[1]))         # unique even without their folders
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not of_split[a][0] & of_split[b][0] and not of_split[a][1] & of_split[b][1]
    n_birds = [len({who for kind, who in individuals if kind == synth.TARGET}) for individuals, _ in of_split]
    assert n_birds == [8, 2, 2]


def test_names_tell_what_is_in_the_file():
    for split in range(3):
        for index in range(0, 400, 3):
            clip = synth.plan_clip(split, index)
            told = NAME.fullmatch(clip.path.split("/")[-1])
            assert (int(told["individual"]), int(told["song"]), int(told["place"]), told["distance"]) == (
                clip.individual, clip.variant, clip.place, clip.distance)


def test_targets_and_negatives_share_places_and_distances():
    for split, n in enumerate((1000, 500, 500)):
        clips = [synth.plan_clip(split, index) for index in range(n)]
        for what in ("place", "distance"):
            of_targets = {getattr(clip, what) for clip in clips if clip.kind == synth.TARGET}
            assert of_targets == {getattr(clip, what) for clip in clips if clip.kind == "background"}
        assert {clip.kind for clip in clips} == {synth.TARGET, *synth.KINDS}


def test_an_interrupted_corpus_is_completed(corpus, tmp_path):
    folder, totals = tmp_path / "corpus", []

    def interrupt(clips, total, **about):
        totals.append(total)
        for n_done, clip in enumerate(clips):
            if n_done == 30:
                raise KeyboardInterrupt
            yield clip

    with pytest.raises(KeyboardInterrupt):
        synth.write_corpus(folder, 48, 5, progress=interrupt)
    assert totals == [72]
    assert not (folder / synth.MARKER).exists()
    assert synth.write_corpus(folder, 48, 5) == {**corpus[1], "n_written": 42}
    assert wavs(folder) == wavs(corpus[0])
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted([synth.ABOUT, synth.MARKER])


def test_a_finished_corpus_is_not_repeated_and_a_lost_or_cut_file_comes_back(corpus, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(corpus[0], folder)
    assert synth.write_corpus(folder, 48, 5)["n_written"] == 0
    lost, cut = sorted(folder.rglob("*.wav"))[:2]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:1000])
    assert synth.write_corpus(folder, 48, 5) == {**corpus[1], "n_written": 2}
    assert wavs(folder) == wavs(corpus[0])


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path, corpus):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty \(it holds thesis.txt\).*name another folder"):
        synth.write_corpus(tmp_path, 8, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="is a file, not a folder"):
        synth.write_corpus(tmp_path / "thesis.txt", 8, 1)
    with pytest.raises(ValueError, match="n_train_clips=48, seed=5, version=1, asked for was n_train_clips=48, seed=9"):
        synth.write_corpus(corpus[0], 48, 9)


@pytest.mark.parametrize("n", [-1, 0, 7, 100_001])
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, n):
    with pytest.raises(ValueError, match="8 to 100000"):
        synth.write_corpus(tmp_path / "new", n, 1)
    with pytest.raises(ValueError, match="seed=-1"):
        synth.write_corpus(tmp_path / "new", 8, -1)
    assert not (tmp_path / "new").exists()


def test_levels_do_not_clip_and_do_not_tell_the_class():
    samples = np.array([synth.clip_samples(2, 0, index) for index in range(240)])
    assert np.abs(samples.astype(int)).max() <= round(0.9 * 32767)
    level_db = 20 * np.log10(np.sqrt(np.mean((samples / 32768) ** 2, axis=1)))
    assert -45 < level_db.min() and level_db.max() < -19.9      # below -34 dB only where drops of rain set the peak
    is_target = np.arange(240) % 3 == 0
    assert LEVEL_AUC[0] < roc_auc_score(is_target, level_db) < LEVEL_AUC[1]


def song(rng, individual=1):
    who = np.random.default_rng(individual)
    return voices.song_notes(voices.VOICES[voices.TARGET], who, np.random.default_rng(0), rng)


@pytest.mark.parametrize("individual", range(6))
def test_the_song_is_a_series_of_notes_at_4_to_8_khz(rng, individual):
    notes = song(rng, individual)
    samples = voices.render(notes, 0.0)
    power = np.abs(np.fft.rfft(samples)) ** 2
    f_hz = np.fft.rfftfreq(len(samples), 1 / voices.RATE_HZ)
    assert power[(f_hz > 4000) & (f_hz < 7800)].sum() > SONG_SHARE * power.sum()
    sweeps = notes[notes[:, 2] > 6500]
    period_s = np.diff(sweeps[:, 0])[:5]
    assert np.all((1 / period_s > 7) & (1 / period_s < 13))            # notes a second


def test_the_song_stands_out_of_the_background_near_and_less_so_far():
    """Energy in the song's band over the band below it, dB: falls from A to H."""
    contrast = {"A": [], "H": []}
    for index in range(0, 900, 3):
        letter = synth.plan_clip(0, index).distance
        if letter in contrast:
            power = np.abs(np.fft.rfft(synth.clip_samples(3, 0, index) / 32768)) ** 2      # bins of 0.5 Hz
            contrast[letter].append(10 * np.log10(power[9000:12000].mean() / power[5000:7000].mean()))
    assert np.median(contrast["A"]) > 10 and np.median(contrast["A"]) > np.median(contrast["H"]) + 6


def test_render_is_a_sine_of_the_stated_frequency_and_cuts_at_the_borders():
    note = np.array([[0.0, 1.0, 3000, 3000, 0, 0, 0.5, 0.0]])
    samples = voices.render(note, 0.5)
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 3000 * 2         # bins of 0.5 Hz
    assert np.flatnonzero(samples)[[0, -1]].tolist() == [8001, 23999]  # 0.5 s to 1.5 s; the first sample is sin 0
    assert abs(np.abs(samples).max() - 0.5) < 1e-9
    np.testing.assert_array_equal(voices.render(note, -0.5)[:8000], samples[16000:24000])
    np.testing.assert_array_equal(voices.render(note, 5.0), np.zeros(voices.N_SAMPLES))


@pytest.mark.parametrize("kind", synth.VOICES)
def test_every_voice_sings_below_half_the_rate(rng, kind):
    notes = voices.song_notes(voices.VOICES[kind], np.random.default_rng(1), np.random.default_rng(2), rng)
    samples = voices.render(notes, 0.0)
    assert notes.shape[1] == 8 and np.all(np.isfinite(notes)) and np.all(notes[:, 1] > 0)
    assert 0.01 < np.sqrt(np.mean(samples ** 2)) < 2
