"""layers/conv2d.py: SAME padding by TensorFlow's rule, the plain loops of equation (1), gradients, golden numbers."""
import numpy as np
import pytest

from goldencheck import golden_cases, worst_difference, worst_golden_error
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.conv2d import (conv2d_backward, conv2d_forward, pad_same, pointwise_backward, pointwise_forward,
                                 same_padding)
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

CONV_CASES = [                                                  # x (B, T, M, C), kernel, N, stride
    ((1, 1, 1, 1), (1, 1), 1, (1, 1)),
    ((1, 1, 1, 1), (10, 4), 1, (5, 2)),                         # one frame: every tap but one reads zeros
    ((1, 1, 5, 2), (3, 2), 3, (2, 1)),
    ((2, 7, 5, 3), (3, 2), 4, (2, 3)),                          # strides that do not divide
    ((3, 6, 4, 2), (2, 3), 1, (2, 2)),                          # strides that do
    ((2, 8, 7, 2), (2, 1), 3, (3, 4)),                          # stride above kernel: some pixels are never read
    ((1, 23, 9, 1), (10, 4), 2, (5, 2)),                        # the paper's kernel and stride
]
POINTWISE_CASES = [((1, 1, 1, 1), 1), ((2, 5, 3, 4), 6), ((3, 1, 2, 5), 1)]


def zeros_before(n_in, kernel, stride):
    """TensorFlow's documentation of SAME, in its own words' order: not the form same_padding uses."""
    total = max(kernel - stride, 0) if n_in % stride == 0 else max(kernel - n_in % stride, 0)
    return total // 2, total - total // 2


def conv2d_by_definition(x, w, stride):
    """Equation (1), number by number; where it reads outside x, there is zero."""
    (B, T, M, C), (k_t, k_m, _, N), (s_t, s_m) = x.shape, w.shape, stride
    y = np.zeros((B, -(-T // s_t), -(-M // s_m), N))
    before_t, before_m = zeros_before(T, k_t, s_t)[0], zeros_before(M, k_m, s_m)[0]
    for b, t, m, n in np.ndindex(y.shape):
        for i, j, c in np.ndindex(k_t, k_m, C):
            t_in, m_in = t * s_t + i - before_t, m * s_m + j - before_m
            if 0 <= t_in < T and 0 <= m_in < M:
                y[b, t, m, n] += x[b, t_in, m_in, c] * w[i, j, c, n]
    return y


@pytest.mark.parametrize("n_in, kernel, stride, expected", [
    (84, 10, 5, (17, 3, 3)), (83, 10, 5, (17, 3, 4)), (32, 4, 2, (16, 1, 1)),      # the paper's first convolution
    (17, 3, 1, (17, 1, 1)), (16, 3, 1, (16, 1, 1)), (1, 3, 1, (1, 1, 1)),          # its depthwise ones
    (1, 1, 1, (1, 0, 0)), (1, 10, 5, (1, 4, 5)), (5, 1, 3, (2, 0, 0)), (4, 2, 1, (4, 0, 1)),
    (6, 4, 1, (6, 1, 2)), (6, 3, 2, (3, 0, 1)), (7, 3, 2, (4, 1, 1)), (9, 2, 4, (3, 0, 1)), (8, 2, 4, (2, 0, 0))])
def test_same_padding_is_tensorflows(n_in, kernel, stride, expected):
    assert same_padding(n_in, kernel, stride) == expected


def test_same_padding_equals_the_documented_rule_everywhere():
    for n_in, kernel, stride in np.ndindex(40, 12, 6):
        n_in, kernel, stride = n_in + 1, kernel + 1, stride + 1
        assert same_padding(n_in, kernel, stride) == (-(-n_in // stride), *zeros_before(n_in, kernel, stride))


def test_pad_same_surrounds_x_with_zeros(rng):
    x = rng.standard_normal((2, 5, 3, 4))
    x_p, size, before = pad_same(x, (4, 2), (1, 1))
    assert x_p.shape == (2, 8, 4, 4) and size == (5, 3) and before == (1, 0)
    assert np.array_equal(x_p[:, 1:6, :3], x) and np.abs(x_p).sum() == np.abs(x).sum()


@pytest.mark.parametrize("shape, kernel, N, stride", CONV_CASES)
def test_conv2d_equals_its_definition(rng, shape, kernel, N, stride):
    x, w = rng.standard_normal(shape), rng.standard_normal((*kernel, shape[-1], N))
    y, _ = conv2d_forward(x, w, stride=stride)
    assert worst_difference({"y": y}, {"y": conv2d_by_definition(x, w, stride)}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("shape, kernel, N, stride", CONV_CASES)
def test_conv2d_gradients(rng, shape, kernel, N, stride):
    args = [rng.standard_normal(shape), rng.standard_normal((*kernel, shape[-1], N))]
    assert worst_gradient_error(conv2d_forward, conv2d_backward, args, rng, stride=stride) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("shape, N", POINTWISE_CASES)
def test_pointwise_equals_conv2d_of_a_1x1_kernel(rng, shape, N):
    x, w = rng.standard_normal(shape), rng.standard_normal((shape[-1], N))
    y, _ = pointwise_forward(x, w)
    assert worst_difference({"y": y}, {"y": conv2d_forward(x, w[None, None])[0]}) < DEFINITION_REL_ERROR
    assert worst_difference({"y": y}, {"y": conv2d_by_definition(x, w[None, None], (1, 1))}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("shape, N", POINTWISE_CASES)
def test_pointwise_gradients(rng, shape, N):
    args = [rng.standard_normal(shape), rng.standard_normal((shape[-1], N))]
    assert worst_gradient_error(pointwise_forward, pointwise_backward, args, rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    x = rng.standard_normal((2, 7, 5, 3))
    args = [x, rng.standard_normal((3, 2, 3, 4))]
    assert dtypes_out(conv2d_forward, conv2d_backward, args, dtype, stride=(2, 3)) == {dtype}
    assert dtypes_out(pointwise_forward, pointwise_backward, [x, args[1][0, 0]], dtype) == {dtype}


@pytest.mark.parametrize("case", golden_cases("conv2d"))
def test_conv2d_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(case, conv2d_forward, conv2d_backward, "xw", dtype, ["stride"]) < tolerance


@pytest.mark.parametrize("case", golden_cases("pointwise"))
def test_pointwise_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(case, pointwise_forward, pointwise_backward, "xw", dtype) < tolerance
