"""Checkpoints: the same bytes for the same content, a round trip, and one-line refusals of everything else."""
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from npgru import checkpoint, model
from npgru.checkpoint import CheckpointError
from npgru.features import FrontEnd


@pytest.fixture
def trained(rng):
    layers = model.build(model.student(), 32)
    params, stats = model.init(layers, rng)
    return checkpoint.Model(layers, params, stats, FrontEnd.paper(), ("Negatives", "Wren"), 2.0)


def test_round_trip_and_equal_bytes(trained, tmp_path, rng):
    for name in ("a.npz", "b.npz"):
        checkpoint.save_model(tmp_path / name, trained, {"stage": "teacher"})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded, header = checkpoint.load_model(tmp_path / "a.npz")
    assert header["stage"] == "teacher" and loaded.classes == ("Negatives", "Wren") and loaded.front_end == FrontEnd.paper()
    x = rng.integers(0, 800, (3, 84, 32))
    np.testing.assert_array_equal(*(model.predict(m.layers, m.params, m.stats, x) for m in (trained, loaded)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]     # no temporary file is left


def broken_files(tmp_path, trained):
    """(name, what its error says) of files that are no checkpoints."""
    good = tmp_path / "good.npz"
    checkpoint.save_model(good, trained, {})
    (tmp_path / "text.npz").write_text("not a checkpoint")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:5000])
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", header=np.array([{"a": 1}], dtype=object))
    checkpoint.save(tmp_path / "bare.npz", {"x": np.zeros(3)}, {})
    params = {**trained.params, "conv/w": np.zeros((2, 2))}
    checkpoint.save_model(tmp_path / "shape.npz", checkpoint.Model(trained.layers, params, trained.stats,
                                                                   trained.front_end, trained.classes, 2.0), {})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights/conv/w.npy", bytes(checkpoint.LARGEST_BYTES + 1))
    return {"text": "not an intact", "empty": "not an intact", "cut": "not an intact", "foreign": "not an intact",
            "pickle": "not an intact", "bare": "another version", "shape": "conv/w has shape", "bomb": "at most",
            "absent": "no such file"}


def test_everything_else_is_refused_in_one_line_that_names_the_file(trained, tmp_path):
    for name, says in broken_files(tmp_path, trained).items():
        with pytest.raises(CheckpointError, match=says) as refusal:
            checkpoint.load_model(tmp_path / f"{name}.npz")
        assert f"{name}.npz" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")

    def write(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoint.write_atomically(path, write)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    code = ("import os, signal, sys; from npgru import checkpoint\n"
            "checkpoint.write_atomically(sys.argv[1], lambda f: (f.write(b'half'), f.flush(), os._exit(9)))")
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert path.read_text() == "old"
