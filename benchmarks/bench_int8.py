"""The integer network, student with int16 state, one thread: verify, then time; each operator, then the whole.

    pytest benchmarks/bench_int8.py --benchmark-enable --benchmark-columns=min,median,iqr,ops,rounds

Operators: on BATCH clips at once. The whole network: one clip a call, and BATCH clips a call; `extra_info` holds us_per_clip
of the median. Other runtimes beside it: npgru bench int8.
"""
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from npgru import bench_int8, int8, kernels_int8
from npgru.kernels_int8_host import HostNetwork, running_forms

BATCH = 64
OPERATORS = ["input", "conv", "block1_depthwise", "block1_pointwise", "pool", "gru", "mean_time", "dense", "probabilities"]


@pytest.fixture(scope="module")
def student():
    """The network, features (BATCH, 84, 32) uint16, and the specification's codes of every operator."""
    x = bench_int8.features_like_real_ones(BATCH, (84, 32), np.random.default_rng(7))
    integers = bench_int8.seeded_student(x)
    return integers, x, int8.run(integers, x, "numpy")


def timed(benchmark, function, n_clips):
    """Time a function of no arguments and note microseconds a clip."""
    with threadpool_limits(1):
        benchmark(function)
    if benchmark.stats:                                   # None under --benchmark-disable
        benchmark.extra_info["us_per_clip"] = round(1e6 * benchmark.stats.stats.median / n_clips, 2)


@pytest.mark.benchmark(group="int8_operator")
@pytest.mark.parametrize("ops", [int8.REFERENCE, kernels_int8], ids=["numpy", "c_device"])
@pytest.mark.parametrize("name", OPERATORS)
def test_operator(benchmark, name, ops, student):
    integers, x, codes = student
    k = [op.name for op in integers.operators].index(name)
    op, before = integers.operators[k], codes[integers.operators[k - 1].name] if k else x
    np.testing.assert_array_equal(int8.RUN[op.kind](ops, op, before), codes[name])
    timed(benchmark, lambda: int8.RUN[op.kind](ops, op, before), BATCH)


@pytest.mark.benchmark(group="int8_network")
@pytest.mark.parametrize("n_clips", [1, BATCH])
@pytest.mark.parametrize("form", ["numpy", "c_device", *running_forms()])
def test_network(benchmark, form, n_clips, student):
    integers, x, codes = student
    x = x[:n_clips]
    if form in ("numpy", "c_device"):
        backend = form.removesuffix("_device")
        found, function = int8.run(integers, x, backend), lambda: int8.run(integers, x, backend)
    else:
        network = HostNetwork(integers.operators, form)
        found, function = network.codes(x, list(codes)), lambda: network.codes(x, ["probabilities"])
    for name, expected in codes.items():
        np.testing.assert_array_equal(found[name], expected[:n_clips])
    timed(benchmark, function, n_clips)
