"""The compiled kernels under the names of their NumPy twins.

Here arrays are checked, handed to C, and statuses are turned into exceptions. Without a compiled
extension (`AVAILABLE` is False) every caller uses its NumPy twin and one notice says so.
"""
import warnings

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
