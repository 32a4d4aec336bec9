"""The machine that a figure was measured on: what it is, how fast it multiplies, how much memory a process has used."""
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from . import kernels

SGEMM_SIZE, FMA_ROUNDS, ROUNDS = 1024, 2_000_000, 20


def facts() -> dict:
    """What a reader of a figure must know: processor, cores, memory, system, versions."""
    from . import __version__
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": processor(), "cores": n_cores(), "memory_gb": round(memory / 1e9, 1),
            "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
            "numpy": np.__version__, "npgru": __version__}


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as its maker gives it where the system tells."""
    try:
        if sys.platform == "darwin":
            return subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True).stdout.strip()
        return re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].strip()
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def roof_gflops(threads: int) -> dict[str, float]:
    """10^9 operations/s of all threads at a time, the sum of each one's fastest of some rounds.

    "sgemm": products of square float32 matrices by NumPy's BLAS; "fma": multiply-adds on registers alone, 0 where the C
    kernels are not built or do not know the processor; "roof": the higher of the two
    """
    a, b = np.random.default_rng(0).standard_normal((2, SGEMM_SIZE, SGEMM_SIZE), dtype=np.float32)

    def multiply():
        a @ b
        return 2 * SGEMM_SIZE**3

    def multiply_add():
        return kernels.lib.npgru_train_peak(FMA_ROUNDS, kernels.ffi.new("float *"))

    with threadpool_limits(1):                          # BLAS's own threads are erratic where others have something to do
        found = {"sgemm": fastest(multiply, threads), "fma": fastest(multiply_add, threads) if kernels.AVAILABLE else 0.0}
    return {**found, "roof": max(found.values())}


def fastest(work, threads: int) -> float:
    """work() -> how many operations it was; returns 10^9 of them a second, on all threads."""
    def on_one_thread(_):
        rates = []
        for _ in range(ROUNDS):
            began = perf_counter()
            rates.append(1e-9 * work() / (perf_counter() - began))
        return max(rates)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(on_one_thread, range(threads)))


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident since it began; 0 where the system does not tell."""
    try:                                             # Linux: ru_maxrss would be inherited from the parent
        return 1024 * int(re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)[1])
    except (OSError, TypeError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
