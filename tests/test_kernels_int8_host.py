"""A whole integer network in one call of C: every form equals int8.run, integer for integer, in every tensor."""
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from test_int8 import SIZES, clips, quantised, trained

from npgru import int8, kernels
from npgru.kernels_int8_host import HostNetwork, running_forms
from npgru.model import NetworkConfig

pytestmark = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
RUNNING = running_forms() if kernels.AVAILABLE else []


def assert_equal(expected, found):
    assert expected.keys() == found.keys()
    for name, codes in expected.items():
        assert codes.dtype == found[name].dtype and np.array_equal(codes, found[name]), name


def random_config(rng):
    """A network of odd sizes, and the shape (T, M) of its clips."""
    size = partial(rng.integers, endpoint=True)
    M, stride_m = int(size(4, 32)), int(size(1, 3))
    return NetworkConfig(
        conv_filters=int(size(1, 40)), conv_kernel=size(1, 10, 2).tolist(), conv_stride=(int(size(1, 6)), stride_m),
        block_filters=size(1, 40, size(0, 3)).tolist(), pool_size=int(size(1, -(-M // stride_m))),
        gru_units=int(size(1, 20)), dense_units=int(size(1, 20))), (int(size(1, 90)), M)


@pytest.mark.parametrize("form", RUNNING)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("config", SIZES)
def test_every_tensor_of_whole_networks(config, bits, form, rng):
    integers = int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), bits)
    x = clips(rng, 5)
    x[0], x[1, ::2] = 0, 65535
    expected = int8.run(integers, x, "numpy")
    assert_equal(expected, HostNetwork(integers.operators, form).codes(x, list(expected)))


@pytest.mark.parametrize("form", RUNNING)
@pytest.mark.parametrize("seed", range(15))
def test_networks_of_random_sizes(seed, form):
    rng = np.random.default_rng(seed)
    config, (T, M) = random_config(rng)

    def features(n):
        return np.resize(clips(rng, n), (n, T, M))
    integers = int8.freeze(quantised(trained(config, features(8), rng), features(8)), 8 if seed % 3 == 0 else 16)
    x = features(3)
    x[0] = rng.integers(0, 65536, (T, M))
    expected = int8.run(integers, x, "c")
    assert_equal(expected, HostNetwork(integers.operators, form).codes(x, list(expected)))


def student(rng):
    return int8.freeze(quantised(trained(SIZES[3], clips(rng, 16), rng), clips(rng, 32)))


def test_threads_never_change_a_result_and_no_clip_is_a_batch_too(rng):
    integers, x = student(rng), clips(rng, 37)
    expected = int8.codes(integers, x)
    assert list(expected) == ["classes", "probabilities"]
    assert_equal(expected, int8.codes(integers, x, threads=3))
    assert_equal(expected, int8.codes(integers, x, backend="numpy"))
    assert_equal({name: codes[:0] for name, codes in expected.items()}, int8.codes(integers, x[:0]))
    assert np.array_equal(int8.logits(integers, x), int8.real(integers, expected, "classes"))


def test_refusals(rng):
    integers = student(rng)
    with pytest.raises(ValueError, match="no operator is named 'gates'"):
        int8.codes(integers, clips(rng, 1), ["gates"])
    with pytest.raises(ValueError, match=r"features is int64 \(1, 84, 32\); accepted: uint16"):
        int8.codes(integers, clips(rng, 1).astype(int))
    with pytest.raises(ValueError, match="form='sse'; accepted on this processor: plain"):
        HostNetwork(integers.operators, "sse")
    conv = integers.operators[1]
    bad = replace(conv, record=replace(conv.record, y_min=5, y_max=4))
    with pytest.raises(ValueError, match="npgru_int8_create refused its arguments: a parameter out of range"):
        HostNetwork([integers.operators[0], bad]).codes(clips(rng, 1), ["conv"])
