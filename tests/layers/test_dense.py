"""layers/dense.py: the plain sum, gradients, golden numbers."""
import numpy as np
import pytest

from goldencheck import golden_cases, worst_difference, worst_golden_error
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.dense import dense_backward, dense_forward
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

SIZES = [(1, 1, 1), (2, 3, 4), (3, 1, 5), (1, 6, 2)]            # B, D, N


def draw(rng, B, D, N):
    return [rng.standard_normal(shape) for shape in [(B, D), (D, N), (N,)]]


@pytest.mark.parametrize("B, D, N", SIZES)
def test_dense_equals_its_definition(rng, B, D, N):
    x, w, b = draw(rng, B, D, N)
    expected = np.array([[b[n] + sum(x[i, d] * w[d, n] for d in range(D)) for n in range(N)] for i in range(B)])
    assert worst_difference({"y": dense_forward(x, w, b)[0]}, {"y": expected}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("B, D, N", SIZES)
def test_dense_gradients(rng, B, D, N):
    assert worst_gradient_error(dense_forward, dense_backward, draw(rng, B, D, N), rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    assert dtypes_out(dense_forward, dense_backward, draw(rng, 2, 3, 4), dtype) == {dtype}


@pytest.mark.parametrize("case", golden_cases("dense"))
def test_dense_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(case, dense_forward, dense_backward, "xwb", dtype) < tolerance
