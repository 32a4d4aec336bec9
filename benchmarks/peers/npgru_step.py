"""npgru's training step for compare_train_step.py: python npgru_step.py STEP.npz [--threads N] [--backend numpy]."""
import argparse
import json
import time
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from npgru import loss, model
from npgru.kernels_train import Network
from npgru.optimiser import AdamConfig, adam_init, adam_step


def c_step(layers, params, stats, threads):
    """-> a function of (x, y, rng) that does one step and returns the loss before it."""
    network = Network(layers, (84, 32), 32, threads)
    params, m, v = (network.own(arrays) for arrays in (params, *adam_init(params)))
    state = {"stats": stats, "step": 0}

    def step(x, y, rng):
        logits, caches, state["stats"] = network.forward(params, state["stats"], x, rng)
        value, dlogits = loss.cross_entropy(logits, y, np.ones(2, np.float32))
        gradients, _ = network.backward(dlogits, caches)
        state["step"] += 1
        network.adam_step(params, gradients, m, v, state["step"], AdamConfig())
        return value

    return step


def numpy_step(layers, params, stats, threads):
    """The same in NumPy."""
    m, v = adam_init(params)
    state = {"stats": stats, "step": 0}

    def step(x, y, rng):
        logits, caches, state["stats"] = model.forward(layers, params, state["stats"], x, rng)
        value, dlogits = loss.cross_entropy(logits, y, np.ones(2, np.float32))
        state["step"] += 1
        adam_step(params, model.backward(dlogits, caches)[0], m, v, state["step"], AdamConfig())
        return value

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--network", default="teacher")
    parser.add_argument("--backend", choices=["c", "numpy"], default="c")
    args = parser.parse_args()
    arrays = dict(np.load(args.step))
    x, y, _ = (arrays.pop(name) for name in ("x", "y", "about"))
    config, make = getattr(model, args.network)(), {"c": c_step, "numpy": numpy_step}[args.backend]

    def start(config):
        layers = model.build(config, 32)
        stats = model.init(layers, np.random.default_rng(0))[1]
        return make(layers, {name: array.copy() for name, array in arrays.items()}, stats, args.threads)

    rng, ms = np.random.default_rng(0), []
    with threadpool_limits(1):
        check, step = start(replace(config, dropout=0.0)), start(config)
        losses = [check(x, y, rng) for _ in range(2)]
        for _ in range(args.steps + 10):
            begin = time.perf_counter()
            step(x, y, rng)
            ms.append(1e3 * (time.perf_counter() - begin))
    print(json.dumps({"losses": losses, "ms": ms[10:]}))


if __name__ == "__main__":
    main()
