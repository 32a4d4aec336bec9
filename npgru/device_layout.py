"""An IntegerModel -> the layers of csrc/device: sizes of the buffers, output stages, weights in the order of the kernels.

On the device an activation is u = code + 128 in 0..255, and `zero` is the u of real 0. With the zero in the bias,

    Σ (x − x_zero_point) w + b = Σ u w + bias,    bias = b − zero Σ w                       (1)
    u_out = clamp(MBQ(acc) + zero_out, low, high)                                           (2)

What is fast on a core, and how that is proved, is in device_fast.py.
"""
from dataclasses import dataclass

import numpy as np

from .export_tflite import clip_shape
from .int8 import IntegerModel, Operator
from .layers.conv2d import same_padding

GROUP = 8                               # columns of two rows between a depthwise layer and its pointwise layer
UNROLL_ROWS, UNROLL_PAIRS = (2, 5, 10), (4, 6, 8, 12, 16, 24)         # what csrc/device/*_dsp.c have
MAX_ACC = 2**31 - 1


@dataclass(frozen=True)
class Stage:
    """(2): zero, low and high in 0..255; bias, multiplier, shift (N,) int64, the bias with the input's zero inside."""
    zero: int
    low: int
    high: int
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """A layer before the GRU.

    kind        conv2d, depthwise2d or pointwise            w           int8: (N, k_t, k_m), (C, 3, 3) or (N, C)
    columns     M' of its output                            in_zero     the u of its input's real 0
    sizes       the first convolution's: kernel, stride and padding of both axes
    """
    kind: str
    name: str
    w: np.ndarray
    columns: int
    in_zero: int
    stage: Stage
    sizes: dict

    @property
    def channels(self) -> int:
        return len(self.w)

    @property
    def ring_columns(self) -> int:
        """The fast kernels write 4 columns at a time."""
        return up_to_multiple(self.columns, 4)


@dataclass(frozen=True)
class Network:
    """All of it: the convolution, blocks of (depthwise, pointwise), the pool's size, and the operators from the GRU on."""
    conv: Convolution
    blocks: list[tuple[Convolution, Convolution]]
    pool: int
    n_steps: int
    gru: Operator
    mean: Operator
    dense: list[Operator]
    softmax: Operator

    @property
    def layers(self) -> list[Convolution]:
        """All before the GRU."""
        return [self.conv, *(layer for block in self.blocks for layer in block)]

    @property
    def rings(self) -> list[int]:
        """Words of each ring: the outputs of the convolution and of all pointwise layers but the last."""
        written = [self.conv, *(pointwise for _, pointwise in self.blocks[:-1])]
        return [up_to_multiple(layer.channels, 2) * layer.ring_columns for layer in written]

    @property
    def unroll(self) -> dict[str, int]:
        """{kind: what its fast kernel takes a turn}: rows of taps of the convolution, pairs of inputs of pointwise layers."""
        inputs = {kind: [layer.w.shape[1] for layer in layers] for kind, layers in self.by_kind.items()}
        return {"CONV": fewest(UNROLL_ROWS, inputs["CONV"], 1)} | {
            kind: fewest(UNROLL_PAIRS, inputs[kind], 2) for kind in ("POINTWISE", "POOL")}

    @property
    def by_kind(self) -> dict[str, list[Convolution]]:
        """{kind of kernel: its layers}; the last pointwise layer is of the kind POOL"""
        depthwise, pointwise = ([block[k] for block in self.blocks] for k in (0, 1))
        return {"CONV": [self.conv], "DEPTHWISE": depthwise, "POINTWISE": pointwise[:-1], "POOL": pointwise[-1:]}

    def inputs(self, kind: str, layer: Convolution) -> int:
        """Rows of taps, or input channels, up to whole turns of the fast kernel."""
        return up_to_multiple(layer.w.shape[1], self.unroll[kind] * (1 if kind == "CONV" else 2))

    def pair_words(self, k: int) -> int:
        """Of 4 columns of a row in the buffer of block k."""
        return 2 * self.inputs("POOL" if k == len(self.blocks) - 1 else "POINTWISE", self.blocks[k][1])

    def turns(self, kind: str) -> int:
        """Of the fast kernel: 1 if that is enough for all layers of the kind, else 0 for any number."""
        most = self.unroll[kind] * (1 if kind == "CONV" else 2)
        return int(all(layer.w.shape[1] <= most for layer in self.by_kind[kind]))


