"""A whole integer network in one call of C: features in, the codes of any of its operators out, many clips at a time.

The twin of int8.run, which goes operator by operator: the same integers for every input. Weights are packed once a network
and shape of clip; csrc/host/int8_*.c.
"""
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from npgru import int8_params
from npgru.kernels import _raise_unless_ok, ffi, lib
from npgru.kernels_int8 import _array, _channel_fields, _convolution_params, _gru_params, _pointer, _record, _window

FORMS = ("plain", "neon", "avx2", "avx512")         # of npgru_int8_form, the best last
CLIPS_A_CALL = 1024                         # between two looks at the keyboard


def running_forms() -> list[str]:
    """The forms that this processor runs, the best last; none where the kernels are not built."""
    return [form for number, form in enumerate(FORMS) if lib and lib.npgru_int8_runs(number)]


class Packed:
    """A network in C for clips (T, M): its handle, the arrays that the handle points into, and the shapes of all codes."""

    def __init__(self, operators, T: int, M: int, form: str):
        self.kept, self.shapes, self.places, rows, shape = [], {}, {}, [], (T, M)
        for op in operators:
            if op.kind == "stack":                          # the codes of the operator before, in another shape
                shape = (shape[0], shape[1] * shape[2])
            else:
                kind, params, shape = DESCRIBE[op.kind](op, shape, self.kept)
                rows.append(self.row(op, kind, params))
            self.shapes[op.name], self.places[op.name] = shape, len(rows) - 1
        self.dtypes = {op.name: np.int16 if op.settings.get("bits") == 16 else np.int8 for op in operators}
        self.kept.append(rows := ffi.new("npgru_int8_operator[]", rows))
        status = ffi.new("npgru_status *")
        handle = lib.npgru_int8_create(rows, len(rows), T, M, FORMS.index(form), status)
        _raise_unless_ok("npgru_int8_create", status[0])
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for a network of {len(rows)} operators and clips of {T} x {M} features")
        self.handle = ffi.gc(handle, lib.npgru_int8_destroy, lib.npgru_int8_bytes(handle))
        self.n_rows, self.n_bytes, self.spare = len(rows), lib.npgru_int8_workspace_bytes(handle), []

    def row(self, op, kind, params):
        """The fields of an npgru_int8_operator."""
        arrays = {"w": "w", "u": "u", "bias": "bias", "bx": "bias", "bh": "h_bias"}
        fields = {field: _pointer(np.ascontiguousarray(op.arrays[name])) for name, field in arrays.items() if name in op.arrays}
        self.kept += [params, *fields.values()]
        return {"kind": getattr(lib, f"NPGRU_INT8_{kind}"), "params": params, **fields}

    def run(self, features, codes: dict) -> None:
        """features (B, T, M) uint16 -> codes, {row: (B, ..)}, filled. In any number of threads at once."""
        pointers = ffi.new("void *[]", self.n_rows)
        for row, array in codes.items():
            pointers[row] = ffi.from_buffer(array)
        workspace = self.spare.pop() if self.spare else ffi.from_buffer("int16_t[]", np.empty(self.n_bytes // 2, np.int16))
        lib.npgru_int8_run(self.handle, len(features), ffi.from_buffer("uint16_t[]", features), workspace, pointers)
        self.spare.append(workspace)


def _weights(op, name, shape):
    return _array(f"{op.name}: {name}", op.arrays[name], "int8", shape)


def _features(op, shape, kept):
    params, more = _record("npgru_features", op.record)
    kept += more
    return "FEATURES", params, (*shape, 1)


def _conv2d(op, shape, kept):
    w = _weights(op, "w", (len(op.record.multiplier), None, None, shape[2]))
    params, y = _convolution_params((1, *shape), op.record, w.shape[1:3], op.settings["stride"], "same", kept)
    return "CONV2D", params, y[1:]


def _depthwise2d(op, shape, kept):
    w = _weights(op, "w", (None, None, shape[2]))
    params, y = _convolution_params((1, *shape), op.record, w.shape[:2], (1, 1), "same", kept)
    return "DEPTHWISE2D", params, y[1:]


def _maxpool(op, shape, kept):
    window, y = _window((1, *shape), op.settings["kernel"], shape[2], op.settings["kernel"], "valid")
    return "MAX_POOL", ffi.new("npgru_max_pool_params *", {"window": window, "y_min": -128, "y_max": 127}), y[1:]


def _gru(op, shape, kept):
    H, bits = op.arrays["u"].shape[1], op.settings["bits"]
    _weights(op, "w", (3 * H, shape[1])), _weights(op, "u", (3 * H, H))
    for name in ("bx", "bh"):
        _array(f"{op.name}: {name}", op.arrays[name], "int64" if bits == 16 else "int32", (3 * H,))
    return f"GRU_S{bits}", _gru_params(bits, shape[1], H, op.record, kept), (shape[0], H)


def _mean_time(op, shape, kept):
    params, more = _record("npgru_rescale", int8_params.mean_of_sum(op.settings["x"], op.y, shape[0]))
    kept += more
    return "MEAN_TIME", params, shape[1:]


def _dense(op, shape, kept):
    N, D = len(op.record.multiplier), math.prod(shape)
    _weights(op, "w", (N, D)), _array(f"{op.name}: bias", op.arrays["bias"], "int32", (N,))
    return "DENSE", ffi.new("npgru_dense_params *", {"batch": 1, "in_features": D, "out_features": N,
                                                     "channels": _channel_fields(op.record, N, kept)}), (N,)


def _softmax(op, shape, kept):
    params, more = _record("npgru_softmax", op.record)
    kept += more
    return "SOFTMAX", params, shape


# op, the shape that it reads, the list of what must live on -> its kind in C, its struct, the shape that it writes
DESCRIBE = {"features": _features, "conv2d": _conv2d, "depthwise2d": _depthwise2d, "maxpool": _maxpool, "gru": _gru,
            "mean_time": _mean_time, "dense": _dense, "softmax": _softmax}


class HostNetwork:
    """The operators of an int8.IntegerModel, packed for the shapes of clips that it meets.

    form      "plain", "neon", "avx2", "avx512", or None: the best there is; all give the same integers
    raises    ValueError for a form that this processor does not run
    """

    def __init__(self, operators: list, form: str | None = None):
        running = running_forms()
        if form not in (None, *running):
            raise ValueError(f"form={form!r}; accepted on this processor: {', '.join(running)}")
        self.operators, self.form, self.packed = operators, form or running[-1], {}

    def codes(self, features, names, threads: int = 1) -> dict:
        """features (N, T, M) uint16 -> {name: its codes (N, ..)} of the operators named, those of int8.run.

        threads   that share the clips; they never change a result
        raises    ValueError for features of another type or shape, and for what C refuses; MemoryError
        """
        features = _array("features", features, "uint16", (None, None, None))
        N, T, M = features.shape
        packed = self.packed.get((T, M)) or self.packed.setdefault((T, M), Packed(self.operators, T, M, self.form))
        codes = {packed.places[name]: np.empty((N, *packed.shapes[name]), packed.dtypes[name]) for name in names}
        each = min(CLIPS_A_CALL, max(1, -(-N // threads)))

        def run(start):
            part = slice(start, start + each)
            packed.run(features[part], {row: array[part] for row, array in codes.items()})
        if N <= each:
            packed.run(features, codes)
        elif threads == 1:
            for start in range(0, N, each):
                run(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(run, range(0, N, each)))
        return {name: codes[packed.places[name]].reshape(N, *packed.shapes[name]) for name in names}
