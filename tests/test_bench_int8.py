"""npgru bench int8: what is timed was checked first; medians of five; other runtimes where there are any."""
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from npgru import bench_int8, cli, export_tflite, int8, kernels


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in {"SECONDS_A_RUN": 0, "FAST_CLIPS": 4, "SLOW_CLIPS": 3}.items():
        monkeypatch.setattr(bench_int8, name, value)


@pytest.fixture(scope="module")
def student():
    return bench_int8.seeded_student(bench_int8.features_like_real_ones(16, (84, 32), np.random.default_rng(0)))


def test_us_per_clip_are_medians_of_five(capsys):
    assert cli.main(["bench", "int8", "--json", "--threads", "2", "--state-bits", "8"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["threads"] == 2 and table["state_bits"] == 8 and table["clip_shape"] == [84, 32] and table["machine"]["cpu"]
    assert {"numpy"} | ({"c", "c_one_clip_a_call", "c_device"} if kernels.AVAILABLE else set()) <= set(table["backends"])
    for row in table["backends"].values():
        assert len(row["runs"]) == 5 and row["us_per_clip"] == sorted(row["runs"])[2] > 0
    assert set(table["backends"]) | set(table["not_measured"]) >= set(bench_int8.RUNTIMES)
    text = bench_int8.as_text(table)
    assert all(name in text for name in [*table["backends"], *table["not_measured"]])


def test_a_network_from_a_run_or_a_file(finished, tmp_path, capsys):
    integers_file = tmp_path / "m.tflite"
    assert cli.main(["export", str(finished), "-o", str(integers_file)]) == 0
    capsys.readouterr()
    for source in (finished, integers_file):
        assert cli.main(["bench", "int8", "--model", str(source)]) == 0
        assert "int16 state, clips of 84 x 32 features" in capsys.readouterr().out
    assert cli.main(["bench", "int8", "--model", str(finished), "--stage", "teacher"]) == 1
    assert "is a float network; give a quantised one" in capsys.readouterr().err


@pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
def test_nothing_is_timed_where_results_differ(student, monkeypatch):
    right = int8.run

    def wrong(integers, features, backend=None):
        codes = right(integers, features, backend)
        if backend == "c":
            codes["gru"] = codes["gru"] ^ (codes["gru"] == codes["gru"].max())
        return codes
    monkeypatch.setattr(int8, "run", wrong)
    with pytest.raises(RuntimeError, match="c_device disagrees with NumPy in [0-9]+ codes of 'gru'; nothing was timed"):
        bench_int8.measure(student)


class Runtime:
    """An interpreter that computes the network, its output `off` codes wrong."""
    integers, off = None, 0

    def __init__(self, model_content, num_threads, experimental_op_resolver_type):
        assert model_content[4:8] == b"TFL3" and num_threads == 1

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0}]

    def get_output_details(self):
        return [{"index": 9}]

    def set_tensor(self, index, x):
        assert index == 0 and x.dtype == np.int8 and x.shape == export_tflite.clip_shape(self.integers)
        self.x = x

    def invoke(self):
        codes = x = self.x
        for op in self.integers.operators[1:]:
            codes = x = int8.RUN[op.kind](int8.REFERENCE, op, x)
        self.y = np.where(codes > 0, codes - self.off, codes + self.off).astype(np.int8)

    def get_tensor(self, index):
        return self.y


@pytest.mark.parametrize("off", [0, 3])
def test_how_far_another_runtime_is_off_is_told(student, off, monkeypatch):
    monkeypatch.setattr(Runtime, "integers", student)
    monkeypatch.setattr(Runtime, "off", off)
    fake = SimpleNamespace(Interpreter=Runtime, OpResolverType=SimpleNamespace(AUTO=0, BUILTIN_REF=1))
    monkeypatch.setitem(sys.modules, "ai_edge_litert", SimpleNamespace(interpreter=fake))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", fake)
    backends = bench_int8.measure(student, n_runs=1)["backends"]
    assert [backends[f"ai_edge_litert_{gru}"]["worst_difference"] for gru in ("while", "unrolled")] == [off, off]
    monkeypatch.setitem(bench_int8.RUNTIMES, "ai_edge_litert_while", ("ai_edge_litert", "BUILTIN_REF", "while", True))
    if off:
        with pytest.raises(RuntimeError, match="back end ai_edge_litert_while disagrees"):
            bench_int8.measure(student, n_runs=1)
