"""The integer specification against what it stands for: exact fractions, slow loops, real arithmetic, known numbers."""
import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from int8_cases import codes, weights
from tolerances import GRU_S8_ERROR, GRU_S16_ERROR, LOGISTIC_S16_CODES, OPERATOR_CODES, TABLE_CODES, TANH_S16_CODES

from npgru import fixed_point, int8_gru, int8_nonlinear, int8_params, int8_reference
from npgru.int8_params import Quantisation


def rounded(x: Fraction):
    """Nearest whole number, halves away from zero."""
    return int(math.copysign(1, x)) * math.floor(abs(x) + Fraction(1, 2))


@pytest.mark.parametrize("d, q, shift", [(1.0, 2**30, 1), (0.5, 2**30, 0), (0.0, 0, 0), (2.0**-33, 0, 0),
                                         (2.0**-32, 2**30, -31), (1 - 2.0**-40, 2**30, 1), (3.0, 3 * 2**29, 2), (2.0**31 * (1 - 2.0**-31), 2**31 - 1, 31)])
def test_quantize_multiplier(d, q, shift):
    assert tuple(map(int, fixed_point.quantize_multiplier(d))) == (q, shift)


@pytest.mark.parametrize("d", [-1.0, np.nan, np.inf, 2.0**31])
def test_quantize_multiplier_refuses(d):
    with pytest.raises(ValueError, match="accepted: 0 <= d"):
        fixed_point.quantize_multiplier(d)


def test_roundings_in_exact_fractions(rng):
    x = np.concatenate([rng.integers(-2**31, 2**31, 2000) >> rng.integers(0, 31, 2000), [0, 1, -1, 2**31 - 1, -2**31]])
    q = np.concatenate([rng.integers(2**30, 2**31, 2000), np.full(5, 2**30)])
    e = rng.integers(0, 32, len(x))
    for v, a, n, high, low in zip(x.tolist(), q.tolist(), e.tolist(), fixed_point.srdhm(x, q), fixed_point.rdp(x, e)):
        assert high == math.floor(Fraction(v * a, 2**31) + Fraction(1, 2))          # halves up: toward zero for v < 0
        assert low == rounded(Fraction(v, 2**n))
    assert fixed_point.srdhm(-2**31, -2**31) == 2**31 - 1
    assert fixed_point.mbq(3, 2**30, -1) == 1 and fixed_point.mbq(-3, 2**30, -1) == -1     # 3 / 4
    assert fixed_point.mbq(2**20, 2**30, 13) == 0                                       # 2^33 wrapped to 0


def test_double_rounding_is_not_single():
    """3.94 / 8 is below a half: SRDHM makes it 4 / 8, RDP rounds the half away."""
    assert fixed_point.mbq(7, 0x48000000, -3) == 1 and 7 * 0x48000000 / 2**34 < 0.5
    x = np.arange(-10**5, 10**5)
    q, shift = fixed_point.quantize_multiplier(1 / 17)
    once = np.floor(x / 17 + 0.5)
    assert 0 < np.count_nonzero(fixed_point.mbq(x, q, shift) != once) < len(x) / 16


def test_conv2d_by_loops(rng):
    x_q, w = rng.integers(-128, 128, (2, 5, 4, 3), np.int8), rng.integers(-127, 128, (2, 3, 2, 3), np.int8)
    p = int8_params.channels(Quantisation(0.05, -7), np.float32([0.01, 0.02]), Quantisation(0.2, 11), "relu6")
    bias = np.int32([500, -300])
    y = int8_reference.conv2d_s8(x_q, w, bias, p, (2, 1), "same")
    assert y.shape == (2, 3, 4, 2)
    for b, t, m, n in np.ndindex(y.shape):
        acc = int(bias[n])
        for i, j, c in np.ndindex(3, 2, 3):
            row, column = 2 * t + i - 1, m + j
            if 0 <= row < 5 and column < 4:
                acc += (int(x_q[b, row, column, c]) + 7) * int(w[n, i, j, c])
        code = int(fixed_point.mbq(acc, p.multiplier[n], p.shift[n])) + 11
        assert y[b, t, m, n] == min(max(code, 11), 41)                    # ReLU6: 6 / 0.2 = 30 codes above 11


