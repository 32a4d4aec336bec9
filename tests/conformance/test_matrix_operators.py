"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED: the specification against the runtimes, bit for bit."""
import os

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from int8_cases import KINDS, activations, codes, quantisations, seeds, weights
from npgru.audit_operators import single

from npgru import int8_reference as reference
from npgru.int8_params import channels, dense_per_tensor

EXAMPLES = int(os.environ.get("NPGRU_CONFORMANCE_EXAMPLES", "300"))
cases = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
sizes = st.integers(1, 9)
kinds = st.sampled_from(KINDS)
geometries = st.fixed_dictionaries({
    "batch": st.integers(1, 3), "size": st.tuples(sizes, sizes), "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)), "padding": st.sampled_from(["same", "valid"]),
    "c_in": st.integers(1, 6), "c_out": st.integers(1, 6)})
# log2 of s_x s_w / s_y relative to the one that just fills the output: from all zeros to all saturated
gains = st.one_of(st.floats(-6, 6), st.floats(-6, 6), st.floats(-30, 30))


def weight_scales(rng, n, x, y, n_terms, gain):
    """n scales around the one at which n_terms products fill the output; far gains reach the multiplier's limits."""
    filling = 2.0**gain * float(y.scale) / float(x.scale) / (64 * np.sqrt(n_terms))
    return (filling * 2.0**rng.uniform(-3, 3, n)).astype(np.float32)


def biases(rng, n, kind, bits=26):
    limit = 2**bits if kind in ("ends", "uniform") else 2**10
    return rng.integers(-limit, limit, n, dtype=np.int64).astype(np.int32)


def check_convolution(witness, code, reference_operator, w_shape, w_axis, given_bias, draw):
    """One convolution of geometry g on both sides."""
    g, x, y, gain, activation, kind, seed = draw
    rng = np.random.default_rng(seed)
    x_q = codes(rng, (g["batch"], *g["size"], g["c_in"]), kind, 8, x.zero_point)
    n = w_shape[w_axis]
    w_scale = weight_scales(rng, n, x, y, np.prod(g["kernel"]) * g["c_in"], gain)
    w, bias = weights(rng, w_shape, kind), biases(rng, n, kind) if given_bias else None
    p = channels(x, w_scale, y, activation)
    spec_w = w if w_axis == 0 else w[0]
    expected = reference_operator(x_q, spec_w, bias, p, g["stride"], g["padding"])
    bias_tensor = None if bias is None else (bias, np.float32(x.scale) * w_scale, 0)
    options = {"depth_multiplier": 1} if code == "DEPTHWISE_CONV_2D" else {}
    model = single(code, 3, [(x_q.shape, "int8", x)], [(w, w_scale, w_axis), bias_tensor],
                   (expected.shape, "int8", y), padding=g["padding"], stride_t=g["stride"][0], stride_m=g["stride"][1],
                   activation=activation, **options)
    np.testing.assert_array_equal(expected, witness.run(model, x_q))


convolution_draws = st.tuples(geometries, quantisations(), quantisations(), gains, activations, kinds, seeds)


def fits(g):
    return g["padding"] == "same" or all(i >= k for i, k in zip(g["size"], g["kernel"]))


@cases
@given(draw=convolution_draws.filter(lambda draw: fits(draw[0])))
def test_conv2d_s8(witness, draw):
    g = draw[0]
    check_convolution(witness, "CONV_2D", reference.conv2d_s8, (g["c_out"], *g["kernel"], g["c_in"]), 0, True, draw)


@cases
@given(draw=convolution_draws.filter(lambda draw: fits(draw[0])), has_bias=st.booleans())
def test_depthwise2d_s8(witness, draw, has_bias):
    g = draw[0]
    check_convolution(witness, "DEPTHWISE_CONV_2D", reference.depthwise2d_s8, (1, *g["kernel"], g["c_in"]), 3, has_bias, draw)


dense_sizes = st.tuples(st.integers(1, 4), st.one_of(st.just(1), st.integers(1, 70)), st.integers(1, 9))


