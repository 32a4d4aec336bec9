"""ADD, SUB, MUL, MEAN, MAX_POOL, QUANTIZE, LOGISTIC, TANH, SOFTMAX: the specification against the runtimes, bit for bit."""
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from int8_cases import KINDS, activations, codes, quantisations, seeds
from npgru.audit_operators import single
from test_multipliers import product_in_double
from tolerances import MICRO_TABLE_CODES, MICRO_TABLE_SHARE

from npgru import int8_nonlinear as nonlinear
from npgru import int8_reference as reference
from npgru.int8_params import (ADD_LEFT_SHIFT, Quantisation, curve, mean_of, product_of, rescale, softmax_of, sum_of, clamp)

EXAMPLES = int(os.environ.get("NPGRU_CONFORMANCE_EXAMPLES", "300"))
cases = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
kinds = st.sampled_from(KINDS)
lengths = st.one_of(st.just(1), st.integers(1, 300))
ratios = st.one_of(st.floats(-3, 3), st.floats(-3, 3), st.floats(-19, 10))     # log2 of a scale to another


def scaled(q, log2_ratio):
    """q with its scale times 2^log2_ratio."""
    return Quantisation(np.float32(q.scale * 2.0**log2_ratio), q.zero_point)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("code", ["ADD", "SUB"])
@cases
@given(data=st.data(), n=lengths, r2=ratios, r_y=ratios, activation=activations, kind1=kinds, kind2=kinds, seed=seeds)
def test_add_sub(witness, code, bits, data, n, r2, r_y, activation, kind1, kind2, seed):
    x1, x2, y = (data.draw(quantisations(bits)) for _ in range(3))
    x2, y = scaled(Quantisation(x1.scale, x2.zero_point), r2), scaled(Quantisation(x1.scale, y.zero_point), r_y)
    assume(2 * max(x1.scale, x2.scale) / 2.0**ADD_LEFT_SHIFT[bits] < 0.999 * y.scale and 6 / y.scale < 2**31)
    rng = np.random.default_rng(seed)
    a, b = codes(rng, (1, n), kind1, bits, x1.zero_point), codes(rng, (1, n), kind2, bits, x2.zero_point)
    p = sum_of(x1, x2, y, activation, bits)
    expected = (reference.add if code == "ADD" else reference.sub)(a, b, p)
    dtype = f"int{bits}"
    model = single(code, 2, [(a.shape, dtype, x1), (b.shape, dtype, x2)], [], (a.shape, dtype, y),
                   activation=activation, pot_scale_int16=False)
    np.testing.assert_array_equal(expected, witness.run(model, a, b))


@pytest.mark.parametrize("bits", [8, 16])
@cases
@given(data=st.data(), n=lengths, r_y=st.one_of(ratios, st.floats(-30, 30)), activation=activations, kind1=kinds, kind2=kinds,
       seed=seeds)
def test_mul(witness, bits, data, n, r_y, activation, kind1, kind2, seed):
    x1, x2, y = (data.draw(quantisations(bits)) for _ in range(3))
    y = Quantisation(np.float32(float(x1.scale) * float(x2.scale) * 2.0**(r_y + bits)), y.zero_point)
    assume(6 / y.scale < 2**31)
    rng = np.random.default_rng(seed)
    a, b = codes(rng, (1, n), kind1, bits, x1.zero_point), codes(rng, (1, n), kind2, bits, x2.zero_point)
    record = product_in_double if witness.name == "tflite-micro" else product_of
    expected = reference.mul(a, b, record(x1, x2, y, activation, bits))
    dtype = f"int{bits}"
    model = single("MUL", 2, [(a.shape, dtype, x1), (b.shape, dtype, x2)], [], (a.shape, dtype, y), activation=activation)
    np.testing.assert_array_equal(expected, witness.run(model, a, b))


@pytest.mark.parametrize("bits", [8, 16])
@cases
@given(data=st.data(), B=st.integers(1, 2), n=st.one_of(st.sampled_from([1, 2, 17]), st.integers(1, 600)), C=st.integers(1, 8),
       r_y=st.one_of(st.floats(-4, 4), st.floats(-28, 28)), kind=kinds, seed=seeds)
def test_mean(witness, bits, data, B, n, C, r_y, kind, seed):
    x, y = (data.draw(quantisations(bits)) for _ in range(2))
    y = scaled(Quantisation(x.scale, y.zero_point), r_y)
    x_q = codes(np.random.default_rng(seed), (B, n, C), kind, bits, x.zero_point)
    expected = reference.mean(x_q, mean_of(x, y, n, bits))
    model = single("MEAN", 2, [(x_q.shape, f"int{bits}", x)], [np.array(1, np.int32)], ((B, C), f"int{bits}", y))
    np.testing.assert_array_equal(expected, witness.run(model, x_q))