def test_depthwise_is_convolution_with_a_diagonal(rng):
    x_q, w = rng.integers(-128, 128, (1, 6, 5, 3), np.int8), rng.integers(-127, 128, (3, 3, 3), np.int8)
    full = np.zeros((3, 3, 3, 3), np.int8)
    full[range(3), :, :, range(3)] = w.transpose(2, 0, 1)
    p = int8_params.channels(Quantisation(0.1, 5), np.float32([0.01, 0.02, 0.03]), Quantisation(0.3))
    bias = np.int32([1, -2, 300])
    np.testing.assert_array_equal(int8_reference.depthwise2d_s8(x_q, w, bias, p), int8_reference.conv2d_s8(x_q, full, bias, p))


def real(q, codes_of_it):
    return np.float64(np.float32(q.scale)) * (codes_of_it.astype(np.float64) - q.zero_point)


def assert_within_codes(y_q, y, expected, limit, bits=8):
    """Integer output against real numbers, both clamped to the codes there are: at most `limit` codes apart."""
    low, high = int8_params.LIMITS[bits]
    ideal = np.clip(expected / np.float64(np.float32(y.scale)) + y.zero_point, low, high)
    assert np.abs(y_q - ideal).max() <= limit


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["uniform", "ends", "lowest"])
def test_operators_are_real_arithmetic_rounded(bits, kind, rng):
    fine = 1 if bits == 8 else 1 / 256
    zeros = (3, -20, 7) if bits == 8 else (0, 0, 0)
    x1, x2, y = (Quantisation(scale * fine, z) for scale, z in zip((0.11, 0.037, 0.2), zeros))
    a, b = codes(rng, (400,), kind, bits, zeros[0]), codes(rng, (400,), "uniform", bits)
    u, v = real(x1, a), real(x2, b)
    assert_within_codes(int8_reference.add(a, b, int8_params.sum_of(x1, x2, y, bits=bits)), y, u + v, OPERATOR_CODES, bits)
    assert_within_codes(int8_reference.sub(a, b, int8_params.sum_of(x1, x2, y, bits=bits)), y, u - v, OPERATOR_CODES, bits)
    product = Quantisation(y.scale * (1 if bits == 8 else 64), y.zero_point)
    p = int8_params.product_of(x1, x2, product, bits=bits)
    assert_within_codes(int8_reference.mul(a, b, p), product, u * v, OPERATOR_CODES, bits)
    rows, row_means = a.reshape(2, 100, 2), u.reshape(2, 100, 2).mean(axis=1)
    assert_within_codes(int8_reference.mean(rows, int8_params.mean_of(x1, y, 100, bits)), y, row_means, OPERATOR_CODES, bits)
    coarse = Quantisation(0.2, 7)
    assert_within_codes(int8_reference.quantize(a, int8_params.rescale(x1, coarse)), coarse, u, OPERATOR_CODES)


