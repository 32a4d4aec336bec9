"""The text of npgru_model.[ch]: numbers that the device computes with another way than the specification."""
import math
from types import SimpleNamespace

import numpy as np
import pytest

from npgru.device_source import feature_quantiser


@pytest.mark.parametrize("log2_scale", [-8.0, -1.3, 0.0, 1.7, 3.217, 9.9])
@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_a_feature_is_quantised_as_the_record_says(log2_scale, zero_point):
    fraction, exponent = math.frexp(2.0**-log2_scale)
    record, most = SimpleNamespace(multiplier=round(fraction * 2**34), shift=34 - exponent), 127 - zero_point
    macros = feature_quantiser(record, most)
    multiplier, half = (int(macros[f"FEATURES_{name}"].rstrip("uUL")) for name in ("MULTIPLIER", "HALF"))
    last, shift = macros["FEATURES_LAST"], macros["FEATURES_SHIFT"]
    f = np.arange(2**16)
    expected = np.minimum((f * record.multiplier + (1 << record.shift >> 1)) >> record.shift, most)
    np.testing.assert_array_equal(np.minimum((np.minimum(f, last) * multiplier + half) >> shift, most), expected)
    in_32_bits = not macros["FEATURES_MULTIPLIER"].endswith("ULL")
    assert not in_32_bits or (last * multiplier + half < 2**32 and shift < 32)
    assert in_32_bits or not 0 <= log2_scale < 6            # a step of a code is some units of 1/64 neper
