"""Where a quotient of scales is rounded to float32: seen only in 1 of 10^4 outputs, so many outputs of int16.

Each case also has the multiplier that the other rounding gives, and must contain outputs in which the two differ.
TFLite Micro has the other one of both operators. No network of npgru can tell: the products of its MULs are by powers of
two, and export refuses a dense layer of one output if the two differ (export_tflite.check).
"""
from dataclasses import replace

import numpy as np
from npgru.audit_operators import single

from npgru import int8_reference as reference
from npgru.fixed_point import quantize_multiplier
from npgru.int8_params import Quantisation, channels, dense_per_tensor, product_of

N_CASES = 30


def scale(rng, low, high):
    return np.float32(2.0**rng.uniform(low, high))


def product_in_double(x1, x2, y, activation="none", bits=16):
    """MUL as TFLite Micro has it: d = s_1 s_2 / s_y, all in double."""
    q, shift = quantize_multiplier(np.float64(x1.scale) * np.float64(x2.scale) / np.float64(y.scale))
    return replace(product_of(x1, x2, y, activation, bits), multiplier=int(q), shift=int(shift))


def test_mul_divides_in_float32(witness, rng):
    n_told_apart = 0
    for _ in range(N_CASES):
        x1, x2 = (Quantisation(scale(rng, -14, -8)) for _ in range(2))
        y = Quantisation(np.float32(float(x1.scale) * float(x2.scale) * 2.0**15.3))
        a, b = rng.integers(-32768, 32768, (2, 1, 20000)).astype(np.int16)
        expected, other = (reference.mul(a, b, p) for p in (product_of(x1, x2, y, bits=16), product_in_double(x1, x2, y)))
        if witness.name == "tflite-micro":
            expected, other = other, expected
        n_told_apart += np.count_nonzero(expected != other)
        model = single("MUL", 2, [(a.shape, "int16", x1), (b.shape, "int16", x2)], [], (a.shape, "int16", y), activation="none")
        np.testing.assert_array_equal(expected, witness.run(model, a, b))
    assert n_told_apart > 20


def test_dense_per_tensor_multiplies_scales_in_float32(witness, rng):
    """Not litert-ref, which multiplies them in double, per tensor and per channel; its multipliers serve no rounding."""
    n_told_apart = 0
    bias = np.zeros(100, np.int32) if witness.profile == "tflm" else None           # litert-ref refuses it
    for _ in range(N_CASES):
        x, w_scale = Quantisation(scale(rng, -8, 0)), scale(rng, -8, 0)
        y = Quantisation(np.float32(float(x.scale) * float(w_scale) * 2.0**4.3))
        x_q, w = rng.integers(-32768, 32768, (200, 4)).astype(np.int16), rng.integers(-127, 128, (100, 4)).astype(np.int8)
        records = dense_per_tensor(x, w_scale, 100, y, bits=16), channels(x, np.full(100, w_scale), y, bits=16)
        expected, other = (reference.dense_s16(x_q, w, bias, p, witness.profile) for p in records)
        if witness.name == "tflite-micro":
            expected, other = other, expected
        n_told_apart += np.count_nonzero(expected != other)
        constants = [(w, w_scale, 0), None if bias is None else (bias, x.scale * w_scale, 0)]
        model = single("FULLY_CONNECTED", 4, [(x_q.shape, "int16", x)], constants, (expected.shape, "int16", y), activation="none")
        np.testing.assert_array_equal(expected, witness.run(model, x_q))
    assert n_told_apart > 20 if witness.profile == "tflm" else n_told_apart == 0
