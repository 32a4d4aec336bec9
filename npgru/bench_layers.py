"""Where the time of a training step goes: milliseconds, GFLOP/s and share of the roof of every layer, on either back end."""
from functools import partial
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from . import bench_train, costs, machine, model
from .backend import Backend, NumpyNetwork
from .bench_train import CONFIG, Bench
from .train import Objective

FORWARD, BACKWARD = 0, 1
DIRECTIONS = "forward", "backward"
N_EPOCHS = 3                                # after one that is not counted


class MeasuredNumpyNetwork(NumpyNetwork):
    """The NumPy layers with kernels_train.Network's `names`, `threads` and `measure`."""
    threads = 1

    def __init__(self, layers: list):
        super().__init__(layers)
        self.names = [layer.name for layer in layers]

    def measure(self, seconds):
        """As kernels_train.Network.measure, (1, len(names) + 2, 2)."""
        self.seconds = seconds[0]

    def timed(self, k: int, direction: int, function, *args):
        """function(*args), its seconds added to layer k's."""
        began = perf_counter()
        result = function(*args)
        self.seconds[k, direction] += perf_counter() - began
        return result

    def forward(self, params, stats, x, rng):
        return self.timed(-1, FORWARD, self.forward_by_layer, params, dict(stats), x[..., None], rng)

    def forward_by_layer(self, params, stats, x, rng):
        """model.forward in training."""
        caches = []
        for k, layer in enumerate(self.layers):
            x, cache = self.timed(k, FORWARD, model.apply_layer, layer, params, stats, x, rng)
            caches.append(cache)
        return x, caches, stats

    def backward(self, dlogits, caches):
        timed = [(layer, partial(self.timed, k, BACKWARD, backward), cache)
                 for k, (layer, backward, cache) in enumerate(caches)]
        return self.timed(-1, BACKWARD, model.backward, dlogits, timed)


class Stopwatch:
    """A network and a loss that note how long the loop waits for each of their answers."""

    def __init__(self, network, loss):
        self.network, self.seconds = network, dict.fromkeys(("forward", "loss", "backward", "adam_step"), 0.0)
        self.loss = self.timed("loss", loss)
        self.forward, self.backward, self.adam_step = (self.timed(name, getattr(network, name))
                                                       for name in ("forward", "backward", "adam_step"))

    def timed(self, name, function):
        def call(*args):
            began = perf_counter()
            result = function(*args)
            self.seconds[name] += perf_counter() - began
            return result
        return call


def measured(network_name: str, backend: Backend, n_clips: int) -> tuple[Bench, Stopwatch, np.ndarray, float]:
    """The fastest of N_EPOCHS -> the bench, its stopwatch, seconds (threads, layers + 2, 2) of the network, seconds of all."""
    bench = bench_train.start(bench_train.NETWORKS[network_name](), backend, bench_train.clips_like_real_ones(n_clips))
    if isinstance(bench.network, NumpyNetwork):
        bench.network = MeasuredNumpyNetwork(bench.layers)
    network, epochs = bench.network, []
    with threadpool_limits(1):
        for _ in range(1 + N_EPOCHS):
            seconds = np.zeros((network.threads, len(network.names) + 2, 2))
            network.measure(seconds)
            watch = Stopwatch(network, bench_train.cross_entropy)
            bench.network, bench.objective = watch, Objective(watch.loss)
            epochs.append((bench, watch, seconds, bench.epoch()[1]))
    return min(epochs[1:], key=lambda epoch: epoch[3])                                # the first warms up


def operations(bench: Bench, names: list[str]) -> dict[str, np.ndarray]:
    """{name: (forward, backward) operations a clip}; a ReLU6 that the network does within a batch-norm counts there."""
    counted, previous = {}, None
    by_layer = costs.step_operations(bench.layers, *bench_train.CLIP_SHAPE)
    for layer in bench.layers:
        row = layer.name if layer.name in names else previous.name
        counted[row] = counted.get(row, 0) + np.array(by_layer[layer.name])
        previous = layer
    return counted


