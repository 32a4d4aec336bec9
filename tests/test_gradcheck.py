"""gradcheck.py itself: right gradients pass, and each way of being wrong is seen and named."""
import numpy as np
import pytest

from npgru.gradcheck import MAX_ELEMENTS, worst_gradient_error
from tolerances import GRADIENT_REL_ERROR


def product_forward(x, w):
    """y = tanh(x w); x (B, D), w (D, N)."""
    y = np.tanh(x @ w)
    return y, (x, w, y)


def product_backward(dy, cache):
    x, w, y = cache
    dp = dy * (1 - y * y)
    return dp @ w.T, x.T @ dp


def product_args(rng, D=3):
    return [0.5 * rng.standard_normal((2, D)), 0.5 * rng.standard_normal((D, 4))]


def broken(change):
    """product_backward, its gradients passed through `change`."""
    return lambda dy, cache: change(*product_backward(dy, cache))


@pytest.mark.parametrize("D", [1, 3, MAX_ELEMENTS])
def test_a_right_gradient_passes(rng, D):
    assert worst_gradient_error(product_forward, product_backward, product_args(rng, D), rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("D", [3, MAX_ELEMENTS])
@pytest.mark.parametrize("argument", [0, 1])
def test_a_gradient_off_by_1e_4_of_itself_is_seen(rng, D, argument):
    backward = broken(lambda *grads: [grad * (1 + 1e-4 * (k == argument)) for k, grad in enumerate(grads)])
    error = worst_gradient_error(product_forward, backward, product_args(rng, D), rng)
    assert 100 * GRADIENT_REL_ERROR < error < 2e-4
    assert f"argument {argument}, " in repr(error)


def test_the_failure_names_argument_element_and_both_values(rng):
    def shift_one(dx, dw):
        dw[2, 1] += 1
        return dx, dw

    args = product_args(rng)
    error = worst_gradient_error(product_forward, broken(shift_one), args, rng)
    assert error > 0.1
    assert "argument 1, element (2, 1): analytic " in repr(error) and ", numeric " in repr(error)


def test_one_wrong_element_of_a_large_argument_is_seen_by_the_random_directions(rng):
    """Sampling 200 of 4000 elements would miss it 19 times in 20."""
    x, w = product_args(rng, 1000)
    for i in rng.choice(w.size, 5, replace=False):
        def scale_one(dx, dw):
            dw.flat[i] += 1e-3 * np.abs(dw).max()
            return dx, dw
        assert worst_gradient_error(product_forward, broken(scale_one), [x, w], rng) > 10 * GRADIENT_REL_ERROR


def test_a_dropped_term_is_seen(rng):
    def backward(dy, cache):
        x, w, y = cache
        return dy @ w.T, x.T @ (dy * (1 - y * y))        # tanh' forgotten for x

    assert worst_gradient_error(product_forward, backward, product_args(rng), rng) > 1e-3


def test_a_gradient_that_is_zero_passes_and_one_that_should_be_does_not(rng):
    def forward(x):
        return x - x.mean(axis=0), x.shape               # of a single row: 0, whatever x is

    x = rng.standard_normal((1, 3))
    assert worst_gradient_error(forward, lambda dy, cache: (np.zeros(cache),), [x], rng) < GRADIENT_REL_ERROR
    assert worst_gradient_error(forward, lambda dy, cache: (1e-6 * dy,), [x], rng) > GRADIENT_REL_ERROR


@pytest.mark.parametrize("change, message", [
    (lambda dx, dw: (dx,), "gradients of shapes"),
    (lambda dx, dw: (dw, dx), "gradients of shapes"),
    (lambda dx, dw: (dx, dw, dw), "gradients of shapes"),
    (lambda dx, dw: (dx.sum(axis=0), dw), "gradients of shapes"),
    (lambda dx, dw: (dx, dw.astype(np.float32)), "argument 1 is float64, its gradient float32"),
    (lambda dx, dw: (dx * np.nan, dw), "the gradient of argument 0 is not finite")])
def test_missing_swapped_misshapen_or_infinite_gradients_are_refused(rng, change, message):
    with pytest.raises(AssertionError, match=message):
        worst_gradient_error(product_forward, broken(change), product_args(rng), rng)


def test_a_pair_that_changes_its_inputs_is_refused(rng):
    def forward_in_place(x, w):
        x *= 2
        return product_forward(x, w)

    def backward_in_place(dy, cache):
        grads = product_backward(dy, cache)
        dy *= 2
        return grads

    with pytest.raises(AssertionError, match="changed an argument"):
        worst_gradient_error(forward_in_place, product_backward, product_args(rng), rng)
    with pytest.raises(AssertionError, match="the second time"):
        worst_gradient_error(product_forward, backward_in_place, product_args(rng), rng)
