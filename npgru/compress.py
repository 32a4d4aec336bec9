"""Smaller networks: magnitude pruning of single weights, or of whole channels, which really shrinks the layers."""
from dataclasses import dataclass, replace

import numpy as np

from .model import Layer


@dataclass(frozen=True)
class PruningConfig:
    """What is taken away, and how fast.

    sparsity            s_f, the share of weights (or channels) that is zero at the end, in [0, 1)
    initial_sparsity    s_i, at step 0
    every_steps         the masks are renewed every so many steps, and at the end
    structure           "weights": single weights of each kernel; "channels": whole filters, which are then removed
    kinds               layers whose kernels are pruned ("weights" only)
    """
    sparsity: float = 0.35
    initial_sparsity: float = 0.0
    every_steps: int = 100
    structure: str = "weights"
    kinds: tuple[str, ...] = ("conv2d", "depthwise2d", "pointwise", "dense")

    def __post_init__(self):
        if not 0 <= self.initial_sparsity <= self.sparsity < 1:
            raise ValueError(f"initial_sparsity={self.initial_sparsity!r}, sparsity={self.sparsity!r}; "
                             "accepted: 0 <= initial_sparsity <= sparsity < 1")
        if not 1 <= self.every_steps <= 1_000_000:
            raise ValueError(f"every_steps={self.every_steps!r}; accepted: 1 to 1 000 000")
        if self.structure not in ("weights", "channels"):
            raise ValueError(f"structure={self.structure!r}; accepted: 'weights', 'channels'")
        object.__setattr__(self, "kinds", tuple(self.kinds))
        known = ("conv2d", "depthwise2d", "pointwise", "dense", "gru")
        if unknown := set(self.kinds) - set(known):
            raise ValueError(f"kinds: {sorted(unknown)[0]!r} has no kernel to prune; accepted: {', '.join(known)}")


def sparsity_at(step: int, n_steps: int, config: PruningConfig) -> float:
    """s(t) = s_f + (s_i − s_f)(1 − t/n)³, t = step in 0..n. Source: Zhu and Gupta 2017, arXiv:1710.01878."""
    s_i, s_f = config.initial_sparsity, config.sparsity
    return s_f + (s_i - s_f) * (1 - step / n_steps) ** 3


def smallest(magnitudes, share: float) -> np.ndarray:
    """Mask (0 or 1, uint8) of an array: round(share · size) smallest magnitudes are 0, the first of equal ones.

    One is always left: a layer of zeros would cut the network in two.
    """
    mask = np.ones(magnitudes.size, np.uint8)
    n_zeros = min(round(share * magnitudes.size), magnitudes.size - 1)
    mask[np.argsort(magnitudes, axis=None, kind="stable")[:n_zeros]] = 0
    return mask.reshape(magnitudes.shape)


def weight_masks(layers: list[Layer], params: dict, sparsity: float, config: PruningConfig) -> dict:
    """{"layer/weight": mask} of each kernel by itself; biases and batch-norm have none."""
    return {name: smallest(np.abs(params[name]), sparsity)
            for layer in layers if layer.kind in config.kinds
            for name in (f"{layer.name}/{key}" for key in layer.shapes if key in ("w", "u"))}


def channel_groups(layers: list[Layer]) -> list[dict]:
    """What belongs to the same channels: [{"layer/weight": axis}], the first entry is the kernel that makes them.

    A channel runs from the kernel that makes it (conv2d, pointwise) through batch-norm and depthwise layers to the
    kernel that reads it. The network's output does not change when a channel whose parts are all zero is removed:
    batch-norm gives γ x̂ + β = 0 for it. The stack before the GRU lays channels out M'-fold along w's rows.
    """
    groups = []
    for layer in layers:
        if groups and layer.kind in ("pointwise", "gru"):
            groups[-1][f"{layer.name}/w"] = 0                          # reads the channels made before
        if layer.kind in ("conv2d", "pointwise"):
            groups.append({f"{layer.name}/w": len(layer.shapes["w"]) - 1})
        elif layer.kind in ("depthwise2d", "batchnorm"):
            groups[-1] |= {f"{layer.name}/{key}": len(shape) - 1 for key, shape in layer.shapes.items()}
    return groups


def channel_masks(layers: list[Layer], params: dict, sparsity: float) -> dict:
    """{"layer/weight": mask}: of each group the round(sparsity · C) channels with the smallest kernels are 0.

    A channel's magnitude is the Euclidean length of the filter that makes it.
    """
    masks = {name: np.ones(array.shape, np.uint8) for name, array in params.items()}
    for group in channel_groups(layers):
        maker = next(iter(group))
        length = np.sqrt(np.square(params[maker], dtype=np.float64).reshape(-1, params[maker].shape[-1]).sum(axis=0))
        kept = smallest(length, sparsity)                                                          # (C,)
        for name, axis in group.items():
            mask = np.moveaxis(masks[name], axis, -1)                                              # a view
            mask *= np.tile(kept, mask.shape[-1] // len(kept))                                     # gru: M' times
    return {name: mask for name, mask in masks.items() if not mask.all()}


def prune(layers: list[Layer], state, n_steps: int, config: PruningConfig) -> None:
    """After step state.step of n_steps: renew the masks when it is time, and keep what they cover at zero."""
    if state.step % config.every_steps == 0 or state.step == n_steps:
        share = sparsity_at(state.step, n_steps, config)
        state.masks = (weight_masks(layers, state.weights, share, config) if config.structure == "weights"
                       else channel_masks(layers, state.weights, share))
    for name, mask in state.masks.items():
        state.weights[name] *= mask


def remove_channels(layers: list[Layer], params: dict, stats: dict, masks: dict) -> tuple[list[Layer], dict, dict]:
    """Layers and arrays without the channels that channel_masks covers: the same function, a smaller network."""
    params, stats = dict(params), dict(stats)
    for group in channel_groups(layers):
        maker = next(iter(group))
        kept = np.moveaxis(masks[maker], -1, 0).reshape(masks[maker].shape[-1], -1).any(axis=1) if maker in masks else None
        if kept is None:
            continue
        for name, axis in group.items():
            params[name] = np.compress(np.tile(kept, params[name].shape[axis] // len(kept)), params[name], axis=axis)
            for key in ("mean", "var"):
                if name.endswith("/gamma"):
                    stats[name.replace("gamma", key)] = stats[name.replace("gamma", key)][kept]
    smaller = [replace(layer, shapes={key: params[f"{layer.name}/{key}"].shape for key in layer.shapes}) for layer in layers]
    return smaller, params, stats


def sparsity_of(params: dict) -> float:
    """Share of zeros among the kernels' weights."""
    kernels = [array for name, array in params.items() if name.endswith(("/w", "/u"))]
    return sum(int((array == 0).sum()) for array in kernels) / sum(array.size for array in kernels)
