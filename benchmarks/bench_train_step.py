"""One training step (batch 32: forward, backward, Adam) of the teacher and the student: verify, then time.

    pytest benchmarks/bench_train_step.py --benchmark-enable --benchmark-columns=min,median,iqr,rounds

`extra_info` holds samples_per_s of the median step.
"""
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from npgru import loss, model
from npgru.kernels_train import Network
from npgru.optimiser import AdamConfig, adam_init, adam_step

BATCH_SIZE = 32
FLOAT32_REL_ERROR = 1e-2       # of each gradient's length, float32 against float64: 1e-6, but for the few of 8 million
                               # activations that rounding puts on the other side of a ReLU6 kink; we measure 4e-3
NETWORKS = {"teacher": model.teacher(), "student": model.student()}


def batch(rng):
    """Features like those of real clips, (B, 84, 32) float32, and targets (B,)."""
    return rng.integers(200, 800, (BATCH_SIZE, 84, 32)).astype(np.float32), np.arange(BATCH_SIZE) % 2


def gradients(functions, params, stats, x, y):
    """Loss and gradients by a back end's (forward, backward, ..)."""
    logits, caches, _ = functions[0](params, stats, x, np.random.default_rng(0))
    value, dlogits = loss.cross_entropy(logits, y, np.ones(2, logits.dtype))
    return value, functions[1](dlogits, caches)[0]


def steps_of(backend, layers, params, stats):
    """(forward, backward, adam_step) of a back end, and weights and moments as it wants them; "c2": C on 2 threads."""
    arrays = params, *adam_init(params)
    if backend == "numpy":
        return (partial(model.forward, layers), model.backward, adam_step), arrays
    network = Network(layers, (84, 32), BATCH_SIZE, threads=int(backend[1:]))
    return (network.forward, network.backward, network.adam_step), [network.own(group) for group in arrays]


@pytest.mark.benchmark(group="train_step")
@pytest.mark.parametrize("backend", ["numpy", "c1", "c2"])
@pytest.mark.parametrize("network", NETWORKS)
def test_step(benchmark, network, backend):
    rng = np.random.default_rng(7)
    layers = model.build(NETWORKS[network], 32)
    params, stats = model.init(layers, rng)
    x, y = batch(rng)
    exact = {name: p.astype(np.float64) for name, p in params.items()}, {name: s.astype(np.float64) for name, s in stats.items()}
    kept = [layer for layer in layers if layer.kind != "dropout"]              # its draws differ in float32 and float64
    _, expected = gradients(steps_of("numpy", kept, *exact)[0], *exact, x.astype(np.float64), y)
    _, found = gradients(steps_of(backend, kept, params, stats)[0], params, stats, x, y)
    for name, gradient in expected.items():
        assert np.linalg.norm(found[name] - gradient) <= FLOAT32_REL_ERROR * np.linalg.norm(gradient), name

    (forward, backward, adam), (params, m, v) = steps_of(backend, layers, params, stats)
    state = {"stats": stats, "step": 0}

    def step():
        logits, caches, state["stats"] = forward(params, state["stats"], x, rng)
        _, dlogits = loss.cross_entropy(logits, y, np.ones(2, np.float32))
        state["step"] += 1
        adam(params, backward(dlogits, caches)[0], m, v, state["step"], AdamConfig())

    with threadpool_limits(1):
        benchmark(step)
    if benchmark.stats:
        benchmark.extra_info["samples_per_s"] = round(BATCH_SIZE / benchmark.stats.stats.median)
