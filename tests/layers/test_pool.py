"""layers/pool.py: the maximum's definition, ties and remainder; stack and mean; gradients; golden numbers."""
import numpy as np
import pytest

from goldencheck import golden_cases, worst_difference, worst_golden_error
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.pool import (maxpool_backward, maxpool_forward, mean_time_backward, mean_time_forward,
                               stack_backward, stack_forward)
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

MAXPOOL_CASES = [((1, 1, 1, 1), 1), ((1, 1, 4, 1), 4), ((2, 3, 7, 2), 3), ((3, 2, 5, 4), 2), ((1, 5, 9, 3), 4)]
SIMPLE = {"stack": (stack_forward, stack_backward, [(1, 1, 1, 1), (2, 3, 4, 5), (3, 1, 2, 1)]),
          "mean_time": (mean_time_forward, mean_time_backward, [(1, 1, 1), (2, 7, 3), (3, 1, 4)])}


def maxpool_by_definition(x, size):
    """The largest of each group, value by value, and where the first such value is."""
    B, T, M, C = x.shape
    y, places = np.empty((B, T, M // size, C)), {}
    for b, t, m, c in np.ndindex(y.shape):
        group = [x[b, t, m * size + k, c] for k in range(size)]
        y[b, t, m, c] = max(group)
        places[b, t, m, c] = (b, t, m * size + group.index(max(group)), c)
    return y, places


def apart(rng, shape):
    """Numbers at least 0.01 from each other: within a step of 1e-6 of a tie, the maximum has no derivative."""
    return 0.01 * rng.permutation(int(np.prod(shape))).reshape(shape) - 1


@pytest.mark.parametrize("shape, size", MAXPOOL_CASES)
def test_maxpool_equals_its_definition_and_ties_go_to_the_first(rng, shape, size):
    for x in (rng.standard_normal(shape), rng.integers(0, 2, shape).astype(float), np.zeros(shape)):
        y, cache = maxpool_forward(x, size=size)
        expected, places = maxpool_by_definition(x, size)
        assert np.array_equal(y, expected)
        dy, dx = rng.standard_normal(y.shape), np.zeros(shape)
        for place, first in places.items():
            dx[first] = dy[place]
        assert np.array_equal(maxpool_backward(dy, cache)[0], dx)


def test_maxpool_leaves_the_remainder_out():
    x = np.array([1.0, 3.0, 2.0, 9.0]).reshape(1, 1, 4, 1)
    y, cache = maxpool_forward(x, size=3)
    assert y.tolist() == [[[[3.0]]]]
    assert maxpool_backward(np.ones_like(y), cache)[0].ravel().tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("shape, size", MAXPOOL_CASES)
def test_maxpool_gradients_away_from_ties(rng, shape, size):
    error = worst_gradient_error(maxpool_forward, maxpool_backward, [apart(rng, shape)], rng, size=size)
    assert error < GRADIENT_REL_ERROR


def test_stack_keeps_the_channels_of_a_frequency_together(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    y, _ = stack_forward(x)
    assert y.shape == (2, 3, 20)
    for b, t, m, c in np.ndindex(x.shape):
        assert y[b, t, m * 5 + c] == x[b, t, m, c]


def test_mean_time_equals_its_definition(rng):
    x = rng.standard_normal((2, 7, 3))
    expected = np.array([[sum(x[b, :, h]) / 7 for h in range(3)] for b in range(2)])
    assert worst_difference({"y": mean_time_forward(x)[0]}, {"y": expected}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("name, shape", [(name, shape) for name in SIMPLE for shape in SIMPLE[name][2]])
def test_stack_and_mean_time_gradients(rng, name, shape):
    forward, backward, _ = SIMPLE[name]
    assert worst_gradient_error(forward, backward, [rng.standard_normal(shape)], rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    assert dtypes_out(maxpool_forward, maxpool_backward, [rng.standard_normal((2, 3, 7, 2))], dtype, size=3) == {dtype}
    for forward, backward, shapes in SIMPLE.values():
        assert dtypes_out(forward, backward, [rng.standard_normal(shapes[1])], dtype) == {dtype}


@pytest.mark.parametrize("case", golden_cases("maxpool"))
def test_maxpool_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(case, maxpool_forward, maxpool_backward, "x", dtype, ["size"]) < tolerance


@pytest.mark.parametrize("name", SIMPLE)
def test_stack_and_mean_time_equal_pytorch(name):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(f"{name}/odd", *SIMPLE[name][:2], "x", dtype) < tolerance
