"""A fake-quantised network -> integers only: codes, multipliers and shifts; and their forward pass.

What is frozen here is what compress.py put on its grids: no range is looked for again. `run` goes operator by operator,
by int8_reference.py in NumPy or by its twin in C; `codes` and `logits` take a whole network in one call where C is built.
All give the same integers.
"""
from dataclasses import dataclass
from functools import cached_property, partial
from types import SimpleNamespace

import numpy as np

from . import int8_gru, int8_params, int8_reference, kernels, kernels_int8
from .checkpoint import Model
from .feature_rows import blocks
from .int8_nonlinear import softmax_s8
from .int8_params import Quantisation
from .kernels_int8_host import HostNetwork
from .layers.fake_quant import WEIGHT_MAX, round_half_away, weight_codes, weight_scale
from .model import INPUT_CODES, activation_scale

STATE_BITS = (8, 16)
PROBABILITY = Quantisation(1 / 256, -128)


@dataclass(frozen=True)
class Operator:
    """One integer operator: kind is a key of RUN, record a parameter record of int8_params, y its output's codes.

    arrays      weights and biases, and the weights' scales w_scale, u_scale (N,) float32
    settings    "stride", "activation" of a kernel; "kernel" of a pool; "bits", "q" (GruQuantisation) of a GRU; "x", the
                states' codes, of a mean over time
    """
    kind: str
    name: str
    record: object
    y: Quantisation
    arrays: dict
    settings: dict


@dataclass(frozen=True)
class IntegerModel:
    """Operators from features to probabilities, and what belongs to the network wherever it goes."""
    operators: list
    front_end: object
    classes: tuple[str, str]
    clip_s: float
    state_bits: int

    @cached_property
    def host(self) -> HostNetwork:
        """The network packed for this processor, when it is first asked for; only where the kernels are built."""
        return HostNetwork(self.operators)

    def __getstate__(self):
        """For other processes: without `host`, which belongs to this one."""
        return {name: value for name, value in vars(self).items() if name != "host"}


def freeze(trained: Model, state_bits: int = 16) -> IntegerModel:
    """A model whose layers are those of compress.quantisable -> integers.

    state_bits   of the GRU's gates and state: 16, or 8 (500 bytes less, and less exact)
    raises       ValueError for a network that is not fake-quantised
    """
    if state_bits not in STATE_BITS:
        raise ValueError(f"state_bits={state_bits!r}; accepted: 8, 16")
    if not is_quantised(trained):
        raise ValueError("the network is not quantised; train it with --stages ...,quantise or ...,calibrate")
    scale, zero_point = activation_scale(INPUT_CODES, trained.stats)
    factor = np.float32(trained.layers[0].settings["factor"])       # a power of two: the first kernel takes it over, exactly
    x = Quantisation(scale / factor, zero_point)                    # of the features as they are
    operators = [Operator("features", "input", int8_params.features(*x), x, {}, {})]
    for k, layer in enumerate(trained.layers):
        if layer.kind in ("conv2d", "depthwise2d", "pointwise", "dense"):
            operators.append(kernel_operator(trained, k, x, factor if len(operators) == 1 else np.float32(1)))
        elif layer.kind == "maxpool":
            operators.append(Operator("maxpool", layer.name, None, x, {}, {"kernel": (1, layer.settings["size"])}))
        elif layer.kind == "stack":
            operators.append(Operator("stack", layer.name, None, x, {}, {}))
        elif layer.kind == "gru_quantised":
            operators.append(gru_operator(trained, layer, x, state_bits))
        elif layer.kind == "mean_time":
            operators.append(Operator("mean_time", layer.name, None, next_codes(trained, k), {}, {"x": x}))
        x = operators[-1].y
    operators.append(Operator("softmax", "probabilities", int8_params.softmax_of(x), PROBABILITY, {}, {}))
    return IntegerModel(operators, trained.front_end, trained.classes, trained.clip_s, state_bits)


def is_quantised(trained: Model) -> bool:
    """Whether compress.quantisable has put it on the integers' grids."""
    return any(layer.name == INPUT_CODES for layer in trained.layers)


def next_codes(trained: Model, k: int) -> Quantisation:
    """The grid that the first fake_quant behind layer k puts its values on."""
    layer = next(layer for layer in trained.layers[k + 1:] if layer.kind == "fake_quant")
    return Quantisation(*activation_scale(layer.name, trained.stats))