@cases
@given(B=st.integers(1, 2), size=st.tuples(st.integers(1, 12), st.integers(1, 12)), C=st.integers(1, 5),
       kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)), stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
       padding=st.sampled_from(["same", "valid"]), x=quantisations(), kind=kinds, activation=activations, seed=seeds)
def test_max_pool_s8(witness, B, size, C, kernel, stride, padding, x, kind, activation, seed):
    assume(padding == "same" or all(i >= k for i, k in zip(size, kernel)))
    x_q = codes(np.random.default_rng(seed), (B, *size, C), kind, 8, x.zero_point)
    expected = reference.max_pool_s8(x_q, kernel, stride, padding, *clamp(x, activation))
    model = single("MAX_POOL_2D", 2, [(x_q.shape, "int8", x)], [], (expected.shape, "int8", x), padding=padding,
                   stride_t=stride[0], stride_m=stride[1], kernel_t=kernel[0], kernel_m=kernel[1], activation=activation)
    np.testing.assert_array_equal(expected, witness.run(model, x_q))


@pytest.mark.parametrize("bits", [8, 16, 32])
@cases
@given(x=quantisations(8), y=quantisations(8), n=lengths, r_y=st.one_of(st.floats(-4, 4), st.floats(-30, 30)), kind=kinds,
       small=st.integers(0, 31), seed=seeds)
def test_quantize(witness, bits, x, y, n, r_y, kind, small, seed):
    x = x if bits == 8 else Quantisation(x.scale)
    y = scaled(Quantisation(x.scale, y.zero_point), r_y if bits != 32 else r_y + 8)
    x_q = codes(np.random.default_rng(seed), (1, n), kind, bits, x.zero_point)
    if bits == 32:
        x_q = x_q >> small
    expected = reference.quantize(x_q, rescale(x, y))
    model = single("QUANTIZE", 1, [(x_q.shape, f"int{bits}", x)], [], (x_q.shape, "int8", y))
    np.testing.assert_array_equal(expected, witness.run(model, x_q))


@pytest.mark.parametrize("code", ["LOGISTIC", "TANH"])
@cases
@given(x=quantisations(8, st.floats(-14, 6)))
def test_tables_s8(witness, code, x):
    y = nonlinear.LOGISTIC_S8 if code == "LOGISTIC" else nonlinear.TANH_S8
    every_code = np.arange(-128, 128, dtype=np.int8)[None]
    table = (nonlinear.logistic_table_s8 if code == "LOGISTIC" else nonlinear.tanh_table_s8)(x)
    model = single(code, 2, [(every_code.shape, "int8", x)], [], (every_code.shape, "int8", y))
    expected, found = nonlinear.lookup_s8(every_code, table), witness.run(model, every_code)
    if witness.name != "tflite-micro":
        np.testing.assert_array_equal(expected, found)
    elif x.scale <= 1:
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= MICRO_TABLE_CODES and np.mean(difference > 0) <= MICRO_TABLE_SHARE


@pytest.mark.parametrize("code", ["LOGISTIC", "TANH"])
@cases
@given(log2_scale=st.one_of(st.floats(-16, 2.4), st.integers(-17, 2), st.floats(-30.5, 2.41),
                            st.builds(float.__add__, st.sampled_from([-12.0, -11.0]), st.floats(-0.002, 0.002))))
def test_curves_s16(witness, code, log2_scale):
    x = Quantisation(np.float32(2.0**log2_scale))
    every_code = np.arange(-32768, 32768).astype(np.int16)[None]
    expected = (nonlinear.logistic_s16 if code == "LOGISTIC" else nonlinear.tanh_s16)(every_code, curve(x, code))
    model = single(code, 2, [(every_code.shape, "int16", x)], [], (every_code.shape, "int16", nonlinear.CURVE_S16))
    np.testing.assert_array_equal(expected, witness.run(model, every_code))


@cases
@given(x=quantisations(8, st.floats(-20, 8)), rows=st.integers(1, 4), K=st.one_of(st.sampled_from([1, 2]), st.integers(1, 511)),
       beta=st.sampled_from([1.0, 1.0, 0.5, 3.7]), kind=kinds, seed=seeds)
def test_softmax_s8(witness, x, rows, K, beta, kind, seed):
    x_q = codes(np.random.default_rng(seed), (rows, K), kind, 8, x.zero_point)
    expected = nonlinear.softmax_s8(x_q, softmax_of(x, beta))
    model = single("SOFTMAX", 2, [(x_q.shape, "int8", x)], [], (x_q.shape, "int8", nonlinear.SOFTMAX_S8), beta=beta)
    np.testing.assert_array_equal(expected, witness.run(model, x_q))
