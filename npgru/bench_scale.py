"""Cost against work: time a clip and peak memory of features, training and inference, for more and more clips.

Every size of every work has a process of its own: its peak is that of Python, the libraries and this work alone.
"""
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
from threadpoolctl import threadpool_limits

from . import bench_int8, bench_train, dataset, features, kernels, machine, model
from .backend import Backend
from .feature_rows import blocks
from .front_end import FrontEnd

LARGEST = 100_000
BLOCK = 16                                          # clips of sound at a time
RUN_S = 0.05                                        # a run does small works again and again, for so long
FEWEST_RUNS, ENOUGH_S = 3, 0.6                      # runs of a size: at least so many, and so long in all


def features_run(n_clips: int, threads: int) -> Callable[[], None]:
    """2 s of sound a clip -> features, block by block on all threads; a block is forgotten when its features are there."""
    front_end, rng = FrontEnd.paper(), np.random.default_rng(7)
    sound = rng.integers(-9000, 9000, (BLOCK, 2 * front_end.sample_rate_hz), dtype=np.int16)
    sizes = [min(BLOCK, n_clips - start) for start in range(0, n_clips, BLOCK)]

    def run():
        with closing(dataset.in_order(lambda n: features.log_mel(sound[:n], front_end), sizes, threads)) as found:
            assert sum(len(block) for block in found) == n_clips
    return run


def training_run(n_clips: int, threads: int) -> Callable[[], None]:
    """An epoch of the teacher, batches of 32."""
    return bench_train.start(model.teacher(), Backend(None, threads), bench_train.clips_like_real_ones(n_clips)).epoch


def inference_run(n_clips: int, threads: int) -> Callable[[], None]:
    """The student's integers: features -> a score a clip."""
    x = bench_train.clips_like_real_ones(n_clips).x_train
    integers = bench_int8.seeded_student(x[:32])
    return lambda: [bench_int8.scores(integers, block, threads=threads) for block in blocks(x)]


RUNS = {"features": features_run, "training": training_run, "inference": inference_run}


def seconds_and_peak(work: str, n_clips: int, threads: int) -> tuple[list[float], list[float], int]:
    """In a process of its own: seconds of the work in each run, by the clock and by all threads; the most bytes resident."""
    run, seconds, cpu_seconds = RUNS[work](n_clips, threads), [], []
    first = perf_counter()
    with threadpool_limits(1):
        while len(seconds) < FEWEST_RUNS or perf_counter() - first < ENOUGH_S:
            began, cpu_began, n = perf_counter(), process_time(), 0
            while perf_counter() - began < RUN_S:
                run()
                n += 1
            seconds.append((perf_counter() - began) / n)
            cpu_seconds.append((process_time() - cpu_began) / n)
    return seconds, cpu_seconds, machine.peak_memory_bytes()


def in_own_process(work: str, n_clips: int, threads: int) -> tuple[list[float], list[float], int]:
    """seconds_and_peak there. raises RuntimeError where it fails, with its own last words"""
    process = subprocess.run([sys.executable, "-m", "npgru.bench_scale", work, str(n_clips), str(threads)],
                             capture_output=True, text=True)
    if process.returncode:
        why = process.stderr.strip().splitlines()[-1:] or [f"it ended with status {process.returncode}; was there memory left?"]
        raise RuntimeError(f"{work} of {n_clips} clips failed: {why[0]}")
    return json.loads(process.stdout)


def measure(works: list[str] = tuple(RUNS), largest: int = LARGEST, threads: int = 1,
            progress: Callable = lambda jobs, **_: jobs) -> dict:
    """{"work": {name: [{"n_clips", "us_per_clip", "median_us_per_clip", "cpu_us_per_clip", "peak_memory_bytes"}, ...]}, ...}

    largest      sizes are the powers of ten from 100 on below it, and itself
    progress     such as tqdm, around the sizes

    us_per_clip is of the fastest of some runs: whatever else the machine does only adds to it; cpu_us_per_clip is what all
    threads together spend. spread: of the dearest clip's time over the cheapest's, less 1; memory_growth_bytes: of the most
    over the least.
    """
    sizes = [*(10**k for k in range(2, len(str(largest))) if 10**k < largest), largest]
    rows = {work: [] for work in works}
    for work, n_clips in progress([(work, n) for n in sizes for work in works], desc="sizes", unit="size"):
        seconds, cpu_seconds, peak = in_own_process(work, n_clips, threads)
        rows[work].append({"n_clips": n_clips, "us_per_clip": round(1e6 * min(seconds) / n_clips, 3),
                           "median_us_per_clip": round(1e6 * median(seconds) / n_clips, 3),
                           "cpu_us_per_clip": round(1e6 * min(cpu_seconds) / n_clips, 3), "peak_memory_bytes": peak})

    def spread(column):
        return {work: round(max(us) / min(us) - 1, 4) for work, table in rows.items() for us in [[row[column] for row in table]]}
    growth = {work: max(peaks) - min(peaks) for work, table in rows.items() for peaks in [[r["peak_memory_bytes"] for r in table]]}
    return {"work": rows, "spread": spread("us_per_clip"), "cpu_spread": spread("cpu_us_per_clip"), "memory_growth_bytes": growth,
            "threads": threads, "backend": kernels.choose_backend(), "memory_is": "most resident, each size in its own process",
            "machine": machine.facts()}


def as_text(table: dict) -> str:
    """`measure`'s table for people."""
    m = table["machine"]
    lines = [f"{table['backend']} back end, {table['threads']} thread(s) of {m['cores']} core(s); {m['cpu']}, {m['system']}, "
             f"NumPy {m['numpy']}, npgru {m['npgru']}",
             f"{'work':<12}{'clips':>9}{'us a clip':>12}{'us of all threads':>20}{'peak memory, MB':>18}"]
    for work, rows in table["work"].items():
        lines += [f"{work:<12}{row['n_clips']:>9}{row['us_per_clip']:>12.1f}{row['cpu_us_per_clip']:>20.1f}"
                  f"{row['peak_memory_bytes'] / 1e6:>18.0f}" for row in rows]
        lines.append(f"{'  the most over the least':<21}{100 * table['spread'][work]:>10.0f} %{100 * table['cpu_spread'][work]:>18.0f} %"
                     f"{table['memory_growth_bytes'][work] / 1e6:>+18.0f}")
    return "\n".join(lines)


LABELS = {"features": "features of 2 s of sound", "training": "training: an epoch of the teacher",
          "inference": "inference: the student in integers"}


def write_plot(path: Path, table: dict) -> None:
    """`measure`'s table as .png or .svg, the same bytes for the same table. raises ValueError as check_plot"""
    kind = check_plot(path)
    from . import figures
    from .checkpoint import write_atomically
    columns = {LABELS[work]: [[row[name] for row in rows] for name in ("n_clips", "us_per_clip", "peak_memory_bytes")]
               for work, rows in table["work"].items()}
    with figures.style():
        content = figures.encoded(figures.scale(columns), kind)
    write_atomically(path, lambda file: file.write(content))


def check_plot(path: Path) -> str:
    """The kind of picture that a path asks for. raises ValueError for a kind that is not known, or without matplotlib"""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"{path}: the plot is written as .png or .svg")
    if find_spec("matplotlib") is None:
        raise ValueError(f"{path}: a plot needs matplotlib; install: pip install 'npgru[report]'")
    return kind


if __name__ == "__main__":
    print(json.dumps(seconds_and_peak(sys.argv[1], *map(int, sys.argv[2:]))))
