"""layers/gru.py: equations (1)-(5) by number, the primitive operators, gradients, golden numbers, gate orders."""
import math

import numpy as np
import pytest
from scipy.special import expit

from goldencheck import golden, golden_cases, worst_difference
from npgru.gradcheck import dtypes_out, worst_gradient_error
from npgru.layers import gru
from npgru.layers.gru import gru_backward, gru_forward, gru_step_backward, gru_step_forward
from tolerances import (DEFINITION_REL_ERROR, GOLDEN_FLOAT32_REL_ERROR, GOLDEN_FLOAT64_REL_ERROR,
                        GRADIENT_REL_ERROR, STATE_KEPT_EPS)

STEP_SIZES = [(1, 1, 1), (2, 3, 4), (3, 1, 5), (1, 6, 2)]       # B, D, H
SIZES = [(1, 1, 1, 1), (1, 1, 3, 2), (2, 7, 3, 5), (3, 4, 2, 1)]        # B, T, D, H
TORCH_WEIGHTS = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]


def draw(rng, x_shape, H):
    """x, h, w, u, b, c; scaled so that neither σ nor tanh is flat."""
    B, D = x_shape[0], x_shape[-1]
    shapes = [x_shape, (B, H), (D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,)]
    return [0.7 * rng.standard_normal(shape) for shape in shapes]


def forward_with_state(x, w, u, b, c, h0):
    """gru_forward with h0 given, positional: the differentiator moves it too."""
    return gru_forward(x, w, u, b, c, h0)


def step_by_definition(x, h, w, u, b, c):
    """Equations (1)-(5) for one sequence and one unit at a time, in Python's floats; x (D,), h (H,)."""
    D, H = len(x), len(h)
    y = np.empty(H)
    for k in range(H):
        a = [b[g * H + k] + sum(x[d] * w[d, g * H + k] for d in range(D)) for g in range(3)]        # (1) of z, r, n
        s = [c[g * H + k] + sum(h[j] * u[j, g * H + k] for j in range(H)) for g in range(3)]
        z = 1 / (1 + math.exp(-(a[0] + s[0])))                                                      # (2)
        r = 1 / (1 + math.exp(-(a[1] + s[1])))                                                      # (3)
        n = math.tanh(a[2] + r * s[2])                                                              # (4)
        y[k] = (1 - z) * n + z * h[k]                                                               # (5)
    return y


def step_by_operators(x, h, w, u, b, c):
    """The primitive operators of the integer GRU, in its order: their borders are where it rounds."""
    H = h.shape[1]
    gx = x @ w + b                                  # FULLY_CONNECTED
    gh = h @ u + c                                  # FULLY_CONNECTED
    zr = expit(gx[:, :2 * H] + gh[:, :2 * H])       # ADD, LOGISTIC
    z, r = zr[:, :H], zr[:, H:]
    r_gh = r * gh[:, 2 * H:]                        # MUL
    n = np.tanh(gx[:, 2 * H:] + r_gh)               # ADD, TANH
    difference = h - n                              # SUB
    z_difference = z * difference                   # MUL
    return n + z_difference                         # ADD


def run_torch_case(case, dtype):
    """Our y and gradients for torch's arrays, under torch's names: gradients take the same turn as the weights."""
    arrays = golden(case, dtype)
    weights = gru.from_pytorch(*(arrays[name] for name in TORCH_WEIGHTS))
    y, cache = gru_forward(arrays["x"], *weights, arrays["h0"])
    dx, *dweights, dh0 = gru_backward(arrays["dy"], cache)
    dweights = dict(zip([f"d{name}" for name in TORCH_WEIGHTS], gru.to_pytorch(*dweights)))
    return {"y": y, "dx": dx, "dh0": dh0} | dweights


