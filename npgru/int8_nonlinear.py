"""The integer specification, continued: LOGISTIC and TANH on int8 and int16, SOFTMAX on int8.

    operator                    rounding
    lookup_s8                   none: a table over all 256 codes, made in float32 once and stored with the model
    logistic_s16, tanh_s16      linear interpolation in a table of 256 values, halves up in the curve's own grid
    softmax_s8                  gemmlowp's exponential and reciprocal: SRDHM and RDP
"""
import ctypes
import ctypes.util
from functools import lru_cache

import numpy as np

from npgru.fixed_point import rdp, round_half_away, saturate32, srdhm, wrap32
from npgru.int8_params import Curve, Quantisation, Softmax

LOGISTIC_S8 = Quantisation(1 / 256, -128)        # the outputs' scales, fixed by TensorFlow Lite
TANH_S8 = Quantisation(1 / 128, 0)
CURVE_S16 = Quantisation(1 / 32768, 0)
SOFTMAX_S8 = Quantisation(1 / 256, -128)

# TensorFlow's table of the logistic function is rounded up once too often at these 44 places.
# Recovered by tests/conformance/recover_sigmoid_table.py, which asks the runtime.
SIGMOID_TABLE_SHA256 = "c79a34d2c8c6e794fbb0207601538fe0169e968cd6d9d5ca65fff859dcd55183"
ONE_MORE = (4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46,
            49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255)


@lru_cache(maxsize=1)
def sigmoid_table() -> np.ndarray:
    """(256,) uint16: T[i] = floor(65536 σ(i / 24) + 1/2), and 1 more at ONE_MORE."""
    table = np.floor(65536 / (1 + np.exp(-np.arange(256) / 24)) + 0.5)
    table[list(ONE_MORE)] += 1
    table = table.astype(np.uint16)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=2)
def _c_float_function(name):
    """expf or tanhf of the C library: the runtime uses them, and NumPy's own differ in about 1 of 10^6 outputs."""
    library = ctypes.CDLL(ctypes.util.find_library("m") or ctypes.util.find_library("ucrtbase"))
    function = getattr(library, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return lambda x: np.array([function(v) for v in x], np.float32)


def logistic_table_s8(x: Quantisation, y: Quantisation = LOGISTIC_S8) -> np.ndarray:
    """LOGISTIC's 256 codes: f = 1 / (1 + exp(−v)), v = f32(s_x (code − zero point)), in float32; see _table_s8."""
    return _table_s8(lambda v: np.float32(1) / (np.float32(1) + _c_float_function("expf")(-v)), x, y)


def tanh_table_s8(x: Quantisation, y: Quantisation = TANH_S8) -> np.ndarray:
    """TANH's 256 codes: f = tanh v; see _table_s8."""
    return _table_s8(_c_float_function("tanhf"), x, y)


def _table_s8(f, x, y):
    """(256,) int8 for codes −128..127:  clamp(round(f32(f(v) f32(1 / s_y))) + zero point), halves away from zero."""
    v = np.float32(x.scale) * np.arange(-128 - x.zero_point, 128 - x.zero_point).astype(np.float32)
    rescaled = f(v) * (np.float32(1) / np.float32(y.scale))
    return np.clip(round_half_away(rescaled) + y.zero_point, -128, 127).astype(np.int8)


def lookup_s8(x, table):
    """LOGISTIC, TANH on int8:  y = table[x + 128];  x int8, table (256,) int8"""
    return table[x.astype(np.int16) + 128]


def _grid(x, p: Curve):
    """d = (x multiplier + half) >> shift, |d| = 9 or 8 fractional bits of the table's index."""
    half = (1 << p.shift) >> 1
    return (x.astype(np.int64) * p.multiplier + half) >> p.shift


def _interpolated(a, bits, end):
    """T at a / 2^bits, times 2^bits: (T[u] << bits) + (a mod 2^bits)(T[u+1] − T[u]), u = a >> bits; `end` from 255 on."""
    T, u = sigmoid_table().astype(np.int64), np.minimum(a >> bits, 254)
    inside = (T[u] << bits) + (a & ((1 << bits) - 1)) * (T[u + 1] - T[u])
    return np.where(a >> bits >= 255, end << bits, inside)


def logistic_s16(x, p: Curve):
    """LOGISTIC, output scale 1/32768.

        r = T interpolated at |d| / 512                           (1)   in 2^-25; 0x7FFF << 10 from index 255 on
        y = (d >= 0 ? r + 512 : 2^25 − r + 511) >> 10             (2)   σ(−x) = 1 − σ(x)

    x int16 -> y int16 in 0..32767.
    """
    d = _grid(x, p)
    r = _interpolated(np.abs(d), 9, 0x7FFF << 1)                                  # (1)
    return (np.where(d >= 0, r + 512, 2**25 - r + 511) >> 10).astype(np.int16)    # (2)


def tanh_s16(x, p: Curve):
    """TANH, output scale 1/32768: tanh x = 2 σ(2x) − 1.

        r = T interpolated at |d| / 256                           (1)   in 2^-24; 0xFFFF << 8 from index 255 on
        y = (d >= 0 ? r − 2^23 + 128 : 2^23 − r + 127) >> 8       (2)   odd but for the rounding of halves

    x int16 -> y int16.
    """
    d = _grid(x, p)
    r = _interpolated(np.abs(d), 8, 0xFFFF)                                       # (1)
    return (np.where(d >= 0, r - 2**23 + 128, 2**23 - r + 127) >> 8).astype(np.int16)     # (2)


EXP_MINUS_EIGHTH = 1895147668       # exp(−1/8) in Q0.31
THIRD = 715827883                   # 1/3
EXP_STEPS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)     # exp(−2^k), k = −2..4


