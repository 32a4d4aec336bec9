"""An IntegerModel -> C: its numbers and one call of a csrc kernel per operator, for the firmware of the tests."""
from dataclasses import fields, is_dataclass

import numpy as np

from npgru.front_end import tables
from npgru.int8_params import Quantisation, rescale
from npgru.int8_reference import geometry

C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "uint16": "uint16_t"}


def numbers(array) -> str:
    """An array as a C constant of its type, in place: at file scope it lives as long as the program."""
    return f"(const {C_TYPES[array.dtype.name]}[]){braces(array)}"


def braces(array) -> str:
    return f"{{ {', '.join(str(value) + 'LL' * (array.dtype == np.int64) for value in array.ravel().tolist())} }}"


def struct(record, **more) -> str:
    """A record of int8_params (and further fields) -> the initialiser of its C struct."""
    values = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "real"} if record else {}
    texts = []
    for name, value in {**values, **more}.items():
        text = value if isinstance(value, str) else struct(value) if is_dataclass(value) else \
            numbers(value) if isinstance(value, np.ndarray) else f"{value}{'u' * (value > 2**31)}{'LL' * (value > 2**31)}"
        texts.append(f".{name} = {text}")
    return f"{{ {', '.join(texts)} }}"


def window(x_shape, n_out, kernel, stride, padding) -> str:
    (out_t, pad_t, _), (out_m, pad_m, _) = geometry(x_shape, kernel, stride, padding)
    _, T, M, C = x_shape
    return struct(None, batch=1, in_t=T, in_m=M, in_channels=C, out_t=out_t, out_m=out_m, out_channels=n_out, kernel_t=kernel[0],
                  kernel_m=kernel[1], stride_t=stride[0], stride_m=stride[1], pad_t=pad_t, pad_m=pad_m)


def call(op, x: str, x_shape, state_bits: int) -> tuple[str, str]:
    """One operator: (type and initialiser of its parameters, the call), its input named x."""
    y, arrays, size = op.name, op.arrays, int(np.prod(x_shape[1:]))
    p = f"&{y}_p"
    if op.kind in ("conv2d", "depthwise2d"):
        kernel = arrays["w"].shape[1:3] if op.kind == "conv2d" else arrays["w"].shape[:2]
        at = window(x_shape, len(arrays["bias"]), kernel, op.settings["stride"], "same")
        return ("npgru_conv2d_params", struct(None, window=at, channels=struct(op.record)),
                f"npgru_{op.kind}_s8({p}, {x}, {y}_w, {y}_bias, {y})")
    if op.kind == "dense":
        values = struct(None, batch=1, in_features=size, out_features=len(arrays["bias"]), channels=struct(op.record))
        return "npgru_dense_params", values, f"npgru_dense_s8({p}, {x}, {y}_w, {y}_bias, {y})"
    if op.kind == "maxpool":
        at = window(x_shape, x_shape[3], op.settings["kernel"], op.settings["kernel"], "valid")
        return "npgru_max_pool_params", struct(None, window=at, y_min=-128, y_max=127), f"npgru_max_pool_s8({p}, {x}, {y})"
    if op.kind == "gru":
        values = struct(op.record, in_features=arrays["w"].shape[1], units=arrays["u"].shape[1])
        if state_bits == 8:
            values = values.replace(".sigmoid =", ".sigmoid_table =").replace(".tanh =", ".tanh_table =")
        return "npgru_gru_params", values, f"gru_s{state_bits}({p}, {x_shape[1]}, {x}, {y}_w, {y}_u, {y}_bx, {y}_bh, {y})"
    if op.kind == "mean_time":
        _, T, H = x_shape
        record = rescale(Quantisation(np.float32(np.float64(op.settings["x"].scale) / T)), op.y)
        return "npgru_rescale", struct(record), f"npgru_quantize_s32({p}, {H}, time_sum_s{state_bits}({T}, {H}, {x}), {y})"
    if op.kind == "softmax":
        return "npgru_softmax", struct(op.record), f"npgru_softmax_s8({p}, 1, {size}, {x}, {y})"
    return "npgru_features", struct(op.record), f"npgru_quantize_features({p}, {size}, {x}, {y})"


def network_source(integers, n_samples: int, codes: dict) -> str:
    """C of the front end and of every operator.   codes: one clip's, of int8.run: they tell the shapes"""
    fe = integers.front_end
    arrays = {name: numbers(getattr(tables(fe), name)) for name in
              ("window", "twiddles", "segments", "weights", "unweights", "log_table")}
    front_end = struct(None, window_len=fe.window_len, window_stride=fe.window_stride, window_bits=fe.window_scaling_bits,
                       n_channels=fe.mel_n_channels, post_bits=fe.mel_post_scaling_bits, pad_tail=int(fe.pad_tail), **arrays)
    x, x_shape = "features", (1, fe.n_frames(n_samples), fe.mel_n_channels)
    constants = [f"enum {{ N_SAMPLES = {n_samples}, N_FRAMES = {x_shape[1]}, N_FEATURES = {x_shape[1] * x_shape[2]} }};",
                 f"static const npgru_log_mel_params front_end = {front_end};"]
    calls = []
    for op in integers.operators:
        y, y_shape = op.name, codes[op.name].shape
        if op.kind != "stack":                                                        # a view
            p_type, p, text = call(op, x, x_shape, integers.state_bits)
            constants += [f"static const {C_TYPES[array.dtype.name]} {y}_{key}[] = {braces(array)};"
                          for key, array in op.arrays.items() if not key.endswith("scale")]
            constants += [f"static const {p_type} {y}_p = {p};",
                          f"static {C_TYPES[codes[y].dtype.name]} {y}[{int(np.prod(y_shape[1:]))}];"]
            calls += [f'    RUN("{y}", {text}, {y}, sizeof {y});']
            x = y
        x_shape = y_shape
    return "\n".join([*constants, "static void network(const uint16_t *features)", "{", *calls, "}", ""])