@pytest.mark.parametrize("B, D, H", STEP_SIZES)
def test_step_equals_its_equations(rng, B, D, H):
    x, h, *weights = draw(rng, (B, D), H)
    expected = np.array([step_by_definition(x[i], h[i], *weights) for i in range(B)])
    assert worst_difference({"y": gru_step_forward(x, h, *weights)[0]}, {"y": expected}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("B, D, H", STEP_SIZES)
def test_fused_step_equals_the_primitive_operators(rng, B, D, H):
    args = draw(rng, (B, D), H)
    y, _ = gru_step_forward(*args)
    assert worst_difference({"y": y}, {"y": step_by_operators(*args)}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("B, T, D, H", SIZES)
def test_sequence_equals_steps(rng, B, T, D, H):
    x, h0, *weights = draw(rng, (B, T, D), H)
    for start in (h0, None):
        y, _ = gru_forward(x, *weights, h0=start)
        h = np.zeros((B, H)) if start is None else start
        for t in range(T):
            h, _ = gru_step_forward(x[:, t], h, *weights)
            assert worst_difference({"y": y[:, t]}, {"y": h}) < DEFINITION_REL_ERROR


@pytest.mark.parametrize("B, D, H", STEP_SIZES)
def test_step_gradients(rng, B, D, H):
    assert worst_gradient_error(gru_step_forward, gru_step_backward, draw(rng, (B, D), H), rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("B, T, D, H", SIZES)
def test_sequence_gradients_of_the_first_state_too(rng, B, T, D, H):
    x, h0, *weights = draw(rng, (B, T, D), H)
    args = [x, *weights, h0]
    assert worst_gradient_error(forward_with_state, gru_backward, args, rng) < GRADIENT_REL_ERROR


@pytest.mark.parametrize("B, T, D, H", SIZES)
def test_no_first_state_is_a_first_state_of_zeros(rng, B, T, D, H):
    x, h0, *weights = draw(rng, (B, T, D), H)
    y, cache = gru_forward(x, *weights)
    y_zeros, cache_zeros = gru_forward(x, *weights, np.zeros_like(h0))
    assert np.array_equal(y, y_zeros)
    for ours, zeros in zip(gru_backward(np.ones_like(y), cache), gru_backward(np.ones_like(y), cache_zeros)):
        assert np.array_equal(ours, zeros)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(rng, dtype):
    assert dtypes_out(gru_step_forward, gru_step_backward, draw(rng, (2, 3), 4), dtype) == {dtype}
    x, h0, *weights = draw(rng, (2, 5, 3), 4)
    assert dtypes_out(forward_with_state, gru_backward, [x, *weights, h0], dtype) == {dtype}
    assert dtypes_out(gru_forward, gru_backward, [x, *weights], dtype) == {dtype}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [-1e4, 1e4])
def test_huge_gates_neither_overflow_nor_warn(rng, scale, dtype):
    x, h0, *weights = (array.astype(dtype) for array in draw(rng, (2, 3, 4), 5))
    x = np.ones_like(x)
    weights[0] = np.full_like(weights[0], scale)                # a = ±4e4 in every gate
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y, cache = gru_forward(x, *weights, h0=h0)
        grads = gru_backward(np.ones_like(y), cache)
    expected = np.repeat(h0[:, None], 3, axis=1) if scale > 0 else np.full_like(y, -1)      # z = 1 keeps, z = 0 takes n
    assert worst_difference({"y": y}, {"y": expected}) < STATE_KEPT_EPS * np.finfo(dtype).eps
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("case", golden_cases("gru"))
def test_gru_equals_pytorch(case):
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        ours = run_torch_case(case, dtype)
        assert worst_difference(ours, {name: golden(case, np.float64)[name] for name in ours}) < tolerance


def test_from_keras_gives_kerass_states():
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        arrays = golden("keras_gru/odd", dtype)
        weights = gru.from_keras(arrays["kernel"], arrays["recurrent_kernel"], arrays["bias"])
        y, _ = gru_forward(arrays["x"], *weights, h0=arrays["h0"])
        assert worst_difference({"y": y}, {"y": arrays["y"]}) < tolerance


def test_from_onnx_gives_onnxs_states():
    """ONNX has time first, x (T, B, D), and an axis for directions, y (T, 1, B, H) and h0 (1, B, H)."""
    for dtype, tolerance in [(np.float32, GOLDEN_FLOAT32_REL_ERROR), (np.float64, GOLDEN_FLOAT64_REL_ERROR)]:
        arrays = golden("onnx_gru/odd", dtype)
        weights = gru.from_onnx(arrays["W"], arrays["R"], arrays["B"])
        y, _ = gru_forward(arrays["x"].swapaxes(0, 1), *weights, h0=arrays["h0"][0])
        assert worst_difference({"y": y}, {"y": arrays["y"][:, 0].swapaxes(0, 1)}) < tolerance


@pytest.mark.parametrize("framework, case, names", [("pytorch", "gru/odd", TORCH_WEIGHTS),
                                                    ("keras", "keras_gru/odd", ["kernel", "recurrent_kernel", "bias"]),
                                                    ("onnx", "onnx_gru/odd", ["W", "R", "B"])])
def test_weights_return_from_each_framework_and_back_unchanged(rng, framework, case, names):
    ours_from, ours_to = getattr(gru, f"from_{framework}"), getattr(gru, f"to_{framework}")
    theirs = [golden(case, np.float32)[name] for name in names]
    for array, returned in zip(theirs, ours_to(*ours_from(*theirs)), strict=True):
        assert np.array_equal(array, returned)
    ours = draw(rng, (2, 3), 4)[2:]
    for array, returned in zip(ours, ours_from(*ours_to(*ours)), strict=True):
        assert np.array_equal(array, returned)


def test_the_gate_orders_differ_so_that_a_mixed_up_one_is_seen(rng):
    """The same numbers read in another framework's order give other states: no golden test passes by symmetry."""
    x, h0, *weights = draw(rng, (2, 4, 3), 5)
    y, _ = gru_forward(x, *weights, h0=h0)
    swapped, _ = gru_forward(x, *(gru.swap_z_and_r(array) for array in weights), h0=h0)
    assert np.abs(y - swapped).max() > 0.1