def check_dense(witness, bits, sizes_bdn, x, y, gain, activation, kind, bias_bits, per_tensor, seed):
    """One dense layer on both sides; bias_bits 0: no bias, 32 or 64."""
    rng = np.random.default_rng(seed)
    B, D, N = sizes_bdn
    per_tensor = per_tensor or N == 1       # one scale is per tensor, also when there is one output
    x_q, w = codes(rng, (B, D), kind, bits, x.zero_point), weights(rng, (N, D), kind)
    gain = gain if bits == 8 else gain - 8
    if per_tensor and bias_bits:
        gain = min(gain, 20)            # beyond it f32(s_x s_w) is too coarse for the runtime's check of the bias's scale
    w_scale = weight_scales(rng, 1 if per_tensor else N, x, y, D, gain if bias_bits != 64 else min(gain, 10))
    if witness.profile == "litert-ref":     # beyond int32 its results are those of the machine's conversion
        acc_bits = {0: 30, 32: 28, 64: 42}[bias_bits]
        w_scale = np.minimum(w_scale, np.float32(2.0**(31 - acc_bits) * y.scale / x.scale))
    bias = biases(rng, N, kind, 26 if bias_bits == 32 else 30).astype(np.int64) * (1 if bias_bits == 32 else 2**seed_shift(seed))
    bias = {0: None, 32: bias.astype(np.int32), 64: bias}[bias_bits]
    in_float = per_tensor and witness.name != "tflite-micro"        # see test_multipliers.py
    p = dense_per_tensor(x, w_scale[0], N, y, activation, bits) if in_float else channels(
        x, np.resize(w_scale, N), y, activation, bits)
    operator, spec_bias = reference.dense_s8 if bits == 8 else reference.dense_s16, bias
    if witness.name == "tflite-micro" and bits == 16 and bias is None:
        spec_bias = np.zeros(N, np.int64)                           # there, no bias is a bias of 64 bits
    expected = operator(x_q, w, spec_bias, p, witness.profile)
    bias_tensor = None if bias is None else (bias, np.float32(x.scale) * w_scale, 0)
    version = 5 if not per_tensor else 4
    model = single("FULLY_CONNECTED", version, [((B, D), f"int{bits}", x)], [(w, w_scale, 0), bias_tensor],
                   ((B, N), f"int{bits}", y), activation=activation)
    np.testing.assert_array_equal(expected, witness.run(model, x_q))


def seed_shift(seed):
    """0..10: how far an int64 bias is shifted beyond 2^30."""
    return seed % 11


@cases
@given(dense_sizes, quantisations(), quantisations(), gains, activations, kinds, st.sampled_from([0, 32]), seeds)
def test_dense_s8_per_channel(witness, bdn, x, y, gain, activation, kind, bias_bits, seed):
    check_dense(witness, 8, bdn, x, y, gain, activation, kind, bias_bits, False, seed)


@cases
@given(dense_sizes, quantisations(), quantisations(), gains, activations, kinds, st.sampled_from([0, 32]), seeds)
def test_dense_s8_per_tensor(witness, bdn, x, y, gain, activation, kind, bias_bits, seed):
    check_dense(witness, 8, bdn, x, y, gain, activation, kind, bias_bits, True, seed)


@cases
@given(dense_sizes, quantisations(16), quantisations(16), gains, activations, kinds, st.booleans(), seeds)
def test_dense_s16_with_64_bit_bias(witness, bdn, x, y, gain, activation, kind, per_tensor, seed):
    check_dense(witness, 16, bdn, x, y, gain, activation, kind, 64, per_tensor, seed)


@cases
@given(dense_sizes, quantisations(16), quantisations(16), gains, activations, kinds, st.sampled_from([0, 32]), st.booleans(),
       seeds)
def test_dense_s16_with_32_bit_bias_or_none(witness, bdn, x, y, gain, activation, kind, bias_bits, per_tensor, seed):
    bias_bits = 0 if witness.profile == "litert-ref" else bias_bits
    check_dense(witness, 16, bdn, x, y, gain, activation, kind, bias_bits, per_tensor, seed)
