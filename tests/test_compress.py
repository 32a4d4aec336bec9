"""Pruning: the schedule, exact shares of zeros, and that a network without its zero channels is the same function."""
from types import SimpleNamespace

import numpy as np
import pytest
from tolerances import REMOVED_CHANNELS_REL_ERROR

from npgru import compress, costs, model
from npgru.compress import PruningConfig


@pytest.fixture
def network(rng):
    """A small network with random weights and statistics: layers, params, stats."""
    config = model.NetworkConfig(conv_filters=5, block_filters=(7, 6), gru_units=3, dense_units=4)
    layers = model.build(config, 32)
    params, stats = model.init(layers, rng, np.float64)
    params = {name: array + 0.3 * rng.standard_normal(array.shape) for name, array in params.items()}
    stats = {name: np.abs(array + 0.3 * rng.standard_normal(array.shape)) for name, array in stats.items()}
    return layers, params, stats


def test_sparsity_follows_the_cubic_from_start_to_end():
    config = PruningConfig(sparsity=0.8, initial_sparsity=0.2)
    assert compress.sparsity_at(0, 100, config) == pytest.approx(0.2)
    assert compress.sparsity_at(50, 100, config) == pytest.approx(0.8 - 0.6 * 0.125)
    assert compress.sparsity_at(100, 100, config) == 0.8


def test_smallest_takes_the_smallest_and_the_first_of_equal_ones():
    np.testing.assert_array_equal(compress.smallest(np.array([3, 1, 2, 1, 1]), 0.4), [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(compress.smallest(np.array([[1.0, 2.0]]), 0.99), [[0, 1]])      # one is always left


def test_masks_of_weights_are_exact_and_leave_all_else_alone(network):
    layers, params, _ = network
    masks = compress.weight_masks(layers, params, 0.35, PruningConfig())
    kinds = {layer.name: layer.kind for layer in layers}
    assert {kinds[name.split("/")[0]] for name in masks} == set(PruningConfig().kinds)
    for name, mask in masks.items():
        assert name.endswith("/w") and (mask == 0).sum() == round(0.35 * mask.size)
        assert np.abs(params[name])[mask == 0].max() <= np.abs(params[name])[mask == 1].min()
    assert "gru/u" in compress.weight_masks(layers, params, 0.35, PruningConfig(kinds=("gru",)))


def test_masks_are_renewed_every_so_many_steps_and_at_the_end(network, rng):
    layers, params, _ = network
    config, state = PruningConfig(sparsity=0.5, every_steps=4), SimpleNamespace(weights=params, masks={}, step=0)
    shares = []
    for step in range(1, 11):
        state.step = step
        for array in state.weights.values():
            array += 0.01 * rng.standard_normal(array.shape)          # what Adam does to zeros as well
        compress.prune(layers, state, 10, config)
        shares.append((state.weights["block2_pointwise/w"] == 0).mean())
    asked = [0, 0, 0] + [compress.sparsity_at(4, 10, config)] * 4 + [compress.sparsity_at(8, 10, config)] * 2 + [0.5]
    assert np.abs(np.array(shares) - asked).max() <= 0.5 / 42        # the nearest whole number of 42 weights


@pytest.mark.parametrize("share", [0.0, 0.35, 0.9])
def test_a_network_without_its_zero_channels_is_the_same_function(network, rng, share):
    layers, params, stats = network
    masks = compress.channel_masks(layers, params, share)
    masked = {name: array * masks.get(name, 1) for name, array in params.items()}
    smaller = compress.remove_channels(layers, masked, stats, masks)
    x = rng.uniform(200, 800, (3, 84, 32))
    expected, found = model.forward(layers, masked, stats, x)[0], model.forward(*smaller, x)[0]
    assert np.abs(found - expected).max() < REMOVED_CHANNELS_REL_ERROR * np.abs(expected).max()
    left = [C - min(round(share * C), C - 1) for C in (5, 7, 6)]
    shapes = {f"{layer.name}/{key}": shape for layer in smaller[0] for key, shape in layer.shapes.items()}
    assert shapes["conv/w"][-1] == left[0] and shapes["block1_pointwise/w"] == (left[0], left[1])
    assert shapes["block2_depthwise_bn/gamma"] == (left[1],) and shapes["gru/w"][0] == 4 * left[2]
    assert all(smaller[1][name].shape == shape for name, shape in shapes.items())


def test_removing_channels_shrinks_multiply_adds_and_parameters(network):
    layers, params, stats = network
    masks = compress.channel_masks(layers, params, 0.5)
    smaller, fewer, _ = compress.remove_channels(layers, params, stats, masks)
    assert sum(array.size for array in fewer.values()) < 0.6 * sum(array.size for array in params.values())
    assert costs.multiply_adds(smaller, 84, 32) < 0.6 * costs.multiply_adds(layers, 84, 32)


@pytest.mark.parametrize("option", [{"sparsity": 1.0}, {"initial_sparsity": 0.5}, {"every_steps": 0}, {"structure": "rows"},
                                    {"kinds": ("batchnorm",)}])
def test_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        PruningConfig(**option)
