"""The GRU on the grids of its integers: the primitive operators of the device, each followed by its rounding.

    gx = [x w + b],  gh = [h u + c]                    (1)   columns: z | r | n; [.] rounds to int16 codes
    p = [gx_zr + gh_zr],  z | r = [σ(p)]               (2)
    q = [gx_n + [r gh_n]],  n = [tanh(q)]              (3)
    y = [n + [z [h − n]]]                              (4)   n + z (h − n) = (1 − z) n + z h

Scales: gx, gh, p and q have a range each (RANGES, the largest magnitude that int16 must hold); r gh_n has that of gh;
z, r, n and y 1/32768; h − n and z (h − n) 1/16384. Zero points are 0. The gradients are those of gru_backward at the
rounded values: straight through every rounding.
"""
import numpy as np

from .activations import sigmoid
from .fake_quant import round_half_away
from .gru import gru_backward

RANGES = ("gx", "gh", "gates", "candidate")
UNIT, HALF = 1 / 32768, 1 / 16384


def to_grid(x, scale):
    """[x]: int16 codes of this scale, as real numbers."""
    scale = x.dtype.type(scale)
    return np.clip(round_half_away(x / scale), -32768, 32767) * scale


def gru_quantised_forward(x, w, u, b, c, ranges, round_to=to_grid):
    """The sequence from a state of zeros.

    x (B, T, D), w (D, 3H), u (H, 3H), b (3H,), c (3H,), ranges (4,) in the order of RANGES
    returns  y (B, T, H), and the cache with the largest magnitudes met, (4,), at its end
    """
    B, T, D = x.shape
    H = u.shape[0]
    s_gx, s_gh, s_gates, s_candidate = np.asarray(ranges, np.float64) / 32767
    products = x.reshape(-1, D) @ w + b
    met = [np.abs(products).max(initial=0), 0.0, 0.0, 0.0]
    gx = round_to(products, s_gx).reshape(B, T, 3 * H)                             # (1)
    h, gates = np.zeros((B, T + 1, H), x.dtype), []
    for t in range(T):
        products = h[:, t] @ u + c
        gh = round_to(products, s_gh)                                              # (1)
        p = gx[:, t, :2*H] + gh[:, :2*H]
        zr = round_to(sigmoid(round_to(p, s_gates)), UNIT)                         # (2)
        z, r = zr[:, :H], zr[:, H:]
        q = gx[:, t, 2*H:] + round_to(r * gh[:, 2*H:], s_gh)
        n = round_to(np.tanh(round_to(q, s_candidate)), UNIT)                      # (3)
        h[:, t + 1] = round_to(n + round_to(z * round_to(h[:, t] - n, HALF), HALF), UNIT)      # (4)
        gates.append((z, r, n, gh[:, 2*H:]))
        met[1:] = [max(a, np.abs(values).max()) for a, values in zip(met[1:], (products, p, q))]
    return h[:, 1:], (x, w, u, h, gates, np.array(met, x.dtype))


def gru_quantised_backward(dy, cache):
    """dy (B, T, H) -> dx, dw, du, db, dc: gru_backward at the rounded values."""
    return gru_backward(dy, cache[:-1])[:-1]


def largest_met(cache):
    """The largest magnitudes of gx, gh, p and q, (4,), out of forward's cache."""
    return cache[-1]
