"""The one numeric differentiator: every hand-written gradient is compared with float64 central differences.

    L(args) = Σ y ⊙ dy,  dy random                                              (1)
    numeric = (L(.. a + δ v ..) − L(.. a − δ v ..)) / 2δ,  δ = 1e-6             (2)   v: a direction of length 1
    analytic = Σ grad ⊙ v                                                       (3)
    error = max_v |analytic − numeric| / max(max |grad|, max_v |numeric|, 1e-2) (4)   of one argument

v runs over the argument's elements, or, for a large argument, over a random subset of them and a few directions
that move all of them. In (2) the y are subtracted before they are summed: what v does not touch cancels exactly.
The floor in (4) is for gradients that are zero (batch-norm's dx of a single row): (2) is off by up to 1e-9, and
that is no share of anything. It hides nothing: a gradient of 1e-5 that is 1e-4 of itself off still gives 1e-7.
"""
import numpy as np

STEP = 1e-6                 # δ: rounding 1e-16 / δ and truncation δ² are both below 1e-9 for numbers around 1
FLOOR = 1e-2                # of (4)'s denominator
MAX_ELEMENTS = 200          # an argument with more elements is sampled
N_DIRECTIONS = 8            # directions that move every element of a sampled argument


class Worst(float):
    """An error, and the place where it is: pytest prints both when an assertion on it fails."""

    def __new__(cls, error, place):
        worst = super().__new__(cls, error)
        worst.place = place
        return worst

    def __repr__(self):
        return f"{float(self):.2g} at {self.place}"


def worst_gradient_error(forward, backward, args, rng, **settings) -> Worst:
    """The worst error (4) over forward's arrays `args` (float64); `settings` are its other arguments.

    raises  AssertionError if there is not one gradient per array, of its shape, float64 and finite,
            or if forward changes its arguments, or backward its dy or what it returned before.
    """
    grads, dy = gradients(forward, backward, args, rng, settings)
    worst = Worst(0.0, "nowhere")
    for k, (arg, grad) in enumerate(zip(args, grads)):
        pairs = []
        for label, v in directions(arg.shape, rng):
            above, below = (forward(*args[:k], arg + step * v, *args[k + 1:], **settings)[0] for step in (STEP, -STEP))
            pairs.append((label, np.sum(grad * v), np.sum((above - below) * dy) / (2 * STEP)))     # (3), (2)
        scale = max(np.abs(grad).max(), max(abs(numeric) for _, _, numeric in pairs), FLOOR)
        for label, analytic, numeric in pairs:
            error = abs(analytic - numeric) / scale                                                # (4)
            if not error <= worst:                                                                 # also if it is NaN
                worst = Worst(error, f"argument {k}, {label}: analytic {analytic:.10g}, numeric {numeric:.10g}")
    return worst


def gradients(forward, backward, args, rng, settings):
    """Run the pair once -> its gradients and the dy they belong to; checks shapes, types, and that nothing changes."""
    before = [arg.copy() for arg in args]
    y, cache = forward(*args, **settings)
    dy = rng.standard_normal(y.shape)
    dy_before = dy.copy()
    grads = backward(dy, cache)
    first = [np.array(grad) for grad in grads]
    require([grad.shape for grad in first] == [arg.shape for arg in args],
            f"gradients of shapes {[grad.shape for grad in first]} for arguments of {[arg.shape for arg in args]}")
    for k, grad in enumerate(first):
        require(grad.dtype == np.float64, f"argument {k} is float64, its gradient {grad.dtype}")
        require(np.isfinite(grad).all(), f"the gradient of argument {k} is not finite: {grad}")
    again = backward(dy, cache)
    require(all(np.array_equal(a, b) for a, b in zip(first, again)), "backward gives other gradients the second time")
    require(np.array_equal(dy, dy_before), "backward changed dy")
    require(all(np.array_equal(a, b) for a, b in zip(args, before)), "forward or backward changed an argument")
    return first, dy


def require(condition, message):
    """An assertion that python -O keeps."""
    if not condition:
        raise AssertionError(message)


def directions(shape, rng):
    """(label, v) for each element; if there are many, for a random subset and for directions that move all of them."""
    size = int(np.prod(shape))
    sampled = np.arange(size) if size <= MAX_ELEMENTS else rng.choice(size, MAX_ELEMENTS, replace=False)
    for i in sampled:
        v = np.zeros(size)
        v[i] = 1
        yield f"element {tuple(int(n) for n in np.unravel_index(i, shape))}", v.reshape(shape)
    for i in range(0 if size <= MAX_ELEMENTS else N_DIRECTIONS):
        v = rng.standard_normal(shape)
        yield f"random direction {i}", v / np.linalg.norm(v)


def dtypes_out(forward, backward, args, dtype, **settings) -> set:
    """The types of y and of every gradient when all arrays, and dy, are of type `dtype`."""
    y, cache = forward(*(arg.astype(dtype) for arg in args), **settings)
    return {array.dtype.type for array in (y, *backward(np.ones_like(y), cache))}
