"""The speed of training: samples a second of the real loop (batches, forward, loss, backward, Adam), without augmentation."""
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from . import loss, machine, model
from .augment import AugmentConfig
from .backend import Backend, NumpyNetwork
from .feature_rows import room_for
from .train import Objective, State, TrainConfig, TrainingData, state_from, train_epoch

CLIP_SHAPE = (84, 32)
N_CLIPS, N_RUNS = 3584, 5
NETWORKS = {"teacher": model.teacher, "student": model.student}
CONFIG = TrainConfig(epochs=1, batch_size=32, class_weights="none", augment=AugmentConfig(probability=0.0))


@dataclass
class Bench:
    """A network that trains on clips in memory, and what the loop needs for it."""
    layers: list
    network: object
    state: State
    data: TrainingData
    objective: Objective
    rng: np.random.Generator

    def epoch(self) -> tuple[float, float]:
        """One epoch of the loop -> its mean loss and its seconds."""
        began = perf_counter()
        mean_loss = train_epoch(self.network, self.state, self.data, CONFIG, self.objective, None, self.rng)
        return mean_loss, perf_counter() - began


def clips_like_real_ones(n_clips: int, seed: int = 7) -> TrainingData:
    """Features uint16 (N, 84, 32) in the range of real clips, many of them in a file; every other clip is a target."""
    x, rng = room_for(n_clips, CLIP_SHAPE, Path(tempfile.gettempdir())), np.random.default_rng(seed)
    for k in range(n_clips):
        x[k] = rng.integers(200, 800, CLIP_SHAPE, dtype=np.uint16)
    return TrainingData(x, np.arange(n_clips) % 2, x[:0], np.zeros(0, int))


def cross_entropy(x, logits, y):
    """The teacher's loss, as the loop calls it."""
    return loss.cross_entropy(logits, y, np.ones(2, np.float32))


def start(config: model.NetworkConfig, backend: Backend, data: TrainingData, weights: dict | None = None) -> Bench:
    """A network ready to train: with weights {"layer/weight": array}, or seeded ones."""
    rng = np.random.default_rng(0)
    layers = model.build(config, CLIP_SHAPE[1])
    seeded, stats = model.init(layers, rng)
    state, network = state_from(weights or seeded, stats), backend.network(layers, CLIP_SHAPE, CONFIG.batch_size)
    state.weights, state.adam_m, state.adam_v = (network.own(a) for a in (state.weights, state.adam_m, state.adam_v))
    return Bench(layers, network, state, data, Objective(cross_entropy), rng)


def about(network_name: str, network, n_clips: int) -> dict:
    """What belongs to every figure of a training step."""
    compiled = not isinstance(network, NumpyNetwork)
    return {"model": network_name, "backend": "c" if compiled else "numpy", "threads": network.threads if compiled else 1,
            "instruction_set": network.form if compiled else "NumPy's", "batch_size": CONFIG.batch_size, "n_clips": n_clips}


def measure(network_name: str, backend: Backend, n_clips: int = N_CLIPS, n_runs: int = N_RUNS,
            progress: Callable = lambda runs, **_: runs) -> dict:
    """samples_per_s: the median of n_runs epochs of n_clips, after a quarter of one that is not counted.

    progress   such as tqdm, around the runs
    """
    warm_up = start(NETWORKS[network_name](), backend, clips_like_real_ones(-(-n_clips // 4)))
    bench = start(NETWORKS[network_name](), backend, clips_like_real_ones(n_clips))
    with threadpool_limits(1):                                                        # as the loop has it
        warm_up.epoch()
        runs = [n_clips / bench.epoch()[1] for _ in progress(range(n_runs), desc="epochs", unit="epoch")]
    median = float(np.median(runs))
    return {"samples_per_s": round(median, 1), "spread": round((max(runs) - min(runs)) / median, 4),
            "runs": [round(run, 1) for run in runs], "ms_per_step": round(1e3 * CONFIG.batch_size / median, 4),
            **about(network_name, bench.network, n_clips), "machine": machine.facts()}


def as_text(table: dict) -> str:
    """`measure`'s table for people."""
    return "\n".join([
        heading(table),
        f"{'samples a second':<20}{table['samples_per_s']:>10.0f}   median of {len(table['runs'])} epochs, from "
        f"{min(table['runs']):.0f} to {max(table['runs']):.0f}",
        f"{'ms a step':<20}{table['ms_per_step']:>10.2f}"])


def heading(table: dict) -> str:
    """What was measured, and on what: two lines."""
    m = table["machine"]
    return (f"training step of the {table['model']}: batches of {table['batch_size']} out of {table['n_clips']} clips in memory\n"
            f"{table['backend']} back end, {table['instruction_set']}, {table['threads']} thread(s) of {m['cores']} core(s); "
            f"{m['cpu']}, {m['system']}, NumPy {m['numpy']}, npgru {m['npgru']}")
