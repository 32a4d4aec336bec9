"""What the tests of integer operators draw: quantisations, and codes with extremes among them."""
import math

import numpy as np
from hypothesis import strategies as st

from npgru.int8_params import LIMITS, Quantisation

KINDS = ["uniform", "uniform", "uniform", "lowest", "highest", "ends", "near zero point"]
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(["none", "none", "relu", "relu6"])
log2_scales = st.floats(-12, 4)


def zero_points(bits=8):
    """Both ends, zero, and anything between; int16 is symmetric."""
    low, high = LIMITS[8]
    return st.one_of(st.sampled_from([low, high, 0, -1]), st.integers(low, high)) if bits == 8 else st.just(0)


def quantisations(bits=8, log2=log2_scales):
    """A float32 scale, now and then a power of two, and a zero point."""
    mantissas = st.one_of(st.just(0), st.integers(0, 2**23 - 1), st.integers(0, 2**23 - 1))
    return st.builds(lambda e, m, z: Quantisation(np.float32(2.0**math.floor(e) * (1 + m / 2**23)), z),
                     log2, mantissas, zero_points(bits))


def codes(rng, shape, kind, bits=8, zero_point=0):
    """Codes of an activation, int8, int16 or int32."""
    low, high = LIMITS[bits] if bits != 32 else (-2**31, 2**31 - 1)
    dtype = np.dtype(f"int{bits}")
    if kind == "near zero point":
        return np.clip(zero_point + rng.integers(-3, 4, shape), low, high).astype(dtype)
    if kind == "ends":
        return rng.choice(np.array([low, high, zero_point], dtype), shape)
    uniform = rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    return {"uniform": uniform, "lowest": np.full(shape, low, dtype), "highest": np.full(shape, high, dtype)}[kind]


def weights(rng, shape, kind):
    """int8 weights, symmetric: −127..127."""
    if kind in ("lowest", "highest", "ends"):
        return rng.choice(np.int8([-127, 127]) if kind == "ends" else np.int8([-127 if kind == "lowest" else 127]), shape)
    return rng.integers(-127, 128, shape, dtype=np.int8)
