"""The compiled network: forward, backward and Adam of a layer list by csrc/train/, tested equal to the NumPy layers."""
import math

import numpy as np

from .kernels import ffi, lib
from .layers.conv2d import same_padding
from .model import Layer
from .optimiser import AdamConfig

KINDS = {"scale": "SCALE", "conv2d": "CONV2D", "depthwise2d": "DEPTHWISE2D", "pointwise": "POINTWISE",
         "batchnorm": "BATCHNORM", "relu": "CLAMP", "relu6": "CLAMP", "maxpool": "MAXPOOL", "stack": None, "gru": "GRU",
         "dropout": "DROPOUT", "mean_time": "MEAN_TIME", "dense": "DENSE"}      # None: the numbers stay where they are
FORMS = ("plain", "neon", "avx2", "avx512")                    # a later one is faster
LIMITS = {"relu": (0, np.inf), "relu6": (0, 6)}


def available_forms() -> list[str]:
    """The forms of the kernels that this processor can run, the fastest last."""
    return [form for form in FORMS if lib.npgru_train_has(number_of(form))]


def number_of(form: str) -> int:
    """C's npgru_train_form."""
    return getattr(lib, f"NPGRU_TRAIN_{form.upper()}")


def n_numbers(shapes) -> int:
    """How many numbers arrays of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes)


def shape_after(layer: Layer, T: int, M: int, C: int) -> tuple[int, int, int]:
    """A clip (T, M, C) that goes into a layer -> the shape that comes out; a sequence (T, D) is (T, 1, D)."""
    match layer.kind:
        case "conv2d":
            (k_t, k_m, _, N), (s_t, s_m) = layer.shapes["w"], layer.settings["stride"]
            return same_padding(T, k_t, s_t)[0], same_padding(M, k_m, s_m)[0], N
        case "pointwise" | "dense":
            return T, M, layer.shapes["w"][1]
        case "maxpool":
            return T, M // layer.settings["size"], C
        case "stack":
            return T, 1, M * C
        case "gru":
            return T, 1, layer.shapes["u"][0]
        case "mean_time":
            return 1, M, C
        case _:
            return T, M, C


def own_fields(layer: Layer, T: int, M: int) -> dict:
    """The fields of npgru_train_layer that only this kind has; raises ValueError for what C does not know."""
    if layer.kind not in KINDS or layer.kind == "depthwise2d" and layer.shapes["w"][:2] != (3, 3):
        raise ValueError(f"layer {layer.name!r} is of kind {layer.kind!r} with weights {layer.shapes}; the C back end knows "
                         f"{', '.join(KINDS)}, depthwise2d of 3 x 3; use the NumPy back end")
    if layer.kind == "conv2d":
        (k_t, k_m), (s_t, s_m) = layer.shapes["w"][:2], layer.settings["stride"]
        return {"k_t": k_t, "k_m": k_m, "s_t": s_t, "s_m": s_m,
                "before_t": same_padding(T, k_t, s_t)[1], "before_m": same_padding(M, k_m, s_m)[1]}
    taken = {"scale": {"factor": "factor"}, "maxpool": {"k_m": "size"}, "batchnorm": {"eps": "eps"}}.get(layer.kind, {})
    return {field: layer.settings[name] for field, name in taken.items()}


def c_names(layers: list[Layer]) -> list[str]:
    """Names of the layers that C has a struct for: relu and relu6 behind a batch-norm are part of it."""
    return [layer.name for previous, layer in zip([None, *layers], layers)
            if KINDS[layer.kind] and not is_part_of(previous, layer)]


def is_part_of(previous: Layer | None, layer: Layer) -> bool:
    """Whether C does a layer within the batch-norm before it."""
    return layer.kind in LIMITS and previous is not None and previous.kind == "batchnorm"


def c_layers(layers: list[Layer], T: int, M: int, C: int = 1) -> list[dict]:
    """The layer list as npgru_train_layer structs, for clips (T, M, C); their names are c_names."""
    rows, weights, stats = [], 0, 0
    for previous, layer in zip([None, *layers], layers):
        fields, (T_out, M_out, N) = own_fields(layer, T, M), shape_after(layer, T, M, C)
        y_min, y_max = LIMITS.get(layer.kind, (-np.inf, np.inf))
        if is_part_of(previous, layer):
            rows[-1] |= {"y_min": y_min, "y_max": y_max}
        elif KINDS[layer.kind]:
            rows.append({"kind": getattr(lib, f"NPGRU_{KINDS[layer.kind]}"), "T": T, "M": M, "C": C,
                         "T_out": T_out, "M_out": M_out, "N": N, "weights": weights, "stats": stats,
                         "y_min": y_min, "y_max": y_max, **fields})
        weights += n_numbers(layer.shapes.values())
        stats += 2 * C if layer.kind == "batchnorm" else 0
        T, M, C = T_out, M_out, N
    return rows


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
        rows = c_layers(layers, *clip_shape)
        form = form or available_forms()[-1]
        handle = lib.npgru_train_create(rows, len(rows), batch_size, threads, number_of(form))
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for {len(rows)} layers, batches of {batch_size} clips and {threads} threads")
        self.handle = ffi.gc(handle, lib.npgru_train_destroy, lib.npgru_train_bytes(handle))
        self.clip_shape, self.batch_size = tuple(clip_shape), batch_size
        self.names, self.threads, self.form = c_names(layers), threads, form
        self.n_out = rows[-1]["T_out"] * rows[-1]["M_out"] * rows[-1]["N"]
        self.shapes = {f"{layer.name}/{key}": shape for layer in layers for key, shape in layer.shapes.items()}
        self.gradients = Block(self.shapes, np.zeros(n_numbers(self.shapes.values()), np.float32))
        norms = [layer for layer in layers if layer.kind == "batchnorm"]
        self.norms = [layer.name for layer in norms]
        self.stats_shapes = {f"{layer.name}/{key}": layer.shapes["gamma"] for layer in norms for key in ("mean", "var")}
        self.stats_sizes = [2 * layer.shapes["gamma"][0] for layer in norms]
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
        running = np.concatenate([stats[name] for name in self.stats_shapes] or [()], dtype=np.float32)
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
        """As in model.forward, all batch-norms at once: running, batch (S,), mean and variance of each in turn."""
        counts = {f"{name}/count": stats[f"{name}/count"] + np.float32(1) for name in self.norms}
        share = np.maximum(1 / np.array([*counts.values()], np.float32), self.least_share)
        after = running + np.repeat(share, self.stats_sizes) * (batch - running)
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
