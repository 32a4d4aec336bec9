"""Pointwise activations."""
import numpy as np


def relu_forward(x):
    """y = max(x, 0), any shape; returns y and the cache."""
    return np.maximum(x, 0), x


def relu_backward(dy, cache):
    """dy -> dx: passes where x > 0."""
    return (dy * (cache > 0),)


def relu6_forward(x):
    """y = min(max(x, 0), 6), any shape; returns y and the cache. Source: MobileNet; 6 suits int8."""
    y = np.maximum(x, 0)
    return np.minimum(y, 6, out=y), x


def relu6_backward(dy, cache):
    """dy -> dx: passes where 0 < x < 6."""
    passes = cache > 0
    passes &= cache < 6
    return (dy * passes,)


def scale_forward(x, factor):
    """y = factor x, a constant; any shape; returns y and the cache."""
    return x * x.dtype.type(factor), x.dtype.type(factor)


def scale_backward(dy, cache):
    """dy -> dx."""
    return (dy * cache,)


def sigmoid(x):
    """σ(x) = 1 / (1 + e^−x), in the form that cannot overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
