"""Adam against its paper's algorithm 1, written out."""
import numpy as np
import pytest
from tolerances import DEFINITION_REL_ERROR

from npgru.optimiser import AdamConfig, adam_init, adam_step, cosine_decay


def test_adam_is_algorithm_1_with_epsilon_beside_the_uncorrected_root(rng):
    config = AdamConfig(learning_rate=0.01, beta1=0.8, beta2=0.95, epsilon=1e-3)
    params = {"a": rng.standard_normal((2, 3)), "b": rng.standard_normal(4)}
    expected = {name: p.copy() for name, p in params.items()}
    m, v = adam_init(params)
    first, second = {name: 0.0 for name in params}, {name: 0.0 for name in params}
    for t in range(1, 6):
        gradients = {name: rng.standard_normal(p.shape) for name, p in params.items()}
        adam_step(params, gradients, m, v, t, config)
        for name, g in gradients.items():
            first[name] = 0.8 * first[name] + 0.2 * g
            second[name] = 0.95 * second[name] + 0.05 * g * g
            m_hat, v_hat = first[name] / (1 - 0.8 ** t), second[name] / (1 - 0.95 ** t)
            epsilon_hat = 1e-3 / np.sqrt(1 - 0.95 ** t)
            expected[name] -= 0.01 * m_hat / (np.sqrt(v_hat) + epsilon_hat)
    for name in params:
        np.testing.assert_allclose(params[name], expected[name], rtol=DEFINITION_REL_ERROR)


def test_adam_keeps_float32(rng):
    params = {"a": rng.standard_normal(3).astype(np.float32)}
    m, v = adam_init(params)
    adam_step(params, {"a": np.ones(3, np.float32)}, m, v, 1, AdamConfig())
    assert {array["a"].dtype for array in (params, m, v)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("option", [{"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"beta1": 1.0}, {"epsilon": 0.0}])
def test_adam_refuses_constants_that_cannot_work(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        AdamConfig(**option)


def test_cosine_decay_falls_from_one_towards_zero():
    values = [cosine_decay(step, 100) for step in range(1, 101)]
    assert values[0] == 1 and abs(values[50] - 0.5) < DEFINITION_REL_ERROR and 0 < values[-1] < 3e-4
    assert all(a > b for a, b in zip(values, values[1:]))


def test_decay_multiplies_the_learning_rate():
    moved = []
    for decay in (1.0, 0.25):
        params = {"a": np.zeros(3)}
        adam_step(params, {"a": np.ones(3)}, *adam_init(params), 1, AdamConfig(), decay)
        moved.append(params["a"])
    np.testing.assert_allclose(moved[1], 0.25 * moved[0], rtol=DEFINITION_REL_ERROR)
