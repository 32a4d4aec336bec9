"""A student nobody trained: random weights from a seed, calibrated on synthetic clips; the same wherever it is made."""
import numpy as np

from npgru import checkpoint, compress, features, int8, model, synth
from npgru.front_end import FrontEnd

CLASSES = ("Negatives", "Wren")


def seeded_student(state_bits: int = 16, config: model.NetworkConfig | None = None) -> int8.IntegerModel:
    """An IntegerModel of the paper's student, or of another network on the paper's front end."""
    rng, front_end = np.random.default_rng(20), FrontEnd.paper()
    x = np.stack([features.log_mel(synthetic_clip(k), front_end) for k in range(32)])
    layers = model.build(config or model.student(), x.shape[2])
    params, stats = model.init(layers, rng)
    for _ in range(3):
        stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    trained = checkpoint.Model(layers, params, stats, front_end, CLASSES, 2.0)
    layers, params, stats = compress.quantisable(trained, x, compress.QuantisationConfig())
    return int8.freeze(checkpoint.Model(layers, params, stats, front_end, CLASSES, 2.0), state_bits)


def synthetic_clip(k: int) -> np.ndarray:
    """Clip k of the synthetic corpus with seed 1, (32000,) int16."""
    return features.to_int16(synth.clip_samples(1, 0, k).astype(np.float32))
