"""Fake quantisation: real numbers rounded to the codes that the integer network will use; gradients pass through.

real = scale × (q − zero_point). Rounding is half away from zero, as the integers' own. It is a staircase with a
gradient of zero; the straight-through estimator takes it as the identity inside the range.
Source: Jacob et al. 2018, arXiv:1712.05877; Bengio et al. 2013, arXiv:1308.3432.
"""
import numpy as np

WEIGHT_MAX = 127                    # weights are symmetric: -127..127


def round_half_away(x):
    """Nearest whole number, halves away from zero."""
    return np.copysign(np.floor(np.abs(x) + x.dtype.type(0.5)), x)


def activation_scale(low, high, significant_bits=24):
    """A range of real values -> scale (float32) and zero point of its int8 codes; the range is widened to hold 0.

        scale = (high − low) / 255,  zero_point = round(−128 − low / scale)

    significant_bits   of the scale, rounded up: 16 for the input, whose codes then need 32-bit products only
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    mantissa, exponent = np.frexp(max(high - low, 1e-6) / 255)
    scale = np.float32(np.ldexp(np.ceil(np.ldexp(mantissa, significant_bits)), exponent - significant_bits))
    return scale, int(np.clip(np.rint(-128 - low / float(scale)), -128, 127))


def first_rounding(x_scale, w, y_scale):
    """The step at which an integer kernel rounds for the first time, in codes of its output: 2^e, (N,).

    MBQ writes s_x s_w / s_y as m 2^e with m in [0.5, 1): acc m is rounded to a whole number, then that times 2^e.
    A value just below a half becomes a half, and then goes up: one output of some hundred.
    """
    _, e = np.frexp(np.float64(x_scale) * weight_scale(w).astype(np.float64) / np.float64(y_scale))
    return np.ldexp(1.0, np.minimum(e, 0))


def fake_quant_forward(x, scale, zero_point, low=-128, high=127, first=None):
    """y = scale (clip(round(x / scale) + zero_point, low, high) − zero_point).

    x (..., N); first: None, or first_rounding's (N,), to which x / scale is rounded before; returns y and the cache.
    """
    codes = x / x.dtype.type(scale)
    if first is not None:
        first = first.astype(x.dtype)
        codes = round_half_away(codes / first) * first
    codes = round_half_away(codes)
    y = np.clip(codes, low - zero_point, high - zero_point)
    return y * x.dtype.type(scale), y == codes


def fake_quant_backward(dy, cache):
    """dy -> dx: passes inside the range (straight-through)."""
    return (dy * cache,)


def weight_scale(w):
    """One scale an output channel, the last axis: max |w| / 127, (N,) float32; 1 for a channel of zeros."""
    largest = np.abs(w).reshape(-1, w.shape[-1]).max(axis=0)
    return np.where(largest > 0, largest / WEIGHT_MAX, 1).astype(np.float32)


def weight_codes(w):
    """w (..., N) -> its int8 codes (..., N), as whole numbers of w's type in -127..127; zeros stay zeros."""
    return np.clip(round_half_away(w / weight_scale(w).astype(w.dtype)), -WEIGHT_MAX, WEIGHT_MAX)


def fake_quant_weights(w):
    """w (..., N) rounded to its codes, per output channel. All of w is inside: its gradient passes unchanged."""
    return weight_codes(w) * weight_scale(w).astype(w.dtype)


def fake_quant_bias(b, x_scale, w):
    """b (N,) rounded to whole multiples of s_x s_w[n], the unit of the integer accumulator it is added to."""
    unit = b.dtype.type(x_scale) * weight_scale(w).astype(b.dtype)
    return round_half_away(b / unit) * unit
