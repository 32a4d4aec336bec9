"""layers/dropout.py: share kept, scaling, the mask backward, reproducible draws. No golden file: the draws differ."""
import numpy as np
import pytest

from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.dropout import dropout_backward, dropout_forward
from tolerances import GRADIENT_REL_ERROR, STANDARD_ERRORS

SHAPES = [(1,), (1, 1, 1), (2, 7, 3)]
RATES = [0.0, 0.05, 0.15, 0.9]


def redrawn(x, rate):
    """Forward with the same mask in every call: the differentiator calls it often."""
    return dropout_forward(x, rate, np.random.default_rng(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", RATES)
def test_each_value_is_zero_or_grows_and_the_share_kept_is_right(rng, rate, dtype):
    n = 100_000
    x = rng.uniform(1, 2, n).astype(dtype)
    y, _ = dropout_forward(x, rate, rng)
    kept = y != 0
    assert np.array_equal(y[kept], x[kept] * (dtype(1) / dtype(1 - rate)))
    assert abs(kept.mean() - (1 - rate)) <= STANDARD_ERRORS * (rate * (1 - rate) / n) ** 0.5


def test_rate_zero_changes_nothing(rng):
    x = rng.standard_normal((2, 3))
    assert np.array_equal(dropout_forward(x, 0.0, rng)[0], x)


def test_backward_passes_where_forward_did(rng):
    x, dy = rng.uniform(1, 2, (2, 50)), rng.standard_normal((2, 50))
    y, cache = dropout_forward(x, 0.3, rng)
    (dx,) = dropout_backward(dy, cache)
    assert np.array_equal(dx, np.where(y != 0, dy * (1 / 0.7), 0))


def test_the_same_rng_draws_the_same_mask_and_the_next_draw_another(rng):
    x = np.ones((4, 50))
    again = np.random.default_rng(3)
    y = dropout_forward(x, 0.5, again)[0]
    assert np.array_equal(y, redrawn(x, 0.5)[0])
    assert not np.array_equal(y, dropout_forward(x, 0.5, again)[0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rate", RATES)
def test_dropout_gradients(rng, shape, rate):
    x = rng.standard_normal(shape)
    assert worst_gradient_error(redrawn, dropout_backward, [x], rng, rate=rate) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    x = rng.standard_normal((2, 3))
    assert dtypes_out(dropout_forward, dropout_backward, [x], dtype, rate=0.15, rng=rng) == {dtype}