def bias_codes(b, x_scale, w_scale, dtype) -> np.ndarray:
    """b / (s_x s_w) rounded half away from zero, (N,). raises ValueError where that is more than half of an int32."""
    codes = round_half_away(b.astype(np.float64) / (np.float64(x_scale) * w_scale.astype(np.float64)))
    if np.abs(codes).max() >= 2**30:
        raise ValueError(f"a bias of {np.abs(b).max():g} is {np.abs(codes).max():.3g} steps of its accumulator, at most 2^30 "
                         "are accepted; the layer before was zero in calibration: calibrate on more clips, or train longer")
    return codes.astype(dtype)


def kernel_operator(trained: Model, k: int, x: Quantisation, factor) -> Operator:
    """Layer k (a convolution or dense) with the bias and the activation behind it; its kernel times factor, a power of two."""
    layer, behind = trained.layers[k], trained.layers[k + 1:k + 3]
    w, y = trained.params[f"{layer.name}/w"], next_codes(trained, k)
    b = trained.params[f"{layer.name}/b" if layer.kind == "dense" else f"{layer.name}_bias/b"]
    activation = next((after.kind for after in behind if after.kind in ("relu", "relu6")), "none")
    scale, codes = weight_scale(w) * factor, weight_codes(w).astype(np.int8)
    codes = {"conv2d": lambda: codes.transpose(3, 0, 1, 2), "pointwise": lambda: codes.T[:, None, None],
             "depthwise2d": lambda: codes, "dense": lambda: codes.T}[layer.kind]()
    arrays = {"w": np.ascontiguousarray(codes), "w_scale": scale, "bias": bias_codes(b, x.scale, scale, np.int32)}
    settings = {"stride": layer.settings.get("stride", (1, 1)), "activation": activation}
    kind = {"pointwise": "conv2d"}.get(layer.kind, layer.kind)
    return Operator(kind, layer.name, kernel_record(kind, x, scale, y, activation), y, arrays, settings)


def kernel_record(kind: str, x: Quantisation, w_scale, y: Quantisation, activation: str) -> int8_params.Channels:
    """The output stage of a convolution or dense layer. A dense layer of one output: TensorFlow Lite sees a single scale."""
    if kind == "dense" and len(w_scale) == 1:
        return int8_params.dense_per_tensor(x, w_scale[0], 1, y, activation)
    return int8_params.channels(x, w_scale, y, activation)


def gru_operator(trained: Model, layer, x: Quantisation, state_bits: int) -> Operator:
    """The GRU's weights as codes, rows z | r | n, and the records of its step."""
    w, u, b, c = (trained.params[f"{layer.name}/{key}"] for key in "wubc")
    w_scale, u_scale = weight_scale(w), weight_scale(u)
    ranges = trained.stats[f"{layer.name}/ranges"].astype(np.float64)
    arrays = {"w": np.ascontiguousarray(weight_codes(w).astype(np.int8).T), "w_scale": w_scale,
              "u": np.ascontiguousarray(weight_codes(u).astype(np.int8).T), "u_scale": u_scale}
    if state_bits == 16:
        q = int8_gru.quantisation_s16(*(np.float32(ranges / 32767)))
        bx = bias_codes(b, x.scale, w_scale, np.int64)
        arrays |= {"bx": int8_gru.fold_zero_point(bx, arrays["w"], x.zero_point),
                   "bh": bias_codes(c, q.h.scale, u_scale, np.int64)}
    else:
        gx, gh, gates, candidate = map(Quantisation, np.float32(ranges / WEIGHT_MAX))
        q = int8_gru.GruQuantisation(gx, gh, gates, gh, candidate, Quantisation(1 / 64), Quantisation(1 / 64),
                                     Quantisation(1 / 128))
        arrays |= {"bx": bias_codes(b, x.scale, w_scale, np.int32), "bh": bias_codes(c, q.h.scale, u_scale, np.int32)}
    record = int8_gru.gru_of(x, w_scale, u_scale, q, state_bits)
    return Operator("gru", layer.name, record, q.h, arrays, {"bits": state_bits, "q": q})


REFERENCE = SimpleNamespace(**vars(int8_reference), softmax_s8=softmax_s8, gru_step_s16=int8_gru.gru_step_s16,
                            gru_step_s8=int8_gru.gru_step_s8)


