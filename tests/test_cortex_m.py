"""csrc/cortex_m.h against Python's integers: byte pairs, corners and seeded 32-bit values, every bit."""
import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

CSRC = Path(__file__).resolve().parents[1] / "csrc"
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
N_RANDOM = 3000
CORNERS = [0, 1, -1, 2, -2, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769, 65535, 65536, 2**30 - 1, 2**30,
           2**30 + 1, -2**30, 2**31 - 1, -2**31, -2**31 + 1, 0x7FFF0000, 0x7FFEFFFF, -0x7FFF8000]


def s(x, bits):
    """The low bits of x, signed."""
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def low(x):
    return s(x, 16)


def high(x):
    return s(x >> 16, 16)


def pair(first, second):
    return (first & 0xFFFF) | (second & 0xFFFF) << 16


def saturated(x, bits=32):
    return min(max(x, -2**(bits - 1)), 2**(bits - 1) - 1)


def truncated(p, divisor):
    return p // divisor if p >= 0 else -(-p // divisor)


def srdhm(a, b):
    return saturated(truncated(a * b + (2**30 if a * b >= 0 else 1 - 2**30), 2**31))


def rdp(x, e):
    return (2 * abs(x) + 2**e) // 2**(e + 1) * (1 if x >= 0 else -1)


def mbq(x, q, shift):
    return rdp(srdhm(s(x << max(shift, 0), 32), q), max(-shift, 0))


def mbq64(x, q, shift):
    r = (q + 2**15) >> 16 if q < 0x7FFF0000 else 0x7FFF
    return s((x * r + 2**(14 - shift)) >> (15 - shift), 32)


def c_remainder(c, n):
    return int(np.sign(c)) * (abs(c) % n)


EXPECTED = {        # of a, b, c (signed 32 bit) and x (signed, below 2^47)
    "low": lambda a, b, c, x: low(a),
    "high": lambda a, b, c, x: high(a),
    "pair": lambda a, b, c, x: pair(a, b),
    "sxtb16": lambda a, b, c, x: pair(s(a, 8), s(a >> 16, 8)),
    "uxtb16": lambda a, b, c, x: pair(a & 255, a >> 16 & 255),
    "smuad": lambda a, b, c, x: s(low(a) * low(b) + high(a) * high(b), 32),
    "smlad": lambda a, b, c, x: s(c + low(a) * low(b) + high(a) * high(b), 32),
    "smlabb": lambda a, b, c, x: s(c + low(a) * low(b), 32),
    "smlabt": lambda a, b, c, x: s(c + low(a) * high(b), 32),
    "smlatb": lambda a, b, c, x: s(c + high(a) * low(b), 32),
    "smlatt": lambda a, b, c, x: s(c + high(a) * high(b), 32),
    "smlsdx": lambda a, b, c, x: s(c + low(a) * high(b) - high(a) * low(b), 32),
    "smusdx": lambda a, b, c, x: s(low(a) * high(b) - high(a) * low(b), 32),
    "sadd16": lambda a, b, c, x: pair(low(a) + low(b), high(a) + high(b)),
    "ssub16": lambda a, b, c, x: pair(low(a) - low(b), high(a) - high(b)),
    "abs16": lambda a, b, c, x: pair(abs(low(a)), abs(high(a))),
    "halves": lambda a, b, c, x: pair(a, b >> 16),
    "high_pair": lambda a, b, c, x: pair(a >> 16, b >> 16),
    "clz": lambda a, b, c, x: 32 - (a & 0xFFFFFFFF).bit_length(),
    "rbit": lambda a, b, c, x: int(f"{a & 0xFFFFFFFF:032b}"[::-1], 2),
    "qadd": lambda a, b, c, x: saturated(a + b),
    "qsub": lambda a, b, c, x: saturated(a - b),
    "smmul": lambda a, b, c, x: a * b >> 32,
    "smmulr": lambda a, b, c, x: s((a * b + 2**31) >> 32, 32),
    **{f"ssat{n}": lambda a, b, c, x, n=n: saturated(a, n) for n in (1, 8, 16, 31, 32)},
    **{f"usat{n}": lambda a, b, c, x, n=n: min(max(a, 0), 2**n - 1) for n in (0, 8, 16, 31)},
    "add_wrapping": lambda a, b, c, x: s(a + b, 32),
    "saturated": lambda a, b, c, x: saturated(x),
    "clamp": lambda a, b, c, x: min(max(a, min(b, c)), max(b, c)),
    "shift_left": lambda a, b, c, x: s(a << (b & 31), 32),
    "srdhm": lambda a, b, c, x: srdhm(a, b),
    "rdp": lambda a, b, c, x: rdp(a, b & 31),
    "mbq": lambda a, b, c, x: mbq(a, b & 0x7FFFFFFF, c_remainder(c, 32)),
    "mbq64": lambda a, b, c, x: mbq64(x, b & 0x7FFFFFFF, (c & 31) - 17),
}


class Arrays(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in "abcxy"] + [("n", ctypes.c_int32)]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    library = tmp_path_factory.mktemp("probe") / "probe.so"
    source = Path(__file__).parent / "cortex_m_probe.c"
    subprocess.run(["gcc", *WARNINGS, "-O2", "-shared", "-fPIC", f"-I{CSRC}", source, "-o", library], check=True)
    return ctypes.CDLL(str(library))


def run(probe, name, a, b, c, x):
    """The C function on int64 arrays of signed values -> (n,) int64."""
    operands = [np.ascontiguousarray(v & 0xFFFFFFFF, np.uint32) for v in (a, b, c)] + [np.ascontiguousarray(x)]
    y = np.empty(len(a), np.int64)
    getattr(probe, f"probe_{name}")(ctypes.byref(Arrays(*(v.ctypes.data for v in (*operands, y)), len(a))))
    return y


def operands(rng):
    """Corners with corners, then seeded values; as signed int64."""
    a, b = (v.ravel() for v in np.meshgrid(CORNERS, CORNERS))
    random = rng.integers(-2**31, 2**31, (3, N_RANDOM)) >> rng.integers(0, 32, (3, N_RANDOM))
    a, b = np.concatenate([a, random[0]]), np.concatenate([b, random[1]])
    c = np.concatenate([rng.choice(CORNERS, len(a) - N_RANDOM), random[2]])
    x = rng.integers(-2**47, 2**47, len(a)) >> rng.integers(0, 47, len(a))
    return a, b, c, x


@pytest.mark.parametrize("name", EXPECTED)
def test_corners_and_random_values(probe, name, rng):
    a, b, c, x = operands(rng)
    expected = [EXPECTED[name](*map(int, values)) for values in zip(a, b, c, x)]
    np.testing.assert_array_equal(run(probe, name, a, b, c, x), expected)


@pytest.mark.parametrize("name", ["sxtb16", "uxtb16", "smuad", "smlad", "smlabb", "smlabt", "smlatb", "smlatt"])
def test_all_byte_pairs(probe, name, rng):
    """Both bytes of a halfword, and the same as the two factors of a product, through all 65 536 combinations."""
    first, second = (v.ravel() for v in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    c, zeros = rng.integers(-2**31, 2**31, first.size), np.zeros(first.size, np.int64)
    a = (first & 255) | (second & 255) << 16 if name.endswith("xtb16") else (first & 0xFFFF) | (second & 0xFFFF) << 16
    b = (second & 0xFFFF) | (first & 0xFFFF) << 16
    expected = [EXPECTED[name](*map(int, values), 0) for values in zip(a, b, c)]
    np.testing.assert_array_equal(run(probe, name, a, b, c, zeros), expected)
