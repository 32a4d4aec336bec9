"""Archives through the command line: resumed after kill -9, on processes and on a cluster, always the same bytes."""
import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import psutil
import pytest
import soundfile

from npgru import archive, cli, detect, detections, detector
from npgru.archive import ArchiveError
from npgru.checkpoint import write_atomically
from runs import contents, npgru
from soundcheck import noise, write


def here(*args):
    """The command line in this process -> exit code, output, errors."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = cli.main(["detect", *map(str, args)])
    return code, out.getvalue(), err.getvalue()


KINDS = ["--rtype", *detections.ENDINGS, "--combine_results"]


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """60 recordings in folders (3 different sounds of 25 s), two bad files, one that is no sound, one hidden."""
    folder, rng = tmp_path_factory.mktemp("archive") / "card", np.random.default_rng(3)
    t = np.arange(25 * 16000) / 16000
    for k in range(60):
        path = folder / f"{k // 20}" / f"2023050{1 + k // 24}_{k % 24:02}0000.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k < 3:
            chirps = 0.2 * np.sin(2 * np.pi * (4000 + 500 * (t % 2)) * (t % 2)) * (t % 7 < 2 + k)
            write(path, 0.05 * rng.standard_normal(len(t)) + chirps)
        else:
            os.link(folder / "0" / f"20230501_{k % 3:02}0000.WAV", path)
    (folder / "1" / "bad.wav").write_bytes(b"no sound at all")
    (folder / "empty.flac").touch()
    (folder / "notes.txt").write_text("notes")
    (folder / "0" / "._20230501_000000.WAV").write_bytes(b"\0\5\26\7")      # macOS leaves these on cards
    return folder


@pytest.fixture(scope="module")
def whole(card, finished, tmp_path_factory):
    """The tables of one run in one process, never stopped."""
    out = tmp_path_factory.mktemp("archive") / "whole"
    code, text, errors = here(card, "-m", finished, "-o", out, "--threads", 1, "--scores", *KINDS)
    assert code == 0 and text.startswith("60 of 62 recordings, 0.417 hours, 780 windows\n")
    assert errors.count("skipped") == 2 and "1 .txt" in errors
    return out


def test_each_recording_has_its_tables_and_all_have_one(whole):
    found = contents(whole)
    for ending in detections.ENDINGS.values():
        assert sum(name.endswith(ending) for name in found) == 61 and f"combined{ending}" in found
    assert not any(".tmp" in name for name in found)
    tables = [whole / f"{k // 20}/2023050{1 + k // 24}_{k % 24:02}0000.WAV.npgru.csv" for k in range(60)]
    rows = [row for table in tables for row in detections.read(table)]
    assert detections.read(whole) == rows and len(rows) > 100


def test_the_combined_raven_table_runs_on_by_whole_recordings(whole):
    with open(whole / "combined.npgru.selection.table.txt", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    order = {path: k for k, path in enumerate(sorted({row["Begin Path"] for row in rows}))}
    assert len(order) == 60 and [int(row["Selection"]) for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        assert float(row["Begin Time (s)"]) == 25 * order[row["Begin Path"]] + float(row["File Offset (s)"])


def test_the_table_of_files_and_the_summary_count_all(card, whole):
    with open(whole / "npgru_files.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["File"] for row in rows] == sorted(str(path) for path in card.rglob("*[.WwfF][aAl][vVa]*") if path.name[0] != ".")
    skipped = {row["File"]: row["Note"] for row in rows if row["Note"]}
    assert skipped.keys() == {str(card / "1" / "bad.wav"), str(card / "empty.flac")}
    assert all(note.startswith("skipped: is ") for note in skipped.values())
    assert sum(int(row["Detections"] or 0) for row in rows) == len(detections.read(whole))
    assert rows[1]["Start (UTC)"] == "2023-05-01T01:00:00.000Z" and float(rows[1]["Duration (s)"]) == 25
    assert "2 skipped\n" in (whole / "npgru_summary.txt").read_text()


def test_scores_are_those_of_the_windows(card, whole, finished):
    found = detector.load(finished)
    task = detect.Task(found, detect.grid_of(found, 0), detect.Choice(found.facts["threshold"], found.classes[1]))
    heard = detect.hear(str(card / "0" / "20230501_020000.WAV"), task)
    with open(whole / "0" / "20230501_020000.WAV.npgru.scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["Score"]) for row in rows] == heard.scores.tolist()
    assert [float(row["Start (s)"]) for row in rows] == [2.0 * k for k in range(13)]


def test_processes_change_nothing(card, whole, finished, tmp_path):
    process = npgru("detect", card, "-m", finished, "-o", tmp_path, "--threads", 3, "--scores", *KINDS)
    assert process.returncode == 0 and contents(tmp_path) == contents(whole)


def started(card, finished, out, *options):
    """The command as a process that has finished some recordings, but not all."""
    command = [sys.executable, "-m", "npgru.cli", "detect", card, "-m", finished, "-o", out, "--scores", *KINDS, *options]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    journal, end = out / archive.JOURNAL, time.monotonic() + 60
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 4):
        assert process.poll() is None and time.monotonic() < end, process.stderr.read()
        time.sleep(0.002)
    return process


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_and_started_again_it_ends_with_the_same_bytes(card, whole, finished, tmp_path, threads):
    for _ in range(2):
        process = started(card, finished, tmp_path / "out", "--threads", threads)
        process.kill()
        process.communicate()
    before = (tmp_path / "out" / archive.JOURNAL).read_bytes()
    assert before.count(b"\n") < 60                             # or nothing was interrupted
    (tmp_path / "out" / "0" / ".x.npgru.csv.123.tmp").touch()   # what a kill between write and rename leaves
    again = npgru("detect", card, "-m", finished, "-o", tmp_path / "out", "--scores", *KINDS, "--threads", threads)
    assert again.returncode == 0 and contents(tmp_path / "out") == contents(whole)


def workers_of(process):
    """The processes that hear, of a command."""
    return [child for child in psutil.Process(process.pid).children(recursive=True)
            if any("spawn_main" in text for text in child.cmdline())]


@pytest.mark.parametrize("who", [["--threads", "2"], ["--cluster", "local:2"]])
def test_a_killed_worker_costs_nothing(card, whole, finished, tmp_path, who):
    process = started(card, finished, tmp_path / "out", *who)
    os.kill(workers_of(process)[0].pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert contents(tmp_path / "out") == contents(whole)


def test_a_second_run_hears_nothing_and_other_formats_come_from_the_journal(card, finished, tmp_path, monkeypatch):
    command = (card / "0", "-m", finished, "-o", tmp_path, "--threads", 1, "--rtype", "csv")
    assert "times real time" in here(*command)[1]
    before = contents(tmp_path)
    monkeypatch.setattr(archive, "hear", None)                  # nothing can be heard any more
    assert "all finished before" in here(*command, "audacity")[1]
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert sum(name.endswith(".audacity.txt") for name in after) == 20


def test_a_recording_that_changed_is_heard_again_and_edited_tables_stay(card, finished, tmp_path):
    folder, out = tmp_path / "card", tmp_path / "out"
    folder.mkdir()
    shutil.copy(card / "0" / "20230501_000000.WAV", folder / "a.wav")
    shutil.copy(card / "0" / "20230501_010000.WAV", folder / "b.wav")
    command = (folder, "-m", finished, "-o", out, "--rtype", "csv", "--threads", 1, "--min_conf", 0)
    here(*command)
    (out / "b.wav.npgru.csv").write_text("edited")
    write(folder / "a.wav", noise(np.random.default_rng(1), 16000 * 7))
    assert here(*command)[1].startswith("2 of 2 recordings, 0.009 hours, 17 windows\n17 detections in 2 recordings")
    assert len(detections.read(out / "a.wav.npgru.csv")) == 4 and (out / "b.wav.npgru.csv").read_text() == "edited"


def test_other_options_are_refused_or_redone(card, finished, tmp_path):
    command = (card / "2", "-m", finished, "-o", tmp_path, "--threads", 1)
    assert here(*command, "--rtype", "audacity", "--scores")[0] == 0
    before = contents(tmp_path)
    for options, says in ((("--overlap", 1), "overlap_s = 0.0 (now 1.016)"), (("--min_conf", 0.123), "(now 0.123)"),
                          (("--stage", "student"), "model_sha256 = "), (("--species", "Robin"), "'Wren' (now 'Robin')"),
                          (("--top_n", 3), "top_n = 0 (now 3)"), (("--merge_consecutive",), "merge_consecutive = 1")):
        code, _, errors = here(*command, *options)
        assert code == 1 and says in errors and errors.count("\n") == 1 and contents(tmp_path) == before
    assert here(*command, "--rtype", "csv", "--min_conf", 0.123, "--overwrite")[0] == 0
    assert not list(tmp_path.rglob("*.audacity.txt")) and not list(tmp_path.rglob("*.scores.csv"))


def test_strict_stops_at_the_first_bad_recording(card, finished, tmp_path):
    code, _, errors = here(card / "1", "-m", finished, "-o", tmp_path, "--strict", "--threads", 1)
    assert code == 1 and "bad.wav: is not a sound file" in errors.splitlines()[-1]


def test_nothing_usable_is_a_failure(card, finished, tmp_path):
    code, text, _ = here(card / "empty.flac", "-m", finished, "-o", tmp_path)
    assert code == 1 and text.startswith("0 of 1 recordings")


def test_the_best_and_the_joined_ones(card, finished, tmp_path):
    path = card / "0" / "20230501_020000.WAV"
    counts = {}
    for name, options in (("all", ()), ("best", ("--top_n", 4)), ("joined", ("--merge_consecutive",)),
                          ("pairs", ("--merge-consecutive", 2))):
        assert here(path, "-m", finished, "-o", tmp_path / name, "--min-conf", 0, "--rtype", "csv", *options)[0] == 0
        counts[name] = detections.read(tmp_path / name / f"{path.name}.npgru.csv")
    every, best = counts["all"], counts["best"]
    assert len(every) == 13 and best == sorted(sorted(every, key=lambda d: -d.score)[:4], key=lambda d: d.start_s)
    assert counts["joined"] == [every[0]._replace(end_s=25.0, score=max(d.score for d in every))]
    assert [d.end_s - d.start_s for d in counts["pairs"]] == [4.0] * 6 + [1.0]


def test_standard_input_gives_the_tables_of_the_file(card, finished, tmp_path):
    path = card / "0" / "20230501_020000.WAV"
    assert here(path, "-m", finished, "-o", tmp_path / "file", "--rtype", "audacity")[0] == 0
    samples, rate_hz = soundfile.read(path, dtype="int16")
    command = [sys.executable, "-m", "npgru.cli", "detect", "-", "--rate", str(rate_hz), "-m", str(finished),
               "-o", str(tmp_path / "pipe"), "--rtype", "audacity"]
    process = subprocess.run(command, input=samples.astype("<i2").tobytes(), capture_output=True)
    assert process.returncode == 0 and process.stdout.startswith(b"25.000 s, 13 windows"), process.stderr
    assert (tmp_path / "pipe" / "stdin.npgru.audacity.txt").read_bytes() == (
        tmp_path / "file" / f"{path.name}.npgru.audacity.txt").read_bytes() != b""


def test_a_checkpoint_and_the_model_of_a_run(card, finished, tmp_path):
    """The integers of a run are those of its checkpoint; a float network is taken when it is asked for."""
    path, tables = card / "0" / "20230501_010000.WAV", []
    for name, model in (("run", [finished]), ("file", [finished / "checkpoints" / "quantised.npz"]),
                        ("float", [finished, "--stage", "student"])):
        assert here(path, "-m", *model, "-o", tmp_path / name, "--rtype", "csv", "--min_conf", 0)[0] == 0
        tables.append((tmp_path / name / f"{path.name}.npgru.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]


def test_a_run_without_integers_is_refused_and_says_how_to_use_its_floats(card, finished, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(finished / "checkpoints" / "student.npz", tmp_path / "run" / "checkpoints")
    code, _, errors = here(card, "-m", tmp_path / "run", "-o", tmp_path / "out")
    assert code == 1 and "use --stage student for the float one" in errors
    assert not (tmp_path / "out").exists()


def test_find_takes_files_folders_and_patterns(card):
    inputs = archive.find([str(card / "0"), str(card / "1" / "*.WAV"), str(card / "1" / "bad.wav")])
    assert inputs.root == str(card) and len(inputs.paths) == 41 and inputs.paths == sorted(inputs.paths)
    assert archive.find([str(card / "0" / "20230501_000000.WAV")] * 2).paths == [str(card / "0" / "20230501_000000.WAV")]
    assert len(archive.find([str(card / "**" / "*.WAV")]).paths) == 60


@pytest.mark.parametrize("name, says", [("absent", "no such file or folder"), ("*.mp3", "no such file or folder"),
                                        ("texts", "holds no sound files (1 .txt)"), ("void", "holds no sound files (it is empty)")])
def test_find_refuses_what_is_not_there(name, says, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "void").mkdir()
    (tmp_path / "texts" / "x.txt").touch()
    with pytest.raises(ArchiveError, match=name.replace("*", r"\*")) as caught:
        archive.find([str(tmp_path / name)])
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_need_not_be_durable_is_whole_all_the_same(tmp_path):
    write_atomically(tmp_path / "x", lambda file: file.write(b"all"), durable=False)
    assert contents(tmp_path) == {"x": b"all"}
