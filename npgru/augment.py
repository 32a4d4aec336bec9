"""Dynamic augmentation of training positives on the log-mel: noise and overlay behind a contrast gate."""
from dataclasses import dataclass

import numpy as np

from .feature_rows import blocks, part


@dataclass(frozen=True)
class AugmentConfig:
    """The paper's augmentation.

    probability       of noise and, independently, of overlay, a clip
    gate              "percentile": the gate is that percentile of the training positives' contrast;
                      "fixed": it is gate_contrast (the author's code)
    gate_percentile   in [0, 100]
    gate_contrast     in feature units
    snr_above_db      range of the signal-to-noise ratio for clips above the gate
    snr_below_db      the same for all others
    """
    probability: float = 0.3
    gate: str = "percentile"
    gate_percentile: float = 70.0
    gate_contrast: float = 400.0
    snr_above_db: tuple[float, float] = (4.0, 6.0)
    snr_below_db: tuple[float, float] = (8.0, 16.0)

    def __post_init__(self):
        if not 0 <= self.probability <= 1:
            raise ValueError(f"augment probability={self.probability!r}; accepted: 0 to 1")
        if self.gate not in ("percentile", "fixed"):
            raise ValueError(f"augment gate={self.gate!r}; accepted: 'percentile', 'fixed'")
        if not 0 <= self.gate_percentile <= 100:
            raise ValueError(f"gate_percentile={self.gate_percentile!r}; accepted: 0 to 100")
        for name in ("snr_above_db", "snr_below_db"):
            snr = tuple(getattr(self, name))
            if len(snr) != 2 or not -60 <= snr[0] <= snr[1] <= 60:
                raise ValueError(f"{name}={snr!r}; accepted: [lowest, highest] in dB, between -60 and 60")
            object.__setattr__(self, name, snr)


def contrast(x) -> np.ndarray:
    """max − median of each clip's features; x (N, T, M) -> (N,) float32."""
    flat = (block.reshape(len(block), x.shape[1] * x.shape[2]) for block in blocks(x))          # N may be 0
    return np.concatenate([block.max(axis=1) - np.median(block, axis=1) for block in flat]).astype(np.float32)


def gate_value(x_targets, config: AugmentConfig) -> float:
    """The contrast above which a clip is loud and clear; x_targets (N, T, M), the training positives."""
    if config.gate == "fixed":
        return config.gate_contrast
    return float(np.percentile(contrast(x_targets), config.gate_percentile))


def are_clear(x_train, y_train, config: AugmentConfig) -> np.ndarray:
    """Which of the training clips x_train (N, T, M), y_train (N,) are positives above the gate: (N,) bool."""
    targets, clear = np.flatnonzero(y_train == 1), np.zeros(len(y_train), bool)
    x_targets = part(x_train, targets)
    clear[targets] = contrast(x_targets) > gate_value(x_targets, config)
    return clear


def rms(x) -> np.ndarray:
    """Root mean square of each clip, x (N, T, M) -> (N, 1, 1)."""
    return np.sqrt(np.square(x, dtype=np.float32).mean(axis=(1, 2), keepdims=True))


def interference_gain(x, interference, snr_db):
    """The factor g that puts g · interference snr_db below x.

        g = rms(x) / rms(interference) / 10^(snr_db / 20)        0 where the interference is silent

    x, interference (N, T, M), snr_db (N,); returns (N, 1, 1) float32.
    """
    level = rms(interference)
    asked = rms(x) / np.float32(10) ** (snr_db.astype(np.float32)[:, None, None] / 20)
    return np.divide(asked, level, out=np.zeros_like(level), where=level > 0)


def augment_targets(x, clear, x_train, negatives, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Noise and overlay on positives x (N, T, M) float32; returns new (N, T, M) float32.

    Each clip gets Gaussian noise with config.probability, and, independently, one of the training negatives
    x_train[negatives] added on top (SpecMixup). Both SNRs are drawn uniformly from the range of the clip's
    side of the gate and refer to the clean clip. clear (N,) bool: the clips above the gate (are_clear).
    """
    n = len(x)
    low, high = np.where(clear[:, None], config.snr_above_db, config.snr_below_db).T                  # (N,) each, dB
    y = x.copy()
    for draw in (lambda k: rng.standard_normal((k, *x.shape[1:]), dtype=np.float32),
                 lambda k: x_train[negatives[rng.integers(len(negatives), size=k)]].astype(np.float32)):
        chosen = np.flatnonzero(rng.random(n) < config.probability)
        snr_db = rng.uniform(low, high)[chosen]
        interference = draw(len(chosen))
        y[chosen] += interference_gain(x[chosen], interference, snr_db) * interference
    return y
