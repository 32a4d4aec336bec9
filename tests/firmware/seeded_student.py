"""A student nobody trained: random weights from a seed, calibrated on synthetic clips; the same wherever it is made."""
import numpy as np

from npgru import bench_int8, features, int8, model, synth
from npgru.front_end import FrontEnd


def seeded_student(state_bits: int = 16, config: model.NetworkConfig | None = None) -> int8.IntegerModel:
    """An IntegerModel of the paper's student, or of another network on the paper's front end."""
    x = np.stack([features.log_mel(synthetic_clip(k), FrontEnd.paper()) for k in range(32)])
    return bench_int8.seeded_student(x, state_bits, config)


def synthetic_clip(k: int) -> np.ndarray:
    """Clip k of the synthetic corpus with seed 1, (32000,) int16."""
    return features.to_int16(synth.clip_samples(1, 0, k).astype(np.float32))
