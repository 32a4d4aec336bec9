"""Both back ends train the same network: what the loop asks for, it gets from each."""
import numpy as np
import pytest
from tolerances import C_NETWORK_REL_ERROR
from threadpoolctl import threadpool_limits

from npgru import kernels, model
from npgru.backend import Backend, NumpyNetwork
from npgru.model import Layer, NetworkConfig
from npgru.optimiser import AdamConfig, adam_init

NETWORK = NetworkConfig(conv_filters=4, block_filters=(6,), gru_units=5, dense_units=4, dropout=0.2)


def trained(backend, layers, x, n_steps=5):
    """The weights, statistics and predictions after some steps from the same start."""
    network = backend.network(layers, x.shape[1:], len(x))
    params, stats = model.init(layers, np.random.default_rng(1))
    params, m, v = (network.own(arrays) for arrays in (params, *adam_init(params)))
    rng = np.random.default_rng(2)
    for step in range(1, n_steps + 1):
        logits, caches, stats = network.forward(params, stats, x, rng)
        dlogits = np.where(np.arange(len(x))[:, None] % 2, logits, -logits) / len(x)
        gradients, _ = network.backward(dlogits, caches)
        network.adam_step(params, gradients, m, v, step, AdamConfig(epsilon=1e-2), 0.5)
    return {**params, **stats, "predictions": network.predict(params, stats, x.astype(np.uint16))}


@pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
def test_both_back_ends_train_the_same_network(rng):
    """Adam's epsilon is large here: with 1e-7 a step is lr sign(g), and a gradient of 0 has its sign by rounding."""
    layers, x = model.build(NETWORK, 32), rng.integers(200, 800, (12, 84, 32)).astype(np.float32)
    with threadpool_limits(1):
        expected, found = (trained(Backend(name, 2), layers, x) for name in ("numpy", "c"))
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype == np.float32 and found[name].shape == array.shape
        assert np.abs(found[name] - array).max() < C_NETWORK_REL_ERROR * max(np.abs(array).max(), 1e-2), name


def test_numpy_runs_what_c_does_not_know():
    assert isinstance(Backend("numpy").network(model.build(NETWORK, 32), (84, 32), 2), NumpyNetwork)
    assert isinstance(Backend().network([Layer("fake_quant", "codes")], (84, 32), 2), NumpyNetwork)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="'c', 'numpy'"):
        Backend("fortran").network([], (84, 32), 2)
