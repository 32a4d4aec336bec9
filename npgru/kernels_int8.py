"""The compiled integer operators under the names of their NumPy twins in int8_reference, int8_nonlinear and int8_gru.

Same arguments, same integers; the profile is "tflm". A record p becomes the C struct of the same fields, arrays are
checked here, and what C refuses is a ValueError. Biases of dense_s16 are int64 or None.
"""
from dataclasses import fields, is_dataclass

import numpy as np

from npgru.int8_reference import geometry
from npgru.kernels import AVAILABLE, MISSING, _raise_unless_ok, ffi, lib

C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "uint16": "uint16_t"}
SUFFIXES = {"int8": "s8", "int16": "s16", "int32": "s32"}


def _array(name, x, dtypes, shape):
    """x, contiguous, refused unless of one of the dtypes and of the shape; None in the shape: any size."""
    x = np.ascontiguousarray(x)
    fits = x.ndim == len(shape) and all(n in (None, size) for n, size in zip(shape, x.shape))
    if x.dtype.name not in dtypes.split() or not fits:
        raise ValueError(f"{name} is {x.dtype} {x.shape}; accepted: {dtypes} {shape}")
    return x


def _pointer(x):
    return ffi.NULL if x is None else ffi.from_buffer(C_TYPES[x.dtype.name] + "[]", x)


def _fields(p, kept):
    """A record -> {field: number, pointer or nested dict} for cffi; arrays go to the list kept, so that they live on.

    Only what C has: the real multipliers serve another profile.
    """
    values = {}
    for field in (f for f in fields(p) if f.name != "real"):
        value = getattr(p, field.name)
        if is_dataclass(value):
            value = _fields(value, kept)
        elif isinstance(value, np.ndarray):
            kept.append(_pointer(np.ascontiguousarray(value)))
            value = kept[-1]
        values[field.name] = value
    return values


def _call(name, *arguments):
    """lib.npgru_<name>(arguments): arrays become pointers, a status an exception."""
    if not AVAILABLE:
        raise RuntimeError(MISSING)
    pointers = [_pointer(a) if a is None or isinstance(a, np.ndarray) else a for a in arguments]
    _raise_unless_ok(f"npgru_{name}", getattr(lib, f"npgru_{name}")(*pointers))


def _record(struct, p):
    """A record -> (the C struct, what it points into)."""
    kept = []
    return ffi.new(f"{struct} *", _fields(p, kept)), kept


def _window(x_shape, kernel, n_out, stride, padding):
    """Fields of npgru_window, and the shape of the output."""
    B, T, M, C = x_shape
    (out_t, pad_t, _), (out_m, pad_m, _) = geometry(x_shape, kernel, stride, padding)
    window = {"batch": B, "in_t": T, "in_m": M, "in_channels": C, "out_t": out_t, "out_m": out_m, "out_channels": n_out,
              "kernel_t": kernel[0], "kernel_m": kernel[1], "stride_t": stride[0], "stride_m": stride[1],
              "pad_t": pad_t, "pad_m": pad_m}
    return window, (B, out_t, out_m, n_out)


def _channel_fields(p, n, kept):
    """Fields of npgru_channels for n outputs."""
    if p.multiplier.shape != (n,) or p.shift.shape != (n,) or p.multiplier.dtype != np.int32 or p.shift.dtype != np.int32:
        raise ValueError(f"multiplier {p.multiplier.dtype} {p.multiplier.shape}, shift {p.shift.dtype} {p.shift.shape}; "
                         f"accepted: int32 ({n},) both")
    return _fields(p, kept)


def _convolution_params(x_shape, p, kernel, stride, padding, kept):
    """npgru_conv2d_params *, and the shape of the output."""
    n = len(p.multiplier)
    window, shape = _window(x_shape, kernel, n, stride, padding)
    return ffi.new("npgru_conv2d_params *", {"window": window, "channels": _channel_fields(p, n, kept)}), shape


def _convolution(name, x, w, bias, p, kernel, stride, padding):
    params, shape = _convolution_params(x.shape, p, kernel, stride, padding, kept := [])
    bias = None if bias is None else _array("bias", bias, "int32", (shape[3],))
    y = np.empty(shape, np.int8)
    _call(name, params, x, w, bias, y)
    return y


def conv2d_s8(x, w, bias, p, stride=(1, 1), padding="same"):
    """The twin of int8_reference.conv2d_s8."""
    x = _array("x", x, "int8", (None,) * 4)
    w = _array("w", w, "int8", (len(p.multiplier), None, None, x.shape[3]))
    return _convolution("conv2d_s8", x, w, bias, p, w.shape[1:3], stride, padding)


def depthwise2d_s8(x, w, bias, p, stride=(1, 1), padding="same"):
    """The twin of int8_reference.depthwise2d_s8."""
    x = _array("x", x, "int8", (None, None, None, len(p.multiplier)))
    w = _array("w", w, "int8", (None, None, x.shape[3]))
    return _convolution("depthwise2d_s8", x, w, bias, p, w.shape[:2], stride, padding)


def _dense(suffix, x, w, bias, p):
    dtype, bias_dtype = ("int8", "int32") if suffix == "s8" else ("int16", "int64")
    x = _array("x", x, dtype, (None, None))
    w = _array("w", w, "int8", (None, x.shape[1]))
    B, D, N = *x.shape, len(w)
    bias, kept = None if bias is None else _array("bias", bias, bias_dtype, (N,)), []
    params = ffi.new("npgru_dense_params *", {"batch": B, "in_features": D, "out_features": N,
                                              "channels": _channel_fields(p, N, kept)})
    y = np.empty((B, N), dtype)
    _call(f"dense_{suffix}", params, x, w, bias, y)
    return y