def exp_on_negative_values(u):
    """exp(u) in Q0.31 of u <= 0 in Q5.26; * is SRDHM.

        w = (u mod 1/4) − 1/4,  R = w − u                         (1)   R is a multiple of 1/4
        x = w + 1/8                                               (2)   Q0.31, |x| <= 1/8
        e = C + C*(x + x²/2 + x³/6 + x⁴/24), C = exp(−1/8)        (3)   halving and quartering by RDP
        e = e*exp(−2^k) for every bit 2^k of R, k = −2..4         (4);  u = 0: 2^31 − 1
    """
    w = (u & (2**24 - 1)) - 2**24                                                 # (1)
    R, x = w - u, (w << 5) + 2**28                                                # (2)
    x2 = srdhm(x, x)
    x3, x4 = srdhm(x2, x), srdhm(x2, x2)
    t = rdp(srdhm(rdp(x4, 2) + x3, THIRD) + x2, 1)
    e = EXP_MINUS_EIGHTH + srdhm(EXP_MINUS_EIGHTH, x + t)                         # (3)
    for k, factor in zip(range(-2, 5), EXP_STEPS):
        e = np.where(R & (1 << (26 + k)), srdhm(e, factor), e)                    # (4)
    return np.where(u == 0, 2**31 - 1, e)


def one_over_one_plus(a):
    """1 / (1 + a) in Q0.31 of a in [0, 1) in Q0.31: Newton–Raphson; * is SRDHM.

        d = (a + 2^31 − 1) / 2, halves away from zero             (1)   (1 + a) / 2
        x = 48/17 − 32/17 d, Q2.29                                (2)
        x += sat32((x*(1 − d*x)) << 2), three times               (3);  the result is sat32(x << 1)
    """
    d = (a + 2**31) >> 1                                                          # (1) a >= 0
    x = 1515870810 + srdhm(d, -1010580540)                                        # (2)
    for _ in range(3):
        x = wrap32(x + saturate32(srdhm(x, 2**29 - srdhm(d, x)) << 2))            # (3)
    return saturate32(x << 1)


def softmax_s8(x, p: Softmax):
    """SOFTMAX over the last axis, output scale 1/256, zero point −128.

        d = x − max x;  u = SRDHM(d << shift, multiplier)         (1)   Q5.26; d < diff_min is left out
        e = exp(u), S = Σ RDP(e, 12)                              (2)   Q0.31, Q12.19
        h = leading zeros of S, r = 1 / (S << h)                  (3)   1 + a = (S << h) / 2^31
        y = clamp(RDP(SRDHM(r, e), 35 − h) − 128); left out: −128 (4)   h >= 4

    x (.., K) int8, K <= 511 -> y int8.
    """
    d = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    inside = d >= p.diff_min
    u = srdhm(np.where(inside, d, 0) << p.shift, p.multiplier)                    # (1)
    e = exp_on_negative_values(u)
    S = np.where(inside, rdp(e, 12), 0).sum(axis=-1, keepdims=True)               # (2)
    h = 32 - np.frexp(S.astype(np.float64))[1].astype(np.int64)                   # (3)
    r = one_over_one_plus((S << h) - 2**31)
    y = np.clip(rdp(srdhm(r, e), 35 - h) - 128, -128, 127)                        # (4)
    return np.where(inside, y, -128).astype(np.int8)
