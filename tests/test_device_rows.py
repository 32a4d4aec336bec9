"""device_rows.py: the records of cores without DSP instructions, and the M0+'s output stage of 32 bits."""
from dataclasses import replace

import numpy as np
import pytest
from test_int8 import SIZES, clips, quantised, trained

from npgru import int8, model
from npgru.device_fast import attainable
from npgru.device_layout import network_of
from npgru.device_rows import LARGEST_SUM, depthwise_in_threes, layer_stream, of_32_bits, record, rows_arrays
from npgru.fixed_point import mbq


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(7)
    return [network_of(int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)))) for config in SIZES]


def on_an_m0(v, factor, info):
    """csrc/device/kernels_rows.c, npgru_outputs: v = 256 acc + offset (n,) -> (u, whether the 64-bit product is needed)."""
    a, most, limit = v >> 8, (info & 0x1FFFF) << (info >> 17 & 31), info >> 22 & 0xFF
    t = a * (factor >> 12)
    inside = (a >= 0) & (a <= most)
    assert t[inside].max(initial=0) < 2**32
    return np.where(a < 0, 0, np.where(inside, t >> 24, 255)), inside & (t >> 16 & 0xFF >= limit)


def test_outputs_of_every_attainable_sum(networks):
    """A channel of every layer: both output stages against the exact formula."""
    n_open = n_all = 0
    for layer in [layer for layers in networks[-1].by_kind.values() for layer in layers]:
        low, high = (int(bound[0]) for bound in attainable(layer))
        offset, factor, info = record(layer, 0, low, high)
        bias = int(layer.stage.bias[0]) + 128 * int(layer.w[0].astype(int).sum())
        assert info >> 31 == 0
        a = np.arange(low, high + 1)
        v = 256 * (a - bias) + offset
        exact = np.clip(mbq(a, layer.stage.multiplier[0], layer.stage.shift[0]), 0, 255)
        np.testing.assert_array_equal(np.clip((v * factor) >> 44, 0, 255), exact)
        u, open_ = on_an_m0(v, factor, info)
        np.testing.assert_array_equal(u[~open_], exact[~open_])
        n_open, n_all = n_open + open_.sum(), n_all + (v >= 0).sum()
    assert n_open < n_all / 40


@pytest.mark.parametrize("factor", [2**22, 2**24 + 12345, 2**28 - 1, 1_234_567_890, 2**31 - 1])
@pytest.mark.parametrize("offset", [-77, 0, 131])
def test_the_32_bit_output_is_the_64_bit_one_around_every_step(factor, offset):
    step = -(-(np.arange(257, dtype=object) << 44) // factor) - offset >> 8
    acc = np.unique(np.concatenate([step + k for k in range(-3, 4)]).astype(np.int64))
    v = 256 * acc + offset
    u, open_ = on_an_m0(v, factor, of_32_bits(factor, offset))
    np.testing.assert_array_equal(u[~open_], np.clip(v.astype(object) * factor >> 44, 0, 255)[~open_].astype(int))


@pytest.mark.parametrize("factor", [2**11, 2**16 + 1, 1_234_567])
def test_a_factor_with_which_too_many_products_were_long_is_refused(factor):
    assert of_32_bits(factor, 0) is None


def test_three_products_are_summed_where_they_fit_in_16_bits():
    w = np.zeros((3, 3), np.int8)
    w[:, 1] = 127, -127, 1
    assert depthwise_in_threes(w) and 128 * 255 < 2**15
    w[2, 1] = -2
    assert not depthwise_in_threes(w) and not depthwise_in_threes(np.ones((10, 4), np.int8))


def test_both_kinds_of_sums_are_in_the_students_layers(networks):
    layers = [depthwise for depthwise, _ in networks[-1].blocks]
    kinds = {bool(words[2] >> 30 & 1) for layer in layers for words in layer_stream(layer).reshape(layer.channels, -1)}
    assert kinds == {False, True}


def test_a_channel_without_a_solution_has_the_exact_formula(networks, monkeypatch):
    layer = networks[-1].conv
    monkeypatch.setattr("npgru.device_rows.solve", lambda *_: None)
    _, multiplier, info = record(layer, 3, 0, 1000)
    assert multiplier == layer.stage.multiplier[3] and info >> 31 == 1 and (info >> 24 & 0x3F) - 31 == layer.stage.shift[3]
    assert (info >> 16 & 255, info >> 8 & 255, info & 255) == (layer.stage.zero, layer.stage.low, layer.stage.high)


def test_streams_have_whole_words_and_every_layer(networks):
    for network in networks:
        streams, _ = rows_arrays(network)
        layers = [layer for layers in network.by_kind.values() for layer in layers]
        assert set(streams) == {layer.name for layer in layers} | {"gru"}
        if network.blocks:
            assert all(len(streams[layer.name]) % layer.channels == 0 for layer in layers)
        else:
            assert set(streams.values()) == {None}


def test_sums_that_could_run_into_the_upper_row_are_refused(networks):
    network = networks[-1]
    conv = replace(network.conv, w=np.full((24, LARGEST_SUM // 128 // 127 + 1, 1), 127, np.int8))
    assert set(rows_arrays(replace(network, conv=conv))[0].values()) == {None}
    assert layer_stream(network.conv).dtype == np.uint32


def test_a_network_with_an_int8_state_has_fast_layers_and_the_exact_gru():
    rng = np.random.default_rng(7)
    integers = int8.freeze(quantised(trained(model.student(), clips(rng, 16), rng), clips(rng, 32)), 8)
    streams, _ = rows_arrays(network_of(integers))
    assert streams["gru"] is None and sum(stream is None for stream in streams.values()) == 1