def dense_s8(x, w, bias, p):
    """The twin of int8_reference.dense_s8."""
    return _dense("s8", x, w, bias, p)


def dense_s16(x, w, bias, p):
    """The twin of int8_reference.dense_s16, with an int64 bias; None is a bias of zeros and rounds as that."""
    return _dense("s16", x, w, bias, p)


def _elementwise(name, struct, p, *inputs, dtypes="int8 int16", y_dtype=None):
    """y of the inputs' shape; the name of the kernel ends in their type."""
    x = _array("x1", inputs[0], dtypes, (None,) * np.ndim(inputs[0]))
    others = [_array("x2", other, x.dtype.name, x.shape) for other in inputs[1:]]
    y = np.empty(x.shape, y_dtype or x.dtype)
    params, _kept = _record(struct, p)
    _call(name if name.endswith("features") else f"{name}_{SUFFIXES[x.dtype.name]}", params, x.size, x, *others, y)
    return y


def add(x1, x2, p):
    """The twin of int8_reference.add."""
    return _elementwise("add", "npgru_sum", p, x1, x2)


def sub(x1, x2, p):
    """The twin of int8_reference.sub."""
    return _elementwise("sub", "npgru_sum", p, x1, x2)


def mul(x1, x2, p):
    """The twin of int8_reference.mul."""
    return _elementwise("mul", "npgru_product", p, x1, x2)


def quantize(x, p):
    """The twin of int8_reference.quantize."""
    return _elementwise("quantize", "npgru_rescale", p, x, dtypes="int8 int16 int32", y_dtype=np.int8)


def quantize_features(f, p):
    """The twin of int8_reference.quantize_features."""
    return _elementwise("quantize_features", "npgru_features", p, f, dtypes="uint16", y_dtype=np.int8)


def logistic_s16(x, p):
    """The twin of int8_nonlinear.logistic_s16."""
    return _elementwise("logistic", "npgru_curve", p, x, dtypes="int16")


def tanh_s16(x, p):
    """The twin of int8_nonlinear.tanh_s16."""
    return _elementwise("tanh", "npgru_curve", p, x, dtypes="int16")


def lookup_s8(x, table):
    """The twin of int8_nonlinear.lookup_s8."""
    x, table = _array("x", x, "int8", (None,) * np.ndim(x)), _array("table", table, "int8", (256,))
    y = np.empty(x.shape, np.int8)
    _call("lookup_s8", table, x.size, x, y)
    return y


def softmax_s8(x, p):
    """The twin of int8_nonlinear.softmax_s8."""
    x = _array("x", x, "int8", (None,) * np.ndim(x))
    params, _kept = _record("npgru_softmax", p)
    y = np.empty(x.shape, np.int8)
    _call("softmax_s8", params, x.size // x.shape[-1], x.shape[-1], x, y)
    return y


def mean(x, p):
    """The twin of int8_reference.mean."""
    x = _array("x", x, "int8 int16", (None,) * 3)
    params, _kept = _record("npgru_rescale", p)
    y = np.empty((x.shape[0], x.shape[2]), x.dtype)
    _call(f"mean_{SUFFIXES[x.dtype.name]}", params, *x.shape, x, y)
    return y


def max_pool_s8(x, kernel, stride=None, padding="valid", y_min=-128, y_max=127):
    """The twin of int8_reference.max_pool_s8."""
    x = _array("x", x, "int8", (None,) * 4)
    window, shape = _window(x.shape, kernel, x.shape[3], stride or kernel, padding)
    y = np.empty(shape, np.int8)
    _call("max_pool_s8", ffi.new("npgru_max_pool_params *", {"window": window, "y_min": y_min, "y_max": y_max}), x, y)
    return y


def _gru_params(bits, D, H, p, kept):
    """npgru_gru_params * of a state of that many bits."""
    values = {"in_features": D, "units": H, **_fields(p, kept)}
    values.update(input=_channel_fields(p.input, 3 * H, kept), state=_channel_fields(p.state, 3 * H, kept))
    if bits == 8:                                   # tables, under their names in C
        values.update(sigmoid_table=values.pop("sigmoid"), tanh_table=values.pop("tanh"))
    return ffi.new("npgru_gru_params *", values)


def _gru_step(bits, x, h, w, u, bx, bh, p):
    bias_dtype = "int64" if bits == 16 else "int32"
    h = _array("h", h, f"int{bits}", (None, None)).copy()
    x = _array("x", x, "int8", (len(h), None))
    D, H = x.shape[1], h.shape[1]
    w, u = _array("w", w, "int8", (3 * H, D)), _array("u", u, "int8", (3 * H, H))
    bx, bh = _array("bx", bx, bias_dtype, (3 * H,)), _array("bh", bh, bias_dtype, (3 * H,))
    params = _gru_params(bits, D, H, p, kept := [])
    scratch = np.empty(max(1, getattr(lib, f"npgru_gru_s{bits}_scratch_bytes")(params)), np.int8)
    for x_row, h_row in zip(x, h):
        _call(f"gru_step_s{bits}", params, x_row, w, u, bx, bh, ffi.from_buffer("int16_t[]", scratch), h_row)
    return h


def gru_step_s16(x, h, w, u, bx, bh, p):
    """The twin of int8_gru.gru_step_s16."""
    return _gru_step(16, x, h, w, u, bx, bh, p)


def gru_step_s8(x, h, w, u, bx, bh, p):
    """The twin of int8_gru.gru_step_s8."""
    return _gru_step(8, x, h, w, u, bx, bh, p)