def fewest(choices, inputs, each: int) -> int:
    """The largest of the choices with which the least is filled up with zeros."""
    return min(choices, key=lambda unroll: (sum(up_to_multiple(n, each * unroll) for n in inputs), -unroll))


def up_to_multiple(n: int, of: int) -> int:
    return -(-n // of) * of


def stage_of(op: Operator, x_zero: int, w_sums) -> Stage:
    """(1), (2).   w_sums (N,): the sum of each output's weights"""
    p = op.record
    bias = op.arrays["bias"].astype(np.int64) - x_zero * w_sums
    return Stage(p.y_zero_point + 128, p.y_min + 128, p.y_max + 128, bias, p.multiplier.astype(np.int64),
                 p.shift.astype(np.int64))


def first_convolution(op: Operator, x_zero_point: int, shape) -> Convolution:
    """shape (T, M) of the features"""
    w, stride = op.arrays["w"][..., 0], op.settings["stride"]
    (_, pad_t, _), (columns, pad_m, _) = (same_padding(*axis) for axis in zip(shape, w.shape[1:], stride))
    sizes = {"kernel_rows": w.shape[1], "kernel_columns": w.shape[2], "stride_rows": stride[0], "stride_columns": stride[1],
             "pad_rows": pad_t, "pad_columns": pad_m, "in_columns": shape[1],
             "window_columns": up_to_multiple(max(pad_m + shape[1], (columns - 1) * stride[1] + w.shape[2]), 2)}
    return layer("conv2d", op, w, columns, x_zero_point, sizes)


def layer(kind, op, w, columns, x_zero_point, sizes=None) -> Convolution:
    """w (N, ..): the weights of each output"""
    sums, zero = w.reshape(len(w), -1).sum(axis=1, dtype=np.int64), x_zero_point + 128
    largest = np.abs(w.reshape(len(w), -1).astype(np.int64)).sum(axis=1) * 510 + np.abs(op.arrays["bias"].astype(np.int64))
    if largest.max() > MAX_ACC:
        raise ValueError(f"{op.name}: its sums reach {largest.max()}; accepted: up to 2^31 - 1; what it reads was 0 on all "
                         "clips of the calibration: calibrate on others, or train again")
    return Convolution(kind, op.name, np.ascontiguousarray(w), columns, zero, stage_of(op, zero, sums), sizes or {})


def network_of(integers: IntegerModel) -> Network:
    """raises ValueError for an order of operators that a device does not run, or sums that could overflow."""
    _, T, M, _ = clip_shape(integers)
    features, first, *others = integers.operators
    kinds = [op.kind for op in others]
    n_blocks, n_dense = kinds.count("depthwise2d"), kinds.count("dense")
    known = ["depthwise2d", "conv2d"] * n_blocks + ["maxpool", "stack", "gru", "mean_time"] + ["dense"] * n_dense + ["softmax"]
    if first.kind != "conv2d" or kinds != known or n_dense < 1:
        raise ValueError(f"operators {first.kind}, {', '.join(kinds)}; accepted: conv2d, blocks of depthwise2d and conv2d, "
                         "maxpool, stack, gru, mean_time, dense, softmax")
    conv, blocks, x = first_convolution(first, features.y.zero_point, (T, M)), [], first.y
    for k in range(0, 2 * n_blocks, 2):
        depthwise, pointwise = others[k:k + 2]
        blocks.append((layer("depthwise2d", depthwise, depthwise.arrays["w"].transpose(2, 0, 1), conv.columns, x.zero_point),
                       layer("pointwise", pointwise, pointwise.arrays["w"][:, 0, 0], conv.columns, depthwise.y.zero_point)))
        x = pointwise.y
    maxpool, _, gru, mean, *dense, softmax = others[2 * n_blocks:]
    n_steps = -(-T // first.settings["stride"][0])
    return Network(conv, blocks, maxpool.settings["kernel"][1], n_steps, gru, mean, dense, softmax)
