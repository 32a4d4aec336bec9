"""layers/gru_quantised.py: the GRU itself when nothing is rounded; on the integers' grids when it is."""
import numpy as np
import pytest

from npgru.gradcheck import worst_gradient_error
from npgru.layers.gru import gru_forward
from npgru.layers.gru_quantised import gru_quantised_backward, gru_quantised_forward, largest_met, to_grid
from tolerances import DEFINITION_REL_ERROR, GRADIENT_REL_ERROR, INT16_GRU_ABS_ERROR

RANGES = np.array([8.0, 4.0, 8.0, 6.0])


def unrounded(x, scale):
    return x


def draw(rng, B, T, D, H):
    shapes = [(B, T, D), (D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,)]
    return [0.7 * rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 7, 3, 5), (3, 4, 2, 1)])
def test_without_rounding_it_is_the_gru_and_so_are_its_gradients(sizes, rng):
    args = draw(rng, *sizes)
    y, cache = gru_quantised_forward(*args, RANGES, unrounded)
    assert np.abs(y - gru_forward(*args)[0]).max() < DEFINITION_REL_ERROR
    assert largest_met(cache)[0] == np.abs(args[0] @ args[1] + args[3]).max()

    def forward(*args):
        return gru_quantised_forward(*args, RANGES, unrounded)

    assert worst_gradient_error(forward, gru_quantised_backward, args, rng) < GRADIENT_REL_ERROR


def test_states_are_on_the_grid_and_near_the_gru(rng):
    args = draw(rng, 4, 17, 6, 5)
    y, _ = gru_quantised_forward(*args, RANGES)
    codes = y * 32768
    assert np.array_equal(codes, np.rint(codes)) and np.abs(codes).max() <= 32768
    error = np.abs(y - gru_forward(*args)[0]).max()
    assert 0 < error < INT16_GRU_ABS_ERROR


def test_the_grid_saturates_and_rounds_half_away():
    np.testing.assert_array_equal(to_grid(np.array([0.5, -0.5, 1e9, -1e9]), 1.0), [1, -1, 32767, -32768])
