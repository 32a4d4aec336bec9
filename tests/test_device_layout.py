"""device_layout.py: a Network says what the device's layers see; what they cannot run is refused."""
from dataclasses import replace

import numpy as np
import pytest
from test_int8 import clips, quantised, trained

from npgru import int8, model
from npgru.device_layout import network_of
from npgru.model import NetworkConfig


@pytest.fixture(scope="module")
def integers():
    rng = np.random.default_rng(7)
    return int8.freeze(quantised(trained(model.student(), clips(rng, 16), rng), clips(rng, 32)))


def test_sizes_of_the_papers_student(integers):
    network = network_of(integers)
    assert network.n_steps == 17 and network.pool == 4 and network.rings == [24 * 16, 48 * 16]
    assert [network.pair_words(k) for k in (0, 1)] == [4 * 12, 4 * 24]
    assert network.unroll == {"CONV": 10, "POINTWISE": 12, "POOL": 24}
    assert network.conv.sizes == {"kernel_rows": 10, "kernel_columns": 4, "stride_rows": 5, "stride_columns": 2, "pad_rows": 3,
                                  "pad_columns": 1, "in_columns": 32, "window_columns": 34}


def test_the_zero_is_in_the_bias(integers):
    """Σ u w + bias is the accumulator of the specification, with u = x + 128."""
    network, rng = network_of(integers), np.random.default_rng(1)
    for layer in (network.conv, *network.blocks[0]):
        op = next(op for op in integers.operators if op.name == layer.name)
        w = layer.w.reshape(layer.channels, -1).astype(np.int64)
        x = rng.integers(-128, 128, w.shape[1])
        expected = w @ (x - op.record.x_zero_point) + op.arrays["bias"]
        np.testing.assert_array_equal(w @ (x + 128) + layer.stage.bias, expected)


def test_refusals(integers):
    changed = [*integers.operators[:2], integers.operators[3], *integers.operators[2:]]
    with pytest.raises(ValueError, match="accepted: conv2d, blocks of depthwise2d"):
        network_of(replace(integers, operators=changed))
    first = integers.operators[1]
    large = replace(first, arrays=first.arrays | {"bias": np.full_like(first.arrays["bias"], 2**30) * 2 - 1})
    with pytest.raises(ValueError, match="its sums reach"):
        network_of(replace(integers, operators=[integers.operators[0], large, *integers.operators[2:]]))


def test_turns_leave_little_to_fill_up():
    rng = np.random.default_rng(2)
    config = NetworkConfig(conv_filters=10, block_filters=(7, 20, 9), gru_units=3)
    network = network_of(int8.freeze(quantised(trained(config, clips(rng, 8), rng), clips(rng, 8))))
    assert [network.inputs("POINTWISE", pointwise) for _, pointwise in network.blocks[:-1]] == [12, 12]
    assert network.turns("POOL") == 1 and network.unroll["POOL"] == 12
