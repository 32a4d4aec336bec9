"""What a network costs: parameters, multiply-adds, zeros, bytes. Counted from the layer list, not measured."""
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
    """Multiply-adds of one clip, x (T, M), in the layers with kernels; batch-norm folded, borders counted like the middle.

        Σ_layers  positions · Σ_kernels size        positions: places (frames × bands) of the layer's output

    conv2d's stride, the pool over bands, the stack and the mean over time change the number of places, nothing else does.
    """
    n_positions, total = [n_frames, n_mels], 0
    for layer in layers:
        if layer.kind == "conv2d":
            stride = layer.settings.get("stride", (1, 1))
            n_positions = [same_padding(n, k, s)[0] for n, k, s in zip(n_positions, layer.shapes["w"], stride)]
        elif layer.kind == "maxpool":
            n_positions[1] //= layer.settings["size"]
        elif layer.kind == "stack":
            n_positions[1] = 1
        elif layer.kind == "mean_time":
            n_positions[0] = 1
        kernels = [shape for key, shape in layer.shapes.items() if key in ("w", "u")]
        total += n_positions[0] * n_positions[1] * sum(int(np.prod(shape)) for shape in kernels)
    return total


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
