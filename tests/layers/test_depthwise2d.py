"""layers/depthwise2d.py: the plain loops of equation (1), conv2d of a diagonal kernel, gradients, golden numbers."""
import numpy as np
import pytest

from goldencheck import golden_cases, worst_difference, worst_golden_error
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.conv2d import conv2d_forward
from npgru.layers.depthwise2d import depthwise2d_backward, depthwise2d_forward
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

CASES = [                                                       # x (B, T, M, C), kernel
    ((1, 1, 1, 1), (1, 1)),
    ((1, 1, 1, 1), (3, 3)),                                     # one pixel: every tap but the middle reads zeros
    ((3, 1, 4, 2), (3, 3)),                                     # one frame
    ((2, 7, 5, 3), (3, 3)),
    ((1, 4, 6, 2), (2, 4)),                                     # even kernels: the odd zero goes after
    ((2, 3, 2, 5), (5, 1)),
]


def depthwise2d_by_definition(x, w):
    """Equation (1), number by number; where it reads outside x, there is zero."""
    (B, T, M, C), (k_t, k_m, _) = x.shape, w.shape
    y = np.zeros(x.shape)
    for b, t, m, c in np.ndindex(y.shape):
        for i, j in np.ndindex(k_t, k_m):
            t_in, m_in = t + i - (k_t - 1) // 2, m + j - (k_m - 1) // 2
            if 0 <= t_in < T and 0 <= m_in < M:
                y[b, t, m, c] += x[b, t_in, m_in, c] * w[i, j, c]
    return y


@pytest.mark.parametrize("shape, kernel", CASES)
def test_depthwise2d_equals_its_definition(rng, shape, kernel):
    x, w = rng.standard_normal(shape), rng.standard_normal((*kernel, shape[-1]))
    y, _ = depthwise2d_forward(x, w)
    assert worst_difference({"y": y}, {"y": depthwise2d_by_definition(x, w)}) < DEFINITION_REL_ERROR


def test_depthwise2d_is_conv2d_of_a_kernel_that_is_diagonal_in_the_channels(rng):
    x, w = rng.standard_normal((2, 5, 4, 3)), rng.standard_normal((3, 2, 3))
    y, _ = depthwise2d_forward(x, w)
    assert worst_difference({"y": y}, {"y": conv2d_forward(x, w[..., None] * np.eye(3))[0]}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("shape, kernel", CASES)
def test_depthwise2d_gradients(rng, shape, kernel):
    args = [rng.standard_normal(shape), rng.standard_normal((*kernel, shape[-1]))]
    assert worst_gradient_error(depthwise2d_forward, depthwise2d_backward, args, rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    args = [rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((3, 3, 5))]
    assert dtypes_out(depthwise2d_forward, depthwise2d_backward, args, dtype) == {dtype}


@pytest.mark.parametrize("case", golden_cases("depthwise2d"))
def test_depthwise2d_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(case, depthwise2d_forward, depthwise2d_backward, "xw", dtype) < tolerance
