"""Multiplying integers by real numbers: TensorFlow Lite's quantised multiplier and its roundings.

A real d > 0 is held as q 2^(shift − 31) with q in [2^30, 2^31). Everything here is int64 arithmetic on
arrays whose values fit int32 (where not stated otherwise); csrc/cortex_m.h has the same functions, cm_<name>.
Source: gemmlowp fixedpoint.h, TensorFlow Lite 2.14 kernels/internal/common.cc and quantization_util.cc.
"""
import numpy as np

INT32_MIN, INT32_MAX = -2**31, 2**31 - 1


def quantize_multiplier(d) -> tuple[np.ndarray, np.ndarray]:
    """Real d -> (q, shift), d ≈ q 2^(shift − 31).

        d = m 2^e, m in [1/2, 1);  q = round(m 2^31)              (1)   half away from zero
        q = 2^31: q / 2, e + 1;  e < −31: (0, 0)                  (2)

    d          float64 scalar or array, 0 <= d < 2^31
    returns    q, shift: int32 of d's shape
    raises     ValueError for a negative, infinite or too large d
    """
    d = np.asarray(d, dtype=np.float64)
    if not np.all((d >= 0) & (d < 2**31)):
        raise ValueError(f"d={d} is no multiplier; accepted: 0 <= d < 2^31")
    m, e = np.frexp(d)
    q = np.floor(m * 2**31 + 0.5).astype(np.int64)                # (1) m >= 0
    q, e = np.where(q == 2**31, q // 2, q), np.where(q == 2**31, e + 1, e)
    q, e = np.where(e < -31, 0, q), np.where(e < -31, 0, e)       # (2)
    return q.astype(np.int32), e.astype(np.int32)


def wrap32(x):
    """x (int64) -> the int32 with its low 32 bits, as int64."""
    return ((x + 2**31) & (2**32 - 1)) - 2**31


def saturate32(x):
    """x (int64) -> the nearest int32, as int64."""
    return np.clip(x, INT32_MIN, INT32_MAX)


def srdhm(a, b):
    """SRDHM, saturating rounding doubling high multiplication: a b / 2^31, halves up.

        (a b + (a b >= 0 ? 2^30 : 1 − 2^30)) / 2^31, truncated toward zero, is floor((a b + 2^30) / 2^31)
    """
    return np.minimum((np.asarray(a, np.int64) * b + 2**30) >> 31, INT32_MAX)


def rdp(x, e):
    """RDP, rounding division by a power of two: x / 2^e, halves away from zero; e in 0..31."""
    x, e = np.asarray(x, np.int64), np.asarray(e, np.int64)
    half = (np.int64(1) << e) >> 1
    return np.where(x >= 0, (x + half) >> e, -((half - x) >> e))


def mbq(x, q, shift):
    """MBQ, x times (q, shift) with double rounding: RDP(SRDHM(x << max(shift, 0), q), max(−shift, 0)).

    x (int32 values), q >= 0, shift in −31..31; the left shift wraps to int32, as on every machine.
    """
    shift = np.asarray(shift, np.int64)
    left = np.maximum(shift, 0)
    return rdp(srdhm(wrap32(np.asarray(x, np.int64) << left), q), left - shift)


def mbq64(x, q, shift):
    """MBQ64, for 64-bit accumulators: x r 2^(shift − 15) with the upper half r of q.

        r = q < 0x7FFF0000 ? (q + 2^15) >> 16 : 0x7FFF            (1)
        (x r + 2^(14−shift)) >> (15 − shift)                      (2)

    |x| < 2^48, shift in −31..14; the result is int64.
    """
    q, shift = np.asarray(q, np.int64), np.asarray(shift, np.int64)
    r = np.where(q < 0x7FFF0000, (q + 2**15) >> 16, 0x7FFF)                               # (1)
    return (np.asarray(x, np.int64) * r + (np.int64(1) << (14 - shift))) >> (15 - shift)  # (2)


def round_half_away(x):
    """x floating -> the nearest whole number in float64, halves away from zero."""
    return np.trunc(np.asarray(x, np.float64) + np.copysign(0.5, x))
