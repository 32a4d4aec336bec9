"""FrontEnd, the one frozen configuration of the features, and the integer tables that follow from it.

A table is computed once per configuration, in double or in float32 as stated, and is the same on
every machine; log-mel itself (npgru.features, csrc/log_mel.c) uses integers only.
Source: the BioDCASE-Tiny 2025 challenge's Python front end, commit 587b658.
"""
import math
import numbers
import operator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MEL_SCALE, MEL_BREAK_HZ = np.float32(1127.0), np.float32(700.0)
TWIDDLE_ONE = 32767       # the FFT's unit: cos 0
WEIGHT_ONE = 4096         # the mel bank's unit


def _whole(name, value, low, high):
    """value as int, refused unless it is a whole number in [low, high]."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)) or not low <= number <= high:
        raise ValueError(f"{name}={value!r}; accepted: a whole number in {low}..{high}")
    return number


def _hz(name, value):
    """value as float, refused unless it is finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r}; accepted: a finite number of Hz")
    return float(value)


@dataclass(frozen=True)
class FrontEnd:
    """How int16 samples become log-mel features. Hashable; every field is checked on creation.

    window_len              N, samples per window: a power of two in 16..8192
    window_stride           samples from one window to the next, 1..65536
    sample_rate_hz          100..1 000 000; only the place of the mel filters depends on it
    window_scaling_bits     the window is 2^bits at its centre, 0..14
    mel_n_channels          M, 1..256
    mel_low_hz, mel_high_hz 0 <= low < high, high under half the sample rate
    mel_post_scaling_bits   features are 2^bits ln V, 0..12
    pad_tail                one more window after the last full one, its missing samples zero
    raises                  ValueError naming the field, what was found and what is accepted
    """

    window_len: int
    window_stride: int
    sample_rate_hz: int
    window_scaling_bits: int
    mel_n_channels: int
    mel_low_hz: float
    mel_high_hz: float
    mel_post_scaling_bits: int
    pad_tail: bool = False

    def __post_init__(self):
        limits = {"window_len": (16, 8192), "window_stride": (1, 65536),
                  "sample_rate_hz": (100, 1_000_000), "window_scaling_bits": (0, 14),
                  "mel_n_channels": (1, 256), "mel_post_scaling_bits": (0, 12)}
        for name, (low, high) in limits.items():
            object.__setattr__(self, name, _whole(name, getattr(self, name), low, high))
        for name in ("mel_low_hz", "mel_high_hz"):
            object.__setattr__(self, name, _hz(name, getattr(self, name)))
        if not isinstance(self.pad_tail, (bool, np.bool_)):
            raise ValueError(f"pad_tail={self.pad_tail!r}; accepted: True, False")
        object.__setattr__(self, "pad_tail", bool(self.pad_tail))
        if self.window_len & (self.window_len - 1):
            raise ValueError(f"window_len={self.window_len}; accepted: a power of two in 16..8192")
        if not 0 <= self.mel_low_hz < self.mel_high_hz:
            raise ValueError(f"mel_low_hz={self.mel_low_hz}, mel_high_hz={self.mel_high_hz}; "
                             "accepted: 0 <= mel_low_hz < mel_high_hz")
        mel_segments(self)                                # refuses bands outside the bins

    @classmethod
    def paper(cls):
        """MobileGRU's front end: 2 s at 16 kHz -> 84 x 32, the last window padded."""
        return cls(512, 384, 16000, 12, 32, 2000, 7500, 6, pad_tail=True)

    @classmethod
    def baseline(cls):
        """The challenge's baseline: 2 s at 16 kHz -> 55 x 40."""
        return cls(4096, 512, 16000, 12, 40, 125, 7500, 6, pad_tail=False)

    def n_frames(self, n_samples: int) -> int:
        """T, the number of windows in a clip of n_samples; ValueError below window_len."""
        if n_samples < self.window_len:
            raise ValueError(f"a clip of {n_samples} samples; accepted: at least "
                             f"window_len={self.window_len}; pad it with zeros first")
        return 1 + (n_samples - self.window_len) // self.window_stride + self.pad_tail


@dataclass(frozen=True, eq=False)
class Tables:
    """Constants of one FrontEnd, read-only. Bin k of the mel bank is row k - segments[0] of weights."""

    window: np.ndarray      # (N,) int16, 0..2^window_scaling_bits
    twiddles: np.ndarray    # (N, 2) int16, row j: cos, sin at the angle pi rev(j)/N; rev = reversed bits
    segments: np.ndarray    # (M + 2,) int16: segment i is the bins segments[i] .. segments[i+1] - 1
    weights: np.ndarray     # (bins,) int16, falling edge, 0..4096
    unweights: np.ndarray   # (bins,) int16, rising edge, 0..4096
    log_table: np.ndarray   # (129,) int16, correction T_g of log2 between powers of two, unit 2^-16


@lru_cache(maxsize=64)
def tables(front_end: FrontEnd) -> Tables:
    """All constants of a front end, computed once.

        h[n] = rint((0.5 - 0.5 cos(2 pi n / (N - 1))) 2^wb)         (1)   double, half to even
        c_k, s_k = trunc(32767 cos(pi k / N)), trunc(32767 sin(..)) (2)   double
        w_k, u_k = trunc(4096 x), trunc(4096 (1 - x))               (3)   float32; x: mel_segments
        T_g = rint(65536 (log2(1 + g/128) - g/128))                 (4)   double
    """
    N = front_end.window_len
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / (N - 1))
    angle = np.pi * bit_reversal(N) / N
    segments, x = mel_segments(front_end)
    g = np.arange(129) / 128
    arrays = {
        "window": np.rint(hann * 2.0 ** front_end.window_scaling_bits),                           # (1)
        "twiddles": np.trunc(TWIDDLE_ONE * np.stack([np.cos(angle), np.sin(angle)], axis=1)),     # (2)
        "segments": segments,
        "weights": np.trunc(np.float32(WEIGHT_ONE) * x),                                          # (3)
        "unweights": np.trunc(np.float32(WEIGHT_ONE) * (np.float32(1) - x)),
        "log_table": np.rint(65536 * (np.log2(1 + g) - g)),                                       # (4)
    }
    arrays = {name: np.ascontiguousarray(array, dtype=np.int16) for name, array in arrays.items()}
    for array in arrays.values():
        array.setflags(write=False)
    return Tables(**arrays)


