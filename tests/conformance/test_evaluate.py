"""`npgru evaluate` of a .tflite file against a runtime that gets what `npgru features` writes: on real clips, end to end."""
import csv

import numpy as np
import pytest
from runs import npgru
from test_int8 import clips, quantised, trained

from npgru import dataset, int8, model
from npgru.export_tflite import tflite_bytes
from npgru.features import FrontEnd


@pytest.fixture(scope="module")
def student(shared_data):
    """The student with random weights, calibrated on real clips."""
    rng = np.random.default_rng(7)
    corpus = dataset.discover(shared_data / "great_tit", split=("train",))
    x, _, _ = dataset.load_features(corpus.clips[::5], FrontEnd.paper(), threads=2)
    return int8.freeze(quantised(trained(model.student(), clips(rng, 16), rng), x))


@pytest.mark.parametrize("gru", ["while", "unrolled"])
@pytest.mark.runtimes("tflite-runtime", "tflite-micro")             # npgru evaluate rounds as tflm
def test_raw_columns_are_the_runtimes_integers(witness, gru, student, shared_data, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content := tflite_bytes(student, gru))
    done = npgru("evaluate", tmp_path / "m.tflite", shared_data / "great_tit", "--scores", tmp_path / "scores.csv")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))[::3]
    assert list(rows[0]) == ["path", "label", "score", "raw_0", "raw_1"] and len(rows) > 50
    done = npgru("features", *(row["path"] for row in rows), "-o", tmp_path / "features")
    assert done.returncode == 0, done.stderr
    session = witness.session(content)
    scale, zero_point = session.input_quantisation()
    found = set()
    for row in rows:
        name = row["path"].rsplit("/", 1)[1].rsplit(".", 1)[0]
        f = np.load(tmp_path / "features" / f"{name}.npy").astype(np.float64)
        codes = np.clip(np.floor(f / scale + 0.5) + zero_point, -128, 127).astype(np.int8)
        y, = session.run(codes[None, :, :, None])
        assert y.tolist() == [[int(row["raw_0"]), int(row["raw_1"])]], row["path"]
        found.add(tuple(y[0]))
    assert len(found) > 10
