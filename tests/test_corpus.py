"""One target, splits by recording, and an error where a split could not be learned from or scored."""
from collections import Counter, defaultdict

import pytest

from npgru.corpus import SHARES, DatasetError, discover
from npgru.clips import SPLITS


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def table(folder, *rows):
    (folder / "m.csv").write_text("path,label,split,recording\n" + "\n".join(rows))
    return folder / "m.csv"


@pytest.fixture
def split_root(tmp_path):
    return touch(tmp_path, *(f"{split}_Set/{name}/{i}_{split}_000000ms.wav" for i in range(4)
                             for split in ("Training", "Validation", "Test") for name in ("Tit", "Negatives")))


@pytest.fixture
def class_root(tmp_path):
    """40 recordings of a target with 3 clips each, 100 of 30 other birds, 2 of noise."""
    return touch(tmp_path, *(f"Tit/XC{r}_{i}.wav" for r in range(40) for i in range(3)),
                 *(f"Negatives/Bird{r % 30}_{r}_000500ms.wav" for r in range(100)), "Negatives/XC3_gap.wav",
                 "Negatives/n.wav")


def test_the_corpus_of_the_challenge(shared_data):
    clips, notices, problems = discover(shared_data / "great_tit")
    assert Counter((clip.split, clip.target) for clip in clips) == {
        ("train", 1): 202, ("train", 0): 465, ("validation", 1): 63, ("validation", 0): 126,
        ("test", 1): 50, ("test", 0): 121}
    assert notices == problems == []
    assert Counter(clip.target for clip in discover(shared_data / "great_tit", "test").clips) == {1: 50, 0: 121}
    few = discover(shared_data / "yellowhammer", "all")
    assert Counter(clip.target for clip in few.clips) == {1: 47, 0: 11} and "only 3 recording(s)" in few.notices[0]


def test_the_splits_that_are_asked_for(split_root):
    assert {clip.split for clip in discover(split_root).clips} == set(SPLITS)
    for name in ("test", "Test_Set", "TEST"):
        assert {clip.split for clip in discover(split_root, name).clips} == {"test"}
    assert {clip.split for clip in discover(split_root, ("train", "val")).clips} == {"train", "validation"}
    assert len(discover(split_root, "all").clips) == 24
    with pytest.raises(DatasetError, match="split 'weekday'; accepted: Training_Set"):
        discover(split_root, "weekday")


def test_some_of_the_splits_are_enough(tmp_path):
    touch(tmp_path, "Test_Set/Tit/a.wav", "Test_Set/Negatives/b.wav")
    assert len(discover(tmp_path, "test").clips) == len(discover(tmp_path).clips) == 2
    with pytest.raises(DatasetError, match="no clips for the split train; found: test"):
        discover(tmp_path, "train")


def test_a_split_needs_both_classes(tmp_path):
    touch(tmp_path, "Training_Set/Tit/a.wav", "Training_Set/Negatives/b.wav", "Validation_Set/Tit/c.wav",
          "Validation_Set/Negatives/readme.txt", "Test_Set/Tit/d.wav")
    for split in (None, "validation"):
        with pytest.raises(DatasetError, match=r"validation has 1 clip\(s\) of the target Tit and 0 of other classes"):
            discover(tmp_path, split)
    assert len(discover(tmp_path, "train").clips) == 2


def test_the_target_is_the_only_class_not_named_as_a_negative(tmp_path):
    touch(tmp_path, *(f"{name}/{i}.wav" for name in ("Tit", "Background", "noise", "No-Call") for i in range(3)))
    assert {clip.class_name for clip in discover(tmp_path, "all").clips if clip.target} == {"Tit"}
    assert {clip.class_name for clip in discover(tmp_path, "all", target="NOISE").clips if clip.target} == {"noise"}
    with pytest.raises(DatasetError, match="target 'Wren' is not one of its classes; accepted: Background, No-Call, Tit"):
        discover(tmp_path, "all", target="Wren")
    touch(tmp_path, "Robin/1.wav")
    with pytest.raises(DatasetError, match="more than one class .* found: .*Robin, Tit.*; say which with --target NAME"):
        discover(tmp_path, "all")
    assert Counter(clip.target for clip in discover(tmp_path, "all", "Tit").clips) == {1: 3, 0: 10}
    touch(tmp_path, "Target/1.wav")
    assert {clip.class_name for clip in discover(tmp_path, "all").clips if clip.target} == {"Target"}


def test_a_corpus_without_a_target(tmp_path):
    touch(tmp_path, "Negatives/a.wav", "Noise/b.wav")
    with pytest.raises(DatasetError, match="no class looks like a target; found: Negatives, Noise"):
        discover(tmp_path, "all")


