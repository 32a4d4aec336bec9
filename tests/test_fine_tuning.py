"""Runs that begin with trained weights: --from, its provenance, resumption, refusals."""
import hashlib
import signal

import numpy as np
import pytest

from npgru import checkpoint, cli
from runs import FAST, contents, npgru, stop

TUNED = [*FAST, "--set", "fine_tune.epochs=2"]


@pytest.fixture(scope="module")
def tuned(finished, corpus, tmp_path_factory):
    """A run of the stages teacher and distil that begins with the weights of `finished`, and what it said."""
    run = tmp_path_factory.mktemp("tuned") / "run"
    process = npgru("train", corpus, "-o", run, "--from", finished, "--stages", "teacher,distil", *TUNED)
    assert process.returncode == 0, process.stderr
    return run, process.stderr


def test_teacher_and_student_begin_with_the_weights_of_a_run(tuned, finished):
    run, said = tuned
    for stage, product in (("teacher", "teacher"), ("distil", "student")):
        start = finished / "checkpoints" / f"{product}.npz"
        before, _ = checkpoint.load_model(start)
        after, header = checkpoint.load_model(run / "checkpoints" / f"{product}.npz")
        assert header["from_sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
        assert len(header["history"]) == 2 and f"{stage} begins with the weights of {start}" in said
        moved = {name: np.abs(after.params[name] - before.params[name]).max() for name in before.params}
        assert 0 < max(moved.values()) < 0.02                         # of a few small steps: fresh weights differ by 0.1 and more


def test_an_ordinary_run_has_no_such_provenance(finished):
    assert checkpoint.load(finished / "checkpoints" / "teacher.npz")[1]["from_sha256"] is None


def test_killed_and_continued_it_ends_with_the_same_bytes(tuned, finished, corpus, tmp_path):
    run, options = tmp_path / "run", ["--from", finished, "--stages", "teacher,distil", *TUNED]
    stop(corpus, run, options, signal.SIGKILL, lambda run: (run / "checkpoints" / "student_last.npz").is_file())
    assert npgru("train", corpus, "-o", run, *options).returncode == 0
    assert contents(run) == contents(tuned[0])


def test_a_checkpoint_is_for_the_stage_that_has_its_network(finished, corpus, tmp_path):
    student = finished / "checkpoints" / "pruned.npz"
    process = npgru("train", corpus, "-o", tmp_path / "run", "--from", student, "--stages", "teacher,distil", *TUNED)
    assert process.returncode == 0 and process.stderr.count("begins with") == 1 and "distil begins with" in process.stderr
    teacher, of_student = (checkpoint.load(tmp_path / "run" / "checkpoints" / f"{name}.npz")[1]
                           for name in ("teacher", "student"))
    assert teacher["from_sha256"] is None and len(teacher["history"]) == 3
    assert of_student["from_sha256"] == hashlib.sha256(student.read_bytes()).hexdigest()


@pytest.mark.parametrize("start, more, says", [
    ("absent", [], "absent: there is no such file"),
    ("checkpoints", [], "checkpoints: holds no checkpoints; accepted: a run folder or a .npz file"),
    ("config.toml", [], "config.toml: is not an intact npgru checkpoint"),
    ("checkpoints/quantised.npz", [], "quantised.npz: is another network than distil.network, input_codes"),
    ("", ["--set", "distil.network.gru_units=5"], "student.npz: is another network than distil.network, gru.shapes.w = "),
    ("", ["--set", "front_end.mel_low_hz=1000.0"], "teacher.npz: has another front end than this run"),
    ("", ["--set", "clip_s=1.0"], "teacher.npz: has another clip length than this run, 2.0"),
    ("", ["--set", "fine_tune.epochs=0"], "in [fine_tune]: epochs=0")])
def test_what_cannot_be_begun_with_is_refused_before_anything_is_written(finished, corpus, tmp_path, capsys, start, more, says):
    assert cli.main(["train", str(corpus), "-o", str(tmp_path / "run"), "--from", str(finished / start), *TUNED, *more]) == 1
    said = capsys.readouterr().err.splitlines()
    assert says in said[-1] and said[-1].startswith("npgru: error: ") and not (tmp_path / "run").exists()


def test_another_start_does_not_continue_a_run(tuned, finished, corpus, capsys):
    options = ["train", str(corpus), "-o", str(tuned[0]), *TUNED]
    assert cli.main(options) == 1 and "fine_tune.start = " in capsys.readouterr().err
