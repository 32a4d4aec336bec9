"""A bias a channel: what is left of batch-norm once it is folded into the convolution before it."""
import numpy as np


def bias_forward(x, b):
    """y = x + b; x (..., C), b (C,); returns y and the cache."""
    return x + b, x.shape


def bias_backward(dy, cache):
    """dy (..., C) -> dx (..., C), db (C,)."""
    return dy, np.ones(dy.size // dy.shape[-1], dy.dtype) @ dy.reshape(-1, dy.shape[-1])
