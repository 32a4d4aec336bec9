"""The command line: help, exit codes, one-line errors, and each command's outputs."""
import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from sklearn.metrics import average_precision_score

from npgru import cli, detections, import_tflite, pcm, recipe
from npgru.commands import detect, options
from npgru.features import FrontEnd, log_mel, loudest_slice, to_int16
from runs import npgru
from tolerances import AP_ABS_ERROR, SOFTMAX_S8_ERROR

COMMANDS = ["train", "evaluate", "detect", "report", "export", "segments", "review", "calibrate", "features", "synth", "audit",
            "bench train", "bench int8", "bench scale"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_goes_in_what_comes_out_and_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and "  in:   " in text and "  out:  " in text and f"example:\n  npgru {command} " in text


def test_help_imports_neither_numpy_nor_any_other_library():
    code = ("import sys; from npgru import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
            "sys.exit(bool({'numpy', 'scipy', 'soundfile', 'tqdm'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("args", [[], ["sing"], ["train", "--threads", "0"], ["train", "--seed", "-1"], ["synth"],
                                  ["train", "--stages", "teacher,dance"], ["features", "x.wav"], ["evaluate", "run"],
                                  ["bench"], ["bench", "train", "--clips", "0"], ["bench", "scale", "--work", "training,dance"],
                                  ["detect", "x.wav", "-m", "run"], ["detect", "x.wav", "-m", "run", "-o", "o", "--min_conf", "2"],
                                  ["detect", "x.wav", "-m", "run", "-o", "o", "--overlap", "-1"],
                                  ["detect", "x.wav", "-m", "run", "-o", "o", "--rtype", "xls"]])
