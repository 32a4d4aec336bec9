"""Samples -> log-mel features, in integers, bit for bit those of the BioDCASE-Tiny 2025 challenge.

The small functions below are the specification, one stage each, in the order of `log_mel`;
csrc/log_mel.c computes the same integers. `float_log_mel` is the same feature in real numbers.
Shapes: B clips, n samples, T frames, N window_len, M channels. Right shifts floor.
"""
import numpy as np

from npgru import kernels
from npgru.front_end import TWIDDLE_ONE, WEIGHT_ONE, FrontEnd, bit_reversal, mel_segments, tables

__all__ = ["FrontEnd", "tables", "log_mel", "float_log_mel", "fixed_float_difference",
           "to_int16", "loudest_slice", "loudest_slice_bounds"]

MAX_SAMPLES = 2**30     # per clip; 18 hours at 16 kHz


def to_int16(samples: np.ndarray) -> np.ndarray:
    """samples (..., n) floating, full scale 1 -> int16 (..., n): trunc(32767 x) in float32.

    Beyond full scale it clips (the challenge's code wraps around: an overshoot changes sign); NaN -> 0.
    raises  ValueError for a dtype that is not floating
    """
    samples = np.asarray(samples)
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples are {samples.dtype}; accepted: floating point, full scale 1")
    scaled = np.clip(np.float32(32767) * samples.astype(np.float32), -32768, 32767)
    if np.isnan(scaled).any():
        scaled = np.nan_to_num(scaled, nan=0.0)
    return scaled.astype(np.int16)                          # a cast to integers truncates


