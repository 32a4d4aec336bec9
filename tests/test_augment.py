"""Augmentation: the realised SNR is the asked one, the gate chooses the range, the shares are the probabilities."""
import numpy as np
import pytest
from tolerances import SNR_DB, STANDARD_ERRORS

from npgru import augment
from npgru.augment import AugmentConfig


def features(rng, n):
    """Log-mel-like clips: uint16 around 400, (n, 84, 32)."""
    return rng.integers(200, 700, (n, 84, 32)).astype(np.uint16)


def realised_snr_db(x, y):
    """20 log10( rms(x) / rms(y − x) ) of each clip, in float64."""
    difference = y.astype(np.float64) - x
    return 20 * np.log10(np.sqrt((x.astype(np.float64) ** 2).mean(axis=(1, 2)) / (difference ** 2).mean(axis=(1, 2))))


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 4.0, 16.0, 40.0])
def test_interference_gain_gives_the_asked_snr(snr_db, rng):
    x, interference = features(rng, 5).astype(np.float32), rng.standard_normal((5, 84, 32)).astype(np.float32)
    gain = augment.interference_gain(x, interference, np.full(5, snr_db))
    assert np.abs(realised_snr_db(x, x + gain * interference) - snr_db).max() < SNR_DB


def test_silent_interference_adds_nothing(rng):
    x = features(rng, 1).astype(np.float32)
    assert augment.interference_gain(x, np.zeros_like(x), np.array([6.0])) == 0


@pytest.mark.parametrize("kind", ["noise", "overlay"])
def test_snr_lies_in_the_range_of_the_clips_side_of_the_gate(kind, rng):
    x = features(rng, 400).astype(np.float32)
    x[::2, 0, 0] = 5000                                              # every second clip has a contrast above the gate
    x_train = features(rng, 10)
    config = AugmentConfig(probability=1.0)
    rng = np.random.default_rng(3)
    noisy = x.copy()
    y = augment.augment_targets(x, augment.contrast(x) > 1000.0, x_train, np.arange(10), config, rng)
    np.testing.assert_array_equal(x, noisy)                          # the clean clips are not touched
    draws = np.random.default_rng(3)                                 # the noise alone, drawn again in the same order
    draws.random(400), draws.uniform(size=400)
    noise = draws.standard_normal(x.shape, dtype=np.float32)
    share = ((y - x) * noise).mean(axis=(1, 2), keepdims=True) / (noise ** 2).mean(axis=(1, 2), keepdims=True)
    part = share * noise if kind == "noise" else y - x - share * noise
    snr_db = realised_snr_db(x, x + part)
    slack = 0.5                                                      # dB: noise and overlay are not quite orthogonal
    assert 4 - slack <= snr_db[::2].min() and snr_db[::2].max() <= 6 + slack
    assert 8 - slack <= snr_db[1::2].min() and snr_db[1::2].max() <= 16 + slack


def test_noise_and_overlay_act_independently_with_probability_p(rng):
    n, p = 4000, 0.3
    x = np.full((n, 3, 2), 100.0, np.float32)
    x_train = np.full((4, 3, 2), 77, np.uint16)                      # an overlay shifts all features alike
    y = augment.augment_targets(x, np.zeros(len(x), bool), x_train, np.arange(4), AugmentConfig(probability=p), rng)
    untouched = (y == x).all(axis=(1, 2))
    only_overlay = (np.ptp(y, axis=(1, 2)) < 1e-3) & ~untouched
    for count, share in ((untouched.sum(), (1 - p) ** 2), (only_overlay.sum(), p * (1 - p))):
        assert abs(count - n * share) < STANDARD_ERRORS * np.sqrt(n * share * (1 - share))


def test_overlay_uses_training_negatives_only(rng):
    x = np.full((50, 3, 2), 100.0, np.float32)
    x_train = rng.uniform(1, 9, (6, 3, 2)).astype(np.float32)
    x_train[[0, 1, 3, 4]] = np.nan                                   # the positives: one of them would spoil its clip
    y = augment.augment_targets(x, np.ones(len(x), bool), x_train, np.array([2, 5]), AugmentConfig(probability=1.0), rng)
    assert y.shape == x.shape and y.dtype == np.float32 and np.isfinite(y).all()


def test_gate_is_a_percentile_of_the_positives_or_fixed(rng):
    x = features(rng, 101)
    contrasts = x.reshape(101, -1).max(axis=1) - np.median(x.reshape(101, -1), axis=1)
    assert augment.gate_value(x, AugmentConfig()) == pytest.approx(np.sort(contrasts)[70])
    assert augment.gate_value(x, AugmentConfig(gate="fixed", gate_contrast=400.0)) == 400.0


def test_no_positives_in_a_batch(rng):
    y = augment.augment_targets(np.zeros((0, 84, 32), np.float32), np.zeros(0, bool), features(rng, 2), np.arange(2), AugmentConfig(), rng)
    assert y.shape == (0, 84, 32)


@pytest.mark.parametrize("option", [{"probability": 1.5}, {"gate": "median"}, {"gate_percentile": -1.0},
                                    {"snr_above_db": (6.0, 4.0)}, {"snr_below_db": (1.0,)}])
def test_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        AugmentConfig(**option)
