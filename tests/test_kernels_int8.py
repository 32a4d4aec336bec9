"""The compiled integer operators against their NumPy twins: equal, bit for bit; and what C refuses."""
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from int8_cases import KINDS, activations, codes, quantisations, seeds, weights

from npgru import int8_gru, int8_nonlinear, int8_params, int8_reference, kernels, kernels_int8
from npgru.int8_params import Quantisation

CSRC = Path(__file__).resolve().parents[1] / "csrc"
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
needs_kernels = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
cases = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
kinds = st.sampled_from(KINDS)
small = st.integers(1, 7)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def assert_equal(name, *arguments, module=int8_reference, **settings_of_operator):
    expected = getattr(module, name)(*arguments, **settings_of_operator)
    result = getattr(kernels_int8, name)(*arguments, **settings_of_operator)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@needs_kernels
@cases
@given(B=st.integers(1, 2), size=st.tuples(small, small), C=small, N=small, kernel=pairs, stride=pairs, kind=kinds,
       padding=st.sampled_from(["same", "valid"]), x=quantisations(), y=quantisations(), gain=st.floats(-12, 12),
       activation=activations, has_bias=st.booleans(), depthwise=st.booleans(), seed=seeds)
def test_convolutions(B, size, C, N, kernel, stride, kind, padding, x, y, gain, activation, has_bias, depthwise, seed):
    assume(padding == "same" or all(i >= k for i, k in zip(size, kernel)))
    rng, N = np.random.default_rng(seed), C if depthwise else N
    w_scale = y.scale / x.scale * 2.0**(gain - 8) * 2.0**rng.uniform(-3, 3, N)
    p = int8_params.channels(x, w_scale, y, activation)
    x_q = codes(rng, (B, *size, C), kind, 8, x.zero_point)
    bias = rng.integers(-2**20, 2**20, N, dtype=np.int32)
    if depthwise:
        assert_equal("depthwise2d_s8", x_q, weights(rng, (*kernel, C), kind), bias if has_bias else None, p, stride, padding)
    else:
        assert_equal("conv2d_s8", x_q, weights(rng, (N, *kernel, C), kind), bias, p, stride, padding)


@needs_kernels
@cases
@given(B=small, D=st.integers(1, 200), N=small, kind=kinds, x=quantisations(), y=quantisations(), gain=st.floats(-12, 12),
       activation=activations, has_bias=st.booleans(), bits=st.sampled_from([8, 16]), seed=seeds)
def test_dense(B, D, N, kind, x, y, gain, activation, has_bias, bits, seed):
    rng = np.random.default_rng(seed)
    x, y = (x, y) if bits == 8 else (Quantisation(x.scale), Quantisation(y.scale))
    p = int8_params.channels(x, y.scale / x.scale * 2.0**(gain - 8) * 2.0**rng.uniform(-3, 3, N), y, activation, bits)
    x_q, w = codes(rng, (B, D), kind, bits, x.zero_point), weights(rng, (N, D), kind)
    bias = rng.integers(-2**30, 2**30, N, dtype=np.int32) if bits == 8 else rng.integers(-2**46, 2**46, N) >> rng.integers(0, 40)
    if bits == 8:
        assert_equal("dense_s8", x_q, w, bias if has_bias else None, p)
    else:
        assert_equal("dense_s16", x_q, w, bias if has_bias else np.zeros(N, np.int64), p)


@needs_kernels
@cases
@given(data=st.data(), n=st.integers(1, 300), ratios=st.tuples(st.floats(-12, 12), st.floats(-12, 12)), activation=activations,
       kind1=kinds, kind2=kinds, bits=st.sampled_from([8, 16]), seed=seeds)
