"""Losses: (logits, targets) -> (loss, dlogits)."""
import numpy as np

from .model import softmax


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
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))        # log of (1), never log 0
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
