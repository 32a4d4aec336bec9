"""A trained network from whatever file holds it, ready to score clips: a run folder, a checkpoint, or a .tflite file."""
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from . import checkpoint, import_tflite, int8, model, recipe
from .features import FrontEnd
from .int8 import IntegerModel

TFLITE = ".tflite"


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

    def scores(self, features, threads: int = 1) -> np.ndarray:
        """features uint16 (N, T, M) -> the target's probability (N,) float64; the same on any number of threads.

        A quantised network runs in integers; its score is the softmax of its int8 logits.
        """
        return self.scores_and_codes(features, threads)[0]

    def scores_and_codes(self, features, threads: int = 1) -> tuple[np.ndarray, np.ndarray | None]:
        """`scores`, and the integers that a quantised network gives, (N, 2) int8: what a runtime gives for its .tflite file."""
        if self.integers:
            last_dense, probabilities = (op.name for op in self.integers.operators[-2:])
            codes = int8.codes(self.integers, features, threads=threads)
            return model.target_score(int8.real(self.integers, codes, last_dense)), codes[probabilities]
        with threadpool_limits(1):
            return model.target_score(model.predict(self.floats.layers, self.floats.params, self.floats.stats, features)), None


def of_model(trained: checkpoint.Model, facts: dict, state_bits: int = 16) -> Detector:
    """A network in memory; a quantised one is frozen to integers, its GRU's state in state_bits."""
    integers = int8.freeze(trained, state_bits) if int8.is_quantised(trained) else None
    return Detector(trained.front_end, trained.clip_s, trained.classes, facts, integers, None if integers else trained)


def load(path: Path | str, product: str | None = None, state_bits: int = 16) -> Detector:
    """A run folder (its last finished network, or the product asked for), a checkpoint (.npz) or a .tflite file -> Detector.

    product, state_bits    of a run folder or a checkpoint; a .tflite file has one network, frozen already
    raises                 ValueError (a checkpoint.CheckpointError is one) for anything else
    """
    file = file_of(path, product)
    if file.suffix != TFLITE:
        return of_model(*checkpoint.load_model(file), state_bits)
    integers, facts = import_tflite.read_tflite(file)
    return Detector(integers.front_end, integers.clip_s, integers.classes, facts, integers, None)


def store_facts(path: Path | str, facts: Mapping, product: str | None = None) -> Path:
    """Add facts (JSON-able: a threshold, ...) to a network's file, or replace those of the same names -> the file.

    It is written anew, whole or not at all. raises ValueError as load, and for what belongs to the network itself
    """
    file = file_of(path, product)
    if file.suffix == TFLITE:
        _, known = import_tflite.read_tflite(file)
        content = import_tflite.with_facts(file.read_bytes(), {**known, **facts})
        checkpoint.write_atomically(file, lambda opened: opened.write(content))
        return file
    trained, header = checkpoint.load_model(file)
    if taken := sorted(facts.keys() & checkpoint.model_header(trained).keys()):
        raise ValueError(f"{', '.join(taken)}: belongs to the network itself; accepted: other facts")
    checkpoint.save(file, checkpoint.load(file)[0], {**header, **facts})
    return file


def file_of(path: Path | str, product: str | None) -> Path:
    """The checkpoint or .tflite file that a path means."""
    path = Path(path)
    if path.suffix != TFLITE or path.is_dir():
        return recipe.find_checkpoint(path, product)
    if not path.exists():
        raise ValueError(f"{path}: there is no such file; give a .tflite file, a run folder or a checkpoint (.npz)")
    if product:
        raise ValueError(f"{path}: a .tflite file holds one network, found --stage {product}; leave --stage out")
    return path