def test_add_sub_mul(data, n, ratios, activation, kind1, kind2, bits, seed):
    x1, x2, y = (data.draw(quantisations(bits)) for _ in range(3))
    x2, y = (Quantisation(x1.scale * 2.0**r, q.zero_point) for r, q in zip(ratios, (x2, y)))
    assume(2 * max(x1.scale, x2.scale) / 2.0**int8_params.ADD_LEFT_SHIFT[bits] < 0.999 * y.scale)
    rng = np.random.default_rng(seed)
    a, b = codes(rng, n, kind1, bits, x1.zero_point), codes(rng, n, kind2, bits, x2.zero_point)
    p = int8_params.sum_of(x1, x2, y, activation, bits)
    assert_equal("add", a, b, p)
    assert_equal("sub", a, b, p)
    assert_equal("mul", a, b, int8_params.product_of(x1, x2, y, activation, bits))


@needs_kernels
@cases
@given(x=quantisations(), y=quantisations(), n=st.integers(1, 300), ratio=st.floats(-25, 25), kind=kinds, seed=seeds,
       bits=st.sampled_from([8, 16, 32]))
def test_quantize_and_mean(x, y, n, ratio, kind, seed, bits):
    x = x if bits == 8 else Quantisation(x.scale)
    y = Quantisation(x.scale * 2.0**ratio, y.zero_point if bits == 8 else 0)
    x_q = codes(np.random.default_rng(seed), (2, n, 3), kind, bits, x.zero_point)
    assert_equal("quantize", x_q, int8_params.rescale(x, y))
    if bits != 32:
        assert_equal("mean", x_q, int8_params.mean_of(x, y, n, bits))


@needs_kernels
@cases
@given(size=st.tuples(small, small), C=small, kernel=pairs, stride=pairs, padding=st.sampled_from(["same", "valid"]),
       kind=kinds, clamp=st.tuples(st.integers(-128, 0), st.integers(0, 127)), seed=seeds)
def test_max_pool(size, C, kernel, stride, padding, kind, clamp, seed):
    assume(padding == "same" or all(i >= k for i, k in zip(size, kernel)))
    assert_equal("max_pool_s8", codes(np.random.default_rng(seed), (2, *size, C), kind), kernel, stride, padding, *clamp)


@needs_kernels
@cases
@given(log2_scale=st.one_of(st.floats(-14, 20), st.integers(-14, 20)), bits=st.sampled_from([16, 24]),
       zero_point=st.integers(-128, 127))
def test_quantize_features(log2_scale, bits, zero_point):
    mantissa, e = np.frexp(2.0**log2_scale)
    scale = np.ldexp(np.floor(mantissa * 2**bits), e - bits)
    assert_equal("quantize_features", np.arange(65536).astype(np.uint16), int8_params.features(scale, zero_point))


@needs_kernels
@cases
@given(log2_scale=st.one_of(st.floats(-30.5, 2.41), st.integers(-30, 2)))
def test_curves_of_every_code(log2_scale):
    p, every_code = int8_params.curve(Quantisation(2.0**log2_scale), "TANH"), np.arange(-32768, 32768).astype(np.int16)
    assert_equal("logistic_s16", every_code, p, module=int8_nonlinear)
    assert_equal("tanh_s16", every_code, p, module=int8_nonlinear)


@needs_kernels
@cases
@given(x=quantisations(8, st.floats(-20, 8)), rows=small, K=st.one_of(st.sampled_from([1, 2, 511]), st.integers(1, 511)),
       kind=kinds, seed=seeds)
def test_softmax_and_tables(x, rows, K, kind, seed):
    x_q = codes(np.random.default_rng(seed), (rows, K), kind, 8, x.zero_point)
    assert_equal("softmax_s8", x_q, int8_params.softmax_of(x), module=int8_nonlinear)
    assert_equal("lookup_s8", x_q, int8_nonlinear.tanh_table_s8(x), module=int8_nonlinear)


