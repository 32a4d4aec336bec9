"""npgru bench train: the loop's own step is what is timed, and every part of it is accounted for."""
import json

import numpy as np
import pytest

from npgru import bench_layers, bench_train, cli, costs, kernels, machine, model
from npgru.backend import Backend

BACKENDS = ["numpy", pytest.param("c", marks=pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built"))]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(machine, "ROUNDS", 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_samples_per_s_is_the_median_of_five(backend, capsys):
    assert cli.main(["bench", "train", "--model", "student", "--backend", backend, "--threads", "2", "--clips", "33",
                     "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert len(table["runs"]) == 5 and table["samples_per_s"] == sorted(table["runs"])[2]
    assert abs(table["ms_per_step"] * table["samples_per_s"] / 32e3 - 1) < 1e-3
    assert (table["backend"], table["threads"]) == (backend, 2 if backend == "c" else 1) and table["machine"]["cpu"]
    text = bench_train.as_text(table)
    assert "student" in text and f"{table['samples_per_s']:.0f}" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_timed_epoch_learns(backend):
    data = bench_train.clips_like_real_ones(64)
    assert data.x_train.dtype == np.uint16 and data.x_train.shape == (64, 84, 32) and data.y_train.sum() == 32
    bench = bench_train.start(model.student(), Backend(backend, 1), data)
    before = {name: array.copy() for name, array in bench.state.weights.items()}
    losses = [bench.epoch()[0] for _ in range(3)]
    assert bench.state.step == 6 and losses[2] < losses[0] and bench.epoch()[1] > 0
    assert all(not np.array_equal(before[name], array) for name, array in bench.state.weights.items() if name != "gru/u")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_layers_and_the_rest_add_up_to_the_step(backend, capsys):
    assert cli.main(["bench", "train", "--model", "student", "--backend", backend, "--clips", "96", "--by-layer", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    layers = {row["name"]: row for row in table["layers"]}
    total = sum(row["forward_ms"] + row["backward_ms"] for row in layers.values()) + sum(table["rest_ms"].values())
    assert total == pytest.approx(table["ms_per_step"], abs=2e-4 * len(layers))               # of numbers rounded to 1e-4
    assert all(ms >= -1e-3 for ms in table["rest_ms"].values())
    assert layers["conv"]["forward_ms"] > 0 and layers["gru"]["backward_gflops"] > 0 and table["share_of_roof"] < 1
    assert ("conv_relu6" in layers) == (backend == "numpy")
    text = bench_layers.as_text(table)
    assert all(name in text for name in layers) and "waiting" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_operation_is_lost_where_layers_are_done_together(backend):
    bench = bench_train.start(model.teacher(), Backend(backend, 1), bench_train.clips_like_real_ones(2))
    names = getattr(bench.network, "names", [layer.name for layer in bench.layers])
    counted = bench_layers.operations(bench, names)
    assert set(counted) == set(names) | ({"stack"} & set(counted))
    expected = costs.step_operations(model.build(model.teacher(), 32), 84, 32)
    np.testing.assert_array_equal(sum(counted.values()), np.sum(list(expected.values()), axis=0))


def test_the_measured_numpy_network_is_the_numpy_network(rng):
    layers = model.build(model.student(), 32)
    params, stats = model.init(layers, rng)
    x, dlogits = rng.integers(200, 800, (3, 84, 32)).astype(np.float32), np.full((3, 2), 0.1, np.float32)
    logits, caches, stats_after = model.forward(layers, params, stats, x, np.random.default_rng(1))
    network = bench_layers.MeasuredNumpyNetwork(layers)
    network.measure(np.zeros((1, len(layers) + 2, 2)))
    found, found_caches, found_stats = network.forward(params, stats, x, np.random.default_rng(1))
    np.testing.assert_array_equal(found, logits)
    gradients, dx = model.backward(dlogits, caches)
    found_gradients, found_dx = network.backward(dlogits, found_caches)
    np.testing.assert_array_equal(found_dx, dx)
    for found_arrays, arrays in ((found_gradients, gradients), (found_stats, stats_after)):
        assert list(found_arrays) == list(arrays)
        assert all(np.array_equal(found_arrays[name], arrays[name]) for name in arrays)
