"""Batch normalisation over all axes but the last."""
import numpy as np


def batchnorm_forward(x, gamma, beta, eps=1e-3):
    """Normalise with the batch's own statistics (training).

        μ = mean(x),  v = mean((x − μ)²)        (1)   over the R = B T M rows of each channel
        x̂ = (x − μ) / sqrt(v + ε)               (2)
        y = γ x̂ + β                             (3)

    x (..., C), gamma (C,), beta (C,); returns y (..., C) and the cache.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167; ε and the biased v as in Keras.
    """
    rows = x.reshape(-1, x.shape[-1])
    weights = np.full(len(rows), 1 / len(rows), x.dtype)         # the mean as a product: fast, well rounded
    mean = weights @ rows                                        # (1)
    x_hat = rows - mean
    var = weights @ np.square(x_hat)
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    x_hat *= inv_std                                             # (2)
    y = x_hat * gamma
    y += beta                                                    # (3)
    return y.reshape(x.shape), (x_hat, gamma, inv_std, mean, var)


def batchnorm_backward(dy, cache):
    """dy (..., C) -> dx (..., C), dgamma (C,), dbeta (C,).

        dx = γ / sqrt(v + ε) · (dy − mean(dy) − x̂ mean(dy x̂))   (4)   μ and v depend on x too
    """
    x_hat, gamma, inv_std, _, _ = cache
    rows = dy.reshape(x_hat.shape)
    dgamma = np.einsum("rc,rc->c", rows, x_hat)
    dbeta = np.ones(len(rows), dy.dtype) @ rows
    dx = x_hat * (dgamma / -len(rows))
    dx += rows
    dx -= dbeta / len(rows)
    dx *= gamma * inv_std                                        # (4)
    return dx.reshape(dy.shape), dgamma, dbeta


def batch_statistics(cache):
    """The batch's mean and (biased) variance, (C,) each, out of forward's cache."""
    return cache[3], cache[4]


def batchnorm_infer_forward(x, gamma, beta, mean, var, eps=1e-3):
    """Normalise with given statistics (inference): one scale and one shift a channel.

    x (..., C), all others (C,); returns y (..., C) and the cache.
    """
    scale = gamma / np.sqrt(var + x.dtype.type(eps))
    y = x * scale
    y += beta - mean * scale
    return y, (x, gamma, mean, var, eps)


def batchnorm_infer_backward(dy, cache):
    """dy (..., C) -> dx (..., C), dgamma, dbeta, dmean, dvar (C,) each."""
    x, gamma, mean, var, eps = cache
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    axes = tuple(range(dy.ndim - 1))
    dbeta = dy.sum(axis=axes)
    dy_centred = (dy * (x - mean)).sum(axis=axes)
    return (dy * (gamma * inv_std), dy_centred * inv_std, dbeta,
            -gamma * inv_std * dbeta, -0.5 * gamma * inv_std ** 3 * dy_centred)
