"""layers/fake_quant.py: values on the grid of their codes, zero among them; gradients straight through, inside the range."""
import numpy as np
import pytest

from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers import fake_quant
from npgru.layers.fake_quant import activation_scale, fake_quant_backward, fake_quant_forward
from tolerances import GRADIENT_REL_ERROR

RANGES = [(0.0, 6.0), (-1.0, 1.0), (-8.74, 5.27), (0.0, 811.0), (-3.0, -1.0), (0.0, 0.0)]


@pytest.mark.parametrize("low, high", RANGES)
@pytest.mark.parametrize("bits", [16, 24])
def test_range_becomes_a_scale_that_holds_it_and_zero(low, high, bits):
    scale, zero_point = activation_scale(low, high, bits)
    assert scale.dtype == np.float32 and -128 <= zero_point <= 127
    assert float(scale) * 255 >= max(high, 0) - min(low, 0)           # rounded up, if at all
    mantissa = np.frexp(np.float64(scale))[0] * 2.0 ** bits
    assert mantissa == np.rint(mantissa)
    y, _ = fake_quant_forward(np.array([low, 0.0, high]), scale, zero_point)
    assert y[1] == 0 and np.abs(y - [low, 0, high]).max() <= scale


def test_values_are_on_the_grid_rounded_half_away_and_saturate(rng):
    scale, zero_point = np.float32(0.25), 10
    x = rng.uniform(-50, 50, 1000)
    y, _ = fake_quant_forward(x, scale, zero_point)
    codes = y / 0.25 + zero_point
    assert np.array_equal(codes, np.rint(codes)) and codes.min() == -128 and codes.max() == 127
    inside = (x > (-128 - 10) * 0.25) & (x < (127 - 10) * 0.25)
    assert np.abs(y - x)[inside].max() <= 0.125
    np.testing.assert_array_equal(fake_quant_forward(np.array([0.125, -0.125, 0.375]), 0.25, 0)[0], [0.25, -0.25, 0.5])
    np.testing.assert_array_equal(fake_quant_forward(y, scale, zero_point)[0], y)       # once is enough


def test_gradient_is_that_of_the_clip_without_the_rounding(rng):
    """Straight through: the differentiator sees clip(x), which is what the backward pass claims the rounding to be."""
    scale, zero_point = 0.25, 10
    x = rng.uniform(-50, 50, 60)
    mask = fake_quant_forward(x, scale, zero_point)[1]

    def clipped(x):
        return np.clip(x, (-128.5 - zero_point) * scale, (127.5 - zero_point) * scale), mask

    assert 0 < mask.sum() < 60
    assert worst_gradient_error(clipped, fake_quant_backward, [x], rng) < GRADIENT_REL_ERROR
    for dtype in (np.float32, np.float64):
        assert dtypes_out(fake_quant_forward, fake_quant_backward, [x], dtype, scale=scale, zero_point=zero_point) == {dtype}


def test_weights_have_a_scale_a_channel_and_zeros_stay_zeros(rng):
    w = rng.standard_normal((3, 3, 5)).astype(np.float32) * np.float32([0.01, 1, 100, 1, 0])
    w[0, 0, :2] = 0
    codes = fake_quant.weight_codes(w)
    assert np.array_equal(codes, np.rint(codes)) and (codes[w == 0] == 0).all()
    assert np.abs(codes).reshape(-1, 5).max(axis=0).tolist() == [127, 127, 127, 127, 0]
    error = np.abs(fake_quant.fake_quant_weights(w) - w).reshape(-1, 5).max(axis=0)
    assert (error <= 0.5001 * fake_quant.weight_scale(w)).all()


def test_the_first_rounding_carries_values_over_the_half(rng):
    """Units of 1/4: 0.49 becomes 0.5, and that goes up; without it 0.49 goes down."""
    x, first = np.array([[0.49, 0.49], [-0.49, 0.3]]), np.array([0.25, 1.0])
    np.testing.assert_array_equal(fake_quant_forward(x, 1.0, 0, first=first)[0], [[1, 0], [-1, 0]])
    np.testing.assert_array_equal(fake_quant_forward(x, 1.0, 0)[0], [[0, 0], [0, 0]])


@pytest.mark.parametrize("x_scale, largest, y_scale, unit", [(0.5, 127.0, 1.0, 0.5 ** 0), (0.1, 12.7, 1.0, 2.0 ** -6), (4, 127, 1, 1)])
def test_first_rounding_is_the_exponent_of_the_multiplier(x_scale, largest, y_scale, unit):
    assert fake_quant.first_rounding(x_scale, np.array([[largest]], np.float32), y_scale).tolist() == [unit]


def test_biases_are_whole_accumulator_units(rng):
    w, b = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal(3).astype(np.float32)
    unit = np.float32(0.1) * fake_quant.weight_scale(w)
    rounded = fake_quant.fake_quant_bias(b, 0.1, w)
    assert np.abs(rounded / unit - np.rint(rounded / unit)).max() < 1e-3 and (np.abs(rounded - b) <= 0.501 * unit).all()
