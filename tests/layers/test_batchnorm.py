"""layers/batchnorm.py: equations (1)-(3), training against inference, gradients, golden numbers."""
import numpy as np
import pytest

from goldencheck import golden, golden_cases, worst_difference, worst_golden_error
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers.batchnorm import (batch_statistics, batchnorm_backward, batchnorm_forward, batchnorm_infer_backward,
                                    batchnorm_infer_forward)
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR)

SHAPES = [(1, 1, 1, 1), (1, 1, 1, 3), (3, 1, 1, 1), (2, 5, 3, 4), (7, 2)]      # any number of axes before the last
INFER_NAMES = ["x", "gamma", "beta", "mean", "var"]


def draw(rng, shape):
    """x, gamma, beta, mean, var; var in [0.5, 1.5), so that ε changes it little and 1/var is harmless."""
    C = shape[-1]
    return [1 + 2 * rng.standard_normal(shape), *rng.standard_normal((3, C)), 0.5 + rng.random(C)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [1e-3, 1e-1])
def test_batchnorm_equals_its_definition(rng, shape, eps):
    x, gamma, beta, _, _ = draw(rng, shape)
    rows = x.reshape(-1, shape[-1])
    y = np.empty_like(rows)
    for c in range(shape[-1]):
        mean = sum(rows[:, c]) / len(rows)
        var = sum((rows[:, c] - mean) ** 2) / len(rows)                        # biased
        y[:, c] = gamma[c] * (rows[:, c] - mean) / (var + eps) ** 0.5 + beta[c]
    ours, _ = batchnorm_forward(x, gamma, beta, eps=eps)
    assert worst_difference({"y": ours}, {"y": y.reshape(shape)}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_training_equals_inference_with_the_batchs_own_statistics(rng, shape):
    x, gamma, beta, _, _ = draw(rng, shape)
    y, cache = batchnorm_forward(x, gamma, beta, eps=1e-2)
    mean, var = batch_statistics(cache)
    assert mean.shape == var.shape == (shape[-1],)
    y_infer, _ = batchnorm_infer_forward(x, gamma, beta, mean, var, eps=1e-2)
    assert worst_difference({"y": y}, {"y": y_infer}) < DEFINITION_REL_ERROR


def test_inference_treats_each_row_by_itself(rng):
    x, *channels = draw(rng, (3, 4, 2, 5))
    y, _ = batchnorm_infer_forward(x, *channels)
    y_one, _ = batchnorm_infer_forward(x[1:2, 2:3], *channels)
    assert np.array_equal(y_one, y[1:2, 2:3])


@pytest.mark.parametrize("shape", SHAPES)
def test_batchnorm_gradients(rng, shape):
    args = draw(rng, shape)[:3]
    assert worst_gradient_error(batchnorm_forward, batchnorm_backward, args, rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_batchnorm_infer_gradients(rng, shape):
    error = worst_gradient_error(batchnorm_infer_forward, batchnorm_infer_backward, draw(rng, shape), rng, eps=1e-2)
    assert error < GRADIENT_REL_ERROR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    args = draw(rng, (2, 4, 3, 5))
    for eps in (1e-3, np.float64(1e-3)):                                       # NumPy 2 would widen by the second
        assert dtypes_out(batchnorm_forward, batchnorm_backward, args[:3], dtype, eps=eps) == {dtype}
        assert dtypes_out(batchnorm_infer_forward, batchnorm_infer_backward, args, dtype, eps=eps) == {dtype}
    _, cache = batchnorm_forward(*(arg.astype(dtype) for arg in args[:3]))
    assert [array.dtype for array in batch_statistics(cache)] == [dtype, dtype]


@pytest.mark.parametrize("case", golden_cases("batchnorm"))
def test_batchnorm_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        names = INFER_NAMES[:3]
        assert worst_golden_error(case, batchnorm_forward, batchnorm_backward, names, dtype) < tolerance


@pytest.mark.parametrize("case", ["batchnorm/odd", "batchnorm/one_channel"])
def test_batch_statistics_equal_pytorchs_but_for_the_biased_variance(case):
    """PyTorch normalises with the biased variance, as we do, but keeps the unbiased one: R / (R − 1) times ours."""
    arrays = golden(case, np.float64)
    _, cache = batchnorm_forward(arrays["x"], arrays["gamma"], arrays["beta"])
    mean, var = batch_statistics(cache)
    R = arrays["x"].size // arrays["x"].shape[-1]
    theirs = {"mean": arrays["running_mean"], "var": arrays["running_var"]}
    assert worst_difference({"mean": mean, "var": var * R / (R - 1)}, theirs) < GOLDEN_FLOAT64_REL_ERROR


@pytest.mark.parametrize("case", golden_cases("batchnorm_infer"))
def test_batchnorm_infer_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        error = worst_golden_error(case, batchnorm_infer_forward, batchnorm_infer_backward, INFER_NAMES, dtype)
        assert error < tolerance
