"""The fixed-point front end against the challenge's own numbers: every integer equal, both back ends."""
import numpy as np
import pytest

from npgru import features, front_end, kernels
from npgru.features import FrontEnd, log_mel, tables
from tolerances import FLOAT_LOG_MEL_MEAN_UNITS, FLOAT_LOG_MEL_UNITS

CONFIGS = ["paper", "baseline", "alt_n256_m20", "alt_n1024_m40", "alt_n256_m40_empty"]
STAGES = {"paper": "paper", "baseline": "baseline", "quirk": "paper"}
BACKENDS = ["numpy", pytest.param("c", marks=pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built"))]
SMALL = dict(window_len=64, window_stride=48, sample_rate_hz=16000, window_scaling_bits=12, mel_n_channels=5,
             mel_low_hz=500, mel_high_hz=6000, mel_post_scaling_bits=6, pad_tail=False)


@pytest.fixture(scope="module")
def vectors(shared_data):
    with np.load(shared_data / "vectors" / "frontend_vectors.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def configured(vectors, config, pad_tail=False):
    return FrontEnd(*vectors[f"cfg_{config}__params"], pad_tail=pad_tail)


def clips_and_features(vectors, config):
    if config.startswith("alt"):
        return vectors["clips"][vectors[f"alt_{config}__clip_index"]], vectors[f"alt_{config}__out"]
    return vectors["clips"], vectors[f"out_{config}"]


@pytest.mark.parametrize("config", CONFIGS)
def test_tables_equal_the_reference(vectors, config):
    constants = tables(configured(vectors, config))
    stored = {name: vectors[f"cfg_{config}__{name}"] for name in (
        "hann", "twiddle_bitrev", "start_end", "seg_start", "seg_width", "seg_weight_start", "weights", "unweights")}
    np.testing.assert_array_equal(constants.window, stored["hann"])
    np.testing.assert_array_equal(constants.twiddles, stored["twiddle_bitrev"])
    np.testing.assert_array_equal(constants.segments[[0, -1]], stored["start_end"])
    empty = np.diff(constants.segments) == 0               # stored as bin 0, width 1, and one zero weight before all
    shift = int(empty.any())
    starts, widths = constants.segments[:-1], np.diff(constants.segments)
    np.testing.assert_array_equal(np.where(empty, 0, starts), stored["seg_start"])
    np.testing.assert_array_equal(np.where(empty, 1, widths), stored["seg_width"])
    np.testing.assert_array_equal(np.where(empty, 0, starts - starts[0] + shift), stored["seg_weight_start"])
    np.testing.assert_array_equal(np.pad(constants.weights, (shift, 0)), stored["weights"])
    np.testing.assert_array_equal(np.pad(constants.unweights, (shift, 0)), stored["unweights"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("config", CONFIGS)
def test_features_equal_the_reference(vectors, config, backend):
    clips, expected = clips_and_features(vectors, config)
    np.testing.assert_array_equal(log_mel(clips, configured(vectors, config), backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_padded_tail_adds_the_window_of_a_zero_padded_clip(vectors, backend):
    clips = vectors["clips"][-6:]
    paper = log_mel(clips, FrontEnd.paper(), backend)
    assert paper.shape == (6, 84, 32) and paper.dtype == np.uint16
    np.testing.assert_array_equal(paper[:, :83], vectors["out_paper"][-6:])
    longer = np.pad(clips, ((0, 0), (0, 83 * 384 + 512 - 32000)))
    np.testing.assert_array_equal(log_mel(longer, configured(vectors, "paper"), backend), paper)


@pytest.mark.parametrize("tag", STAGES)
def test_every_stage_equals_the_reference(vectors, tag):
    fe = configured(vectors, STAGES[tag])
    constants = tables(fe)
    stage = {name.split("__")[1]: array for name, array in vectors.items() if name.startswith(f"stage_{tag}__")}
    y = features.apply_window(stage["window"], constants.window, fe.window_scaling_bits)
    z, bits = features.scale_up(y)
    re, im = features.fft(z, constants.twiddles)
    X_re, X_im = features.split_real(re, im, constants.twiddles)
    E = features.energy(X_re, X_im, constants.segments)
    M = features.mel_sums(E, constants)
    root = features.rounded_root(M)
    raw = features.fixed_log(root >> bits[:, None].astype(np.uint32), constants.log_table, fe.mel_post_scaling_bits)
    ours = {"hanned": y, "scale_bits": bits, "scaled": z, "fft": np.stack([re, im], axis=2), "energy": E, "mel": M,
            "sqrt": root, "shifted": root >> bits[:, None].astype(np.uint32), "log_raw": raw,
            "out": features.log_mel_frames(stage["window"], fe)}
    for name, array in ours.items():
        np.testing.assert_array_equal(array, stage[name], err_msg=name)
    used = np.s_[:, 1:]                                    # row 0 of the reference holds two other bins, never used
    np.testing.assert_array_equal(np.stack([X_re, X_im], axis=2)[used], stage["spec"][used])


@pytest.mark.parametrize("post_bits", [4, 6, 8])
def test_logarithm_equals_the_reference(vectors, post_bits):
    y = features.fixed_log(vectors["log_x"], tables(FrontEnd.paper()).log_table, post_bits)
    np.testing.assert_array_equal(y, vectors[f"log_y_bits{post_bits}"])


def test_root_equals_the_reference(vectors):
    np.testing.assert_array_equal(features.rounded_root(vectors["sqrt_n"]), vectors["sqrt_r"])


def test_to_int16_equals_the_reference(vectors):
    np.testing.assert_array_equal(features.to_int16(vectors["f2i_x"]), vectors["f2i_y"])


def test_to_int16_clips_and_silences_nan():
    x = np.float32([1.5, -1.5, np.inf, -np.inf, np.nan, -1 / 32767, 1.00001])
    np.testing.assert_array_equal(features.to_int16(x), [32767, -32768, 32767, -32768, 0, -1, 32767])
    with pytest.raises(ValueError, match="int16"):
        features.to_int16(np.int16([1]))


def test_loudest_slice_equals_the_reference(vectors):
    n_compared = 0
    for i, n in enumerate(vectors["slice_len"]):
        recording = vectors["slice_in"][i, :vectors["slice_in_len"][i]]
        if len(recording) < n:                             # there the reference returns a short or wrong slice
            continue
        np.testing.assert_array_equal(features.loudest_slice(recording, int(n)),
                                      vectors["slice_out"][i, :vectors["slice_out_len"][i]])
        n_compared += 1
    assert n_compared >= 12


@pytest.mark.parametrize("recording, n, expected", [
    ([3], 1, [3]), ([1, 5, 2], 5, [1, 5, 2, 0, 0]), ([1, 5, 5], 2, [1, 5]), ([-9, -3, -4, -5], 3, [-9, -3, -4]),
    ([7, 0, 0, 0], 3, [7, 0, 0]), ([0, 0, 0, 7], 3, [0, 0, 7])])
def test_loudest_slice_surrounds_the_first_signed_maximum(recording, n, expected):
    np.testing.assert_array_equal(features.loudest_slice(np.int16(recording), n), expected)


def test_number_of_frames_equals_the_reference(vectors):
    fe = configured(vectors, "paper")
    for n, expected in zip(vectors["len_n"], vectors["len_frames"]):
        if n < fe.window_len:
            with pytest.raises(ValueError, match="512"):
                fe.n_frames(int(n))
        else:
            assert fe.n_frames(int(n)) == expected
            assert log_mel(vectors["len_signal"][:n], fe, "numpy").shape == (expected, 32)


@pytest.mark.parametrize("config", ["paper", "baseline"])
def test_float_log_mel_is_what_the_integers_approximate(vectors, config):
    real = np.char.startswith(vectors["names"], "real_")
    largest, mean = features.fixed_float_difference(vectors["clips"][real], configured(vectors, config))
    assert largest < FLOAT_LOG_MEL_UNITS and mean < FLOAT_LOG_MEL_MEAN_UNITS


def test_float_and_fixed_agree_on_a_loud_tone():
    """Far from silence the two differ by rounding alone: a full-scale tone, the channel that holds it."""
    tone = np.rint(30000 * np.sin(2 * np.pi * 4000 / 16000 * np.arange(2048) + 0.3)).astype(np.int16)
    fixed, real = (f(tone, FrontEnd.paper()).astype(float) for f in (log_mel, features.float_log_mel))
    peak = real[0].argmax()
    np.testing.assert_allclose(fixed[:4, peak], real[:4, peak], atol=1)      # unit: 1/64 neper; we measure 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_clips_and_views_give_the_same_features(rng, backend):
    fe = FrontEnd(**SMALL)
    clips = rng.integers(-32768, 32768, (3, 500), dtype=np.int16)
    batch = log_mel(clips, fe, backend)
    np.testing.assert_array_equal(np.stack([log_mel(clip, fe, backend) for clip in clips]), batch)
    np.testing.assert_array_equal(log_mel(np.repeat(clips, 2, axis=1)[:, ::2], fe, backend), batch)
    assert log_mel(clips[:0], fe, backend).shape == (0, fe.n_frames(500), 5)
    assert log_mel(clips[0, :64], fe, backend).shape == (1, 5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("samples, message", [
    (np.zeros(500), "float64.*int16"), (np.zeros(500, ">i2"), "int16"), (np.zeros(63, np.int16), "63 samples.*64"),
    (np.zeros((1, 1, 64), np.int16), r"\(1, 1, 64\)"), (np.int16(3), "shape"),
    (np.broadcast_to(np.int16(0), 2**30 + 1), "at most")])
def test_bad_samples_are_refused(samples, message, backend):
    with pytest.raises(ValueError, match=message):
        log_mel(samples, FrontEnd(**SMALL), backend)


@pytest.mark.parametrize("field, value", [
    ("window_len", 500), ("window_len", 8), ("window_len", 16384), ("window_len", 64.0), ("window_stride", 0),
    ("sample_rate_hz", 0), ("window_scaling_bits", 15), ("window_scaling_bits", -1), ("mel_n_channels", 0),
    ("mel_n_channels", 257), ("mel_low_hz", -1), ("mel_low_hz", 6000), ("mel_low_hz", float("nan")),
    ("mel_low_hz", "500"), ("mel_high_hz", 8000), ("mel_high_hz", 500), ("mel_high_hz", 501),
    ("mel_post_scaling_bits", 13), ("mel_post_scaling_bits", None), ("pad_tail", 1)])
def test_bad_fields_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"{field}={value!r}.*accepted|{field}=.*accepted"):
        FrontEnd(**{**SMALL, field: value})


def test_front_ends_are_values():
    numpy_fields = {name: value if isinstance(value, bool) else np.int64(value) for name, value in SMALL.items()}
    assert FrontEnd(**numpy_fields) == FrontEnd(**SMALL)
    assert tables(FrontEnd(**numpy_fields)) is tables(FrontEnd(**SMALL))
    assert FrontEnd.paper().n_frames(32000) == 84 and FrontEnd.baseline().n_frames(32000) == 55
    with pytest.raises(ValueError):
        tables(FrontEnd.paper()).window[0] = 1


def test_log1p_is_within_one_ulp_and_monotone():
    x = np.linspace(0, 700, 200_001, dtype=np.float32)
    y, exact = front_end.log1p_float32(x), np.log1p(x.astype(np.float64))
    assert np.all(np.abs(y - exact) <= np.spacing(y)) and np.all(np.diff(y) >= 0)


@pytest.mark.parametrize("n", [16, 64, 8192])
def test_bit_reversal_is_its_own_inverse(n):
    reversed_bits = front_end.bit_reversal(n)
    np.testing.assert_array_equal(reversed_bits[reversed_bits], np.arange(n))
    assert reversed_bits[1] == n // 2