def bit_reversal(n: int) -> np.ndarray:
    """(n,) int64: entry j is j with its log2(n) bits in reverse order; n a power of two."""
    reversed_bits = np.zeros(1, dtype=np.int64)
    while len(reversed_bits) < n:                         # j -> 2j moves the bits of rev(j) down by one
        reversed_bits = np.concatenate([2 * reversed_bits, 2 * reversed_bits + 1])
    return reversed_bits


def mel_segments(front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """The mel bank: which bins, and where each lies between two filter centres.

        B = (fs/2) / (S - 1), S = N/2                       (1)   double; the true spacing is fs/N
        f_k = float32(k B)                                  (2)
        c_i = mel(low) + (i + 1) d, i = -1..M               (3)   float32, d = (mel(high) - mel(low))/(M + 1)
        segment i: successive bins with mel(f_k) <= c_i     (4)   from bin rint(1 + low/B) on
        x_k = (c_i - mel(f_k)) / (c_i - c_(i-1))            (5)   float32, 1 at the left centre, 0 at the right

    returns  segments (M + 2,) int64, first bin of every segment and one past the last bin; x (bins,) float32
    raises   ValueError if the last bin is not below S, or no bin is in use
    """
    M, S = front_end.mel_n_channels, front_end.window_len // 2
    spacing_hz = front_end.sample_rate_hz / 2 / (S - 1)                                           # (1)
    start = int(np.rint(1 + front_end.mel_low_hz / spacing_hz))
    mels = mel(np.float32(np.arange(start, S) * spacing_hz))                                      # (2)
    low, high = mel(np.float32([front_end.mel_low_hz, front_end.mel_high_hz]))
    step = (high - low) / np.float32(M + 1)
    edges = low + np.arange(M + 2, dtype=np.float32) * step                                       # (3)
    ends = start + np.searchsorted(mels, edges[1:], side="right")                                 # (4)
    if ends[-1] >= S:
        raise ValueError(f"mel_high_hz={front_end.mel_high_hz} reaches bin {ends[-1] - 1}; accepted: bins "
                         f"below {S - 1}, under half of sample_rate_hz={front_end.sample_rate_hz}")
    if ends[-1] == start:
        raise ValueError(f"mel_low_hz={front_end.mel_low_hz}, mel_high_hz={front_end.mel_high_hz} hold no bin; "
                         f"accepted: a band wider than the bin spacing, {spacing_hz:.1f} Hz")
    segments = np.concatenate([[start], ends])
    i = np.repeat(np.arange(M + 1), np.diff(segments))    # segment of every bin
    return segments, (edges[i + 1] - mels[:len(i)]) / (edges[i + 1] - edges[i])                   # (5)


def mel(f_hz: np.ndarray) -> np.ndarray:
    """f_hz (n,) float32 >= 0 -> (n,) float32: 1127 log1p(f / 700). Source: O'Shaughnessy 1987."""
    return MEL_SCALE * log1p_float32(f_hz / MEL_BREAK_HZ)


def log1p_float32(x: np.ndarray) -> np.ndarray:
    """x (n,) float32 >= 0 -> ln(1 + x), every operation rounded once to float32.

        1 + x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2);  c: what rounding 1 + x lost   (1)
        ln(1 + f) = f - (h - s (h + R)),  h = f^2/2, s = f/(2 + f), R = polynomial in s^2  (2)
        ln(1 + x) = k ln 2 + ln(1 + f) + c,  ln 2 in two parts                            (3)

    The weights depend on the last bit of this function, so it cannot be the platform's.
    Source: FreeBSD / fdlibm s_log1pf.c (Sun Microsystems 1993), as in glibc before 2.41.
    """
    constants = np.array([0x3f317180, 0x3717f7d1, 0x3f2aaaab, 0x3ecccccd, 0x3e924925, 0x3e638e29,
                          0x3e3a3325, 0x3e1cd04f, 0x3e178897], dtype=np.uint32).view(np.float32)
    ln2_high, ln2_low, coefficients = constants[0], constants[1], constants[2:]
    one, two, half = np.float32([1, 2, 0.5])
    u = one + x                                                                                   # (1)
    k = (u.view(np.int32) >> 23) - 127
    c = np.where(k > 0, one - (u - x), x - (u - one)) / u
    mantissa = u.view(np.int32) & 0x7fffff
    upper = mantissa >= 0x3504f7                          # 1 + f would be above sqrt(2): halve it
    f = (mantissa | np.where(upper, 0x3f000000, 0x3f800000).astype(np.int32)).view(np.float32) - one
    small = x.view(np.int32) < 0x3ed413d7                 # 1 + x below sqrt(2): k = 0, f = x
    f = np.where(small, x, f)
    k = (k + upper).astype(np.float32)
    h, s = half * f * f, f / (two + f)                                                            # (2)
    z, R = s * s, np.zeros_like(x)
    for coefficient in coefficients[::-1]:
        R = z * (coefficient + R)
    scaled = k * ln2_high - ((h - (s * (h + R) + (k * ln2_low + c))) - f)                         # (3)
    return np.where(small, f - (h - s * (h + R)), scaled)