@pytest.mark.parametrize("positive, negative", [("1", "0"), ("yes", "no"), ("Parus major", "none")])
def test_labels_of_a_manifest(tmp_path, positive, negative):
    touch(tmp_path, "a.wav", "b.wav")
    clips = discover(table(tmp_path, f"a.wav,{positive},test,", f"b.wav,{negative},test,"), "test").clips
    assert [clip.target for clip in clips] == [1, 0]


def test_recordings_are_dealt_out_whole_and_in_shares(class_root):
    clips, notices, _ = discover(class_root)
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.recording].add(clip.split)
    assert all(len(names) == 1 for names in splits.values()) and len(clips) == 222
    for is_target in (True, False):
        recordings = {clip.recording for clip in clips if clip.target == is_target and clip.path.name != "XC3_gap.wav"}
        counts = Counter(next(iter(splits[recording])) for recording in recordings)
        assert all(abs(counts[s] - SHARES[s] * len(recordings)) <= 2 for s in SPLITS)
    assert "states no splits" in notices[0] and "seed 0" in notices[0]


def test_the_same_seed_deals_the_same(class_root):
    def dealt(seed):
        return [(clip.path, clip.split) for clip in discover(class_root, seed=seed).clips]
    assert dealt(0) == dealt(0) != dealt(1)
    test = [(path, split) for path, split in dealt(0) if split == "test"]
    assert [(clip.path, clip.split) for clip in discover(class_root, "test").clips] == test
    assert {clip.split for clip in discover(class_root, "all").clips} == {"all"}


def test_three_recordings_are_one_for_each_split(tmp_path):
    touch(tmp_path, *(f"{name}/{i}.wav" for name in ("Tit", "Negatives") for i in range(3)))
    clips, notices, _ = discover(tmp_path)
    assert Counter((clip.split, clip.target) for clip in clips) == {(s, t): 1 for s in SPLITS for t in (0, 1)}
    assert any("only 3 recording(s) of the target and 3 of other" in notice for notice in notices)


def test_a_recording_in_two_splits_is_noticed(split_root):
    touch(split_root, "Training_Set/Tit/XC5_a.wav", "Test_Set/Tit/XC5_b.wav")
    notices = discover(split_root).notices
    assert any("1 recording(s) are in more than one split, such as XC5 (test, train)" in notice for notice in notices)


def test_problems_are_returned_and_strict_stops(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    path = table(tmp_path, "a.wav,1,train,", "b.wav,0,train,", "c.wav,0,,", "missing.wav,0,train,")
    clips, _, problems = discover(path)
    assert len(clips) == 2 and {str(p).split(": ")[1][:12] for p in problems} == {"no such file", "states no sp"}
    with pytest.raises(DatasetError, match="line 5: no such file"):
        discover(path, strict=True)
    with pytest.raises(DatasetError, match="c.wav: states no split"):
        discover(table(tmp_path, "a.wav,1,train,", "b.wav,0,train,", "c.wav,0,,"), strict=True)


def test_nothing_usable_is_an_error_that_says_why(tmp_path):
    with pytest.raises(DatasetError, match="no sound files found; accepted: <split>/<class>"):
        discover(tmp_path)
    with pytest.raises(DatasetError, match="1 problem.* 0 usable clip.*no such file"):
        discover(table(tmp_path, "missing.wav,1,train,"))


def further(path, *rows):
    path.write_text("\n".join(["path,label,score", *rows]) + "\n")
    return path


def test_further_clips_are_in_the_split_of_their_recording_or_in_train(split_root, tmp_path):
    before, card = discover(split_root).clips, touch(tmp_path / ".card", "new.wav", "0_Test_004000ms.wav", "noise.wav")
    path = further(card / "decisions.csv", "new.wav,tit,0.9", "0_Test_004000ms.wav,Tit,0.8", "noise.wav,Negatives,0.7",
                   "gone.wav,Tit,0.5")
    clips, notices, problems = discover(split_root, also=path)
    assert clips[:len(before)] == before and len(problems) == 1 and "no such file" in problems[0].reason
    assert [(clip.split, clip.target) for clip in clips[len(before):]] == [("train", 1), ("test", 1), ("train", 0)]
    assert any("3 further clips: 2 for train, 1 for test" in notice for notice in notices)
    assert len(discover(split_root, "train", also=path).clips) == len(discover(split_root, "train").clips) + 2


def test_a_further_clip_of_an_unknown_label_is_refused_not_made_a_negative(split_root, tmp_path):
    touch(tmp_path, "new.wav")
    with pytest.raises(DatasetError, match="has the label Great Tit; accepted: the target Tit, Negatives, and classes of"):
        discover(split_root, also=further(tmp_path / "decisions.csv", "new.wav,Great Tit,0.9"))
