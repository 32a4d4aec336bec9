"""Cross-entropy: its gradient, its limits, and that it is the paper's binary cross-entropy over two columns."""
import numpy as np
import pytest
from npgru.gradcheck import worst_gradient_error
from tolerances import DEFINITION_REL_ERROR, GRADIENT_REL_ERROR

from npgru import loss, model
from npgru.loss import DistillationConfig


@pytest.mark.parametrize("B, K", [(1, 2), (3, 2), (5, 4)])
def test_cross_entropy_gradient(B, K, rng):
    y, class_weights = rng.integers(0, K, B), rng.uniform(0.5, 3, K)

    def forward(logits):
        value, dlogits = loss.cross_entropy(logits, y, class_weights)
        return np.array([value]), dlogits

    def backward(dy, dlogits):
        return (dy[0] * dlogits,)

    assert worst_gradient_error(forward, backward, [rng.standard_normal((B, K))], rng) < GRADIENT_REL_ERROR


def test_two_softmax_columns_under_binary_cross_entropy_are_categorical_cross_entropy(rng):
    logits, y = rng.standard_normal((7, 2)), rng.integers(0, 2, 7)
    p, one_hot = model.softmax(logits), np.eye(2)[y]
    binary = -np.mean(one_hot * np.log(p) + (1 - one_hot) * np.log(1 - p))
    assert abs(loss.cross_entropy(logits, y, np.ones(2))[0] - binary) < DEFINITION_REL_ERROR


def test_cross_entropy_of_certain_logits_is_finite():
    value, dlogits = loss.cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1]), np.ones(2, np.float32))
    assert value == 2e4 and np.isfinite(dlogits).all() and dlogits.dtype == np.float32


def test_balanced_class_weights_are_total_over_count():
    np.testing.assert_array_equal(loss.balanced_class_weights(np.array([0, 0, 0, 1])), np.float32([4 / 3, 4]))
    with pytest.raises(ValueError, match="every class"):
        loss.balanced_class_weights(np.array([0, 0]))


def as_pair(config, y, class_weights, teacher):
    """distillation as a forward and a backward of the student's logits, for the differentiator."""
    def forward(logits):
        value, dlogits = loss.distillation(logits, teacher, y, class_weights, config)
        return np.array([value]), dlogits

    return forward, lambda dy, dlogits: (dy[0] * dlogits,)


@pytest.mark.parametrize("of", ["logits", "probabilities"])
@pytest.mark.parametrize("alpha, temperature, t_squared", [(0.5, 3.0, False), (1.0, 1.0, False), (0.0, 3.0, True), (0.7, 20.0, True)])
def test_distillation_gradient(of, alpha, temperature, t_squared, rng):
    y, class_weights = rng.integers(0, 2, 5), np.array([1.5, 3.0])
    config = DistillationConfig(alpha, temperature, t_squared, of)
    pair = as_pair(config, y, class_weights, 2 * rng.standard_normal((5, 2)))
    assert worst_gradient_error(*pair, [2 * rng.standard_normal((5, 2))], rng) < GRADIENT_REL_ERROR


def test_soft_term_is_the_divergence_written_out_and_zero_for_equal_logits(rng):
    s, t = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    p, q = model.softmax(t / 3), model.softmax(s / 3)
    assert abs(loss.soft_targets(s, t, 3.0)[0] - np.mean((p * np.log(p / q)).sum(axis=1))) < DEFINITION_REL_ERROR
    divergence, ds = loss.soft_targets(t + 5.0, t, 3.0)               # a shift of all logits changes no probability
    assert abs(divergence) < DEFINITION_REL_ERROR and np.abs(ds).max() < DEFINITION_REL_ERROR


@pytest.mark.parametrize("temperature", [100.0, 1000.0])
def test_for_large_temperatures_distillation_matches_logits(temperature, rng):
    """T² dL/ds tends to (s − t) / (B K), both without their means over the classes: Hinton et al. 2015, eq. 4."""
    s, t = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    _, ds = loss.soft_targets(s, t, temperature)
    matching = ((s - s.mean(axis=1, keepdims=True)) - (t - t.mean(axis=1, keepdims=True))) / (6 * 3)
    error = np.abs(temperature ** 2 * ds - matching).max() / np.abs(matching).max()
    assert error < 3 / temperature                                    # the next term of the series falls with 1 / T


def test_softmax_of_softmax_is_nearly_flat():
    """The author's code: whatever teacher and student say, the term stays below 0.06, and its gradient below 0.02."""
    span = np.linspace(-20, 20, 41)
    teacher = np.stack([np.zeros(41), span], axis=1)
    config = DistillationConfig(alpha=1.0, of="probabilities")
    values, slopes, of_logits = [], [], []
    for logit in span:
        student = np.stack([np.zeros(41), np.full(41, logit)], axis=1)
        softened = model.softmax(model.softmax(student) / 3)
        assert 0.417 < softened.min() and softened.max() < 0.583
        for k in range(41):
            value, slope = loss.distillation(student[k:k + 1], teacher[k:k + 1], np.array([0]), np.ones(2), config)
            values.append(value)
            slopes.append(np.abs(slope).max())
            of_logits.append(loss.soft_targets(student[k:k + 1], teacher[k:k + 1], 3.0)[0])
    assert max(values) < 0.06 and max(slopes) < 0.02 and max(of_logits) > 6


@pytest.mark.parametrize("option", [{"alpha": 1.1}, {"temperature": 0.5}, {"of": "labels"}])
def test_distillation_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        DistillationConfig(**option)
