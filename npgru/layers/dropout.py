"""Dropout."""


def dropout_forward(x, rate, rng):
    """Each value is zeroed with probability `rate`, the others grow by 1 / (1 − rate); training only.

    x any shape, 0 <= rate < 1, rng a numpy Generator; returns y and the cache.
    Source: Srivastava et al. 2014, JMLR 15; the scaling is done here, so inference does nothing.
    """
    keep = rng.random(x.shape, dtype=x.dtype.type) >= rate
    scale = keep / x.dtype.type(1 - rate)
    return x * scale, scale


def dropout_backward(dy, cache):
    """dy -> dx: through the values that were kept."""
    return (dy * cache,)
