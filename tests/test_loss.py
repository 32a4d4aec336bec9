"""Cross-entropy: its gradient, its limits, and that it is the paper's binary cross-entropy over two columns."""
import numpy as np
import pytest
from gradcheck import worst_gradient_error
from tolerances import DEFINITION_REL_ERROR, GRADIENT_REL_ERROR

from npgru import loss, model


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
