"""What an integer operator needs besides its arrays: multipliers, zero points and clamps, out of scales.

Each record has the fields of the C struct npgru_<name> in csrc/npgru_int8.h; sizes come from the arrays.
The functions say how TensorFlow Lite 2.14 derives the numbers: which quotients are of float32 and which of
double decides about the last bit. f32() rounds to float; QM is fixed_point.quantize_multiplier.
"""
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from npgru.fixed_point import quantize_multiplier, round_half_away

LIMITS = {8: (-128, 127), 16: (-32768, 32767)}      # bits -> smallest and largest code
ADD_LEFT_SHIFT = {8: 20, 16: 15}
POWERS_OF_TWO = {"LOGISTIC": (-12,), "TANH": (-12, -11)}     # see curve
MAX_MEAN = 65535            # |sum| <= 2^15 n must fit int32


class Quantisation(NamedTuple):
    """A tensor's codes: real = scale × (q − zero_point). scale float32; per channel an array (N,), zero_point 0."""

    scale: np.ndarray | float
    zero_point: int = 0


@dataclass(frozen=True)
class Channels:
    """Output stage of convolutions and dense layers: one multiplier per output channel."""

    x_zero_point: int
    y_zero_point: int
    y_min: int
    y_max: int
    multiplier: np.ndarray          # (N,) int32
    shift: np.ndarray               # (N,) int32
    real: np.ndarray                # (N,) float64: what they stand for; only the profile litert-ref uses it


@dataclass(frozen=True)
class Sum:
    """ADD and SUB: both inputs are brought to a common scale, left_shift bits finer."""

    left_shift: int                 # 20 for int8, 15 for int16
    x1_zero_point: int
    x1_multiplier: int
    x1_shift: int
    x2_zero_point: int
    x2_multiplier: int
    x2_shift: int
    y_zero_point: int
    y_multiplier: int
    y_shift: int
    y_min: int
    y_max: int


@dataclass(frozen=True)
class Product:
    """MUL."""

    x1_zero_point: int
    x2_zero_point: int
    y_zero_point: int
    multiplier: int
    shift: int
    y_min: int
    y_max: int


@dataclass(frozen=True)
class Rescale:
    """QUANTIZE, and MEAN (whose multiplier contains 1 / n)."""

    x_zero_point: int
    y_zero_point: int
    multiplier: int
    shift: int
    y_min: int
    y_max: int


