"""IntegerModel -> the bytes of a .tflite file, of built-in operators that TensorFlow Lite Micro registers.

    input (1, T, M, 1) int8 -> CONV_2D, DEPTHWISE_CONV_2D, MAX_POOL_2D -> RESHAPE: x (T', D)
    x -> the GRU, tflite_gru: total (1, H) int32 -> QUANTIZE -> FULLY_CONNECTED -> SOFTMAX (1, K) int8

The GRU has one of three forms: "while", a loop; "unrolled"; or "step", one step for streaming: a file that begins at x,
with inputs x (1, D), h, total and outputs h', total', probabilities. After T' steps from zeros they are the clip's.
"""
import json
from dataclasses import asdict, replace
from functools import partial
from types import MappingProxyType
from typing import Mapping

import numpy as np

from . import int8_params, tflite_gru
from .int8 import IntegerModel
from .tflite_gru import CodeGraph
from .tflite_writer import write_tflite

METADATA = "npgru"                              # name of the metadata entry; its buffer is JSON in UTF-8
GRU_FORMS = ("while", "unrolled", "step")
TARGETS = {None: 1, "esp-nn": 8}                # of how many outputs a dense layer there must have a multiple
NOTHING_MORE = MappingProxyType({})
MAX_SHIFT_INT64 = 14                            # of a multiplier behind an int64 accumulator: fixed_point.mbq64


def tflite_bytes(integers: IntegerModel, gru: str = "while", metadata: Mapping | None = NOTHING_MORE, names: bool = False,
                 minimal: bool = False, target: str | None = None) -> bytes:
    """The file; the same network gives the same bytes.

    gru        "while", "unrolled" or "step": the form of the GRU
    metadata   facts that travel besides front end, classes and clip length (threshold, provenance), JSON-able; None: none
    names      tensors get the names of int8.run's codes, and of int8_gru's formulas
    minimal    leaves out all that a reference kernel does not read: metadata, most scales of biases
    target     "esp-nn": int8 dense layers get a multiple of 8 outputs, of which the others are split off again: the same
               integers, around an error of ESP-NN (espressif/esp-nn#34)
    raises     ValueError for what the runtime would refuse, or round otherwise than int8.run
    """
    if gru not in GRU_FORMS:
        raise ValueError(f"gru={gru!r}; accepted: {', '.join(GRU_FORMS)}")
    if target not in TARGETS:
        raise ValueError(f"target={target!r}; accepted: {', '.join(name for name in TARGETS if name)}")
    check(integers)
    if target:
        check_padded(integers, TARGETS[target])
    make = step_graphs if gru == "step" else partial(clip_graphs, gru=gru)
    graphs = make(integers, minimal=minimal, dense_multiple=TARGETS[target])
    form = {"gru": gru, "target": target} if target else {"gru": gru}
    about = None if minimal or metadata is None else {METADATA: metadata_json(integers, {**metadata, **form})}
    return write_tflite(graphs, metadata=about, names=names)


def clip_graphs(integers: IntegerModel, gru: str, minimal: bool, dense_multiple: int = 1) -> list[CodeGraph]:
    """From the features of a clip to its probabilities."""
    before, cell, after = parts(integers)
    main = CodeGraph(minimal, dense_multiple)
    main.inputs = [main.codes(clip_shape(integers), before[0].y, name="input")]
    form = {"while": tflite_gru.while_graphs, "unrolled": tflite_gru.unrolled_graphs}[gru]
    total, others = form(main, layers(main, main.inputs[0], before[1:]), cell)
    main.outputs = [layers(main, total, after)]
    return [main, *others]


def step_graphs(integers: IntegerModel, minimal: bool, dense_multiple: int = 1) -> list[CodeGraph]:
    """From one row of the GRU's input and its state to the next state, and the probabilities of the sum so far."""
    _, cell, after = parts(integers)
    main = CodeGraph(minimal, dense_multiple)
    main.inputs = x, h, total = [main.codes((1, cell.op.arrays["w"].shape[1]), cell.x, name="x"), *tflite_gru.states(main, cell)]
    h, total = tflite_gru.step(main, cell, *tflite_gru.input_products(main, cell, x), h, total)
    main.outputs = [h, total, layers(main, tflite_gru.as_mean(main, cell, total), after)]
    return [main]


