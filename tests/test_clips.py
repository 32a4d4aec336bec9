"""Folders and manifests become clips; what is not understood is reported, never dropped in silence."""
import csv
import os
from collections import defaultdict
from pathlib import Path

import pytest

from npgru.clips import DatasetError, name_facts, read_folder, read_manifest


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def table(folder, text, name="m.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


@pytest.mark.parametrize("stem, facts", [
    ("Great_Tit_XC122555_000500ms", ("XC122555", None)), ("xc122555", ("XC122555", None)),
    ("XC-12 song", ("XC12", None)),
    ("Mallard_BIODCASE26_0405_000000ms", ("Mallard_BIODCASE26_0405", None)), ("YH_S01003_P02_C", ("YH_S01003_P02", "C")),
    ("YH_song_a_place_b_H", ("YH_song_a_place_b", "H")), ("YH_1_2_I", ("its path", None)),
    ("bird_17", ("its path", None)), ("Background_3", ("its path", None)), ("MAXC12", ("its path", None)),
    ("", ("its path", None))])
def test_names_tell_the_recording_and_the_distance(stem, facts):
    assert name_facts(stem, "its path") == facts


def test_names_group_the_great_tit_clips_exactly_as_their_sources(shared_data):
    by_name, by_source = defaultdict(set), defaultdict(set)
    with open(shared_data / "great_tit" / "manifest.csv", newline="") as file:
        for row in csv.DictReader(file):
            by_name[name_facts(Path(row["file"]).stem, row["file"])[0]].add(row["file"])
            by_source[row["source_id"]].add(row["file"])
    assert sorted(map(sorted, by_name.values())) == sorted(map(sorted, by_source.values())) and len(by_source) == 323


def test_splits_with_classes_inside(tmp_path):
    touch(tmp_path, "Training_Set/Tit/a.wav", "Training_Set/Tit/deep/er/b.FLAC", "Training_Set/Negatives/c.Mp3",
          "val/Tit/d.ogg", "TEST SET/Tit/e.aiff", "Training_Set/Tit/.x.wav", "Training_Set/Tit/notes.txt", "README.md")
    found = read_folder(tmp_path)
    assert [(clip.split, clip.class_name, clip.path.name) for clip in found.clips] == [
        ("test", "Tit", "e.aiff"), ("train", "Negatives", "c.Mp3"), ("train", "Tit", "a.wav"), ("train", "Tit", "b.FLAC"),
        ("validation", "Tit", "d.ogg")]
    assert not found.problems and len(found.notices) == 1
    assert "2 file(s)" in found.notices[0] and "1 .txt" in found.notices[0] and "1 hidden" in found.notices[0]


def test_classes_without_splits(tmp_path, monkeypatch):
    touch(tmp_path, "Tit/001.wav", "Negatives/001.wav", "train/noise.wav", "Empty/readme")
    found = read_folder(tmp_path)                                   # a class may be called "train"
    assert [(clip.split, clip.class_name) for clip in found.clips] == [("", "Negatives"), ("", "Tit"), ("", "train")]
    assert len({clip.recording for clip in found.clips}) == 3       # 001 and 001 have only the number in common
    assert any("Empty: holds no sound" in notice for notice in found.notices)
    monkeypatch.chdir(tmp_path)
    assert [clip.recording for clip in found.clips] == ["Negatives/001", "Tit/001", "train/noise"]
    assert [clip.recording for clip in read_folder(Path()).clips] == ["Negatives/001", "Tit/001", "train/noise"]


def test_one_split_folder_by_itself(tmp_path):
    root = touch(tmp_path / "Test_Set", "Tit/a.wav", "Negatives/b.wav")
    assert {clip.split for clip in read_folder(root).clips} == {"test"}


def test_sound_in_the_wrong_place_is_reported(tmp_path):
    touch(tmp_path, "Training_Set/Tit/a.wav", "Training_Set/loose.wav", "top.wav", "top2.wav", "Other/x/y.wav",
          "Other/z.wav", "Test_Set/only_loose.wav")
    found = read_folder(tmp_path)
    assert [clip.path.name for clip in found.clips] == ["a.wav"]
    text = "\n".join(map(str, found.problems))
    assert "2 sound file(s) directly in it, such as top.wav" in text and "such as loose.wav" in text
    assert f"{tmp_path / 'Other'}: 2 sound file(s)" in text and f"{tmp_path / 'Test_Set'}: 1 sound file(s)" in text


def test_splits_inside_classes_are_an_error_not_ignored(tmp_path):
    touch(tmp_path, "Tit/train/a.wav", "Negatives/train/b.wav")
    with pytest.raises(DatasetError, match="holds the split folder 'train'"):
        read_folder(tmp_path)
    with pytest.raises(DatasetError, match="missing: no such folder"):
        read_folder(tmp_path / "missing")


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "data/Tit/a.wav", "elsewhere/b.wav")
    (tmp_path / "data" / "Negatives").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "Tit" / "circle").symlink_to(tmp_path / "data" / "Tit")
    (tmp_path / "data" / "Tit" / "broken.wav").symlink_to(tmp_path / "nothing")
    names = [clip.path.name for clip in read_folder(tmp_path / "data").clips]
    assert names == ["b.wav", "a.wav", "broken.wav"]                # the broken one is refused by name when it is read


