"""Depthwise 2-D convolution: each channel with its own small kernel; stride 1, SAME padding, no bias."""
import numpy as np

from .conv2d import pad_same


def depthwise2d_forward(x, w):
    """y = x * w, channel by channel.

        y[b,t,m,c] = Σ_{i,j} x_p[b, t + i, m + j, c] w[i,j,c]     (1)   a sum over taps of whole arrays

    x (B, T, M, C), w (k_t, k_m, C); returns y (B, T, M, C) and the cache.
    Source: Howard et al. 2017 (MobileNet), arXiv:1704.04861.
    """
    _, T, M, _ = x.shape
    k_t, k_m, _ = w.shape
    x_p, _, before = pad_same(x, (k_t, k_m), (1, 1))
    y, product = np.zeros_like(x), np.empty_like(x)
    for i in range(k_t):
        for j in range(k_m):
            y += np.multiply(x_p[:, i:i + T, j:j + M], w[i, j], out=product)      # (1)
    return y, (x_p, w, before)


def depthwise2d_backward(dy, cache):
    """dy (B, T, M, C) -> dx (B, T, M, C), dw (k_t, k_m, C)."""
    x_p, w, (t_before, m_before) = cache
    _, T, M, _ = dy.shape
    k_t, k_m, _ = w.shape
    dx_p, dw, product = np.zeros_like(x_p), np.empty_like(w), np.empty_like(dy)
    for i in range(k_t):
        for j in range(k_m):
            pixels = dx_p[:, i:i + T, j:j + M]       # a view by name: `dx_p[..] += ` would also copy it onto itself
            pixels += np.multiply(dy, w[i, j], out=product)                       # (1), for x_p
            dw[i, j] = np.einsum("btmc,btmc->c", x_p[:, i:i + T, j:j + M], dy)    # (1), for w
    return dx_p[:, t_before:t_before + T, m_before:m_before + M], dw
