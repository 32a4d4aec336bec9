"""Layer list -> layer list: pruning of weights or of whole channels, folding of batch-norm, fake quantisation."""
from dataclasses import dataclass, replace

import numpy as np

from .layers.gru import gru_forward
from .model import INPUT_CODES, Layer, apply_layer


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
    apply_masks(state.weights, state.masks)


def apply_masks(params: dict, masks: dict) -> None:
    """What a mask covers becomes zero, in place."""
    for name, mask in masks.items():
        params[name] *= mask


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


@dataclass(frozen=True)
class QuantisationConfig:
    """How ranges are found.

    calibration_clips     clean training clips that set the ranges before quantisation-aware training
    range_momentum        share of an activation's range that a training step keeps
    gru_headroom          the GRU's int16 ranges are this much wider than what calibration met
    """
    calibration_clips: int = 512
    range_momentum: float = 0.99
    gru_headroom: float = 1.25

    def __post_init__(self):
        if not 1 <= self.calibration_clips <= 100_000:
            raise ValueError(f"calibration_clips={self.calibration_clips!r}; accepted: 1 to 100 000")
        if not 0 <= self.range_momentum < 1:
            raise ValueError(f"range_momentum={self.range_momentum!r}; accepted: at least 0 and below 1")
        if not 1 <= self.gru_headroom <= 16:
            raise ValueError(f"gru_headroom={self.gru_headroom!r}; accepted: 1 to 16")


def fold_batchnorm(layers: list[Layer], params: dict, stats: dict) -> tuple[list[Layer], dict]:
    """Batch-norm with frozen statistics goes into the kernel before it: what is trained from here on is what is shipped.

        w' = w γ / sqrt(v + ε),  b' = β − μ γ / sqrt(v + ε)          per output channel, w's last axis

    returns layers in which a bias stands for each batch-norm, and their weights
    """
    folded, kept = [], {name: array for name, array in params.items() if not name.endswith(("/gamma", "/beta"))}
    for layer in layers:
        if layer.kind != "batchnorm":
            folded.append(layer)
            continue
        before, name = folded[-1].name, layer.name
        scale = params[f"{name}/gamma"] / np.sqrt(stats[f"{name}/var"] + np.float32(layer.settings["eps"]))
        kept[f"{before}/w"] = params[f"{before}/w"] * scale
        kept[f"{before}_bias/b"] = params[f"{name}/beta"] - stats[f"{name}/mean"] * scale
        folded.append(Layer("bias", f"{before}_bias", {"b": scale.shape}))
    return folded, kept


def insert_fake_quant(layers: list[Layer], config: QuantisationConfig) -> list[Layer]:
    """A folded list with int8 weights and a fake_quant wherever the integer network has an int8 tensor of its own scale.

    That is: the scaled input, behind every ReLU6, behind the mean over time, and behind each dense layer with its ReLU.
    The input's range stays as calibrated: augmentation makes features that no recording has.
    """
    moving = {"momentum": config.range_momentum}
    quantised, codes, kernel = [layers[0], Layer("fake_quant", INPUT_CODES)], INPUT_CODES, ""
    for layer in layers[1:]:
        if layer.shapes:
            kernel = layer.name if "w" in layer.shapes else kernel               # a bias belongs to the kernel before
            layer = replace(layer, kind={"gru": "gru_quantised"}.get(layer.kind, layer.kind),
                            settings={**layer.settings, "kernel": kernel, "codes": codes})
        quantised.append(layer)
        if layer.kind in ("relu6", "relu", "mean_time") or layer.name == layers[-1].name:
            behind = {} if layer.kind == "mean_time" else {"kernel": kernel, "codes": codes}
            codes = f"{layer.name}_codes"
            quantised.append(Layer("fake_quant", codes, settings=moving | behind))
    return quantised


def calibrate(layers: list[Layer], params: dict, x, config: QuantisationConfig) -> dict:
    """Ranges of a fake-quantised list: smallest and largest value of each tensor over clips x (N, T, M) -> stats.

    Each layer sees what the layers before it, already on their grids, make of x.
    """
    stats, x = {}, x[..., None].astype(np.float32)
    for layer in layers:
        if layer.kind == "fake_quant":
            stats[f"{layer.name}/low"], stats[f"{layer.name}/high"] = x.min(), x.max()
        elif layer.kind == "gru_quantised":
            stats[f"{layer.name}/ranges"] = config.gru_headroom * gru_ranges(x, *(params[f"{layer.name}/{key}"] for key in "wubc"))
        if layer.kind != "dropout":
            x, _ = apply_layer(layer, params, stats, x)
    return stats


def gru_ranges(x, w, u, b, c):
    """Largest magnitudes of the GRU's four calibrated tensors on x (B, T, D), in the order of gru_quantised's RANGES."""
    H = len(u)
    y, (_, _, _, h, gates) = gru_forward(x, w, u, b, c)
    gx = (x.reshape(-1, x.shape[-1]) @ w + b).reshape(*x.shape[:2], -1)
    gh = h[:, :-1] @ u + c
    candidate = gx[:, :, 2*H:] + np.stack([r * s_n for _, r, _, s_n in gates], axis=1)
    return np.array([np.abs(a).max() for a in (gx, gh, gx[:, :, :2*H] + gh[:, :, :2*H], candidate)], x.dtype)


def quantisable(trained, x, config: QuantisationConfig):
    """A float model (checkpoint.Model) and clean clips x -> layers, weights and stats on the integers' grids."""
    layers, params = fold_batchnorm(trained.layers, trained.params, trained.stats)
    layers = insert_fake_quant(layers, config)
    return layers, params, calibrate(layers, params, x[:config.calibration_clips], config)
