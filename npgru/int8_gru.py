"""The integer specification, continued: one GRU step, composed of primitive operators.

TensorFlow Lite has no GRU. The borders between the operators are the rounding points, the same in layers/gru.py
(real numbers), here, in csrc/gru_s8.c and in the exported file:

    gx = FULLY_CONNECTED(x),  gh = FULLY_CONNECTED(h)           (1)   rows of the weights: z | r | n
    zr = LOGISTIC(ADD(gx_zr, gh_zr))                            (2)
    n  = TANH(ADD(gx_n, MUL(r, gh_n)))                          (3)
    h' = ADD(n, MUL(z, SUB(h, n)))                              (4)   n + z (h − n)

The state is int16 (x is then CAST: raw codes, its zero point folded into the bias) or int8.
"""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npgru.int8_nonlinear import (CURVE_S16, LOGISTIC_S8, TANH_S8, logistic_s16, logistic_table_s8, lookup_s8, tanh_s16,
                                  tanh_table_s8)
from npgru.int8_params import Channels, Curve, Product, Quantisation, Sum, channels, curve, product_of, sum_of
from npgru.int8_reference import add, dense_s8, dense_s16, mul, sub


class GruQuantisation(NamedTuple):
    """The quantisation of every tensor of a step whose scale is not fixed."""

    gx: Quantisation
    gh: Quantisation
    gates: Quantisation         # gx_zr + gh_zr
    reset: Quantisation         # r gh_n
    candidate: Quantisation     # gx_n + r gh_n
    difference: Quantisation    # h − n
    blend: Quantisation         # z (h − n)
    h: Quantisation


@dataclass(frozen=True)
class Gru:
    """The records of a step's operators, in the order of (1)-(4)."""

    input: Channels
    state: Channels
    gates: Sum
    sigmoid: Curve | np.ndarray     # int16 state: Curve; int8 state: the table (256,) int8
    reset: Product
    candidate: Sum
    tanh: Curve | np.ndarray
    difference: Sum
    blend: Product
    update: Sum


def quantisation_s16(gx, gh, gates, candidate) -> GruQuantisation:
    """Four calibrated scales; z, r, n, h have 1/32768, h − n and z (h − n) 1/16384, r gh_n that of gh. Zero points 0."""
    half = Quantisation(1 / 16384)
    return GruQuantisation(*map(Quantisation, (gx, gh, gates, gh, candidate)), half, half, CURVE_S16)


def gru_of(x: Quantisation, w_scale, u_scale, q: GruQuantisation, bits: int) -> Gru:
    """Records of a step with an int8 or int16 state.   w_scale, u_scale (3H,) float32, per channel

    With bits = 16 the zero point of x does not appear: fold it into the bias (fold_zero_point).
    """
    x = Quantisation(x.scale) if bits == 16 else x
    gate, n = (CURVE_S16, CURVE_S16) if bits == 16 else (LOGISTIC_S8, TANH_S8)
    return Gru(
        channels(x, w_scale, q.gx, bits=bits), channels(q.h, u_scale, q.gh, bits=bits),
        sum_of(q.gx, q.gh, q.gates, bits=bits), curve(q.gates, "LOGISTIC") if bits == 16 else logistic_table_s8(q.gates),
        product_of(gate, q.gh, q.reset, bits=bits), sum_of(q.gx, q.reset, q.candidate, bits=bits),
        curve(q.candidate, "TANH") if bits == 16 else tanh_table_s8(q.candidate),
        sum_of(q.h, n, q.difference, bits=bits), product_of(gate, q.difference, q.blend, bits=bits),
        sum_of(n, q.blend, q.h, bits=bits))


def fold_zero_point(bias, w, x_zero_point) -> np.ndarray:
    """b' = b − x_zero_point Σ_d w[n,d], exact: x' w − z Σ w = (x − z) w.   bias (N,), w (N, D) int8 -> (N,) int64"""
    return np.asarray(bias, np.int64) - x_zero_point * w.sum(axis=1, dtype=np.int64)


def gru_step_s16(x, h, w, u, bx, bh, p: Gru, profile="tflm"):
    """One step with an int16 state.

    x (B, D) int8, raw codes; h (B, H) int16; w (3H, D), u (3H, H) int8; bx, bh (3H,) int64 -> h' (B, H) int16
    """
    gx = dense_s16(x.astype(np.int16), w, bx, p.input, profile)                 # (1)  (B, 3H) each
    gh = dense_s16(h, u, bh, p.state, profile)
    return _step(gx, gh, h, p, logistic_s16, tanh_s16)


def gru_step_s8(x, h, w, u, bx, bh, p: Gru, profile="tflm"):
    """One step with an int8 state.

    x (B, D) int8, h (B, H) int8; w (3H, D), u (3H, H) int8; bx, bh (3H,) int32 -> h' (B, H) int8
    """
    gx = dense_s8(x, w, bx, p.input, profile)                                   # (1)
    gh = dense_s8(h, u, bh, p.state, profile)
    return _step(gx, gh, h, p, lookup_s8, lookup_s8)


def _step(gx, gh, h, p, sigmoid, tanh):
    """(2)-(4): gx, gh (B, 3H), h (B, H) -> h' (B, H)."""
    H = h.shape[1]
    zr = sigmoid(add(gx[:, :2*H], gh[:, :2*H], p.gates), p.sigmoid)             # (2)  (B, 2H)
    z, r = zr[:, :H], zr[:, H:]
    n = tanh(add(gx[:, 2*H:], mul(r, gh[:, 2*H:], p.reset), p.candidate), p.tanh)   # (3)
    return add(n, mul(z, sub(h, n, p.difference), p.blend), p.update)           # (4)
