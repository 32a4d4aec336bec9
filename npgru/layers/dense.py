"""Fully connected layer."""


def dense_forward(x, w, b):
    """y = x w + b; x (B, D), w (D, N), b (N,); returns y (B, N) and the cache."""
    return x @ w + b, (x, w)


def dense_backward(dy, cache):
    """dy (B, N) -> dx (B, D), dw (D, N), db (N,)."""
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)
