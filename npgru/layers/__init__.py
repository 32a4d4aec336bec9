"""The layers: one file each, forward and backward side by side, as pure functions.

    y, cache = <layer>_forward(x, weights..., settings)
    dx, dweights... = <layer>_backward(dy, cache)

Gradients come back in the order of forward's arrays. The dtype that goes in comes out: float64 in
the gradient checks, float32 in training. Nothing is remembered between calls.
"""