def loudest_slice_bounds(n_samples: int, peak: int, slice_len: int) -> tuple[int, int]:
    """Start and end of the slice_len samples around index `peak`, moved inside 0..n_samples.

    A recording of at most slice_len samples is taken whole: (0, n_samples).
    """
    if n_samples <= slice_len:
        return 0, n_samples
    start = min(max(peak - slice_len // 2, 0), n_samples - slice_len)
    return start, start + slice_len


def loudest_slice(samples: np.ndarray, slice_len: int) -> np.ndarray:
    """samples (n,) int16 -> (slice_len,) int16 around the first signed maximum, zeros after a short one.

    raises  ValueError for another dtype or shape, an empty recording, or slice_len < 1
    """
    samples = _checked(samples)
    if samples.ndim != 1 or len(samples) == 0 or slice_len < 1:
        raise ValueError(f"samples {samples.shape}, slice_len={slice_len}; accepted: (n,) and slice_len, both >= 1")
    start, end = loudest_slice_bounds(len(samples), int(np.argmax(samples)), slice_len)
    return np.pad(samples[start:end], (0, slice_len - (end - start)))


def log_mel(samples: np.ndarray, front_end: FrontEnd, backend: str | None = None) -> np.ndarray:
    """Fixed-point log-mel features.

    samples    (n,) or (B, n) int16 at front_end.sample_rate_hz, n >= window_len
    backend    "c", "numpy" or None, the best there is; all give the same integers
    returns    (T, M) or (B, T, M) uint16, about 2^mel_post_scaling_bits ln V; T = front_end.n_frames(n)
    raises     ValueError for another dtype or shape, or a clip too short; RuntimeError if "c" is not built
    """
    samples = _checked(samples)
    T = front_end.n_frames(samples.shape[-1])
    if kernels.choose_backend(backend) == "c":
        return kernels.log_mel(samples, front_end)
    clips = samples.reshape(-1, samples.shape[-1])
    features = np.empty((len(clips), T, front_end.mel_n_channels), dtype=np.uint16)
    for clip, y in zip(clips, features):                  # one by one: a stage of one clip is 350 KB
        y[:] = log_mel_frames(frames(clip, front_end), front_end)
    return features.reshape(samples.shape[:-1] + features.shape[1:])


def _checked(samples):
    """samples as an array, refused unless (n,) or (B, n) int16 of a sane length."""
    samples = np.asarray(samples)
    if samples.dtype != np.int16:
        raise ValueError(f"samples are {samples.dtype}; accepted: int16 (npgru.features.to_int16 converts)")
    if samples.ndim not in (1, 2):
        raise ValueError(f"samples have shape {samples.shape}; accepted: (n,) or (B, n)")
    if samples.shape[-1] > MAX_SAMPLES:
        raise ValueError(f"a clip of {samples.shape[-1]} samples; accepted: at most {MAX_SAMPLES}; cut it")
    return samples


def frames(samples: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """samples (n,) -> windows (T, N), row i from sample i * window_stride on; zeros after the end."""
    N, stride = front_end.window_len, front_end.window_stride
    windows = np.lib.stride_tricks.sliding_window_view(samples, N)[::stride]
    if front_end.pad_tail:
        rest = samples[len(windows) * stride:]
        windows = np.vstack([windows, np.pad(rest, (0, N - len(rest)))])
    return windows


def log_mel_frames(windows: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """windows (F, N) int16 -> features (F, M) uint16, the stages one after the other."""
    constants = tables(front_end)
    y = apply_window(windows, constants.window, front_end.window_scaling_bits)
    z, bits = scale_up(y)
    E = energy(*split_real(*fft(z, constants.twiddles), constants.twiddles), constants.segments)
    V = rounded_root(mel_sums(E, constants)) >> bits[:, None].astype(np.uint32)      # undo scale_up
    raw = fixed_log(V, constants.log_table, front_end.mel_post_scaling_bits)
    return np.where(raw == 65535, 0, raw).astype(np.uint16)                          # 65535: ln 0


def apply_window(x: np.ndarray, h: np.ndarray, window_bits: int) -> np.ndarray:
    """y = (x h) >> wb.   x (F, N), h (N,) int16 -> (F, N) int16; fits, since h <= 2^wb."""
    return ((x.astype(np.int32) * h) >> window_bits).astype(np.int16)


def scale_up(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift each window left until its largest sample has 15 bits.

        A = max |y|, b = 15 - bitlength(A)                (1)   silence: A = 0, b = 15
        z = y 2^b, wrapped to 16 bit                      (2)

    y (F, N) int16 -> z (F, N) int16, b (F,) int32 in 0..15.
    |-32768| overflows to -32768 in 16 bit, so such a sample is left out of A and may wrap in (2):
    the challenge's quirk, kept. It needs -32768 where the window is exactly 2^wb.
    """
    A = np.max(np.abs(y), axis=1, initial=0)                                         # (1) abs wraps in int16
    b = 15 - np.frexp(A.astype(np.float32))[1]            # frexp's exponent is the bit length
    return (y * (1 << b[:, None])).astype(np.int16), b.astype(np.int32)              # (2)


def fft(z: np.ndarray, twiddles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radix-2 FFT that halves at every stage: Z ~ DFT(z) / N.

    Stage t = 0..L-1 has 2^t blocks of two halves a, m; block j turns m by (c, s) = twiddles[j]:

        p = (c m_re + s m_im, c m_im - s m_re)            (1)
        a' = (32767 a + p + 32767) >> 16                  (2)   and m' with -p, each component
        Z_k = row rev(k)                                  (3)   the output comes out bit-reversed

    z (F, N) int16, twiddles (N, 2) -> re, im (F, N) int16. int32 suffices: the sums fit for real z.
    """
    F, N = z.shape
    re, im = z.astype(np.int32), np.zeros((F, N), dtype=np.int32)
    for t in range(N.bit_length() - 1):
        halves = (F, 2**t, 2, N >> (t + 1))
        c, s = twiddles[:2**t].T.astype(np.int32)[:, :, None]                        # (blocks, 1) each
        (a_re, m_re), (a_im, m_im) = (np.moveaxis(v.reshape(halves), 2, 0) for v in (re, im))
        p_re, p_im = c * m_re + s * m_im, c * m_im - s * m_re                        # (1)
        a_re, a_im = TWIDDLE_ONE * a_re + TWIDDLE_ONE, TWIDDLE_ONE * a_im + TWIDDLE_ONE
        re = (np.stack([a_re + p_re, a_re - p_re], axis=2) >> 16).reshape(F, N)      # (2)
        im = (np.stack([a_im + p_im, a_im - p_im], axis=2) >> 16).reshape(F, N)
    natural = bit_reversal(N)
    return re[:, natural].astype(np.int16), im[:, natural].astype(np.int16)          # (3)


def split_real(re: np.ndarray, im: np.ndarray, twiddles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins of the spectrum, as if the N points held a real sequence of 2N: X ~ DFT(z) / 2N.

    For k = 1..N/2-1 and its mirror m = N - k:

        P = (Z_k.re + Z_m.re, Z_k.im - Z_m.im)            (1)
        Q = (Z_k.re - Z_m.re, Z_k.im + Z_m.im)            (2)   rounding noise: the input is real
        t = ((c Q.im - s Q.re) >> 15, (c Q.re + s Q.im) >> 15)   (3)   at the angle pi k / N
        X_k = ((P.re + t.re) >> 2, (P.im - t.im) >> 2)    (4)

    re, im (F, N) int16 -> re, im (F, N/2) int16; bin 0 is not used and left 0.
    """
    N = re.shape[1]
    k = np.arange(1, N // 2)
    c, s = twiddles[bit_reversal(N)[k]].T.astype(np.int32)
    re, im = re.astype(np.int32), im.astype(np.int32)
    P_re, P_im = re[:, k] + re[:, N - k], im[:, k] - im[:, N - k]                    # (1)
    Q_re, Q_im = re[:, k] - re[:, N - k], im[:, k] + im[:, N - k]                    # (2)
    t_re, t_im = (c * Q_im - s * Q_re) >> 15, (c * Q_re + s * Q_im) >> 15            # (3)
    X = np.zeros((2, len(re), N // 2), dtype=np.int16)
    X[:, :, k] = (P_re + t_re) >> 2, (P_im - t_im) >> 2                              # (4)
    return X[0], X[1]


def energy(re: np.ndarray, im: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """E = re^2 + im^2 in the bins in use, else 0.   (F, N/2) int16 -> (F, N/2) uint32."""
    E = np.zeros(re.shape, dtype=np.uint32)
    used = slice(segments[0], segments[-1])
    E[:, used] = re[:, used].astype(np.int32)**2 + im[:, used].astype(np.int32)**2
    return E


def mel_sums(E: np.ndarray, constants) -> np.ndarray:
    """M_q = sum of u_k E_k over segment q + sum of w_k E_k over segment q + 1.

    E (F, N/2) uint32 -> (F, M) uint64, below 2^40; a segment without bins adds nothing.
    """
    bounds = constants.segments.astype(np.int64)
    E = E[:, bounds[0]:bounds[-1]].astype(np.uint64)
    running = np.zeros((2, len(E), E.shape[1] + 1), dtype=np.uint64)                 # sums up to each bin
    np.cumsum(E * constants.unweights.astype(np.uint64), axis=1, out=running[0, :, 1:])
    np.cumsum(E * constants.weights.astype(np.uint64), axis=1, out=running[1, :, 1:])
    rising, falling = np.diff(running[:, :, bounds - bounds[0]], axis=2)             # (F, M + 1) each
    return rising[:, :-1] + falling[:, 1:]


def rounded_root(M: np.ndarray) -> np.ndarray:
    """Nearest integer to sqrt(M); for M < 2^32 at most 65535.

        r = floor(sqrt(M))                                (1)   by a double root, which may be one too large
        R = r + 1 if M - r^2 > r else r                   (2)

    uint64 -> uint32, same shape.
    """
    r = np.minimum(np.sqrt(M.astype(np.float64)), 2.0**32 - 1).astype(np.uint64)     # (1)
    r -= r * r > M
    up = (M - r * r > r) & (r != 2**16 - 1) & (r != 2**32 - 1)                       # (2)
    return (r + up).astype(np.uint32)


def fixed_log(V: np.ndarray, log_table: np.ndarray, post_bits: int) -> np.ndarray:
    """2^pb ln V by a table of 129 corrections.

        V = 2^e (1 + f / 65536)                           (1)   f truncated to 16 bits
        l = f + T_g + (((T_(g+1) - T_g)(f - 512 g)) >> 16), g = f >> 9    (2)   16: the challenge's slip for 9
        ln = (45426 (65536 e + l) + 32768) >> 16          (3)   45426 = 65536 ln 2
        out = min((2^pb ln + 32768) >> 16, 65535)         (4)   V = 0: 65535

    V unsigned < 2^32 -> uint16, same shape.
    """
    V = V.astype(np.int64)
    T = log_table.astype(np.int64)
    e = np.maximum(np.frexp(V.astype(np.float64))[1].astype(np.int64) - 1, 0)
    f = ((V - (1 << e)) << 16) >> e                                                  # (1)
    f = np.where(V > 0, f, 0)
    g = f >> 9
    l = f + T[g] + (((T[g + 1] - T[g]) * (f - 512 * g)) >> 16)                       # (2)
    ln = (45426 * (65536 * e + l) + 32768) >> 16                                     # (3)
    return np.where(V > 0, np.minimum(((ln << post_bits) + 32768) >> 16, 65535), 65535).astype(np.uint16)   # (4)


def float_log_mel(samples: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """The same feature in real numbers, for teaching: what the integers approximate.

        X_k = DFT(hann x)_k / 2N                          (1)
        V_q = 64 sqrt(sum of (1 - x_k)|X_k|^2 over segment q + sum of x_k |X_k|^2 over segment q + 1)  (2)
        y = 2^pb ln max(V, 1)                             (3)   64 = sqrt(4096), the weights' unit

    samples (n,) or (B, n) int16 -> (T, M) or (B, T, M) float32, unit of `log_mel`; raises like `log_mel`.
    """
    samples = _checked(samples)
    N, M = front_end.window_len, front_end.mel_n_channels
    T = front_end.n_frames(samples.shape[-1])
    segments, x = mel_segments(front_end)
    bins = np.arange(segments[0], segments[-1])
    segment = np.searchsorted(segments, bins, side="right") - 1
    bank = np.zeros((len(bins), M + 2))                   # columns: below the first channel, channels, above
    bank[np.arange(len(bins)), segment] = x
    bank[np.arange(len(bins)), segment + 1] = 1 - x
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / (N - 1))
    features = np.empty((samples.size // samples.shape[-1], T, M), dtype=np.float32)
    for clip, y in zip(samples.reshape(-1, samples.shape[-1]), features):
        X = np.fft.rfft(hann * frames(clip, front_end), axis=1)[:, bins] / (2 * N)   # (1)  (T, bins)
        V = np.sqrt(WEIGHT_ONE * ((X.real**2 + X.imag**2) @ bank[:, 1:-1]))          # (2)  (T, M)
        y[:] = 2.0**front_end.mel_post_scaling_bits * np.log(np.maximum(V, 1))       # (3)
    return features.reshape(samples.shape[:-1] + (T, M))


def fixed_float_difference(samples: np.ndarray, front_end: FrontEnd) -> tuple[float, float]:
    """Largest and mean |log_mel - float_log_mel| of samples (n,) or (B, n) int16, in feature units."""
    difference = np.abs(log_mel(samples, front_end) - float_log_mel(samples, front_end))
    return float(difference.max()), float(difference.mean())
