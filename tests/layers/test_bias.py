"""layers/bias.py: a sum, its gradient, and the type that went in."""
import numpy as np
import pytest

from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.bias import bias_backward, bias_forward
from tolerances import GRADIENT_REL_ERROR


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 3, 1, 5)])
def test_gradients(shape, rng):
    args = [rng.standard_normal(shape), rng.standard_normal(shape[-1])]
    assert worst_gradient_error(bias_forward, bias_backward, args, rng) < GRADIENT_REL_ERROR
    for dtype in (np.float32, np.float64):
        assert dtypes_out(bias_forward, bias_backward, args, dtype) == {dtype}


def test_every_channel_gets_its_own():
    y, _ = bias_forward(np.zeros((2, 1, 3)), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(y, np.broadcast_to([1.0, 2.0, 3.0], (2, 1, 3)))
