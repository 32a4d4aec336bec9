"""export_c.py: the folder as people use it: its README, its threshold, its demo, what builds it."""
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from runs import contents, npgru
from test_export_c import DSP, WARNINGS, clips, compiled, expected_scores, samples, scores_of, student  # noqa: F401 (fixtures)

from npgru import detector, device_costs, emulator, export_c, features, int8, model

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")


def test_make_builds_a_demo_that_reads_wav_files(student, samples, tmp_path):
    shutil.copytree(student[1], tmp_path / "folder")
    subprocess.run(["make", "-s", "-C", tmp_path / "folder", "CFLAGS=-O2 -Werror"], check=True)
    soundfile.write(tmp_path / "clip.wav", samples[:2].ravel(), 16000)
    program = tmp_path / "folder" / "npgru_wav"
    printed = subprocess.run([program, tmp_path / "clip.wav"], capture_output=True, text=True, check=True).stdout
    expected = expected_scores(student[0], features.log_mel(samples[:2], student[0].front_end))
    found = [list(map(int, line.split("logits")[1].split())) for line in printed.splitlines()]
    assert found == expected[:, 2:].tolist()
    assert ["detected" in line for line in printed.splitlines()] == [b >= a for a, b in found]
    soundfile.write(tmp_path / "wrong.wav", samples[0], 8000)
    for name in ("wrong.wav", "missing.wav"):
        refused = subprocess.run([program, tmp_path / name], capture_output=True, text=True)
        assert refused.returncode != 0 and len(refused.stderr.splitlines()) == 1


def test_the_command_writes_a_folder_from_a_run_and_from_a_tflite_file(finished, tmp_path):
    from_run, file, from_file = tmp_path / "run", tmp_path / "m.tflite", tmp_path / "file"
    for args in ((finished, "--format", "c", "--no-measure", "-o", from_run), (finished, "-o", file),
                 (file, "--format", "c", "--no-measure", "-o", from_file)):
        process = npgru("export", *args)
        assert process.returncode == 0, process.stderr
    assert contents(from_run) == contents(from_file)
    integers = detector.load(finished).integers
    x = clips(np.random.default_rng(1), 4)
    np.testing.assert_array_equal(scores_of(compiled(from_run, DSP), integers, x, "features"), expected_scores(integers, x))


def test_the_command_refuses(finished, tmp_path):
    (tmp_path / "file").write_text("x")
    process = npgru("export", finished, "--format", "c", "-o", tmp_path / "file")
    assert process.returncode == 1 and "is a file" in process.stderr and len(process.stderr.splitlines()) == 1
    process = npgru("export", finished, "--stage", "student", "--format", "c", "-o", tmp_path / "folder")
    assert process.returncode == 1 and "not quantised" in process.stderr


@pytest.mark.skipif(emulator.missing() is not None, reason="no toolchain")
def test_the_readme_tells_what_was_measured(student):
    text = export_c.folder_files(student[0], ("m4",))["README.md"]
    rows = rows_of(text)
    network, whole, smallest = (int(cell) for cell in rows["m4"][:3])
    layers = {name: int(cells[1]) for name, cells in rows.items() if name != "m4" and len(cells) == 2 and cells[0].isdecimal()}
    assert sum(layers.values()) == whole and whole - layers["front end"] == network < 1_900_000 < smallest < 2 * whole
    assert "Measured in the emulator" in text and "$" not in text


def rows_of(text) -> dict[str, list[str]]:
    """{first cell: the others} of all tables of a README, without the commas of numbers."""
    rows = [row.replace(",", "").strip("|").split("|") for row in text.splitlines() if row.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def test_without_the_toolchain_the_readme_tells_estimates(student, monkeypatch):
    monkeypatch.setattr(emulator, "missing", lambda: "nothing is here")
    text = export_c.folder_files(student[0], export_c.CORES)["README.md"]
    rows = rows_of(text)
    for k, core in enumerate(emulator.CORES):
        found = device_costs.report(student[0], core)
        assert rows[core][:2] == [str(found["network_instructions"]), str(found["instructions"])]
        assert rows[core][3] == f"{found['ram_bytes']['context']} + {found['ram_bytes']['stack']}"
        assert [int(rows[layer["layer"].replace("_", " ")][1 + k]) for layer in found["layers"]] == [
            layer["instructions"] for layer in found["layers"]]
    assert "Estimated, not measured" in text and "$" not in text


@pytest.mark.parametrize("threshold", [0.0, 1e-30, 0.3, 0.5, 0.9, 1.0, "a score", "just above it", "just below it"])
def test_the_device_detects_what_npgru_detect_detects(threshold, student, tmp_path):
    """For every pair of logits, at thresholds that are scores themselves too."""
    integers, last = student[0], student[0].operators[-2].name
    logits = np.stack(np.meshgrid(*2 * [np.arange(-128, 128)], indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int8)
    scores = model.target_score(int8.real(integers, {last: logits}, last))
    if isinstance(threshold, str):
        border = scores[logits[:, 1] - logits[:, 0] == 3][0]
        threshold = {"a": border, "just above it": np.nextafter(border, 1), "just below it": np.nextafter(border, 0)}[
            threshold.removesuffix(" score")]
    files = export_c.folder_files(integers, (), float(threshold), "a test")
    export_c.write_folder(tmp_path, {name: text for name, text in files.items() if name.endswith(".h")})
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "npgru.h"\nint main(void) { npgru_result r; for (int a = -128; a < 128; a++) for (int b = -128; '
        "b < 128; b++) { r.logits[0] = (int8_t)a, r.logits[1] = (int8_t)b; putchar(npgru_detected(&r)); } return 0; }\n")
    subprocess.run(["gcc", *WARNINGS, f"-I{tmp_path / 'src'}", tmp_path / "main.c", "-o", tmp_path / "main"], check=True)
    found = np.frombuffer(subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout, np.int8)
    np.testing.assert_array_equal(found, scores >= threshold)


def test_a_name_that_ends_a_comment_does_not(student, tmp_path):
    named = replace(student[0], classes=("Negatives", "*/ #error\n*/ \\"))
    export_c.write_folder(tmp_path, export_c.folder_files(named))
    subprocess.run(["gcc", *WARNINGS, "-c", tmp_path / "src" / "npgru_model.c", "-o", tmp_path / "model.o"], check=True)


def test_sources_of_another_export_are_not_left_among_the_new_ones(student, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "old.c").write_text("int old;")
    with pytest.raises(ValueError, match=r"src: holds old\.c"):
        export_c.write_folder(tmp_path, export_c.folder_files(student[0]))
    assert [path.name for path in tmp_path.rglob("*")] == ["src", "old.c"]


def test_the_threshold_of_a_model_travels_into_its_folder(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    for facts, args, words in ((None, (), "F1 was best there in validation"), (None, ("--min_conf", 0.75), "0.750000"),
                               ({"threshold": 0.625, "calibration": {"wanted_precision": 0.9}}, (), "0.625000 is a detection: calibrated"),
                               ({"threshold": None}, ("--min_conf", 0.25), "0.250000")):
        if facts:
            detector.store_facts(run, facts)
        process = npgru("export", run, "--format", "c", "--no-measure", "-o", tmp_path / "folder", *args)
        assert process.returncode == 0, process.stderr
        assert words in (tmp_path / "folder" / "src" / "npgru_model.h").read_text()
    process = npgru("export", run, "--format", "c", "--no-measure", "-o", tmp_path / "folder")
    assert process.returncode == 1 and "--min_conf" in process.stderr and len(process.stderr.splitlines()) == 1