@dataclass(frozen=True)
class Curve:
    """LOGISTIC and TANH on int16: the input in units of the table's grid is x multiplier / 2^shift."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class Softmax:
    """SOFTMAX on int8."""

    multiplier: int
    shift: int
    diff_min: int                   # inputs further below the maximum give 0


@dataclass(frozen=True)
class Features:
    """uint16 features -> int8: q = min((f multiplier + half) >> shift, 255), half = 2^(shift−1), 0 for shift 0."""

    multiplier: int                 # <= 2^34
    shift: int                      # 0..50
    y_zero_point: int


def clamp(y: Quantisation, activation: str = "none", bits: int = 8) -> tuple[int, int]:
    """Smallest and largest code of a fused activation: "none", "relu" or "relu6".

        ReLU: lo = max(q_min, zero_point);  ReLU6 also hi = min(q_max, zero_point + round(f32(6 / scale)))
    """
    low, high = LIMITS[bits]
    if activation not in ("none", "relu", "relu6"):
        raise ValueError(f"activation={activation!r} is not known; accepted: 'none', 'relu', 'relu6'")
    if activation == "none":
        return low, high
    six = int(round_half_away(np.float32(6) / np.float32(y.scale)))
    return max(low, y.zero_point), min(high, y.zero_point + six) if activation == "relu6" else high


def channels(x: Quantisation, w_scale, y: Quantisation, activation="none", bits=8) -> Channels:
    """Per channel: (q, shift)_c = QM(double(s_x) double(s_w[c]) / double(s_y)).   w_scale (N,) float32"""
    scales = np.asarray(w_scale, np.float32).astype(np.float64)
    d = np.float64(np.float32(x.scale)) * scales / np.float64(np.float32(y.scale))
    return Channels(x.zero_point, y.zero_point, *clamp(y, activation, bits), *quantize_multiplier(d), d)


def dense_per_tensor(x: Quantisation, w_scale, n_out: int, y: Quantisation, activation="none", bits=8) -> Channels:
    """FULLY_CONNECTED, one weight scale: d = double(f32(s_x s_w)) / double(s_y), the same for all n_out outputs.

    litert-ref's real multiplier is that of `channels`: there the product is of doubles.
    """
    per_channel = channels(x, np.full(n_out, w_scale, np.float32), y, activation, bits)
    d = np.float64(np.float32(x.scale) * np.float32(w_scale)) / np.float64(np.float32(y.scale))
    q, shift = quantize_multiplier(np.full(n_out, d))
    return replace(per_channel, multiplier=q, shift=shift)


def sum_of(x1: Quantisation, x2: Quantisation, y: Quantisation, activation="none", bits=8) -> Sum:
    """ADD, SUB: t = 2 max(s_1, s_2); QM(s_1 / t), QM(s_2 / t), QM(t / (2^k s_y)), k = 20 (int16: 15).

    raises  ValueError if t / (2^k s_y) is not below 1: the runtime aborts there
    """
    s1, s2, s_y = (np.float64(np.float32(v.scale)) for v in (x1, x2, y))
    t, k = 2 * max(s1, s2), ADD_LEFT_SHIFT[bits]
    (q1, e1), (q2, e2), (q_y, e_y) = (quantize_multiplier(d) for d in (s1 / t, s2 / t, t / (2.0**k * s_y)))
    if e_y > 0:
        raise ValueError(f"ADD of scales {s1:g}, {s2:g} to {s_y:g}; accepted: output scale above {t / 2.0**k:g}")
    return Sum(k, x1.zero_point, int(q1), int(e1), x2.zero_point, int(q2), int(e2),
               y.zero_point, int(q_y), int(e_y), *clamp(y, activation, bits))


def product_of(x1: Quantisation, x2: Quantisation, y: Quantisation, activation="none", bits=8) -> Product:
    """MUL: d = double(f32(f32(s_1 s_2) / s_y))."""
    d = np.float32(x1.scale) * np.float32(x2.scale) / np.float32(y.scale)
    q, shift = quantize_multiplier(d)
    return Product(x1.zero_point, x2.zero_point, y.zero_point, int(q), int(shift), *clamp(y, activation, bits))


def rescale(x: Quantisation, y: Quantisation) -> Rescale:
    """QUANTIZE to int8: QM(double(s_x) / double(s_y))."""
    q, shift = quantize_multiplier(np.float64(np.float32(x.scale)) / np.float64(np.float32(y.scale)))
    return Rescale(x.zero_point, y.zero_point, int(q), int(shift), *LIMITS[8])


def mean_of(x: Quantisation, y: Quantisation, n: int, bits=8) -> Rescale:
    """MEAN of n codes: 1 / n goes into the multiplier.

        (q, s) = QM(s_x / s_y);  k = min(floor(log2 n), 32, 31 + s)        (1)
        multiplier = (q << k) // n,  shift = s − k                         (2)
    """
    if not 1 <= n <= MAX_MEAN:
        raise ValueError(f"a mean of n={n} codes; accepted: 1..{MAX_MEAN}")
    r = rescale(x, y)
    k = min(n.bit_length() - 1, 32, 31 + r.shift)                          # (1)
    return Rescale(x.zero_point, y.zero_point, (r.multiplier << k) // n, r.shift - k, *LIMITS[bits])


def mean_of_sum(x: Quantisation, y: Quantisation, n: int) -> Rescale:
    """QUANTIZE of a sum of n codes to their mean: the sum has the scale f32(s_x / n), so no rounding but this one."""
    return rescale(Quantisation(np.float32(np.float64(x.scale) / n)), y)


def curve(x: Quantisation, code: str) -> Curve:
    """LOGISTIC, TANH on int16: m = 12288 s_x, doubled until m > 16383.5; at most 31 times.

    A scale within a factor 2^±0.001 of 2^-12, and for TANH of 2^-11, counts as that power of two: the runtimes have a
    way of their own for these, and find them by a logarithm in float32 that may be off by 0.001.

    raises  ValueError for a scale outside (2^-31, 5.33), where 32 bits do not suffice
    """
    scale = np.float32(x.scale)
    log2 = np.float32(np.log(max(np.float64(scale), 1e-40))) * (np.float32(1) / np.float32(np.log(2)))
    if np.rint(log2) in POWERS_OF_TWO[code] and np.abs(log2 - np.rint(log2)) < np.float32(1e-3):
        scale = 2.0**np.rint(log2)
    m, shift = 12288 * float(scale), 0
    while 0 < m <= 16383.5 and shift < 31:
        m, shift = 2 * m, shift + 1
    if not 16383.5 < m < 65536:
        raise ValueError(f"scale={x.scale} of an int16 LOGISTIC or TANH; accepted: 7e-10 to 5.33")
    return Curve(int(m), shift)


def softmax_of(x: Quantisation, beta=1.0) -> Softmax:
    """SOFTMAX: QM(min(β s_x 2^26, 2^31 − 1)); diff_min = −floor(31 2^26 / 2^shift).

    raises  ValueError unless β s_x 2^26 > 1: the runtime aborts there
    """
    d = float(np.float32(beta)) * float(np.float32(x.scale)) * 2.0**26
    if not d > 1:
        raise ValueError(f"SOFTMAX of scale {x.scale}; accepted: above 2^-26 / beta")
    q, shift = quantize_multiplier(min(d, 2.0**31 - 1))
    return Softmax(int(q), int(shift), -int(31 * 2.0**26 // 2.0**int(shift)))


def features(x_scale, y_zero_point: int) -> Features:
    """uint16 features of unit 1 -> codes of scale x_scale: exactly floor(f / scale + 1/2), at most 255.

        2^p <= scale < 2^(p+1), n = p + 34;  multiplier = ceil(2^n / scale)         (1)
        p >= 17: always 0;  p < −9: 255 unless f is 0                               (2)

    A scale of at most 16 significant bits needs only n = p + 32: the multiplier then fits uint32.
    Common factors 2 are taken out of multiplier and 2^n: a power of two becomes a shift.
    """
    if not 0 < np.float32(x_scale) < np.inf:
        raise ValueError(f"scale={x_scale} of the input; accepted: positive and finite")
    mantissa, p = np.frexp(np.float64(np.float32(x_scale)))
    whole, p = int(mantissa * 2**24), int(p) - 1                # scale = whole 2^(p − 23), whole in [2^23, 2^24)
    if p >= 17 or p < -9:
        return Features(0 if p >= 17 else 255, 0, y_zero_point)             # (2)
    n = p + (32 if whole % 256 == 0 else 34)
    m = -(-(1 << (n + 23 - p)) // whole)                                    # (1) exact integers
    while m % 2 == 0 and n > 0:
        m, n = m // 2, n - 1
    return Features(m, n, y_zero_point)
