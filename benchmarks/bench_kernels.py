"""The layers of the teacher one by one, forward and backward on 32 clips, in NumPy and in C: verify, then time.

    pytest benchmarks/bench_kernels.py --benchmark-enable --benchmark-columns=min,median,iqr,rounds

`extra_info` holds GFLOP/s of the median. What they take within a whole step: npgru bench train --by-layer.
"""
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from npgru import costs
from npgru.kernels_train import Network
from npgru.model import PAIRS, Layer
from npgru.optimiser import AdamConfig, adam_step

BATCH_SIZE = 32
REL_ERROR = 1e-5                          # of each array's length, float32 against float64; we measure 1e-6 (gru)
LAYERS = {                                # name -> the shape of a clip (T, M, C) that comes in, and the layer
    "conv2d": ((84, 32, 1), Layer("conv2d", "layer", {"w": (10, 4, 1, 32)}, {"stride": (5, 2)})),
    "depthwise2d": ((17, 16, 64), Layer("depthwise2d", "layer", {"w": (3, 3, 64)})),
    "pointwise": ((17, 16, 64), Layer("pointwise", "layer", {"w": (64, 64)})),
    "batchnorm": ((17, 16, 64), Layer("batchnorm", "layer", {"gamma": (64,), "beta": (64,)}, {"eps": 1e-3, "momentum": 0.9})),
    "maxpool": ((17, 16, 64), Layer("maxpool", "layer", settings={"size": 4})),
    "gru": ((17, 1, 256), Layer("gru", "layer", {"w": (256, 96), "u": (32, 96), "b": (96,), "c": (96,)})),
    "mean_time": ((17, 1, 32), Layer("mean_time", "layer")),
    "dense": ((1, 1, 32), Layer("dense", "layer", {"w": (32, 32), "b": (32,)})),
}


def natural(x, kind):
    """(B, T, M, C) as the NumPy layer of this kind wants it."""
    return x[:, :, 0] if kind in ("gru", "mean_time") else x[:, 0, 0] if kind == "dense" else x


def numpy_functions(layer, x, params, dtype):
    """forward() -> y, and backward(dy) -> [dx, gradients ...]."""
    forward, backward = PAIRS[layer.kind]
    weights = [params[f"layer/{key}"].astype(dtype) for key in layer.shapes]
    settings = {key: value for key, value in layer.settings.items() if key != "momentum"}
    x = natural(x, layer.kind).astype(dtype)
    y, cache = forward(x, *weights, **settings)
    return lambda: forward(x, *weights, **settings)[0], lambda dy: backward(dy.reshape(y.shape).astype(dtype), cache)


def c_functions(layer, x, params, threads):
    """The same of the compiled layer; a batch-norm is never the first layer in C."""
    layers = [Layer("scale", "one", settings={"factor": 1.0})] * (layer.kind == "batchnorm") + [layer]
    network, rng = Network(layers, x.shape[1:], BATCH_SIZE, threads), np.random.default_rng(0)
    ones = np.ones(x.shape[-1], np.float32)
    stats = {"layer/mean": ones, "layer/var": ones, "layer/count": ones[0]}
    _, caches, _ = network.forward(params, stats, x, rng)

    def backward(dy):
        gradients, dx = network.backward(dy.reshape(BATCH_SIZE, -1), caches, with_dx=True)
        return [dx, *gradients.values()]

    def forward():
        nonlocal caches
        y, caches, _ = network.forward(params, stats, x, rng)
        return y
    return forward, backward


@pytest.mark.benchmark(group="layer")
@pytest.mark.parametrize("backend", ["numpy", "c1", "c2"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(benchmark, name, direction, backend):
    rng, (shape, layer) = np.random.default_rng(7), LAYERS[name]
    x = rng.standard_normal((BATCH_SIZE, *shape)).astype(np.float32)
    params = {f"layer/{key}": (0.3 * rng.standard_normal(s)).astype(np.float32) for key, s in layer.shapes.items()}
    forward, backward = (numpy_functions(layer, x, params, np.float32) if backend == "numpy" else
                         c_functions(layer, x, params, int(backend[1:])))
    exact_forward, exact_backward = numpy_functions(layer, x, params, np.float64)
    y = exact_forward()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    gradients = [all_of(dy)[:1 + len(layer.shapes)] for all_of in (backward, exact_backward)]      # gru: without the first state's
    for found, expected in [(forward(), y), *zip(*gradients, strict=True)]:
        assert np.linalg.norm(found.ravel() - expected.ravel()) <= REL_ERROR * np.linalg.norm(expected)

    with threadpool_limits(1):
        benchmark(*((forward,) if direction == "forward" else (backward, dy)))
    if benchmark.stats:
        (_, places, size), = costs.places_of([layer], *shape[:2], shape[2])
        operations = BATCH_SIZE * costs.layer_operations(layer, places, size)[direction == "backward"]
        benchmark.extra_info["gflops"] = round(1e-9 * operations / benchmark.stats.stats.median, 2)


@pytest.mark.benchmark(group="adam")
@pytest.mark.parametrize("backend", ["numpy", "c1", "c2"])
def test_adam(benchmark, backend):
    rng = np.random.default_rng(7)
    layer = Layer("dense", "layer", {"w": (420, 100), "b": (100,)})                  # as many numbers as the teacher has
    network = Network([layer], (1, 420), BATCH_SIZE, 2 if backend == "c2" else 1)
    arrays = [network.own({name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in network.shapes.items()})
              for _ in range(4)]
    step = adam_step if backend == "numpy" else network.adam_step
    found, exact = ([{name: array.astype(dtype) for name, array in group.items()} for group in arrays]
                    for dtype in (np.float32, np.float64))
    found = [network.own(group) for group in found]
    step(*found, 1, AdamConfig())
    adam_step(*exact, 1, AdamConfig())
    for name, expected in exact[0].items():
        assert np.linalg.norm(found[0][name] - expected) <= REL_ERROR * np.linalg.norm(expected)
    with threadpool_limits(1):
        benchmark(step, *arrays, 2, AdamConfig())