def metadata_json(integers: IntegerModel, facts: dict) -> bytes:
    """What a user of the file must know: how samples become its input, and what its output means."""
    known = {"front_end": asdict(integers.front_end), "classes": list(integers.classes), "clip_s": integers.clip_s,
             "state_bits": integers.state_bits}
    return json.dumps({**facts, **known}, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def check(integers: IntegerModel) -> None:
    """raises ValueError where TensorFlow Lite would abort, or compute other integers; ADD and SOFTMAX: see int8_params."""
    features = integers.operators[0].record
    if features.shift == 0 and features.multiplier in (0, 255):
        raise ValueError("the features' scale is outside 2^-9..2^17; calibrate on clips that are not silent")
    for before, op in zip(integers.operators, integers.operators[1:]):
        if op.settings.get("activation") == "relu6" and 6 / op.y.scale >= 2**31:
            raise ValueError(f"{op.name}: output scale {op.y.scale:g}; accepted: above 6 / 2^31; its outputs are all 0, retrain")
        for w, bias in (("w", "bias"), ("w", "bx"), ("u", "bh")):
            if bias in op.arrays:
                check_accumulators(op.name, op.arrays[w], op.arrays[bias], -1 if op.kind == "depthwise2d" else 0)
        if op.kind == "dense" and len(op.arrays["w_scale"]) == 1:
            single = int8_params.dense_per_tensor(before.y, op.arrays["w_scale"][0], 1, op.y)
            if (single.multiplier, single.shift) != (op.record.multiplier, op.record.shift):
                raise ValueError(f"{op.name}: TensorFlow Lite rounds the multiplier of a single output otherwise; use 2 units")
        if op.kind == "gru" and integers.state_bits == 16:
            shift = max(op.record.input.shift.max(), op.record.state.shift.max())
            if shift > MAX_SHIFT_INT64:
                raise ValueError(f"{op.name}: weights of 2^{shift} output steps; accepted: at most 2^{MAX_SHIFT_INT64}; retrain")


def check_padded(integers: IntegerModel, multiple: int) -> None:
    """raises ValueError where zeros beside a single output change its multiplier: its one scale becomes one of several."""
    for before, op in zip(integers.operators, integers.operators[1:]):
        if op.kind == "dense" and len(op.arrays["bias"]) == 1 < multiple:
            padded = int8_params.channels(before.y, op.arrays["w_scale"], op.y)
            if (padded.multiplier, padded.shift) != (op.record.multiplier, op.record.shift):
                raise ValueError(f"{op.name}: a single output, whose multiplier would be rounded otherwise with {multiple}; "
                                 "use 2 units, or no --target")


def check_accumulators(name, w, bias, channel_axis) -> None:
    """No sum may overflow, per channel:  |bias| + 255 Σ|w| < 2^31;  with an int64 bias, |bias| + 2^15 Σ|w| < 2^47."""
    widest, bits = (255, 31) if bias.dtype == np.int32 else (2**15, 47)
    weight_sum = np.abs(np.moveaxis(w, channel_axis, 0).reshape(len(bias), -1).astype(np.float64)).sum(axis=1)
    largest = (np.abs(bias.astype(np.float64)) + widest * weight_sum).max()
    if largest >= 2**bits:
        raise ValueError(f"{name}: its sums reach {largest:.0f}; accepted: below 2^{bits}; what it reads was 0 on all clips of "
                         "the calibration: calibrate on others, or train again")


def parts(integers: IntegerModel):
    """The operators before the GRU, its Cell, the operators after it."""
    operators = integers.operators
    k = [op.kind for op in operators].index("gru")
    n_steps = clip_shape(integers)[1]
    for op in operators[:k]:
        n_steps = -(-n_steps // op.settings.get("stride", (1, 1))[0])
    return operators[:k], tflite_gru.Cell(operators[k], operators[k - 1].y, n_steps), operators[k + 1:]


def clip_shape(integers: IntegerModel) -> tuple:
    """(1, T, M, 1): the features of one clip."""
    front_end = integers.front_end
    T = front_end.n_frames(round(integers.clip_s * front_end.sample_rate_hz))
    return 1, T, front_end.mel_n_channels, 1


def layers(g: CodeGraph, x: int, operators) -> int:
    """Operators one after another."""
    for op in operators:
        x = LAYERS[op.kind](g, x, op)
    return x


def convolution(g, x, op) -> int:
    _, T, M, _ = g.shape(x)
    stride_t, stride_m = op.settings["stride"]
    shape = (1, -(-T // stride_t), -(-M // stride_m), len(op.arrays["bias"]))
    code, axis, special = "CONV_2D", 0, {}
    if op.kind == "depthwise2d":
        op = replace(op, arrays=op.arrays | {"w": op.arrays["w"][None]})
        code, axis, special = "DEPTHWISE_CONV_2D", 3, {"depth_multiplier": 1}
    inputs = [x, *g.weights(op, ("w", "w_scale", "bias"), g.tensors[x].scale, axis)]
    return g.apply(code, inputs, shape, op.y, name=op.name, version=3, padding="same", stride_t=stride_t, stride_m=stride_m,
                   activation=op.settings["activation"], **special)


def max_pool(g, x, op) -> int:
    k_t, k_m = op.settings["kernel"]
    _, T, M, C = g.shape(x)
    return g.apply("MAX_POOL_2D", [x], (1, T // k_t, M // k_m, C), op.y, name=op.name, padding="valid", stride_t=k_t,
                   stride_m=k_m, kernel_t=k_t, kernel_m=k_m, activation="none")


def stack(g, x, op) -> int:
    """(1, T', M', C) -> (T', D)"""
    _, T, M, C = g.shape(x)
    return g.apply("RESHAPE", [x, g.constant(np.int32([T, M * C]))], (T, M * C), op.y, name=op.name, version=1)


def mean_time(g, total, op) -> int:
    return g.apply("QUANTIZE", [total], g.shape(total), op.y, name=op.name, version=1)


def dense(g, x, op) -> int:
    return g.dense(x, op, ("w", "w_scale", "bias"), op.y, op.name, {op.name: len(op.arrays["bias"])},
                   op.settings["activation"])[0]


def softmax(g, x, op) -> int:
    return g.apply("SOFTMAX", [x], g.shape(x), op.y, name=op.name, beta=1.0)


LAYERS = {"conv2d": convolution, "depthwise2d": convolution, "maxpool": max_pool, "stack": stack, "mean_time": mean_time,
          "dense": dense, "softmax": softmax}
