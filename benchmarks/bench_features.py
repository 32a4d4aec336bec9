"""Front end, clips of 2 s a second on one thread: verify, then time.

    pytest benchmarks/bench_features.py --benchmark-enable --benchmark-columns=min,median,iqr,ops,rounds

One clip per round, so the column OPS is clips per second of the median round's mean; `extra_info`
in --benchmark-json holds clips_per_s of the best round, and of the batch per clip.
"""
import numpy as np
import pytest
import scipy.fft
from threadpoolctl import threadpool_limits

from npgru import features, kernels
from npgru.front_end import FrontEnd, mel_segments

N_SAMPLES, N_BATCH = 32000, 64
GEOMETRIES = {"paper": FrontEnd.paper(), "baseline": FrontEnd.baseline()}
FLOAT32_UNITS = 1e-2     # float32 against float64, in units of 1/64 neper; we measure 2e-4


@pytest.fixture(scope="module", params=GEOMETRIES)
def front_end(request):
    return GEOMETRIES[request.param]


@pytest.fixture(scope="module")
def clips():
    """(N_BATCH, N_SAMPLES) int16: chirps in noise, from faint to full scale."""
    rng, t = np.random.default_rng(7), np.arange(N_SAMPLES) / 16000
    tone = np.sin(2 * np.pi * (2500 + 1200 * t) * t) * np.hanning(N_SAMPLES)
    level = np.geomspace(0.003, 0.9, N_BATCH)[:, None]
    return features.to_int16(level * (0.8 * tone + 0.05 * rng.standard_normal((N_BATCH, N_SAMPLES))))


class ScipyLogMel:
    """The peer: features.float_log_mel in float32 with scipy.fft, tables made beforehand."""

    def __init__(self, front_end):
        self.front_end, N = front_end, front_end.window_len
        segments, x = mel_segments(front_end)
        self.bins = slice(segments[0], segments[-1])
        bank = np.zeros((len(x), front_end.mel_n_channels + 2), dtype=np.float32)
        i = np.repeat(np.arange(len(segments) - 1), np.diff(segments))
        bank[np.arange(len(x)), i], bank[np.arange(len(x)), i + 1] = x, 1 - x
        self.bank = np.ascontiguousarray(bank[:, 1:-1])
        self.window = ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / (N - 1))) * 32 / N).astype(np.float32)

    def __call__(self, samples):
        X = scipy.fft.rfft(features.frames(samples, self.front_end) * self.window, axis=1)[:, self.bins]
        power = (X.real**2 + X.imag**2) @ self.bank       # V^2
        return np.float32(2.0**self.front_end.mel_post_scaling_bits / 2) * np.log(np.maximum(power, 1))


def timed(benchmark, function, samples):
    """Time function(samples) on one thread and note clips per second of the best round."""
    with threadpool_limits(1):
        benchmark(function, samples)
    if benchmark.stats:                                   # None under --benchmark-disable
        n_clips = len(samples) if samples.ndim == 2 else 1
        benchmark.extra_info["clips_per_s"] = round(n_clips / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="log_mel")
@pytest.mark.parametrize("form", ["numpy", "c_device", "c_host"])
def test_one_clip(benchmark, form, front_end, clips):
    function = {"numpy": lambda x: features.log_mel(x, front_end, "numpy"),
                "c_device": lambda x: kernels.log_mel_device(x, front_end),
                "c_host": lambda x: features.log_mel(x, front_end, "c")}[form]
    np.testing.assert_array_equal(function(clips[40]), features.log_mel(clips[40], front_end, "numpy"))
    timed(benchmark, function, clips[40])


@pytest.mark.benchmark(group="log_mel")
def test_batch_of_64_c_host(benchmark, front_end, clips):
    expected = np.stack([kernels.log_mel_device(clip, front_end) for clip in clips])
    np.testing.assert_array_equal(features.log_mel(clips, front_end, "c"), expected)
    timed(benchmark, lambda x: features.log_mel(x, front_end, "c"), clips)


@pytest.mark.benchmark(group="log_mel")
def test_one_clip_float_scipy(benchmark, front_end, clips):
    function = ScipyLogMel(front_end)
    np.testing.assert_allclose(function(clips[40]), features.float_log_mel(clips[40], front_end), atol=FLOAT32_UNITS)
    timed(benchmark, function, clips[40])
