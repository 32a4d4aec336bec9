"""What a network costs: parameters, multiply-adds, zeros, bytes. Counted from the layer list, not measured."""
import math
import zlib

import numpy as np

from .layers.conv2d import same_padding
from .model import Layer


def n_parameters(layers: list[Layer]) -> int:
    """Numbers that ship: batch-norm folded, so its γ is inside the kernel before it and its β is that one's bias.

    The ranges of fake-quantisation layers are no parameters of the network: they become scales.
    """
    return sum(int(np.prod(shape)) for layer in layers if not layer.kind.startswith("fake_quant")
               for key, shape in layer.shapes.items() if not (layer.kind == "batchnorm" and key == "gamma"))


def multiply_adds(layers: list[Layer], n_frames: int, n_mels: int) -> int:
    """Multiply-adds of one clip, x (T, M), in the layers with kernels; batch-norm folded, borders counted like the middle."""
    return sum(places * kernel_size(layer) for layer, places, _ in places_of(layers, n_frames, n_mels))


def kernel_size(layer: Layer) -> int:
    """Weights that are multiplied: those of its kernels, without biases."""
    return sum(math.prod(shape) for key, shape in layer.shapes.items() if key in ("w", "u"))


def places_of(layers: list[Layer], n_frames: int, n_mels: int, n_channels: int = 1):
    """Each layer of one clip, x (T, M) or (T, M, C), with the places (frames x bands) of its output and the numbers of its input.

    conv2d's stride, the pool over bands, the stack and the mean over time change the number of places, nothing else does.
    """
    n, C = [n_frames, n_mels], n_channels
    for layer in layers:
        size = math.prod(n) * C
        if layer.kind == "conv2d":
            stride = layer.settings.get("stride", (1, 1))
            n = [same_padding(length, k, s)[0] for length, k, s in zip(n, layer.shapes["w"], stride)]
        elif layer.kind == "maxpool":
            n = [n[0], n[1] // layer.settings["size"]]
        elif layer.kind == "stack":
            n, C = [n[0], 1], n[1] * C
        elif layer.kind == "mean_time":
            n = [1, n[1]]
        if layer.kind in ("conv2d", "pointwise", "dense"):
            C = layer.shapes["w"][-1]
        elif "u" in layer.shapes:
            C = layer.shapes["u"][0]
        yield layer, math.prod(n), size


# Additions, multiplications and comparisons for each number that goes in, forward and backward, as the equations have them.
ELEMENTWISE = {"scale": (1, 1), "batchnorm": (7, 10), "relu6": (2, 1), "relu": (1, 1), "maxpool": (1, 1), "dropout": (1, 1),
               "mean_time": (1, 1)}


def layer_operations(layer: Layer, places: int, size: int) -> tuple[int, int]:
    """Floating-point operations of a layer a clip, forward and backward, as places_of has it.

        forward   2 · multiply-adds
        backward  the same for dx, and the same for dw

    What the equations need, not how often an implementation does it; the GRU's gates are left out beside its kernels.
    """
    if kernel := kernel_size(layer):
        return 2 * places * kernel, 4 * places * kernel
    forward, backward = ELEMENTWISE.get(layer.kind, (0, 0))
    return forward * size, backward * size


def step_operations(layers: list[Layer], n_frames: int, n_mels: int) -> dict[str, tuple[int, int]]:
    """{layer's name: layer_operations} of a training step a clip, x (T, M); no dx where no layer before has weights."""
    operations, before = {}, False
    for layer, places, size in places_of(layers, n_frames, n_mels):
        forward, backward = layer_operations(layer, places, size)
        operations[layer.name] = forward, backward if before else backward // 2 if layer.shapes else 0
        before |= bool(layer.shapes)
    return operations


def sparsity(layers: list[Layer], params: dict) -> tuple[float, float]:
    """Share of zeros among the weights of convolutions and dense layers (what the paper prunes), and of all kernels."""
    n_zeros, sizes = np.zeros(2, int), np.zeros(2, int)                       # without and with the GRU
    for layer in layers:
        for key in layer.shapes.keys() & {"w", "u"}:
            array, counted = params[f"{layer.name}/{key}"], [not layer.kind.startswith("gru"), True]
            n_zeros += np.multiply(counted, np.count_nonzero(array == 0))
            sizes += np.multiply(counted, array.size)
    without_gru, all_kernels = n_zeros / np.maximum(sizes, 1)
    return float(without_gru), float(all_kernels)


def compressed_bytes(params: dict) -> int:
    """Bytes of all weights, as they are stored (float32 or int8), through zlib at its best: zeros get small here."""
    return len(zlib.compress(b"".join(np.ascontiguousarray(array).tobytes() for array in params.values()), 9))
