"""Runs: the folder's files, resumption to the same bytes after a kill, and refusals that lose nothing."""
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from npgru import checkpoint, int8, kernels, recipe
from npgru.config import ConfigError, read_toml, updated
from runs import FAST, contents, npgru, stop


def test_run_folder_holds_config_versions_log_and_checkpoints(finished, corpus):
    products = list(recipe.PRODUCTS.values())
    assert set(contents(finished)) == {"config.toml", "environment.toml", "log.csv"} | {
        f"checkpoints/{product}{kind}.npz" for product in products for kind in ("", "_last")} - {
        "checkpoints/calibrated_last.npz"}                            # calibration trains nothing
    rows = (finished / "log.csv").read_text().splitlines()
    assert rows[0] == "stage,epoch,loss,validation_loss,validation_average_precision"
    assert [row.split(",")[0] for row in rows[1:]] == ["teacher"] * 3 + ["distil"] * 2 + ["prune"] * 2 + ["quantise"] * 2
    for product in products:
        trained, header = checkpoint.load_model(finished / "checkpoints" / f"{product}.npz")
        assert trained.classes == ("Negatives", "Wren") and 0 <= header["threshold"] <= 1 and header["seed"] == 3
    assert f'data = "{corpus}"' in (finished / "config.toml").read_text()


def test_same_seed_gives_the_same_bytes_on_two_threads(finished, corpus, tmp_path):
    assert npgru("train", corpus, "-o", tmp_path / "two", "--seed", 3, "--threads", 2, *FAST).returncode == 0
    assert contents(tmp_path / "two") == contents(finished)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL to send")
@pytest.mark.parametrize("when", [
    lambda run: (run / "config.toml").is_file(),
    lambda run: (run / "checkpoints" / "teacher_last.npz").is_file(),
    lambda run: (run / "log.csv").is_file(),
    lambda run: (run / "checkpoints" / "student_last.npz").is_file(),
    lambda run: (run / "checkpoints" / "pruned_last.npz").is_file(),
    lambda run: (run / "checkpoints" / "quantised_last.npz").is_file()])
def test_a_killed_run_continues_to_the_same_bytes(finished, corpus, tmp_path, when):
    run = tmp_path / "killed"
    stop(corpus, run, ["--seed", "3", *FAST], signal.SIGKILL, when)
    assert npgru("train", corpus, "-o", run, "--seed", 3, *FAST).returncode == 0
    assert contents(run) == contents(finished)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_what_a_killed_write_left_is_removed(finished, corpus):
    for folder in (finished, finished / "checkpoints"):
        (folder / ".log.csv.123.tmp").write_text("half")
    recipe.start_run_folder(finished, recipe.Recipe(), str(corpus))
    assert not [name for name in contents(finished) if name.endswith(".tmp")]


def test_ctrl_c_is_one_line_and_loses_nothing(finished, corpus, tmp_path):
    run = tmp_path / "interrupted"
    process, errors = stop(corpus, run, ["--seed", "3", *FAST], signal.SIGINT, lambda run: (run / "log.csv").is_file())
    assert process.returncode == 130 and "Traceback" not in errors and errors.splitlines()[-1].startswith("npgru: interrupted")
    assert npgru("train", corpus, "-o", run, "--seed", 3, *FAST).returncode == 0
    assert contents(run) == contents(finished)


def test_a_finished_run_is_not_repeated(finished, corpus):
    before = contents(finished)
    process = npgru("train", corpus, "-o", finished, "--seed", 3, *FAST)
    assert process.returncode == 0 and "nothing to do" in process.stderr and contents(finished) == before


def test_a_run_from_before_an_option_came_is_continued_with_its_default(finished, corpus, tmp_path):
    text = (finished / "config.toml").read_text()
    begun, seed = read_toml(finished / "config.toml"), lambda n: updated(recipe.Recipe(), begun | {"seed": n})
    begun.pop("data")
    old = text[:text.index("[fine_tune]")].replace('also = ""\n', "")
    assert "also" not in old
    (tmp_path / "config.toml").write_text(old)
    recipe.check_run_folder(tmp_path, seed(3), str(corpus))
    with pytest.raises(ConfigError, match=r"seed = 3 \(now 4\)"):
        recipe.check_run_folder(tmp_path, seed(4), str(corpus))
    with pytest.raises(ConfigError, match="also = '' .now 'x.csv'."):
        recipe.check_run_folder(tmp_path, replace(seed(3), also="x.csv"), str(corpus))
    (tmp_path / "config.toml").write_text(f"colour = 1\n{old}")
    with pytest.raises(ConfigError, match="of another version .*option colour is not known"):
        recipe.check_run_folder(tmp_path, seed(3), str(corpus))


def test_another_configuration_or_other_clips_do_not_continue_a_run(finished, corpus, tmp_path):
    process = npgru("train", corpus, "-o", finished, "--seed", 4, *FAST)
    assert process.returncode == 1 and "seed = 3 (now 4)" in process.stderr
    (finished / "checkpoints" / "quantised.npz").rename(tmp_path / "quantised.npz")
    try:
        extra = corpus / "Training_Set" / "Negatives" / "extra.wav"
        soundfile.write(extra, np.zeros(32000), 16000)
        process = npgru("train", corpus, "-o", finished, "--seed", 3, *FAST)
        extra.unlink()
        assert process.returncode == 1 and "was begun with other clips" in process.stderr
    finally:
        (tmp_path / "quantised.npz").rename(finished / "checkpoints" / "quantised.npz")


@pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
def test_a_stage_goes_on_with_the_back_end_it_was_begun_with(corpus, tmp_path):
    stop(corpus, tmp_path / "run", ["--seed", "3", *FAST], signal.SIGKILL, lambda run: (run / "log.csv").is_file())
    process = npgru("train", corpus, "-o", tmp_path / "run", "--seed", 3, "--backend", "numpy", *FAST)
    if process.returncode:                                            # it was not already finished when the signal came
        assert "was begun with --backend c, not numpy" in process.stderr


def test_stages_one_by_one_end_with_the_same_bytes(finished, corpus, tmp_path):
    for stages in ("teacher", "distil", "quantise,calibrate,prune,distil,teacher"):
        assert npgru("train", corpus, "-o", tmp_path / "run", "--seed", 3, "--stages", stages, *FAST).returncode == 0
    assert contents(tmp_path / "run") == contents(finished)


def test_a_stage_without_the_one_before_says_which(corpus, tmp_path):
    process = npgru("train", corpus, "-o", tmp_path / "run", "--stages", "prune", *FAST)
    assert process.returncode == 1 and "--stages distil,prune" in process.stderr.splitlines()[-1]


def test_pruned_kernels_have_exactly_the_asked_share_of_zeros(finished):
    pruned, _ = checkpoint.load_model(finished / "checkpoints" / "pruned.npz")
    for layer in pruned.layers:
        if layer.kind in ("conv2d", "depthwise2d", "pointwise", "dense"):
            w = pruned.params[f"{layer.name}/w"]
            assert (w == 0).sum() == round(0.35 * w.size), layer.name


def test_pruned_weights_are_still_zero_in_the_integers(finished):
    quantised, _ = checkpoint.load_model(finished / "checkpoints" / "quantised.npz")
    n_checked = 0
    for op in int8.freeze(quantised).operators:
        if "w" in op.arrays and op.kind != "gru":
            n_checked += 1
            assert (op.arrays["w"] == 0).sum() >= round(0.35 * op.arrays["w"].size), op.name
    assert n_checked == 5


def test_calibrate_quantises_the_student_without_training(finished, corpus, tmp_path):
    run = tmp_path / "run"
    options = ["-o", run, "--seed", 3, *FAST]
    assert npgru("train", corpus, *options, "--stages", "teacher,distil,calibrate").returncode == 0
    assert {name for name in contents(run) if name.startswith("checkpoints/")} == {
        f"checkpoints/{name}.npz" for name in ("teacher", "teacher_last", "student", "student_last", "calibrated")}
    calibrated, header = checkpoint.load_model(run / "checkpoints" / "calibrated.npz")
    student, _ = checkpoint.load_model(run / "checkpoints" / "student.npz")
    assert header["before"] == "distil" and np.array_equal(calibrated.params["gru/w"], student.params["gru/w"])
    assert npgru("evaluate", run, corpus, "--stage", "calibrated").returncode == 0
    assert npgru("evaluate", run, corpus, "--stage", "quantised").returncode == 1


def test_structure_channels_removes_them(finished, corpus, tmp_path):
    run = tmp_path / "run"
    options = ["-o", run, "--seed", 3, *FAST, "--set", "prune.pruning.structure=channels"]
    assert npgru("train", corpus, *options).returncode == 0
    assert (run / "checkpoints" / "student.npz").read_bytes() == (finished / "checkpoints" / "student.npz").read_bytes()
    pruned, _ = checkpoint.load_model(run / "checkpoints" / "pruned.npz")
    shapes = {f"{layer.name}/{key}": shape for layer in pruned.layers for key, shape in layer.shapes.items()}
    assert shapes["conv/w"] == (10, 4, 1, 3) and shapes["block1_pointwise/w"] == (3, 4) and shapes["gru/w"] == (16, 12)
    quantised, _ = checkpoint.load_model(run / "checkpoints" / "quantised.npz")
    assert int8.freeze(quantised).operators[1].arrays["w"].shape == (3, 10, 4, 1)
    assert npgru("evaluate", run, corpus).returncode == 0


def test_nothing_is_written_when_the_data_is_bad(tmp_path):
    (tmp_path / "empty").mkdir()
    for data in (tmp_path / "empty", tmp_path / "absent"):
        process = npgru("train", data, "-o", tmp_path / "run", *FAST)
        assert process.returncode == 1 and process.stderr.count("\n") == 1 and str(data) in process.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_refused(corpus, tmp_path):
    (tmp_path / "letter.txt").write_text("hello")
    for folder in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ConfigError, match="give a (new )?folder"):
            recipe.check_run_folder(folder, recipe.Recipe(), "data")


def test_bad_files_are_skipped_and_counted_but_stop_a_strict_run(corpus, tmp_path):
    bad = corpus / "Training_Set" / "Wren" / "broken.wav"
    bad.write_text("no sound")
    try:
        process = npgru("train", corpus, "-o", tmp_path / "run", "--stages", "teacher", *FAST)
        assert process.returncode == 0 and "broken.wav" in process.stderr and "1 skipped" in process.stderr
        process = npgru("train", corpus, "-o", tmp_path / "strict", "--strict", *FAST)
        assert process.returncode == 1 and "broken.wav" in process.stderr and not (tmp_path / "strict").exists()
    finally:
        bad.unlink()