def operators_of(backend: str | None, profile: str):
    """Where run finds its operators. C has one profile, and NumPy all of int8_reference.PROFILES."""
    if profile == "tflm":
        return kernels_int8 if kernels.choose_backend(backend) == "c" else REFERENCE
    if backend == "c":
        raise ValueError(f"profile={profile!r} on back end 'c'; accepted there: 'tflm'; use 'numpy'")
    rounded = {name: partial(getattr(REFERENCE, name), profile=profile)
               for name in ("dense_s8", "dense_s16", "gru_step_s8", "gru_step_s16")}
    return SimpleNamespace(**vars(REFERENCE) | rounded)


def run_gru(ops, op: Operator, x) -> np.ndarray:
    """x (B, T, D) int8 -> every state (B, T, H), int16 or int8, from a state of zeros."""
    B, T, _ = x.shape
    step = ops.gru_step_s16 if op.settings["bits"] == 16 else ops.gru_step_s8
    weights = [op.arrays[key] for key in ("w", "u", "bx", "bh")]
    h = np.zeros((B, T + 1, op.arrays["u"].shape[1]), np.int16 if op.settings["bits"] == 16 else np.int8)
    for t in range(T):
        h[:, t + 1] = step(x[:, t], h[:, t], *weights, op.record)
    return h[:, 1:]


def run_mean_time(ops, op: Operator, x) -> np.ndarray:
    """The mean over time without a rounding of its own. x (B, T, H) -> (B, H) int8."""
    return ops.quantize(int8_reference.time_sum(x), int8_params.mean_of_sum(op.settings["x"], op.y, x.shape[1]))


RUN = {
    "features": lambda ops, op, x: ops.quantize_features(x, op.record)[..., None],
    "conv2d": lambda ops, op, x: ops.conv2d_s8(x, op.arrays["w"], op.arrays["bias"], op.record, op.settings["stride"]),
    "depthwise2d": lambda ops, op, x: ops.depthwise2d_s8(x, op.arrays["w"], op.arrays["bias"], op.record),
    "maxpool": lambda ops, op, x: ops.max_pool_s8(x, op.settings["kernel"]),
    "stack": lambda ops, op, x: x.reshape(*x.shape[:2], x.shape[2] * x.shape[3]),
    "gru": run_gru,
    "mean_time": run_mean_time,
    "dense": lambda ops, op, x: ops.dense_s8(x, op.arrays["w"], op.arrays["bias"], op.record),
    "softmax": lambda ops, op, x: ops.softmax_s8(x, op.record),
}


def run(integers: IntegerModel, features, backend: str | None = None, profile: str = "tflm") -> dict:
    """features (B, T, M) uint16 -> {operator's name: its codes}, all of them; "probabilities" (B, 2) int8 come last.

    backend    "c", "numpy" or None, the best there is; all give the same integers
    profile    whose rounding: of int8_reference.PROFILES
    """
    ops = operators_of(backend, profile)
    codes, x = {}, features
    for op in integers.operators:
        x = codes[op.name] = RUN[op.kind](ops, op, x)
    return codes


def real(integers: IntegerModel, codes: dict, name: str) -> np.ndarray:
    """The real values of an operator's codes: scale × (q − zero_point)."""
    y = next(op.y for op in integers.operators if op.name == name)
    return np.float64(y.scale) * (codes[name].astype(np.float64) - y.zero_point)


def codes(integers: IntegerModel, features, names=(), backend: str | None = None, threads: int = 1) -> dict:
    """features (N, T, M) uint16 -> {name: its codes (N, ..)} of the operators named, those of `run`, by the fastest way.

    names      of operators; without any: the last dense layer and "probabilities", (N, K) int8 each
    backend    "c", "numpy" or None, the best there is; all give the same integers
    threads    of C; they never change a result
    raises     ValueError for features of another type or shape, and for a name that no operator has
    """
    names = names or [op.name for op in integers.operators[-2:]]
    if unknown := [name for name in names if name not in [op.name for op in integers.operators]]:
        raise ValueError(f"no operator is named {unknown[0]!r}; accepted: {', '.join(op.name for op in integers.operators)}")
    if kernels.choose_backend(backend) == "c":
        batches = [integers.host.codes(block, names, threads) for block in blocks(features)]
    else:
        batches = [run(integers, block, backend) for block in blocks(features, 32)]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def logits(integers: IntegerModel, features, threads: int = 1) -> np.ndarray:
    """features (N, T, M) uint16 -> real values of the last dense layer's codes, (N, K) float64."""
    name = integers.operators[-2].name
    return real(integers, codes(integers, features, [name], threads=threads), name)
