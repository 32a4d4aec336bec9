"""Annotated calls: which recording a row means, and one line with its number for each row that cannot be used."""
from pathlib import Path
from types import SimpleNamespace

import pytest

from npgru.annotations import Event, read_annotations, target_species
from npgru.audio import info
from npgru.clips import DatasetError
from npgru.tables import TableError

INFO = SimpleNamespace(duration_s=60.0)                               # all that is asked of an audio.Info
RECORDINGS = [(Path("/card/a/night.wav"), INFO), (Path("/card/b/night.wav"), INFO), (Path("/card/b/dawn.flac"), INFO)]


def read(tmp_path, *rows, header="file,start_s,end_s,species"):
    path = tmp_path / "calls.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return read_annotations(path, RECORDINGS)


def test_a_row_means_the_recording_whose_path_ends_with_its_own(tmp_path):
    events, notices, problems = read(tmp_path, "dawn.flac,1.5,2.5,Wren", "a/night.wav,3,4,Wren", "b\\night.wav,5,6,Robin",
                                     "/card/b/dawn.flac,7,8,Wren")
    assert events == [[Event(3, 4, "Wren", 3)], [Event(5, 6, "Robin", 4)], [Event(1.5, 2.5, "Wren", 2), Event(7, 8, "Wren", 5)]]
    assert notices == problems == []


def test_other_separators_columns_and_empty_rows(tmp_path):
    header = "Species\tconfidence\tEnd s\tStart-s\tFile"
    events, _, problems = read(tmp_path, "Wren\thigh\t2.5\t1\tdawn.flac", "\t\t\t\t", "\t\t\t\tb/night.wav", header=header)
    assert events == [[], [], [Event(1, 2.5, "Wren", 2)]] and problems == []


@pytest.mark.parametrize("row, says", [
    ("nowhere.wav,1,2,Wren", "no such recording: nowhere.wav; accepted: the recordings given, such as night.wav"),
    (",1,2,Wren", "no such recording: (empty)"),
    ("night.wav,1,2,Wren", "night.wav could be /card/a/night.wav or /card/b/night.wav"),
    ("dawn.flac,one,2,Wren", "start_s is 'one'; accepted: seconds"),
    ("dawn.flac,1,,Wren", "end_s is ''; accepted: seconds"),
    ("dawn.flac,-1,2,Wren", "start_s is '-1'"),
    ("dawn.flac,1,inf,Wren", "end_s is 'inf'"),
    ("dawn.flac,2,2,Wren", "end_s=2 is not after start_s=2"),
    ("dawn.flac,59,61,Wren", "end_s=61 is after the end of the recording at 60.00 s"),
    ("dawn.flac,1,2,", "species is empty"),
    ("dawn.flac,11,13,wren", "11 to 13 s overlaps line 2 (10 to 12 s) of the same species")])
def test_a_row_that_cannot_be_used_is_a_problem_with_its_number(tmp_path, row, says):
    events, _, problems = read(tmp_path, "dawn.flac,10,12,Wren", row, "dawn.flac,12,13,Wren", "dawn.flac,11,14,Robin")
    assert len(problems) == 1 and f"calls.csv, line 3: {says}" in str(problems[0])
    assert [event.line for event in events[2]] == [2, 4, 5]           # touching calls and those of other species are fine


def test_rows_of_recordings_that_are_there_but_not_asked_for_are_a_notice(tmp_path):
    (tmp_path / "dusk.wav").touch()
    events, notices, problems = read(tmp_path, "dusk.wav,1,2,Wren")
    assert events == [[], [], []] and problems == [] and "has rows of 1 recording(s) that were not given" in notices[0]


def test_what_is_no_table_of_calls_is_refused(tmp_path):
    with pytest.raises(TableError, match="has the columns file, species; accepted: file, start_s, end_s, species; "):
        read(tmp_path, "dawn.flac,Wren", header="file,species")
    with pytest.raises(TableError, match="absent.csv: cannot be read as CSV"):
        read_annotations(tmp_path / "absent.csv", RECORDINGS)


def test_the_target_is_the_one_asked_for_the_models_class_or_the_only_one():
    wren, robin = Event(1, 2, "Wren", 2), Event(1, 2, "Great Robin", 3)
    assert target_species([[wren], [robin]], "great_robin", "Target") == "Great Robin"
    assert target_species([[wren], [robin]], None, "wren") == "Wren"
    assert target_species([[wren]], None, "Target") == "Wren"
    assert target_species([[wren]], "Crane", "Target") == "Crane"
    with pytest.raises(DatasetError, match="calls of Great Robin, Wren, the model detects 'Target'; say which"):
        target_species([[wren], [robin]], None, "Target")
    with pytest.raises(DatasetError, match="hold no call"):
        target_species([[], []], None, "Target")


def test_the_annotations_of_real_recordings(shared_data):
    folder = shared_data / "soundscapes"
    recordings = [(path, info(path)) for path in sorted(folder.glob("*.flac"))]
    events, notices, problems = read_annotations(folder / "annotations.csv", recordings)
    assert notices == problems == [] and [len(of_file) for of_file in events if of_file] == [18, 9, 7]