def test_a_manifest(tmp_path):
    touch(tmp_path, "a.wav", "sub/XC7_b.wav", "ü,1.wav")
    path = table(tmp_path, 'Path,label,SPLIT,start_s,End_s,recording,note\na.wav,Tit,Training_Set,,,,x\n\n'
                           'sub/XC7_b.wav,Tit,val,1.5,3,,\nsub\\XC7_b.wav,no,test,2,,r1,\n"ü,1.wav",no,TRAIN,0,1\n')
    found = read_manifest(path)
    assert not found.problems and found.notices == [f"{path}: columns not used: note"]
    assert [(c.path, c.class_name, c.split, c.start_s, c.end_s, c.recording) for c in found.clips] == [
        (tmp_path / "a.wav", "Tit", "train", 0.0, None, "a"),
        (tmp_path / "sub/XC7_b.wav", "Tit", "validation", 1.5, 3.0, "XC7"),
        (tmp_path / "sub/XC7_b.wav", "no", "test", 2.0, None, "r1"),
        (tmp_path / "ü,1.wav", "no", "train", 0.0, 1.0, "ü,1")]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_manifests_as_spreadsheets_write_them(tmp_path, separator, encoding, newline):
    touch(tmp_path, "a.wav")
    rows = ("path", "label", "start_s"), ("a.wav", "Tit", "0.5"), ("", "", "")
    found = read_manifest(table(tmp_path, newline.join(map(separator.join, rows)), encoding=encoding))
    assert [(clip.class_name, clip.start_s) for clip in found.clips] == [("Tit", 0.5)] and not found.problems


def test_every_bad_row_of_a_manifest_is_reported_with_its_line(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / "folder.wav").mkdir()
    bad = [("missing.wav,T,train,,", "no such file"), ("a.wav,,train,,", "label is empty"),
           (",T,train,,", "path is empty"), ("a.wav,T,weekday,,", "split is 'weekday'"),
           ("a.wav,T,train,x,", "start_s is 'x'"),
           ("a.wav,T,train,-1,", "start_s is '-1'"), ("a.wav,T,train,3,2", "end_s=2 is not after start_s=3"),
           ("a.wav,T,train,nan,", "start_s is 'nan'"), ("a.wav,T,train,0,inf", "end_s is 'inf'"),
           ("a.wav,T,train,0,1,9", "6 fields"), ("folder.wav,T,train,,", "no such file")]
    rows = ["path,label,split,start_s,end_s", *(row for row, _ in bad), "a.wav,T,train,0,1"]
    path = table(tmp_path, "\n".join(rows))
    found = read_manifest(path)
    assert len(found.clips) == 1 and len(found.problems) == len(bad)
    for line, (problem, (_, why)) in enumerate(zip(found.problems, bad), 2):
        assert str(problem).startswith(f"{path}, line {line}: ") and why in str(problem) and "\n" not in str(problem)


@pytest.mark.parametrize("text", ["", "file,class\na.wav,T\n", "path\na.wav\n", "\0\1\2", "RIFF....WAVE", "\n\n"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    with pytest.raises(DatasetError, match="m.csv"):
        read_manifest(table(tmp_path, text))
    with pytest.raises(DatasetError, match="missing.csv"):
        read_manifest(tmp_path / "missing.csv")
