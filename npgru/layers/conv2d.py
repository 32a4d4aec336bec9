"""2-D convolution over (time, frequency), TensorFlow's SAME padding, no bias."""
import numpy as np


def same_padding(n_in: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """One axis of SAME padding -> (n_out, zeros before, zeros after).

        n_out = ceil(n_in / stride)                              (1)
        total = max((n_out − 1) stride + kernel − n_in, 0)       (2)   the odd zero goes after
    """
    n_out = -(-n_in // stride)                                   # (1)
    total = max((n_out - 1) * stride + kernel - n_in, 0)         # (2)
    return n_out, total // 2, total - total // 2


def pad_same(x, kernel, stride):
    """x (B, T, M, C) -> x_p (B, T + .., M + .., C) with SAME's zeros, and the output size (T', M')."""
    t_out, t_before, t_after = same_padding(x.shape[1], kernel[0], stride[0])
    m_out, m_before, m_after = same_padding(x.shape[2], kernel[1], stride[1])
    B, T, M, C = x.shape
    x_p = np.zeros((B, t_before + T + t_after, m_before + M + m_after, C), x.dtype)
    x_p[:, t_before:t_before + T, m_before:m_before + M] = x
    return x_p, (t_out, m_out), (t_before, m_before)


def conv2d_forward(x, w, stride=(1, 1)):
    """y = x * w.

        y[b,t,m,n] = Σ_{i,j,c} x_p[b, t s_t + i, m s_m + j, c] w[i,j,c,n]          (1)

    As a product: every patch that (1) reads becomes one row of P (im2col), then y = P w  (2).
    x (B, T, M, C), w (k_t, k_m, C, N), stride (s_t, s_m); returns y (B, T', M', N) and the cache.
    Source: Dumoulin and Visin 2016, arXiv:1603.07285; padding as in TensorFlow.
    """
    k_t, k_m, C, N = w.shape
    x_p, (t_out, m_out), before = pad_same(x, (k_t, k_m), stride)
    windows = np.lib.stride_tricks.sliding_window_view(x_p, (k_t, k_m), axis=(1, 2))
    windows = windows[:, ::stride[0], ::stride[1]].transpose(0, 1, 2, 4, 5, 3)
    patches = windows.reshape(-1, k_t * k_m * C)                 # (B T' M', k_t k_m C)
    y = patches @ w.reshape(-1, N)                               # (2)
    return y.reshape(x.shape[0], t_out, m_out, N), (patches, w, stride, x.shape, x_p.shape, before)


def conv2d_backward(dy, cache):
    """dy (B, T', M', N) -> dx (B, T, M, C), dw (k_t, k_m, C, N)."""
    patches, w, (s_t, s_m), (B, T, M, C), padded_shape, (t_before, m_before) = cache
    k_t, k_m, _, N = w.shape
    t_out, m_out = dy.shape[1:3]
    dy_rows = dy.reshape(-1, N)
    dw = (patches.T @ dy_rows).reshape(w.shape)                  # (2)
    d_patches = (dy_rows @ w.reshape(-1, N).T).reshape(B, t_out, m_out, k_t, k_m, C)
    dx_p = np.zeros(padded_shape, dy.dtype)
    for i in range(k_t):                                         # (1): a pixel sums what its patches got
        for j in range(k_m):
            dx_p[:, i:i + t_out * s_t:s_t, j:j + m_out * s_m:s_m] += d_patches[:, :, :, i, j]
    return dx_p[:, t_before:t_before + T, m_before:m_before + M], dw


def pointwise_forward(x, w):
    """1 x 1 convolution: conv2d without patches.

        y[b,t,m,n] = Σ_c x[b,t,m,c] w[c,n]

    x (B, T, M, C), w (C, N); returns y (B, T, M, N) and the cache.
    """
    C, N = w.shape
    y = x.reshape(-1, C) @ w                                     # one large product, not B T small ones
    return y.reshape(*x.shape[:-1], N), (x, w)


def pointwise_backward(dy, cache):
    """dy (B, T, M, N) -> dx (B, T, M, C), dw (C, N)."""
    x, w = cache
    C, N = w.shape
    dy_rows = dy.reshape(-1, N)
    return (dy_rows @ w.T).reshape(x.shape), x.reshape(-1, C).T @ dy_rows
