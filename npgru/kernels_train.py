"""The compiled network: forward, backward and Adam of a layer list by csrc/train/, tested equal to the NumPy layers."""
import math

import numpy as np

from .kernels import ffi, lib
from .layer_structs import c_layers, n_numbers, stats_shapes
from .model import Layer
from .optimiser import AdamConfig

FORMS = ("plain", "neon", "avx2", "avx512")                    # a later one is faster


def available_forms() -> list[str]:
    """The forms of the kernels that this processor can run, the fastest last."""
    return [form for form in FORMS if lib.npgru_train_has(number_of(form))]


def number_of(form: str) -> int:
    """C's npgru_train_form."""
    return getattr(lib, f"NPGRU_TRAIN_{form.upper()}")


class Block(dict):
    """{name: array}, all of them views of one array `flat`, one after another in the order of the dict."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], flat: np.ndarray):
        begin = 0
        for name, shape in shapes.items():
            end = begin + math.prod(shape)
            self[name] = flat[begin:end].reshape(shape)
            begin = end
        self.flat = flat


def block(shapes: dict[str, tuple[int, ...]], arrays: dict) -> Block:
    """arrays, copied into one float32 array; a Block of these shapes is returned as it is."""
    if isinstance(arrays, Block) and list(arrays) == list(shapes):
        return arrays
    return Block(shapes, np.concatenate([np.ravel(arrays[name]) for name in shapes] or [()], dtype=np.float32))


def pointer(array):
    """float * of a contiguous float32 array for C, NULL of None."""
    return ffi.NULL if array is None else ffi.from_buffer("float[]", array)


class Network:
    """A layer list with memory for batches of up to batch_size clips, and threads; model.Network's twin.

    clip_shape   (T, M) of the features, or (T, M, C)
    threads      never change a result
    form         of available_forms(), or None: the fastest. Last bits differ between forms, and only there
    raises       ValueError for a layer that C does not know; MemoryError
    """

    def __init__(self, layers: list[Layer], clip_shape: tuple[int, ...], batch_size: int, threads: int = 1,
                 form: str | None = None):
        named = c_layers(layers, *clip_shape)
        rows = [*named.values()]
        form = form or available_forms()[-1]
        handle = lib.npgru_train_create(rows, len(rows), batch_size, threads, number_of(form))
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for {len(rows)} layers, batches of {batch_size} clips and {threads} threads")
        self.handle = ffi.gc(handle, lib.npgru_train_destroy, lib.npgru_train_bytes(handle))
        self.clip_shape, self.batch_size = tuple(clip_shape), batch_size
        self.names, self.threads, self.form = [*named], threads, form
        self.n_out = rows[-1]["T_out"] * rows[-1]["M_out"] * rows[-1]["N"]
        self.shapes = {f"{layer.name}/{key}": shape for layer in layers for key, shape in layer.shapes.items()}
        self.gradients = Block(self.shapes, np.zeros(n_numbers(self.shapes.values()), np.float32))
        norms = [layer for layer in layers if layer.kind == "batchnorm"]
        self.norms = [layer.name for layer in norms]
        self.stats_shapes = stats_shapes(layers)
        self.of_norms = np.concatenate([np.full(math.prod(shape), name.endswith(("/mean", "/var")))
                                        for name, shape in self.stats_shapes.items()] or [()]).astype(bool)
        self.norm_sizes = [2 * layer.shapes["gamma"][0] for layer in norms]
        self.least_share = np.array([1 - layer.settings["momentum"] for layer in norms], np.float32)
        self.dropouts = [(row["T"], row["M"] * row["C"]) for row in rows if row["kind"] == lib.NPGRU_DROPOUT]
        self.dropout_rates = [layer.settings["rate"] for layer in layers if layer.kind == "dropout"]
        if len(self.dropouts) > 1:
            raise ValueError(f"{len(self.dropouts)} dropout layers; the C back end knows one; use the NumPy back end")

    def measure(self, seconds: np.ndarray | None) -> None:
        """From now on add what each layer takes to seconds (threads, len(names) + 2, 2) float64: see npgru_train.h."""
        self.seconds = seconds                                   # C writes there as long as it measures
        lib.npgru_train_measure(self.handle, ffi.NULL if seconds is None else ffi.from_buffer("double[]", seconds))

    def own(self, arrays: dict) -> Block:
        """Weights or moments {name: array} in one array, as C wants them: once at the start of a run."""
        return block(self.shapes, arrays)

    def forward(self, params: dict, stats: dict, x, rng: np.random.Generator | None = None):
        """model.forward: x (B, T, M) -> logits (B, K), what backward needs, and the running statistics after this batch."""
        B, training = len(x), rng is not None
        if not 1 <= B <= self.batch_size or x.shape[1:] != self.clip_shape:
            raise ValueError(f"x is {x.shape}; accepted: 1 to {self.batch_size} clips of {self.clip_shape}")
        x, params = np.ascontiguousarray(x, dtype=np.float32), self.own(params)
        logits, factors = np.empty((B, self.n_out), np.float32), self.dropout_factors(B, rng)
        running = np.concatenate([np.ravel(stats[name]) for name in self.stats_shapes] or [()], dtype=np.float32)
        batch = running.copy()                                   # C reads it in inference and overwrites it in training
        status = lib.npgru_train_forward(self.handle, B, training, pointer(x), pointer(params.flat), pointer(factors),
                                         pointer(batch), pointer(logits))
        assert status == lib.NPGRU_OK
        self.in_use = x, params, factors, batch                  # C reads them again in backward
        return logits, self.in_use, self.running_statistics(stats, running, batch) if training else stats

    def dropout_factors(self, B: int, rng):
        """What npgru.layers.dropout draws, (B, T, D); None in inference and without dropout."""
        if rng is None or not self.dropouts:
            return None
        rate = self.dropout_rates[0]
        return (rng.random((B, *self.dropouts[0]), dtype=np.float32) >= rate) / np.float32(1 - rate)

    def running_statistics(self, stats: dict, running: np.ndarray, batch: np.ndarray) -> dict:
        """As in model.forward, all layers at once: running (S,) before, batch (S,) as C left it.

        Ranges C has moved itself; of batch-norms it gives the mean and the variance of the batch.
        """
        counts = {f"{name}/count": stats[f"{name}/count"] + np.float32(1) for name in self.norms}
        share = np.repeat(np.maximum(1 / np.array([*counts.values()], np.float32), self.least_share), self.norm_sizes)
        before, after = running[self.of_norms], batch.copy()
        after[self.of_norms] = before + share * (batch[self.of_norms] - before)
        return stats | Block(self.stats_shapes, after) | counts          # in the order of stats

    def backward(self, dlogits, caches, with_dx: bool = False):
        """model.backward for the last forward: dlogits (B, K) -> gradients, overwritten by the next call, and dx or None."""
        if caches is not self.in_use:
            raise ValueError("backward follows its own forward: the memory holds one batch")
        dx = np.empty_like(caches[0]) if with_dx else None
        status = lib.npgru_train_backward(self.handle, pointer(np.ascontiguousarray(dlogits, dtype=np.float32)),
                                          pointer(self.gradients.flat), pointer(dx))
        if status != lib.NPGRU_OK:
            raise ValueError("backward needs a forward in training, with rng")
        return self.gradients, dx

    def adam_step(self, params: Block, gradients: Block, m: Block, v: Block, step: int, config: AdamConfig,
                  decay: float = 1.0) -> None:
        """optimiser.adam_step on arrays of `own`."""
        eta = decay * config.learning_rate * np.sqrt(1 - config.beta2 ** step) / (1 - config.beta1 ** step)
        constants = ffi.new("npgru_adam *", [eta, 1 - config.beta1, 1 - config.beta2, config.epsilon])
        lib.npgru_train_adam(self.handle, constants, len(params.flat),
                             *(pointer(arrays.flat) for arrays in (gradients, m, v, params)))

    def predict(self, params: dict, stats: dict, x) -> np.ndarray:
        """model.predict: features x (N, T, M), any real dtype -> logits (N, K)."""
        params = self.own(params)
        batches = [self.forward(params, stats, x[i:i + self.batch_size])[0] for i in range(0, len(x), self.batch_size)]
        return np.concatenate(batches) if batches else np.zeros((0, self.n_out), np.float32)
