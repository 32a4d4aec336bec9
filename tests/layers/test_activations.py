"""layers/activations.py: values at and around the kinks, gradients away from them, no overflow, golden numbers."""
import numpy as np
import pytest
from scipy.special import expit

from goldencheck import golden, worst_difference, worst_golden_error
from npgru.audit_layers import away_from_kinks
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.activations import (relu6_backward, relu6_forward, relu_backward, relu_forward, scale_backward,
                                      scale_forward, sigmoid)
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

PAIRS = {"relu": (relu_forward, relu_backward), "relu6": (relu6_forward, relu6_backward)}
SHAPES = [(1,), (1, 1, 1, 1), (2, 3), (2, 5, 3, 4)]


def test_relu_and_relu6_are_their_definitions_kinks_included():
    x = np.array([-np.inf, -1e4, -0.5, -0.0, 0.0, 0.5, 5.5, 6.0, 6.5, 1e4, np.inf])
    assert relu_forward(x)[0].tolist() == [max(v, 0) for v in x]
    assert relu6_forward(x)[0].tolist() == [min(max(v, 0), 6) for v in x]


def test_no_gradient_passes_at_a_kink():
    x = np.array([-1.0, 0.0, 3.0, 6.0, 7.0])
    dy = np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    assert relu_backward(dy, relu_forward(x)[1])[0].tolist() == [0, 0, 5, 7, 11]
    assert relu6_backward(dy, relu6_forward(x)[1])[0].tolist() == [0, 0, 5, 0, 0]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_away_from_the_kinks(rng, name, shape):
    assert worst_gradient_error(*PAIRS[name], [away_from_kinks(rng, shape)], rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_scale_multiplies_forward_and_backward(rng, shape):
    x = rng.standard_normal(shape)
    np.testing.assert_array_equal(scale_forward(x, 0.25)[0], x / 4)
    assert worst_gradient_error(scale_forward, scale_backward, [x], rng, factor=0.25) < GRADIENT_REL_ERROR
    assert dtypes_out(scale_forward, scale_backward, [x], np.float32, factor=0.25) == {np.float32}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    for forward, backward in PAIRS.values():
        assert dtypes_out(forward, backward, [rng.standard_normal((2, 3))], dtype) == {dtype}
    assert sigmoid(rng.standard_normal((2, 3)).astype(dtype)).dtype == dtype


def test_sigmoid_equals_scipys(rng):
    x = rng.uniform(-30, 30, 1000)
    assert worst_difference({"y": sigmoid(x)}, {"y": expit(x)}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_neither_overflows_nor_warns(dtype):
    with np.errstate(all="raise"):
        y = sigmoid(np.array([-1e4, -1e2, 0, 1e2, 1e4], dtype))
    assert y.tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("name", PAIRS)
def test_relu_and_relu6_equal_pytorch(name):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        assert worst_golden_error(f"{name}/odd", *PAIRS[name], "x", dtype) < tolerance


def test_sigmoid_equals_pytorch():
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        arrays = golden("sigmoid/odd", dtype)
        assert worst_difference({"y": sigmoid(arrays["x"])}, {"y": arrays["y"]}) < tolerance
