"""THE SPECIFICATION: every integer operator of the network in NumPy, each with its formula and its rounding.

csrc/ computes the same integers, and so does tflite-runtime 2.14 with its reference kernels (tests/conformance/).
The roundings MBQ and MBQ64 are in fixed_point.py, the numbers of a record p and how they follow from the scales
in int8_params.py, LOGISTIC, TANH and SOFTMAX in int8_nonlinear.py, the GRU in int8_gru.py.

    operator                            accumulator   multiplier                    rounding
    conv2d_s8, depthwise2d_s8           int32         s_x s_w[c] / s_y              MBQ
    dense_s8                            int32         the same, or per tensor       MBQ      litert-ref: one
    dense_s16, int64 bias               int64         the same                      MBQ64    litert-ref: one
    dense_s16, int32 bias               int32         the same                      MBQ      litert-ref: refused
    dense_s16, no bias                  int32         the same                      MBQ      litert-ref: one
    add, sub                            int32         three: inputs, output         MBQ each
    mul                                 int32         f32(f32(s_1 s_2) / s_y)       MBQ
    mean                                int32         s_x / s_y with 1 / n in it    MBQ
    quantize                            int32         s_x / s_y                     MBQ
    max_pool_s8                         int8          none                          none

Profiles: "tflm" is tflite-runtime 2.14, TFLite Micro and CMSIS-NN; "litert-ref" is ai-edge-litert 2.x, whose dense
layers round once: acc times the real multiplier in double, halves away from zero. Both mean the reference kernels: the
optimised ones round otherwise.
TFLite Micro (seen in a build of October 2026) departs from "tflm" where no network of npgru can tell: mul and dense with
one weight scale multiply the scales in double; dense_s16 without bias rounds by MBQ64; LOGISTIC and TANH on int8 use
another exponential, which shows at input scales above 1, and in 1 code of some 100 000 below: tests/conformance.
Shapes: B batch, T frames, M mel bands, C channels in, N out, D features. Weights int8, symmetric, [-127, 127].
A clamp follows every operator: y_min..y_max hold the type's range and a fused ReLU.
"""
import numpy as np

from npgru.fixed_point import INT32_MAX, INT32_MIN, mbq, mbq64, round_half_away, wrap32
from npgru.int8_params import Channels, Features, Product, Rescale, Sum
from npgru.layers.conv2d import same_padding

PROFILES = ("tflm", "litert-ref")


