"""Adam on {name: array}."""
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AdamConfig:
    """Adam's constants, as in the paper."""
    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self):
        for name, low, high in (("learning_rate", 0, 10), ("epsilon", 0, 1)):
            if not low < getattr(self, name) < high:
                raise ValueError(f"{name}={getattr(self, name)!r}; accepted: above {low} and below {high}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}; accepted: at least 0 and below 1")


def adam_init(params: dict) -> tuple[dict, dict]:
    """First and second moments m, v: zeros in the shapes of params."""
    return ({name: np.zeros_like(p) for name, p in params.items()},
            {name: np.zeros_like(p) for name, p in params.items()})


def cosine_decay(step: int, n_steps: int) -> float:
    """(1 + cos(π (step − 1) / n_steps)) / 2: 1 in the first step, towards 0 after the last; step counts from 1."""
    return 0.5 * (1 + math.cos(math.pi * (step - 1) / n_steps))


def adam_step(params: dict, gradients: dict, m: dict, v: dict, step: int, config: AdamConfig, decay: float = 1.0) -> None:
    """One update of params, m and v in place; step counts from 1, decay multiplies the learning rate.

        m ← β1 m + (1 − β1) g                                 (1)
        v ← β2 v + (1 − β2) g²                                (2)
        η = decay · learning_rate · sqrt(1 − β2^t) / (1 − β1^t)       (3)
        θ ← θ − η m / (sqrt(v) + ε)                           (4)   ε beside the uncorrected sqrt(v), as in Keras

    Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 1 in the order of the end of its section 2.
    """
    eta = decay * config.learning_rate * np.sqrt(1 - config.beta2 ** step) / (1 - config.beta1 ** step)     # (3)
    for name, p in params.items():
        g, scalar = gradients[name], p.dtype.type
        m[name] += scalar(1 - config.beta1) * (g - m[name])                                        # (1)
        v[name] += scalar(1 - config.beta2) * (g * g - v[name])                                    # (2)
        p -= scalar(eta) * m[name] / (np.sqrt(v[name]) + scalar(config.epsilon))                   # (4)
