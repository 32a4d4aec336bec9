"""Where a quotient of scales is rounded to float32: seen only in 1 of 10^4 outputs, so many outputs of int16.

Each case also has the multiplier that the other rounding gives, and must contain outputs in which the two differ.
"""
import numpy as np
from one_operator import single

from npgru import int8_reference as reference
from npgru.fixed_point import quantize_multiplier
from npgru.int8_params import Product, Quantisation, channels, dense_per_tensor, product_of

N_CASES = 30


def scale(rng, low, high):
    return np.float32(2.0**rng.uniform(low, high))


def test_mul_divides_in_float32(witness, rng):
    n_told_apart = 0
    for _ in range(N_CASES):
        x1, x2 = (Quantisation(scale(rng, -14, -8)) for _ in range(2))
        y = Quantisation(np.float32(float(x1.scale) * float(x2.scale) * 2.0**15.3))
        a, b = rng.integers(-32768, 32768, (2, 1, 20000)).astype(np.int16)
        q, shift = quantize_multiplier(np.float64(x1.scale) * np.float64(x2.scale) / np.float64(y.scale))
        expected = reference.mul(a, b, product_of(x1, x2, y, bits=16))
        n_told_apart += np.count_nonzero(expected != reference.mul(a, b, Product(0, 0, 0, int(q), int(shift), -32768, 32767)))
        model = single("MUL", 2, [(a.shape, "int16", x1), (b.shape, "int16", x2)], [], (a.shape, "int16", y), activation="none")
        np.testing.assert_array_equal(expected, witness.run(model, a, b))
    assert n_told_apart > 20


def test_dense_per_tensor_multiplies_scales_in_float32(witness, rng):
    """tflm only: litert-ref multiplies them in double, per tensor and per channel."""
    n_told_apart = 0
    for _ in range(N_CASES):
        x, w_scale = Quantisation(scale(rng, -8, 0)), scale(rng, -8, 0)
        y = Quantisation(np.float32(float(x.scale) * float(w_scale) * 2.0**4.3))
        x_q, w = rng.integers(-32768, 32768, (200, 4)).astype(np.int16), rng.integers(-127, 128, (100, 4)).astype(np.int8)
        expected = reference.dense_s16(x_q, w, None, dense_per_tensor(x, w_scale, 100, y, bits=16), witness.profile)
        per_channel = channels(x, np.full(100, w_scale), y, bits=16)
        n_told_apart += np.count_nonzero(expected != reference.dense_s16(x_q, w, None, per_channel, witness.profile))
        model = single("FULLY_CONNECTED", 4, [(x_q.shape, "int16", x)], [(w, w_scale, 0)], (expected.shape, "int16", y),
                       activation="none")
        np.testing.assert_array_equal(expected, witness.run(model, x_q))
    assert n_told_apart > 20 if witness.profile == "tflm" else n_told_apart == 0