def test_wrong_use_exits_with_2(args, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    assert stop.value.code == 2


@pytest.mark.parametrize("args, says", [
    (["train", "{tmp}/absent", "-o", "{tmp}/run"], "absent"),
    (["train", "--config", "{tmp}/absent.toml"], "absent.toml"),
    (["train", "--set", "teacher.epochs=3"], "option teacher.epochs is not known; accepted here: network, training"),
    (["train", "--set", "front_end.window_len=500"], "window_len=500"),
    (["train", "--set", "clip_s=0.01", "-o", "{tmp}/run"], "clip_s=0.01; accepted: 0.032 (one window) to 60"),
    (["train", "--set", "front_end.mel_n_channels=4", "-o", "{tmp}/run"], "pool_size=4"),
    (["train", "--clips", "3", "-o", "{tmp}/run"], "3 training clips"),
    (["train", "--set", "teacher.training.epochs=ten"], "teacher.training.epochs='ten'"),
    (["evaluate", "{tmp}", "{tmp}"], "holds no checkpoints"),
    (["evaluate", "{tmp}/absent.npz", "{tmp}"], "absent.npz"),
    (["features", "{tmp}/absent.wav", "-o", "{tmp}/x.npy"], "absent.wav"),
    (["features", "{tmp}/a/x.wav", "{tmp}/b/x.wav", "-o", "{tmp}/y"], "2 of the sound files"),
    (["synth", "{tmp}/corpus", "--clips", "1"], "1")])
def test_a_failure_is_one_line_and_exits_with_1(args, says, tmp_path, capsys):
    assert cli.main([arg.replace("{tmp}", str(tmp_path)) for arg in args]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("npgru: error: ") and says in errors
    assert not list(tmp_path.iterdir())                               # and nothing half-written


@pytest.mark.parametrize("inputs", [["-"], ["x.wav", "--rate", "16000"], ["x.wav", "-", "--rate", "16000"], ["-", "-", "--rate", "9"]])
def test_standard_input_goes_with_a_rate_and_alone(inputs, capsys):
    assert cli.main(["detect", *inputs, "-m", "run", "-o", "out"]) == 2
    assert capsys.readouterr().err.startswith("npgru: error: '-' reads raw samples")


def test_formats_and_encodings_are_those_of_the_modules():
    assert detect.KINDS == tuple(detections.ENDINGS) and detect.ENCODINGS == tuple(pcm.ENCODINGS)


def test_stages_and_products_are_those_of_the_recipe():
    assert options.STAGES == recipe.STAGES and options.PRODUCTS == tuple(recipe.PRODUCTS.values())


def test_print_config_is_read_back(tmp_path, capsys):
    assert cli.main(["train", "--print-config", "--seed", "7"]) == 0
    (tmp_path / "c.toml").write_text(capsys.readouterr().out)
    assert cli.main(["train", "--print-config", "--config", str(tmp_path / "c.toml")]) == 0
    text = capsys.readouterr().out
    assert "seed = 7" in text and "gate_percentile = 70.0" in text and "conv_filters = 32" in text


def evaluate(found, corpus, tmp_path, *options):
    """The JSON and the rows of --scores."""
    process = npgru("evaluate", found, corpus, "--split", "Test_Set", "--json", "--scores", tmp_path / "scores.csv", *options)
    assert process.returncode == 0, process.stderr
    with open(tmp_path / "scores.csv", newline="") as file:
        return json.loads(process.stdout), list(csv.DictReader(file))


def test_evaluate_prints_one_json_object_and_writes_scores(finished, corpus, tmp_path):
    table, rows = evaluate(finished, corpus, tmp_path)
    assert list(rows[0]) == ["path", "label", "score", "raw_0", "raw_1"] and len(rows) == 12
    label, score = [int(row["label"]) for row in rows], [float(row["score"]) for row in rows]
    assert abs(table["average_precision"] - average_precision_score(label, score)) < AP_ABS_ERROR
    matrix, called = table["confusion_matrix"], np.array(score) >= table["best_f1_threshold"]
    assert matrix["tp"] == np.sum(called & (np.array(label) == 1)) and sum(matrix.values()) == 12
    assert table["error_rate"] == (matrix["fp"] + matrix["fn"]) / 12
    assert set(table["per_distance"]) == set("ABCD") and len(table["average_precision_interval"]) == 2
    assert all(("Wren" in row["path"]) == bool(int(row["label"])) for row in rows)


def test_evaluate_of_the_exported_file_gives_the_same_rows_and_a_float_network_has_no_integers(finished, corpus, tmp_path):
    assert cli.main(["export", str(finished), "-o", str(tmp_path / "m.tflite")]) == 0
    table, rows = evaluate(finished, corpus, tmp_path)
    assert evaluate(tmp_path / "m.tflite", corpus, tmp_path) == (table, rows)
    raw = np.array([[int(row["raw_0"]), int(row["raw_1"])] for row in rows])
    assert (-128 <= raw).all() and (raw < 128).all() and (np.abs((raw + 128).sum(axis=1) - 256) <= 1).all()
    probability, score = (raw[:, 1] + 128) / 256, np.array([float(row["score"]) for row in rows])
    assert np.abs(probability - score).max() <= SOFTMAX_S8_ERROR
    assert list(evaluate(finished, corpus, tmp_path, "--stage", "teacher")[1][0]) == ["path", "label", "score"]


def test_evaluate_takes_data_that_hold_the_asked_split_alone_and_a_checkpoint(finished, corpus, tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "Test_Set").symlink_to(corpus / "Test_Set", target_is_directory=True)
    whole = npgru("evaluate", finished, corpus, "--stage", "teacher")
    alone = npgru("evaluate", finished / "checkpoints" / "teacher.npz", tmp_path / "alone")
    assert whole.returncode == alone.returncode == 0 and whole.stdout == alone.stdout
    assert "average_precision" in whole.stdout and "called target" in whole.stdout


def test_evaluate_of_an_unfinished_run_says_what_to_do(finished, tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "teacher_last.npz"
    last.write_bytes((finished / "checkpoints" / "teacher_last.npz").read_bytes())
    assert cli.main(["evaluate", str(tmp_path), str(tmp_path)]) == 1
    assert str(last) in capsys.readouterr().err


def test_export_writes_a_file_with_its_facts_inside(finished, tmp_path, capsys):
    for gru in ("while", "unrolled", "step"):
        assert cli.main(["export", str(finished), "-o", str(tmp_path / "m.tflite"), "--gru", gru]) == 0
        assert (tmp_path / "m.tflite").read_bytes()[4:8] == b"TFL3"
    facts = import_tflite.read_metadata(tmp_path / "m.tflite")
    assert facts["seed"] == 3 and 0 <= facts["threshold"] <= 1 and "front_end" in facts
    assert cli.main(["export", str(finished), "-o", str(tmp_path / "t.tflite"), "--stage", "teacher"]) == 1
    assert "not quantised" in capsys.readouterr().err and not (tmp_path / "t.tflite").exists()


def write_song(path, seconds, rng):
    path.parent.mkdir(exist_ok=True)
    samples = 0.1 * rng.standard_normal(int(16000 * seconds)).astype(np.float32)
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return samples


def test_features_of_one_file_are_those_of_its_loudest_slice(tmp_path, rng):
    samples = write_song(tmp_path / "song.wav", 5, rng)
    expected = log_mel(loudest_slice(to_int16(samples), 32000), FrontEnd.paper())
    for backend in ("c", "numpy"):
        assert cli.main(["features", str(tmp_path / "song.wav"), "-o", str(tmp_path / "x.npy"), "--backend", backend]) == 0
        x = np.load(tmp_path / "x.npy")
        assert x.dtype == np.uint16 and x.shape == (84, 32) and np.array_equal(x, expected)


def test_features_of_several_files_are_a_folder_and_a_bad_one_is_told(tmp_path, rng, capsys):
    for k in range(2):
        write_song(tmp_path / f"s{k}.wav", 1 + k, rng)
    (tmp_path / "bad.wav").write_text("no sound")
    files = [str(tmp_path / name) for name in ("s0.wav", "bad.wav", "s1.wav")]
    assert cli.main(["features", *files, "-o", str(tmp_path / "out"), "--set", "pad_tail=false"]) == 1
    assert "bad.wav" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["s0.npy", "s1.npy"]
    assert np.load(tmp_path / "out" / "s1.npy").shape == (83, 32)


def test_float_features_and_their_difference(tmp_path, rng, capsys):
    write_song(tmp_path / "song.wav", 2, rng)
    assert cli.main(["features", str(tmp_path / "song.wav"), "-o", str(tmp_path / "x.npy"), "--float"]) == 0
    assert np.load(tmp_path / "x.npy").dtype == np.float32 and "differ from these by at most" in capsys.readouterr().err


def test_without_kernels_the_result_is_the_same_and_one_notice_says_so(tmp_path, rng):
    write_song(tmp_path / "song.wav", 2, rng)
    code = ("import sys; sys.modules['npgru._kernels'] = None\nfrom npgru import cli\n"
            f"sys.exit(cli.main(['features', {str(tmp_path / 'song.wav')!r}, '-o', {str(tmp_path / 'n.npy')!r}]))")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0 and process.stderr.count("\n") == 1 and "kernels of npgru are not built" in process.stderr
    assert cli.main(["features", str(tmp_path / "song.wav"), "-o", str(tmp_path / "c.npy")]) == 0
    assert (tmp_path / "n.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()