def profile(network_name: str, backend: Backend, n_clips: int = bench_train.N_CLIPS) -> dict:
    """The step by layer, over the fastest of some epochs.

    A layer's ms are those of all threads, divided by their number; with the rest they add up to ms_per_step:

        waiting      of threads for each other
        calls        into C and back: dropout's draws, the running statistics
        loss, adam   as the loop calls them
        other        the loop itself: a batch gathered and made float32; what nobody measured
    """
    bench, watch, seconds, whole = measured(network_name, backend, n_clips)
    n_steps, threads, names = -(-n_clips // CONFIG.batch_size), watch.network.threads, watch.network.names
    ms = 1e3 / n_steps / threads * seconds.sum(axis=0)
    inside = threads * ms[-1]                                                          # forward, backward of the network
    counted, peak = operations(bench, names), machine.roof_gflops(threads)
    roof = peak["roof"]
    rows = [row_of(name, ms_of, counted[name] * n_clips / n_steps, roof) for name, ms_of in zip(names, ms)]
    called = {name: 1e3 / n_steps * spent for name, spent in watch.seconds.items()}
    rest = {"sums of gradients": ms[-2].sum(), "waiting": (inside - ms[:-1].sum(axis=0)).sum(),
            "calls": called["forward"] + called["backward"] - inside.sum(), "loss": called["loss"],
            "adam": called["adam_step"], "other": 1e3 / n_steps * whole - sum(called.values())}
    all_operations = n_clips / n_steps * sum(counted[name].sum() for name in names)
    table = row_of("step", np.array([1e3 / n_steps * whole, 0]), np.array([all_operations, 0]), roof)
    return {"layers": rows, "rest_ms": {name: round(float(spent), 4) for name, spent in rest.items()},
            "ms_per_step": table["forward_ms"], "gflops": table["forward_gflops"], "share_of_roof": table["forward_share"],
            **{f"{name}_gflops": round(value, 1) for name, value in peak.items()},
            **bench_train.about(network_name, watch.network, n_clips),
            "machine": machine.facts()}


def row_of(name: str, ms, n_operations, roof: float) -> dict:
    """ms and operations, (2,) forward and backward -> a row of the table."""
    gflops = np.divide(1e-6 * n_operations, ms, out=np.zeros(2), where=ms > 0)
    row = {"name": name}
    for k, direction in enumerate(DIRECTIONS):
        row |= {f"{direction}_ms": round(float(ms[k]), 4), f"{direction}_gflops": round(float(gflops[k]), 2),
                f"{direction}_share": round(float(gflops[k] / roof), 4)}
    return row


def as_text(table: dict) -> str:
    """`profile`'s table for people."""
    lines = [bench_train.heading(table), f"roof, measured now: {table['roof_gflops']:.0f} GFLOP/s of multiply-adds on registers "
             f"alone; NumPy's product of matrices reaches {table['sgemm_gflops']:.0f}", "", f"{'':<24}{'forward':>22}{'backward':>26}",
             f"{'layer':<24}" + 2 * f"{'ms':>8}{'GFLOP/s':>10}{'of roof':>8}"]
    for row in table["layers"]:
        lines.append(f"{row['name']:<24}" + "".join(
            f"{row[f'{d}_ms']:>8.3f}{row[f'{d}_gflops']:>10.1f}{100 * row[f'{d}_share']:>6.1f} %" for d in DIRECTIONS))
    sums = [sum(row[f"{d}_ms"] for row in table["layers"]) for d in DIRECTIONS]
    lines += [f"{'all layers':<24}{sums[0]:>8.3f}{sums[1]:>26.3f}"]
    lines += [f"{name:<24}{ms:>8.3f}" for name, ms in table["rest_ms"].items()]
    return "\n".join([*lines, f"{'the step':<24}{table['ms_per_step']:>8.3f}{table['gflops']:>10.1f}"
                      f"{100 * table['share_of_roof']:>6.1f} %"])
