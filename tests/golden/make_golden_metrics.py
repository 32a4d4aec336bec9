"""Writes metrics.npz: keras.metrics.AUC(curve="PR") on both softmax columns, run in Keras itself.

    python -m venv keras-env && keras-env/bin/pip install keras torch
    KERAS_BACKEND=torch keras-env/bin/python tests/golden/make_golden_metrics.py

Arrays per case: <case>_y (n,) uint8, <case>_score (n,) float32 of the target's column, <case>_auc (2,) float32: the
other column as 1 − score, and as softmax wrote it. <case>_n_batches updates, to show that batching changes nothing.
"""
import json
import platform
from pathlib import Path

import keras
import numpy as np


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def keras_auc(y, columns, n_batches):
    """y (n,), columns (n, 2) float32 -> float32, one update_state per batch."""
    metric = keras.metrics.AUC(curve="PR", num_thresholds=200, summation_method="interpolation")
    one_hot = np.stack([1 - y, y], axis=1).astype(np.float32)
    for part in np.array_split(np.arange(len(y)), n_batches):
        metric.update_state(one_hot[part], columns[part])
    return np.float32(keras.ops.convert_to_numpy(metric.result()))


def cases(rng):
    """(name, y (n,), columns (n, 2), n_batches): easy and hard tasks, ties, bucket borders, one class, one clip."""
    for name, n, separation, share in [("good", 900, 5.0, 0.3), ("hard", 700, 1.0, 0.1), ("chance", 300, 0.0, 0.5)]:
        y = (rng.random(n) < share).astype(np.uint8)
        margin = separation * (y - 0.5) + rng.standard_normal(n)
        yield name, y, softmax(np.stack([-margin, margin], axis=1).astype(np.float32)), 7
    y = (rng.random(400) < 0.4).astype(np.uint8)
    borders = (rng.integers(0, 200, 400) / 199).astype(np.float32)      # exactly on the thresholds
    yield "borders", y, np.stack([1 - borders, borders], axis=1), 3
    tied = rng.choice(np.array([0, 0.25, 0.5, 1], np.float32), 400)
    yield "tied", y, np.stack([1 - tied, tied], axis=1), 1
    score = rng.random(50).astype(np.float32)
    for name, label in [("no_targets", 0), ("all_targets", 1)]:
        yield name, np.full(50, label, np.uint8), np.stack([1 - score, score], axis=1), 1
    half = np.full((9, 2), 0.5, np.float32)
    yield "all_half", np.arange(9, dtype=np.uint8) % 2, half, 1
    yield "one_clip", np.array([1], np.uint8), np.array([[0.2, 0.8]], np.float32), 1
    yield "one_wrong", np.array([1], np.uint8), np.array([[1.0, 0.0]], np.float32), 1


def main():
    arrays = {"versions": np.array(json.dumps({
        "python": platform.python_version(), "numpy": np.__version__, "keras": keras.__version__,
        "keras_backend": keras.backend.backend(), "backend": __import__(keras.backend.backend()).__version__}))}
    for name, y, columns, n_batches in cases(np.random.default_rng(20)):
        score = columns[:, 1]
        complement = np.stack([np.float32(1) - score, score], axis=1)
        arrays[f"{name}_y"], arrays[f"{name}_score"] = y, score
        arrays[f"{name}_auc"] = np.array([keras_auc(y, complement, n_batches), keras_auc(y, columns, n_batches)])
    np.savez_compressed(Path(__file__).with_name("metrics.npz"), **arrays)


if __name__ == "__main__":
    main()