def test_mean_is_no_average_pool():
    """Σ = 17·k + r differs from the rounded quotient now and then: 1/17 is inside the multiplier."""
    q = Quantisation(0.5)
    p = int8_params.mean_of(q, q, 17)
    sums = np.arange(-17 * 20, 17 * 20)
    x = np.zeros((len(sums), 17, 1), np.int8)
    x[:, :, 0] = sums[:, None] // 17
    x[:, :, 0] += np.arange(17) < (sums % 17)[:, None]
    exact = np.sign(sums) * ((2 * np.abs(sums) + 17) // 34)
    assert np.abs(int8_reference.mean(x, p)[:, 0] - exact).max() <= 1


def test_max_pool():
    x = np.int8([[1, 5, -3, 2, 9], [0, 0, -8, 7, 1]]).reshape(1, 2, 5, 1)
    np.testing.assert_array_equal(int8_reference.max_pool_s8(x, (1, 2))[0, :, :, 0], [[5, 2], [0, 7]])
    np.testing.assert_array_equal(int8_reference.max_pool_s8(x, (1, 2), padding="same")[0, :, :, 0], [[5, 2, 9], [0, 7, 1]])
    np.testing.assert_array_equal(int8_reference.max_pool_s8(x, (2, 5), y_min=-1, y_max=6)[0, :, :, 0], [[6]])


@pytest.mark.parametrize("scale", [1.0, 3.0, 2.578125, 0.1, 7.3, 255.5, 1e-3, 2.0**-9, 2.0**-9.5, 65535.0, 2.0**16, 2.0**17, 1e9,
                                   0.0078740157, 12345.678, 2.0**16.999, 0.5, 2.0**-9 * (1 + 2.0**-23)])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_features_are_quantised_exactly(scale, zero_point):
    """min(floor(f / scale + 1/2), 255) for all 65 536 values of f, in whole numbers: scale = whole 2^-149."""
    p, every = int8_params.features(scale, zero_point), np.arange(65536)
    whole = int(Fraction(float(np.float32(scale))) * 2**149)
    q = np.array([min((2 * f * 2**149 + whole) // (2 * whole), 255) for f in every.tolist()])
    np.testing.assert_array_equal(int8_reference.quantize_features(every.astype(np.uint16), p), np.minimum(q + zero_point, 127))


def test_features_of_a_16_bit_scale_need_32_bits(rng):
    for mantissa, e in zip(rng.integers(2**15, 2**16, 200), rng.integers(-24, 1, 200)):
        assert int8_params.features(np.ldexp(float(mantissa), int(e)), 0).multiplier < 2**32


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_features_refuse_a_bad_scale(scale):
    with pytest.raises(ValueError, match="positive and finite"):
        int8_params.features(scale, 0)


def test_sigmoid_table_is_the_one_recovered_from_the_runtime():
    table = int8_nonlinear.sigmoid_table()
    assert hashlib.sha256(table.astype("<u2").tobytes()).hexdigest() == int8_nonlinear.SIGMOID_TABLE_SHA256
    assert table.sum(dtype=int) == 15670629 and len(int8_nonlinear.ONE_MORE) == 44


@pytest.mark.parametrize("scale", [2.0**-13, 2.0**-12 * 1.3, 2.0**-20, 3.0])
def test_curves_follow_the_functions(scale):
    x = np.arange(-32768, 32768).astype(np.int16)
    v, p, q = np.float64(np.float32(scale)) * x, *(int8_params.curve(Quantisation(scale), code) for code in ("LOGISTIC", "TANH"))
    assert np.abs(int8_nonlinear.logistic_s16(x, p) - 16384 * (1 + np.tanh(v / 2))).max() < LOGISTIC_S16_CODES
    assert np.abs(int8_nonlinear.tanh_s16(x, q) - 32768 * np.tanh(v)).max() < TANH_S16_CODES


@pytest.mark.parametrize("code, exponents", [("LOGISTIC", {-12}), ("TANH", {-12, -11})])
def test_scales_next_to_two_powers_of_two_count_as_these(code, exponents):
    for exponent in range(-16, 0):
        exact = int8_params.curve(Quantisation(2.0**exponent), code)
        for off in (-0.0011, -0.0009, 0.0009, 0.0011):
            near = int8_params.curve(Quantisation(2.0**(exponent + off)), code)
            assert (near == exact) == (exponent in exponents and abs(off) < 0.001)


@pytest.mark.parametrize("scale", [1e-10, 5.34, -1.0])
def test_curves_refuse_a_scale(scale):
    with pytest.raises(ValueError, match="accepted: 7e-10 to 5.33"):
        int8_params.curve(Quantisation(scale), "TANH")


def test_tables_follow_the_functions():
    x, every_code = Quantisation(0.06, 9), np.arange(-128, 128).astype(np.int8)
    v = real(x, every_code)
    logistic = int8_nonlinear.lookup_s8(every_code, int8_nonlinear.logistic_table_s8(x))
    assert_within_codes(logistic, int8_nonlinear.LOGISTIC_S8, 1 / (1 + np.exp(-v)), TABLE_CODES)
    tanh = int8_nonlinear.lookup_s8(every_code, int8_nonlinear.tanh_table_s8(x))
    assert_within_codes(tanh, int8_nonlinear.TANH_S8, np.tanh(v), TABLE_CODES)


@pytest.mark.parametrize("K", [1, 2, 10, 511])
def test_softmax_follows_the_function(K, rng):
    x = Quantisation(0.07, 3)
    x_q = rng.integers(-128, 128, (5, K), np.int8)
    e = np.exp(real(x, x_q) - real(x, x_q).max(axis=1, keepdims=True))
    y = int8_nonlinear.softmax_s8(x_q, int8_params.softmax_of(x))
    assert_within_codes(y, int8_nonlinear.SOFTMAX_S8, e / e.sum(axis=1, keepdims=True), OPERATOR_CODES)


@pytest.mark.parametrize("bits, worst", [(16, GRU_S16_ERROR), (8, GRU_S8_ERROR)])
def test_gru_follows_the_real_gru(bits, worst, rng):
    """17 steps against float64 on the same weights."""
    D, H, x = 12, 6, Quantisation(0.05, -30)
    w, u = weights(rng, (3 * H, D), "uniform"), weights(rng, (3 * H, H), "uniform")
    w_scale, u_scale = np.float32(rng.uniform(1e-3, 3e-3, 3 * H)), np.float32(rng.uniform(1e-3, 6e-3, 3 * H))
    if bits == 16:
        q = int8_gru.quantisation_s16(*np.float32([2**-12, 2**-13, 2**-12, 2**-12]))
    else:
        wide, half = Quantisation(2.0**-4), Quantisation(1 / 64)
        fine = Quantisation(2.0**-5)
        q = int8_gru.GruQuantisation(wide, fine, wide, fine, wide, half, half, Quantisation(1 / 128))
    p = int8_gru.gru_of(x, w_scale, u_scale, q, bits)
    bx, bh = rng.integers(-500, 500, 3 * H).astype(np.int32), np.zeros(3 * H, np.int32)
    biases = (int8_gru.fold_zero_point(bx, w, x.zero_point), bh.astype(np.int64)) if bits == 16 else (bx, bh)
    step = int8_gru.gru_step_s16 if bits == 16 else int8_gru.gru_step_s8
    h_q, h, errors = np.zeros((1, H), f"int{bits}"), np.zeros(H), []
    for _ in range(17):
        x_q = rng.integers(-128, 128, (1, D), np.int8)
        h_q = step(x_q, h_q, w, u, *biases, p)
        gx = np.float64(w_scale) * (w @ (x_q[0].astype(int) + 30) * x.scale + bx * x.scale)
        gh = np.float64(u_scale) * (u @ h)
        z, r = np.split(1 / (1 + np.exp(-(gx + gh)[:2 * H])), 2)
        n = np.tanh(gx[2 * H:] + r * gh[2 * H:])
        h = n + z * (h - n)
        errors.append(np.abs(real(q.h, h_q[0]) - h).max())
    assert max(errors) < worst and np.abs(h).max() > 0.3


def test_profiles_differ_only_in_dense_layers():
    """−70 000 / 32 = −2187.5: MBQ64 rounds up, one rounding rounds away; 1 and 3 of 4 in int8 agree."""
    p = int8_params.channels(Quantisation(1.0), [2.0**-5], Quantisation(1.0), bits=16)
    x, w, bias = np.zeros((1, 1), np.int16), np.zeros((1, 1), np.int8), np.int64([-70000])
    assert int8_reference.dense_s16(x, w, bias, p) == -2187
    assert int8_reference.dense_s16(x, w, bias, p, "litert-ref") == -2188
    with pytest.raises(ValueError, match="int64"):
        int8_reference.dense_s16(x, w, bias.astype(np.int32), p, "litert-ref")
    with pytest.raises(ValueError, match="'tflm', 'litert-ref'"):
        int8_reference.dense_s16(x, w, bias, p, "xnnpack")


def test_what_the_runtime_aborts_on_is_refused():
    one = Quantisation(1.0)
    with pytest.raises(ValueError, match="output scale above"):
        int8_params.sum_of(one, one, Quantisation(2.0**-20))
    with pytest.raises(ValueError, match="above 2\\^-26"):
        int8_params.softmax_of(Quantisation(2.0**-27))
    with pytest.raises(ValueError, match="'none', 'relu', 'relu6'"):
        int8_params.clamp(one, "tanh")
    with pytest.raises(ValueError, match="1..65535"):
        int8_params.mean_of(one, one, 65536)
    with pytest.raises(ValueError, match="no larger than the input"):
        int8_reference.max_pool_s8(np.zeros((1, 2, 2, 1), np.int8), (3, 1))
