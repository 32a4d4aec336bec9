"""The compiled kernels against their NumPy twins: integers equal, bit for bit, on every signal."""
import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from front_end_source import table_source
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from npgru import features, kernels
from npgru.front_end import FrontEnd, bit_reversal, tables

CSRC = Path(__file__).resolve().parents[1] / "csrc"
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
PAPER_UNPADDED = FrontEnd(512, 384, 16000, 12, 32, 2000, 7500, 6)

needs_kernels = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")


def signal(kind, n, rng):
    """n int16 samples of a kind that has broken a fixed-point front end somewhere."""
    noise = rng.integers(-32768, 32768, n, dtype=np.int16)
    sparse = np.where(rng.random(n) < 0.01, -32768, 0)
    of_kind = {
        "silence": np.zeros(n), "lowest": np.full(n, -32768), "highest": np.full(n, 32767), "noise": noise,
        "faint": noise // 16384, "level": noise >> rng.integers(0, 16), "sparse": sparse,
        "square": np.where(np.arange(n) // rng.integers(1, 40) % 2, 32767, -32768),
        "tone": np.rint(32767 * np.cos(np.arange(n) * rng.uniform(0, np.pi))),
        "mixed": np.where(np.arange(n) < n // 2, sparse, noise),
    }
    return of_kind[kind].astype(np.int16)


KINDS = ["silence", "lowest", "highest", "noise", "faint", "level", "sparse", "square", "tone", "mixed"]


@st.composite
def front_ends(draw):
    N = 2 ** draw(st.integers(4, 11))
    low, high = sorted(draw(st.tuples(st.floats(0, 0.98), st.floats(0.02, 0.99))))
    fields = dict(window_len=N, window_stride=draw(st.integers(1, 2 * N)),
                  sample_rate_hz=draw(st.integers(4000, 48000)), window_scaling_bits=draw(st.integers(0, 14)),
                  mel_n_channels=draw(st.integers(1, 64)), mel_post_scaling_bits=draw(st.integers(0, 12)),
                  pad_tail=draw(st.booleans()))
    half = fields["sample_rate_hz"] / 2
    try:
        return FrontEnd(mel_low_hz=low * half, mel_high_hz=high * half, **fields)
    except ValueError:                                     # no bin between low and high
        assume(False)


def assert_all_forms_agree(samples, front_end):
    expected = features.log_mel(samples, front_end, "numpy")
    np.testing.assert_array_equal(kernels.log_mel_device(samples, front_end), expected)
    np.testing.assert_array_equal(kernels.log_mel_pairs(samples, front_end), expected)
    np.testing.assert_array_equal(kernels.log_mel(samples, front_end), expected)


@needs_kernels
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(front_end=front_ends(), n_windows=st.integers(1, 20), extra=st.integers(0, 100), kind=st.sampled_from(KINDS),
       seed=st.integers(0, 2**32 - 1))
def test_log_mel_forms_agree_for_any_geometry(front_end, n_windows, extra, kind, seed):
    n = front_end.window_len + (n_windows - 1) * front_end.window_stride + extra
    clips = np.stack([signal(kind, n, np.random.default_rng([seed, clip])) for clip in range(2)])
    assert_all_forms_agree(clips, front_end)


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("front_end", [
    FrontEnd.paper(), FrontEnd.baseline(), FrontEnd(2048, 500, 24000, 13, 64, 0, 11000, 7),
    FrontEnd(128, 64, 8000, 10, 10, 100, 3800, 6), FrontEnd(16, 16, 8000, 14, 1, 0, 3000, 12, True),
    FrontEnd(32, 7, 8000, 14, 3, 0, 3700, 0), FrontEnd(8192, 65536, 48000, 14, 256, 0, 23000, 6, True)], ids=str)
def test_log_mel_forms_agree_on_nasty_signals(front_end, kind, rng):
    assert_all_forms_agree(signal(kind, front_end.window_len + 9 * 384, rng), front_end)


@needs_kernels
def test_log_mel_copies_the_wrap_of_a_lone_lowest_sample(rng):
    """-32768 under the window's centre is left out of the largest sample, then shifted: the reference's quirk."""
    n, centre = 20 * 512, 254 + 512 * np.arange(20)
    samples = (rng.integers(-32768, 32768, n) >> np.repeat(rng.integers(0, 16, 20), 512)).astype(np.int16)
    samples[centre + rng.integers(0, 4, 20)] = -32768
    assert_all_forms_agree(samples, FrontEnd(512, 512, 16000, 12, 32, 2000, 7500, 6))


@needs_kernels
@pytest.mark.parametrize("bits, half", [(14, 256), (0, 256)])
def test_log_mel_of_the_loudest_bins(bits, half):
    """The largest components a real input can give: sines and cosines clipped to full-scale squares."""
    fe = FrontEnd(512, 512, 16000, bits, 40, 0, 7900, 12)
    angle = np.arange(512)[None] * np.arange(1, half)[:, None] * 2 * np.pi / 512
    windows = np.concatenate([np.where(np.cos(angle + phase) >= 0, 32767, -32768) for phase in (0, 0.8, 1.6)])
    assert_all_forms_agree(windows.astype(np.int16), fe)


@needs_kernels
def test_log_mel_fft_bounds_hold_without_a_window(rng):
    """All N samples at full scale (a rectangular window): only C can run it, through a struct of its own."""
    ffi, lib = kernels.ffi, kernels.lib
    params, n_bytes, _, _ = kernels._log_mel_params(PAPER_UNPADDED)
    square = ffi.new("npgru_log_mel_params *", params[0])
    ones = np.full(512, 4096, dtype=np.int16)
    square.window = ffi.from_buffer("int16_t[]", ones)
    angle = np.arange(512)[None] * np.arange(1, 256)[:, None] * 2 * np.pi / 512
    windows = [np.where(np.cos(angle + phase) >= 0, 32767, -32768) for phase in (0, 0.8, 1.6)]
    windows += [np.full((1, 512), -32768), np.full((1, 512), 32767), rng.choice([-32768, 32767], (300, 512))]
    windows = np.concatenate(windows).astype(np.int16)
    device, pairs, host = np.empty((3, len(windows), 32), dtype=np.uint16)
    scratch = ffi.new("char[]", n_bytes)
    for form, y in (("npgru_log_mel", device), ("npgru_log_mel_frame_pairs", pairs), ("npgru_log_mel_host", host)):
        for window, features_of_one in zip(windows, y):
            sizes = (1, 512) if form.endswith("host") else (512,)
            samples, out = ffi.from_buffer("int16_t[]", window), ffi.from_buffer("uint16_t[]", features_of_one)
            assert getattr(lib, form)(square, samples, *sizes, scratch, out) == lib.NPGRU_OK
    np.testing.assert_array_equal(host, device)
    np.testing.assert_array_equal(pairs, device)


@pytest.mark.parametrize("bits", range(4, 14))
def test_a_mirror_of_a_block_has_the_mirrored_twiddle(bits):
    """What csrc/log_mel_pairs.c builds on, for every window length there is."""
    w = tables(FrontEnd(2**bits, 1, 16000, 12, 1, 0, 5000, 6)).twiddles
    assert np.array_equal(w[1], [0, 32767]) and np.array_equal(bit_reversal(4), [0, 2, 1, 3])
    for first in 2 ** np.arange(1, bits):                   # blocks first .. 2 first - 1; the mirror of j is 3 first - 1 - j
        np.testing.assert_array_equal(w[first:2 * first][::-1], w[first:2 * first] * [-1, 1])


@needs_kernels
@pytest.mark.parametrize("bits", range(16))
@pytest.mark.parametrize("N", [32, 64, 512, 1024])
def test_log_mel_forms_agree_where_sums_tie(N, bits, rng):
    """Signals so faint that sums of a family are often a half exactly: the half of a spectrum alone would be wrong."""
    samples = rng.integers(-2, 3, 40 * N) * rng.choice([0, 1, 2**bits], 40 * N)
    assert_all_forms_agree(np.clip(samples, -32768, 32767).astype(np.int16), FrontEnd(N, N, 16000, 14, 7, 0, 7000, 12))


@needs_gcc
def test_roots_are_the_specification(rng, tmp_path):
    """Every square up to 2^40 and the numbers around it and around the middle to the next; and seeded ones."""
    subprocess.run(["gcc", *WARNINGS, "-O2", "-shared", "-fPIC", f"-I{CSRC}",
                    Path(__file__).parent / "log_mel_probe.c", "-o", tmp_path / "probe.so"], check=True)
    r = np.arange(1 << 20, dtype=np.uint64)
    seeded = rng.integers(0, 2**40, 100_000, dtype=np.uint64) >> rng.integers(0, 40, 100_000, dtype=np.uint64)
    ends = np.uint64([2**32 - 1, 2**32, 2**40 - 1])
    m = np.concatenate([r * r, r * r + 1, r * r + r, r * r + r + 1, r[1:] * r[1:] - 1, ends, seeded])
    y = np.empty(len(m), np.uint32)
    probe = ctypes.CDLL(str(tmp_path / "probe.so")).probe_rounded_root
    probe(ctypes.c_void_p(m.ctypes.data), len(m), ctypes.c_void_p(y.ctypes.data))
    np.testing.assert_array_equal(y, features.rounded_root(m))


@needs_kernels
@pytest.mark.parametrize("samples", [np.zeros(600), np.zeros(600, np.int32), np.zeros((1, 1, 600), np.int16),
                                     np.zeros(511, np.int16)])
@pytest.mark.parametrize("kernel", [kernels.log_mel, kernels.log_mel_device, kernels.log_mel_pairs])
def test_log_mel_refuses_other_arrays(kernel, samples):
    with pytest.raises(ValueError, match="accepted"):
        kernel(samples, PAPER_UNPADDED)


def test_backends_are_named():
    with pytest.raises(ValueError, match="'c', 'numpy'"):
        kernels.choose_backend("fortran")
    assert kernels.choose_backend("numpy") == "numpy"


@needs_gcc
def test_no_source_has_a_warning():
    """All but those of optimisation, which .ci/run and the firmware tests look for."""
    sources = [*CSRC.glob("*.c"), *CSRC.glob("host/*.c"), *CSRC.glob("train/*.c")]
    subprocess.run(["gcc", *WARNINGS, f"-I{CSRC}", "-fsyntax-only", *sources], check=True)
    subprocess.run(["gcc", *WARNINGS, "-ffreestanding", "-fsyntax-only", *CSRC.glob("*.c")], check=True)


@needs_gcc
def test_log_mel_is_clean_under_sanitizers(tmp_path):
    (tmp_path / "tables.h").write_text(table_source([
        FrontEnd.paper(), FrontEnd(16, 5, 8000, 14, 3, 0, 3000, 12),
        FrontEnd(64, 70, 16000, 12, 20, 125, 7000, 6, True)]))
    sources = [Path(__file__).parent / "sanitizer" / "log_mel_main.c", *sorted(CSRC.glob("log_mel*.c")),
               *sorted(CSRC.glob("host/*mel*.c")), *sorted(CSRC.glob("host/fft*.c"))]
    build = subprocess.run(["gcc", *WARNINGS, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                            f"-I{CSRC}", f"-I{tmp_path}", *sources, "-o", tmp_path / "main"],
                           capture_output=True, text=True)
    if "cannot find -l" in build.stderr or "cannot find lib" in build.stderr:
        pytest.skip(f"this gcc has no sanitizers: {build.stderr.splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
