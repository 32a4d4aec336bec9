"""What the tests of integer operators draw: quantisations, and codes with extremes among them."""
import math

import numpy as np
from hypothesis import strategies as st

from npgru.audit_operators import KINDS, codes, weights         # noqa: F401  drawn alike by the tests and by npgru audit
from npgru.int8_params import LIMITS, Quantisation

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