def gru_case(bits, D, H, rng):
    """Records, weights and biases of a step with random, plausible scales."""
    def near(log2, zero_points=bits == 8):
        return Quantisation(np.float32(2.0**(log2 + rng.uniform(-1, 1))), int(rng.integers(-40, 40)) if zero_points else 0)
    x, fine = near(-5, True), -5 if bits == 8 else -13
    w_scale, u_scale = (np.float32(2.0**rng.uniform(-9, -6, 3 * H)) for _ in range(2))
    q = (int8_gru.quantisation_s16(*(near(fine).scale for _ in range(4))) if bits == 16 else
         int8_gru.GruQuantisation(*(near(fine) for _ in range(5)), *map(Quantisation, (1 / 64, 1 / 64, 1 / 128))))
    p = int8_gru.gru_of(x, w_scale, u_scale, q, bits)
    w, u = weights(rng, (3 * H, D), "uniform"), weights(rng, (3 * H, H), "uniform")
    bx, bh = rng.integers(-3000, 3000, (2, 3 * H)).astype(np.int32)
    if bits == 16:
        bx, bh = int8_gru.fold_zero_point(bx, w, x.zero_point), bh.astype(np.int64)
    return p, w, u, bx, bh


@needs_kernels
@cases
@given(bits=st.sampled_from([8, 16]), B=st.integers(1, 3), D=st.integers(1, 40), H=st.integers(1, 17), seed=seeds)
def test_gru_sequences(bits, B, D, H, seed):
    rng = np.random.default_rng(seed)
    p, w, u, bx, bh = gru_case(bits, D, H, rng)
    name = f"gru_step_s{bits}"
    h = np.zeros((B, H), f"int{bits}")
    for _ in range(5):
        x = rng.integers(-128, 128, (B, D), dtype=np.int8)
        assert_equal(name, x, h, w, u, bx, bh, p, module=int8_gru)
        h = getattr(int8_gru, name)(x, h, w, u, bx, bh, p)


@needs_kernels
def test_records_have_the_fields_of_the_structs():
    names = {"Channels": "channels", "Sum": "sum", "Product": "product", "Rescale": "rescale", "Curve": "curve",
             "Softmax": "softmax", "Features": "features"}
    for record, struct in names.items():
        in_python = {f.name for f in fields(getattr(int8_params, record))} - {"real"}
        assert in_python == set(dict(kernels.ffi.typeof(f"npgru_{struct}").fields))
    in_c = set(dict(kernels.ffi.typeof("npgru_gru_params").fields))
    assert {f.name for f in fields(int8_gru.Gru)} == in_c - {"in_features", "units", "sigmoid_table", "tanh_table"}


@needs_kernels
def test_what_c_refuses_is_a_value_error(rng):
    x, w, q = np.zeros((2, 3), np.int8), np.zeros((4, 3), np.int8), Quantisation(1.0)
    p = int8_params.channels(q, np.full(4, 0.1), q)
    for bad in (dict(y_min=-129), dict(x_zero_point=128), dict(shift=p.shift - 40), dict(multiplier=-p.multiplier),
                dict(y_min=5, y_max=4)):
        with pytest.raises(ValueError, match="npgru_dense_s8 refused"):
            kernels_int8.dense_s8(x, w, None, replace(p, **bad))
    with pytest.raises(ValueError, match="bias is float64"):
        kernels_int8.dense_s8(x, w, np.zeros(4), p)
    with pytest.raises(ValueError, match="x is int16"):
        kernels_int8.dense_s8(x.astype(np.int16), w, None, p)
    with pytest.raises(ValueError, match=r"w is int8 \(4, 2\)"):
        kernels_int8.dense_s8(x, w[:, :2], None, p)
    with pytest.raises(ValueError, match=r"accepted: int32 \(4,\)"):
        kernels_int8.dense_s8(x, w, None, replace(p, multiplier=p.multiplier[:3]))


@needs_gcc
def test_kernels_are_clean_under_sanitizers(tmp_path):
    """Random and extreme arrays, and every field of every struct at bad values: a status, no crash, nothing written."""
    build = subprocess.run(["gcc", *WARNINGS, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{CSRC}",
                            Path(__file__).parent / "sanitizer" / "int8_main.c", *sorted(CSRC.glob("*_s8.c")),
                            "-o", tmp_path / "main"], capture_output=True, text=True)
    if "cannot find -l" in build.stderr or "cannot find lib" in build.stderr:
        pytest.skip(f"this gcc has no sanitizers: {build.stderr.splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
