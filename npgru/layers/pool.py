"""Pooling: the maximum over neighbouring frequencies, the mean over time."""
import numpy as np


def maxpool_forward(x, size=4):
    """Maximum over groups of `size` neighbouring frequencies; a remainder of M / size is left out.

        y[b,t,m,c] = max_k x[b, t, m size + k, c]

    x (B, T, M, C), size <= M; returns y (B, T, M // size, C) and the cache.
    """
    B, T, M, C = x.shape
    groups = x[:, :, :M // size * size].reshape(B, T, M // size, size, C)
    return groups.max(axis=3), (groups, M)


def maxpool_backward(dy, cache):
    """dy (B, T, M // size, C) -> dx (B, T, M, C): to the maximum, to the first where several tie."""
    groups, M = cache
    B, T, n_groups, size, C = groups.shape
    first = groups.argmax(axis=3)[:, :, :, None]                 # (B, T, M // size, 1, C)
    d_groups = dy[:, :, :, None] * (first == np.arange(size)[:, None])
    dx = np.zeros((B, T, M, C), dy.dtype)
    dx[:, :, :n_groups * size] = d_groups.reshape(B, T, n_groups * size, C)
    return (dx,)


def stack_forward(x):
    """Frequency and channels become one feature axis: x (B, T, M, C) -> y (B, T, M C)."""
    return x.reshape(x.shape[0], x.shape[1], -1), x.shape


def stack_backward(dy, cache):
    """dy (B, T, M C) -> dx (B, T, M, C)."""
    return (dy.reshape(cache),)


def mean_time_forward(x):
    """y = (1/T) Σ_t x[:, t]; x (B, T, H) -> y (B, H) and the cache."""
    return x.mean(axis=1), x.shape


def mean_time_backward(dy, cache):
    """dy (B, H) -> dx (B, T, H)."""
    B, T, H = cache
    return (np.repeat((dy / T)[:, None], T, axis=1),)
