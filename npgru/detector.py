"""A trained network from whatever file holds it, ready to score clips: a run folder, a checkpoint, or a .tflite file."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from . import checkpoint, int8, model, recipe
from .features import FrontEnd
from .int8 import IntegerModel


@dataclass(frozen=True)
class Detector:
    """What scores clips, and what must be known to use it.

    front_end    how samples become features        clip_s       length of a clip, seconds
    classes      (negatives, target)                facts        seed, threshold (the best F1's), provenance, ...
    integers     a quantised network, else None     floats       a float network, else None
    """
    front_end: FrontEnd
    clip_s: float
    classes: tuple[str, str]
    facts: dict
    integers: IntegerModel | None
    floats: checkpoint.Model | None

    def scores(self, features) -> np.ndarray:
        """features uint16 (N, T, M) -> the target's probability (N,) float64; the same on any number of threads.

        A quantised network runs in integers; its score is the softmax of its int8 logits.
        """
        if self.integers:
            return model.target_score(int8.logits(self.integers, features))
        with threadpool_limits(1):
            return model.target_score(model.predict(self.floats.layers, self.floats.params, self.floats.stats, features))


def of_model(trained: checkpoint.Model, facts: dict, state_bits: int = 16) -> Detector:
    """A network in memory; a quantised one is frozen to integers, its GRU's state in state_bits."""
    integers = int8.freeze(trained, state_bits) if int8.is_quantised(trained) else None
    return Detector(trained.front_end, trained.clip_s, trained.classes, facts, integers, None if integers else trained)


def load(path: Path | str, product: str | None = None, state_bits: int = 16) -> Detector:
    """A run folder (its last finished network, or the product asked for) or a checkpoint (.npz) -> Detector.

    raises  checkpoint.CheckpointError for anything else
    """
    return of_model(*checkpoint.load_model(recipe.find_checkpoint(Path(path), product)), state_bits)