def geometry(x_shape, kernel, stride, padding):
    """Per axis, time and then frequency: (size of the output, padding before, padding after).

        "same":  layers.conv2d.same_padding;  "valid": (I − k) // stride + 1, nothing is added
    """
    if padding == "same":
        return [same_padding(*axis) for axis in zip(x_shape[1:3], kernel, stride)]
    if padding != "valid" or any(i < k for i, k in zip(x_shape[1:3], kernel)):
        raise ValueError(f"padding={padding!r}, input {tuple(x_shape[1:3])}, kernel {tuple(kernel)}; "
                         "accepted: 'same', or 'valid' with a kernel no larger than the input")
    return [((i - k) // s + 1, 0, 0) for i, k, s in zip(x_shape[1:3], kernel, stride)]


def windows_of(x, kernel, stride, padding, fill):
    """x (B, T, M, C) -> (B, T', M', k_t, k_m, C): what each output sees, beyond the borders `fill`."""
    axes = geometry(x.shape, kernel, stride, padding)
    x = np.pad(x, [(0, 0), *(axis[1:] for axis in axes), (0, 0)], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return view[:, ::stride[0], ::stride[1]].transpose(0, 1, 2, 4, 5, 3)


def _product(x, w):
    """x (.., D) w' (N, D) -> (.., N) int64. In double, where BLAS is: sums below 2^53 are exact."""
    return (x.astype(np.float64) @ w.T.astype(np.float64)).astype(np.int64)


def _output(acc, p, rounding=mbq):
    """Accumulators (.., N) int64 -> codes: clamp(MBQ(acc) + zero point), int64."""
    return np.clip(rounding(acc, p.multiplier, p.shift) + p.y_zero_point, p.y_min, p.y_max)


def conv2d_s8(x, w, bias, p: Channels, stride=(1, 1), padding="same"):
    """CONV_2D.   acc[n] = Σ_{i,j,c} (x − x_zero_point) w[n,i,j,c] + bias[n];  y = clamp(MBQ(acc) + y_zero_point)

    x (B, T, M, C) int8, w (N, k_t, k_m, C) int8, bias (N,) int32 -> y (B, T', M', N) int8. Padding adds 0 to acc.
    """
    patches = windows_of(x, w.shape[1:3], stride, padding, p.x_zero_point)
    centred = patches.reshape(*patches.shape[:3], w[0].size).astype(np.int16) - np.int16(p.x_zero_point)
    return _output(_product(centred, w.reshape(len(w), -1)) + bias, p).astype(np.int8)


def depthwise2d_s8(x, w, bias, p: Channels, stride=(1, 1), padding="same"):
    """DEPTHWISE_CONV_2D.   acc[c] = Σ_{i,j} (x[c] − x_zero_point) w[i,j,c] + bias[c];  then as conv2d_s8

    x (B, T, M, C) int8, w (k_t, k_m, C) int8, bias (C,) int32 or None -> y (B, T', M', C) int8.
    """
    patches = windows_of(x, w.shape[:2], stride, padding, p.x_zero_point).astype(np.int32) - p.x_zero_point
    acc = np.einsum("btmijc,ijc->btmc", patches, w.astype(np.int32)).astype(np.int64)
    return _output(acc + (0 if bias is None else bias), p).astype(np.int8)


def dense_s8(x, w, bias, p: Channels, profile="tflm"):
    """FULLY_CONNECTED.   acc = (x − x_zero_point) w' + bias;  y = clamp(MBQ(acc) + y_zero_point)

    litert-ref: round(acc d) for MBQ. x (B, D) int8, w (N, D) int8, bias (N,) int32 or None -> y (B, N) int8.
    """
    acc = _product(x.astype(np.int16) - np.int16(p.x_zero_point), w) + (0 if bias is None else bias)
    return (_rounded_once(acc, p) if _is_litert(profile) else _output(acc, p)).astype(np.int8)


def dense_s16(x, w, bias, p: Channels, profile="tflm"):
    """FULLY_CONNECTED, int16 × int8, zero points 0.   acc = x w' + bias;  y = clamp(rounded(acc))

    The bias decides about the rounding: int64 -> wrap32(MBQ64), shift <= 14; int32 or None -> MBQ, acc in int32.
    litert-ref: round(acc d) for int64 and None; an int32 bias is refused, its results are garbage there.
    x (B, D) int16, w (N, D) int8, bias (N,) int64, int32 or None -> y (B, N) int16.
    """
    acc = _product(x, w) + (0 if bias is None else bias)
    if _is_litert(profile):
        if bias is not None and bias.dtype == np.int32:
            raise ValueError("an int32 bias of int16 FULLY_CONNECTED under litert-ref; accepted: int64 (zeros if need be)")
        return _rounded_once(acc, p).astype(np.int16)
    if bias is not None and bias.dtype == np.int64:
        return _output(acc, p, _wrapped_mbq64).astype(np.int16)
    return _output(wrap32(acc), p).astype(np.int16)


def _is_litert(profile):
    if profile not in PROFILES:
        raise ValueError(f"profile={profile!r} is not known; accepted: {PROFILES}")
    return profile == "litert-ref"


def _wrapped_mbq64(acc, q, shift):
    return wrap32(mbq64(acc, q, shift))


def _rounded_once(acc, p):
    """litert-ref: clamp(round(acc d) + zero point), d the real multiplier, in double. Beyond int32 the runtime's
    results are those of the machine's conversion; here they saturate."""
    rounded = np.clip(round_half_away(acc * p.real), INT32_MIN, INT32_MAX).astype(np.int64)
    return np.clip(rounded + p.y_zero_point, p.y_min, p.y_max)


def _common(x, zero_point, multiplier, shift, left_shift):
    """An input of ADD on the common scale: MBQ((x − zero_point) << left_shift)."""
    return mbq((x.astype(np.int64) - zero_point) << left_shift, multiplier, shift)


def add(x1, x2, p: Sum):
    """ADD.   a_i = MBQ((x_i − z_i) << left_shift, q_i);  y = clamp(MBQ(a_1 + a_2, q_y) + z_y)

    x1, x2 int8 or int16, of one shape -> y of their type.
    """
    a1 = _common(x1, p.x1_zero_point, p.x1_multiplier, p.x1_shift, p.left_shift)
    a2 = _common(x2, p.x2_zero_point, p.x2_multiplier, p.x2_shift, p.left_shift)
    return _sum_output(a1 + a2, p).astype(x1.dtype)


def sub(x1, x2, p: Sum):
    """SUB.   As ADD, with a_1 − a_2."""
    a1 = _common(x1, p.x1_zero_point, p.x1_multiplier, p.x1_shift, p.left_shift)
    a2 = _common(x2, p.x2_zero_point, p.x2_multiplier, p.x2_shift, p.left_shift)
    return _sum_output(a1 - a2, p).astype(x1.dtype)


def _sum_output(a, p):
    return np.clip(mbq(a, p.y_multiplier, p.y_shift) + p.y_zero_point, p.y_min, p.y_max)


def mul(x1, x2, p: Product):
    """MUL.   y = clamp(MBQ((x_1 − z_1)(x_2 − z_2)) + z_y);  x1, x2 int8 or int16, of one shape -> y of their type."""
    acc = (x1.astype(np.int64) - p.x1_zero_point) * (x2.astype(np.int64) - p.x2_zero_point)
    return _output(acc, p).astype(x1.dtype)


def mean(x, p: Rescale):
    """MEAN over axis 1.   y = clamp(MBQ(Σ x − n x_zero_point) + y_zero_point), 1 / n inside the multiplier

    x (B, n, C) int8 or int16 -> y (B, C) of its type. p is int8_params.mean_of(.., n).
    """
    return _output(x.sum(axis=1, dtype=np.int64) - x.shape[1] * p.x_zero_point, p).astype(x.dtype)


def time_sum(x):
    """The loop's running sum: x (B, T, H) int8 or int16 -> (B, H) int32, T <= 65535; no rounding."""
    return x.sum(axis=1, dtype=np.int32)


def max_pool_s8(x, kernel, stride=None, padding="valid", y_min=-128, y_max=127):
    """MAX_POOL_2D: the largest code of each window, clamped; what lies beyond the borders does not count.

    x (B, T, M, C) int8, kernel (k_t, k_m), stride: the kernel if None -> y (B, T', M', C) int8, quantised as x.
    """
    largest = windows_of(x, kernel, stride or kernel, padding, -128).max(axis=(3, 4))
    return np.clip(largest, np.int8(y_min), np.int8(y_max))


def quantize(x, p: Rescale):
    """QUANTIZE.   y = clamp(MBQ(x − x_zero_point) + y_zero_point);  x int8, int16 or int32 (zero point 0) -> y int8"""
    return _output(x.astype(np.int64) - p.x_zero_point, p).astype(np.int8)


def quantize_features(f, p: Features):
    """Features to codes, exact: q = min(floor(f / scale + 1/2), 255), y = min(q + y_zero_point, 127).

    f uint16 of any shape -> y int8. In integers: q = min((f multiplier + half) >> shift, 255), see int8_params.features.
    """
    half = (1 << p.shift) >> 1
    q = (f.astype(np.uint64) * np.uint64(p.multiplier) + np.uint64(half)) >> np.uint64(p.shift)
    return np.minimum(np.minimum(q, 255).astype(np.int64) + p.y_zero_point, 127).astype(np.int8)
