"""device_helium.py: bytes of weights in vectors, numbers for codes; the student has every layer in this form."""
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))
from seeded_student import seeded_student  # noqa: E402

from npgru.device_fast import proved  # noqa: E402
from npgru.device_helium import (  # noqa: E402
    depthwise_stream, helium_arrays, helium_macros, is_narrow, pairs_of_rows, product_stream, rows_of_four)
from npgru.device_layout import network_of  # noqa: E402


@pytest.fixture(scope="module")
def network():
    return network_of(seeded_student())


def test_rows_of_weights_come_in_pairs_with_their_numbers_behind(rng):
    w, numbers = rng.integers(-128, 128, (3, 20)), rng.integers(-2**31, 2**31, (3, 2))
    stream = pairs_of_rows(w, numbers, 4).reshape(2, 2 * 8 + 4)
    found = stream[:, :16].copy().view(np.int8).reshape(4, 32)
    np.testing.assert_array_equal(found[:3, :20], w)
    assert not found[3].any() and not found[:, 20:].any()
    np.testing.assert_array_equal(stream[1, 16:].astype(np.int32), [numbers[2, 0], 0, numbers[2, 1], 0])
    twice = pairs_of_rows(w, numbers, 4, times=2).reshape(2, 2 * 8 + 8)[1, 16:].astype(np.int32)
    np.testing.assert_array_equal(twice, [numbers[2, 0], 0, numbers[2, 0], 0, numbers[2, 1], 0, numbers[2, 1], 0])


@pytest.mark.parametrize("D, lanes", [(16, 8), (13, 8), (20, 16)])
def test_rows_in_fours_go_vector_by_vector(D, lanes, rng):
    w, bias, R = rng.integers(-128, 128, (6, D)), rng.integers(-2**31, 2**31, 6), rng.integers(0, 2**31, 6)
    n_vectors = -(-D // lanes)
    stream = rows_of_four(w, bias, R, lanes).reshape(2, n_vectors * lanes + 8)
    for row in range(6):
        four, k = divmod(row, 4)
        vectors = stream[four, :-8].copy().view(np.int8).reshape(n_vectors, 4, lanes)[:, k].ravel()
        np.testing.assert_array_equal(vectors, [*w[row], *[0] * (n_vectors * lanes - D)])
        np.testing.assert_array_equal(stream[four, [-8 + k, -4 + k]].astype(np.int32), [bias[row], R[row]])
    assert not stream[1, :-8].copy().view(np.int8).reshape(n_vectors, 4, lanes)[:, 2:].any()


def test_the_bias_takes_what_codes_leave_out(network, rng):
    """256 a + d is the same of u and of u - 128."""
    layer = network.blocks[0][1]
    found = proved(network)[0][layer.name]
    stream = product_stream(layer, found).reshape(layer.channels // 2, -1)
    u = rng.integers(0, 256, layer.w.shape[1])
    of_u = 256 * layer.w.astype(np.int64) @ u + found[:, 1]
    of_codes = 256 * layer.w.astype(np.int64) @ (u - 128) + stream[:, -4:-2].ravel().astype(np.int32)
    np.testing.assert_array_equal(of_codes.astype(np.int32), of_u.astype(np.int32))


def test_what_is_shifted_fits_16_bits_or_the_layer_is_not_of_this_form(network, monkeypatch):
    layer = network.blocks[0][1]
    solved, shifts = proved(network)
    found, N = solved[layer.name], shifts["POINTWISE"]
    assert is_narrow(layer, found, N)
    sums = 256 * np.clip(layer.w, 0, None).astype(np.int64).sum(axis=1) * 255 + found[:, 1]
    largest = int(((sums * found[:, 0]) >> (32 + N)).max())
    wide = found * [[1 << 16, 1]]
    assert not is_narrow(layer, wide, N) and is_narrow(layer, wide, N + 16) and 255 < largest < 2**15
    monkeypatch.setattr("npgru.device_helium.is_narrow", lambda *_: False)
    assert [helium_macros(network)[f"HELIUM_{kind}"] for kind in ("CONV", "BLOCKS", "GRU")] == [0, 0, 0]


def test_columns_of_a_depthwise_layer_lie_between_zeros(network):
    layer = network.blocks[0][0]
    columns = depthwise_stream(layer, proved(network)[0][layer.name]).reshape(-1, 7)[:, :5].copy().view(np.int8).reshape(-1, 5, 4)
    np.testing.assert_array_equal(columns[:, 1:4, :3], layer.w.transpose(0, 2, 1))
    assert not columns[:, [0, 4]].any() and not columns[..., 3].any()


def test_sizes_that_do_not_fit_keep_the_dsp_form(network):
    macros = helium_macros(network)
    assert [macros[f"HELIUM_{kind}"] for kind in ("CONV", "BLOCKS", "GRU")] == [1, 1, 1]
    assert [macros[f"VECTORS_{kind}"] for kind in ("CONV", "POINTWISE", "POOL")] == [3, 2, 3]
    without = replace(network, blocks=[])
    assert helium_macros(without)["HELIUM_BLOCKS"] == helium_macros(without)["HELIUM_GRU"] == 0
    assert helium_arrays(without)[0]["gru"] is not None
