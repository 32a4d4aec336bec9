"""npgru bench int8 beside the runtime that is installed here."""
import numpy as np
import pytest
from tolerances import OPTIMISED_CODES

from npgru import bench_int8


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.runtimes("tflite-runtime", "ai-edge-litert")
def test_the_installed_runtime_is_measured_and_agrees(witness, bits, monkeypatch):
    monkeypatch.setattr(bench_int8, "SECONDS_A_RUN", 0)
    student = bench_int8.seeded_student(bench_int8.features_like_real_ones(32, (84, 32), np.random.default_rng(0)), bits)
    backends = bench_int8.measure(student, n_runs=1)["backends"]
    package = {"tflm": "tflite_runtime", "litert-ref": "ai_edge_litert"}[witness.profile]
    assert backends.keys() >= {name for name in bench_int8.RUNTIMES if name.startswith(package)}
    for name, row in backends.items():
        exact = not name.startswith(("tflite_runtime", "ai_edge_litert")) or name == "tflite_runtime_reference"
        assert row["worst_difference"] <= (0 if exact else OPTIMISED_CODES), name
