"""Losses: (logits, targets) -> (loss, dlogits)."""
from dataclasses import dataclass

import numpy as np

from .model import softmax


def log_softmax(logits):
    """log p_k = l_k − max − log Σ_j e^{l_j − max} over the last axis: never log 0."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits, y, class_weights):
    """Weighted categorical cross-entropy on logits, mean over the batch.

        p = softmax(l)                                    (1)
        L = (1/B) Σ_b w[y_b] · (−log p[b, y_b])           (2)
        dL/dl[b,k] = w[y_b]/B · (p[b,k] − [k = y_b])      (3)

    With two classes, p_0 = 1 − p_1, the paper's mean binary cross-entropy over both softmax columns is exactly
    (2): −(1/2) Σ_k [y_k log p_k + (1 − y_k) log(1 − p_k)] has two equal terms, −log p[y].

    logits (B, K), y (B,) whole numbers below K, class_weights (K,); returns L and dlogits (B, K).
    """
    rows = np.arange(len(y))
    weights = class_weights[y].astype(logits.dtype) / len(y)
    log_p = log_softmax(logits)                                                  # log of (1)
    loss = -(weights * log_p[rows, y]).sum()                                     # (2)
    dlogits = np.exp(log_p)
    dlogits[rows, y] -= 1
    return float(loss), dlogits * weights[:, None]                               # (3)


def balanced_class_weights(y, n_classes: int = 2) -> np.ndarray:
    """w_k = total / count_k, (K,) float32. y (N,); raises ValueError if a class has no clip."""
    counts = np.bincount(y, minlength=n_classes)
    if (counts == 0).any():
        raise ValueError(f"class weights need every class, found {counts.tolist()} clips (negatives, targets)")
    return (len(y) / counts).astype(np.float32)


@dataclass(frozen=True)
class DistillationConfig:
    """How much the student learns from the teacher, and of what.

    alpha         weight of the teacher's term, in [0, 1]; the labels have the rest
    temperature   T >= 1: softens both distributions
    t_squared     multiply the teacher's term by T² (Hinton), so that its gradient does not fade with T
    of            "logits"; "probabilities": of outputs that are already softmax, the slip of the author's code, which
                  at T = 3 squeezes every probability into 0.42 .. 0.58 and leaves the term almost flat
    """
    alpha: float = 0.5
    temperature: float = 3.0
    t_squared: bool = False
    of: str = "logits"

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha={self.alpha!r}; accepted: 0 to 1")
        if not 1 <= self.temperature <= 1e6:
            raise ValueError(f"temperature={self.temperature!r}; accepted: 1 to 1e6")
        if self.of not in ("logits", "probabilities"):
            raise ValueError(f"distillation of={self.of!r}; accepted: 'logits', 'probabilities'")


def soft_targets(student, teacher, temperature):
    """Mean Kullback-Leibler divergence of two softened softmaxes.

        p = softmax(t / T),  q = softmax(s / T)                (1)
        L = (1/B) Σ_b Σ_k p_k (log p_k − log q_k)              (2)
        dL/ds = (q − p) / (B T)                                (3)

    student s, teacher t (B, K); returns L and ds (B, K).
    """
    log_p, log_q = log_softmax(teacher / temperature), log_softmax(student / temperature)          # (1)
    p, q = np.exp(log_p), np.exp(log_q)
    divergence = (p * (log_p - log_q)).sum() / len(student)                                        # (2)
    return float(divergence), (q - p) / student.dtype.type(len(student) * temperature)             # (3)


def distillation(student_logits, teacher_logits, y, class_weights, config: DistillationConfig):
    """L = α KL(p || q) + (1 − α) CE(y, softmax(s)); see soft_targets and cross_entropy.

    student_logits s, teacher_logits t (B, K), y (B,), class_weights (K,); returns L and dL/ds (B, K).
    Source: Hinton et al. 2015, arXiv:1503.02531, with the factor T² as a switch.
    """
    hard, d_hard = cross_entropy(student_logits, y, class_weights)
    if config.of == "logits":
        soft, d_soft = soft_targets(student_logits, teacher_logits, config.temperature)
    else:
        p_student = softmax(student_logits)
        soft, d_p = soft_targets(p_student, softmax(teacher_logits), config.temperature)
        d_soft = p_student * (d_p - (d_p * p_student).sum(axis=1, keepdims=True))                  # through the softmax
    share = config.alpha * (config.temperature ** 2 if config.t_squared else 1.0)
    d_logits = student_logits.dtype.type(share) * d_soft + student_logits.dtype.type(1 - config.alpha) * d_hard
    return share * soft + (1 - config.alpha) * hard, d_logits
