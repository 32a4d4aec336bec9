"""The compiled kernels under the names of their NumPy twins.

Here arrays are checked, handed to C, and statuses are turned into exceptions. Without a compiled
extension (`AVAILABLE` is False) every caller uses its NumPy twin and one notice says so.
"""
import warnings
from functools import lru_cache

import numpy as np

from npgru.front_end import tables

try:
    from npgru._kernels import ffi, lib
except ImportError:
    ffi = lib = None

AVAILABLE = lib is not None
MISSING = ("the C kernels of npgru are not built, NumPy is used instead (same results, slower); "
           "to build them install a C compiler and the Python headers, then reinstall npgru")


def choose_backend(backend=None):
    """backend "c", "numpy" or None (the best there is) -> "c" or "numpy".

    raises  ValueError for another name; RuntimeError for "c" where the kernels are not built.
    """
    if backend not in (None, "c", "numpy"):
        raise ValueError(f"backend={backend!r} is not known; accepted: 'c', 'numpy'")
    if backend == "c" and not AVAILABLE:
        raise RuntimeError(f"backend='c' was asked for, but {MISSING}")
    if backend is None and not AVAILABLE:
        warnings.warn(MISSING, RuntimeWarning, stacklevel=2)
    return backend or ("c" if AVAILABLE else "numpy")


def log_mel(samples, front_end):
    """Log-mel features, all clips in one call of C; the twin of npgru.features.log_mel.

    samples    (n,) or (B, n) int16, n >= front_end.window_len
    returns    (T, M) or (B, T, M) uint16
    raises     ValueError for another dtype or shape, or a clip too short or too long
    """
    samples, y = _log_mel_arrays(samples, front_end)
    params, n_bytes, _, _ = _log_mel_params(front_end)
    scratch = np.empty(n_bytes, dtype=np.uint8)
    n_clips = samples.shape[0] if samples.ndim == 2 else 1
    _raise_unless_ok("npgru_log_mel_host", lib.npgru_log_mel_host(
        params, ffi.from_buffer("int16_t[]", samples), n_clips, samples.shape[-1],
        ffi.from_buffer("char[]", scratch), ffi.from_buffer("uint16_t[]", y)))
    return y


def log_mel_device(samples, front_end):
    """log_mel by the form that runs in a firmware, clip by clip: for tests and timings."""
    samples, y = _log_mel_arrays(samples, front_end)
    params, _, n_bytes, _ = _log_mel_params(front_end)
    scratch = np.empty(n_bytes, dtype=np.uint8)
    for clip, features in zip(np.atleast_2d(samples), y.reshape(-1, *y.shape[-2:])):
        _raise_unless_ok("npgru_log_mel", lib.npgru_log_mel(
            params, ffi.from_buffer("int16_t[]", clip), len(clip), ffi.from_buffer("char[]", scratch),
            ffi.from_buffer("uint16_t[]", features)))
    return y


def log_mel_pairs(samples, front_end):
    """log_mel by the faster form that runs in a firmware, window by window: for tests and timings."""
    samples, y = _log_mel_arrays(samples, front_end)
    params, _, n_bytes, _ = _log_mel_params(front_end)
    scratch = np.empty(n_bytes, dtype=np.uint8)
    for clip, features in zip(np.atleast_2d(samples), y.reshape(-1, *y.shape[-2:])):
        for t, feature in enumerate(features):
            window = clip[t * front_end.window_stride:][:front_end.window_len]         # the padded one: shorter, or empty
            _raise_unless_ok("npgru_log_mel_frame_pairs", lib.npgru_log_mel_frame_pairs(
                params, ffi.from_buffer("int16_t[]", window), len(window), ffi.from_buffer("char[]", scratch),
                ffi.from_buffer("uint16_t[]", feature)))
    return y


def _log_mel_arrays(samples, front_end):
    """samples checked and contiguous, and room for their features."""
    samples = np.ascontiguousarray(samples)
    if samples.dtype != np.int16 or samples.ndim not in (1, 2):
        raise ValueError(f"samples are {samples.dtype} {samples.shape}; accepted: int16 (n,) or (B, n)")
    T = front_end.n_frames(samples.shape[-1])
    return samples, np.empty(samples.shape[:-1] + (T, front_end.mel_n_channels), dtype=np.uint16)


@lru_cache(maxsize=64)
def _log_mel_params(front_end):
    """The C struct, the scratch bytes of the host and of the device form, and the arrays the struct points into."""
    constants = tables(front_end)
    pointers = {name: ffi.from_buffer("int16_t[]", getattr(constants, name))
                for name in ("window", "twiddles", "segments", "weights", "unweights", "log_table")}
    params = ffi.new("npgru_log_mel_params *", {
        "window_len": front_end.window_len, "window_stride": front_end.window_stride,
        "window_bits": front_end.window_scaling_bits, "n_channels": front_end.mel_n_channels,
        "post_bits": front_end.mel_post_scaling_bits, "pad_tail": front_end.pad_tail, **pointers})
    return params, lib.npgru_log_mel_host_scratch_bytes(params), lib.npgru_log_mel_scratch_bytes(params), pointers


def _raise_unless_ok(name, status):
    """status of the kernel `name` -> ValueError unless it is NPGRU_OK."""
    if status != lib.NPGRU_OK:
        reason = {lib.NPGRU_BAD_SHAPE: "a size out of range", lib.NPGRU_BAD_RANGE: "a parameter out of range"}
        raise ValueError(f"{name} refused its arguments: {reason[status]}; accepted: see csrc/npgru_int8.h")
