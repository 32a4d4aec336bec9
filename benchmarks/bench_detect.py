"""Detection on one core, times real time: verify, then time; and what an hour of sound costs, from a minute to a day.

    pytest benchmarks/bench_detect.py --benchmark-enable --benchmark-columns=min,median,iqr,rounds

A file is read, resampled, its windows scored and chosen: all that `npgru detect` does for a recording. Times are those of
the processor's clock, which is one core's; `extra_info` holds times_real_time of the best round. The longest sound is half
an hour, or NPGRU_BENCH_HOURS=24: its samples are made while they are read.
"""
import os
import time

import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits

from npgru import audio, bench_int8, detect, features
from npgru.detector import Detector

SECONDS = 120
FILES = {"16k": (16000, 1, "PCM_16"), "48k": (48000, 1, "PCM_16"), "48k_stereo_24_bit": (48000, 2, "PCM_24"),
         "384k": (384000, 1, "PCM_16")}
HOURS = (1 / 60, 1 / 4, float(os.environ.get("NPGRU_BENCH_HOURS", 1 / 2)))


@pytest.fixture(scope="module")
def task():
    """The student on its integers, nobody trained it: what it costs does not depend on what it has learned."""
    integers = bench_int8.seeded_student(bench_int8.features_like_real_ones(64, (84, 32), np.random.default_rng(7)))
    found = Detector(integers.front_end, integers.clip_s, integers.classes, {}, integers, None)
    return detect.Task(found, detect.grid_of(found, 0), detect.Choice(0.5, "bird"))


def timed(benchmark, function, seconds):
    """Time function() on one thread; times real time of the best round."""
    with threadpool_limits(1):
        benchmark(function)
    if benchmark.stats:                                   # None under --benchmark-disable
        benchmark.extra_info["times_real_time"] = round(seconds / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="detect", timer=time.process_time)
@pytest.mark.parametrize("kind", FILES)
def test_a_file(benchmark, task, tmp_path, kind):
    rate_hz, channels, subtype = FILES[kind]
    noise = 0.1 * np.random.default_rng(7).standard_normal((SECONDS * rate_hz, channels))
    soundfile.write(tmp_path / "x.wav", noise.clip(-1, 1), rate_hz, subtype=subtype)
    heard = detect.hear(str(tmp_path / "x.wav"), task)
    clips = features.to_int16(audio.read(tmp_path / "x.wav", 16000)).reshape(-1, 32000)
    np.testing.assert_array_equal(heard.scores, task.detector.scores(features.log_mel(clips, task.grid.front_end)))
    timed(benchmark, lambda: detect.hear(str(tmp_path / "x.wav"), task), SECONDS)


@pytest.mark.benchmark(group="detect", timer=time.process_time)
@pytest.mark.parametrize("overlap_s", [0.5, 1.0, 1.5])
def test_overlapping_windows(benchmark, task, overlap_s):
    sound = 0.1 * np.random.default_rng(7).standard_normal(SECONDS * 16000, np.float32)
    grid = detect.grid_of(task.detector, overlap_s)
    starts = np.arange(0, len(sound) - 32000 + 1, grid.step_samples)
    clips = np.stack([features.to_int16(sound)[start:start + 32000] for start in starts])
    score, _ = detect.scores([sound], task.detector, grid)
    np.testing.assert_array_equal(score[:len(starts)], task.detector.scores(features.log_mel(clips, grid.front_end)))
    timed(benchmark, lambda: detect.scores([sound], task.detector, grid), SECONDS)


@pytest.mark.benchmark(group="detect an hour", timer=time.process_time, min_rounds=1)
@pytest.mark.parametrize("hours", HOURS, ids=lambda hours: f"{60 * hours:g}_minutes")
def test_an_hour_costs_the_same_in_a_minute_and_in_a_day(benchmark, task, hours):
    """A second of noise again and again, as blocks of 16 s at the model's rate: all of the work but reading."""
    block = np.tile(0.1 * np.random.default_rng(7).standard_normal(16000, np.float32), 16)
    n_blocks = round(hours * 3600 / 16)

    def long():
        return detect.scores((block for _ in range(n_blocks)), task.detector, task.grid)

    score, n_samples = long()
    assert n_samples == n_blocks * len(block) and len(score) == 8 * n_blocks and len(set(score)) == 1
    timed(benchmark, long, n_samples / 16000)
    if benchmark.stats:
        benchmark.extra_info["seconds_an_hour"] = round(benchmark.stats.stats.min / hours, 3)
