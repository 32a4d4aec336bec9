"""The layers of device_layout.py -> the streams of csrc/device/kernels_rows.c, for cores without DSP instructions.

A record of a channel is offset, factor, info and its weights. The output stage is (1) of device_fast.py with N = 12, proved
there; a channel without a solution keeps the exact formula, its numbers in the same record.
"""
import numpy as np

from .device_fast import attainable, solve, words
from .device_layout import GROUP, Convolution, Network, up_to_multiple

SHIFT = 12                          # N of the output stage
LARGEST_SUM = 2**22                 # of the lower row: csrc/device/rows.h
KERNEL = (3, 3)                     # of a depthwise layer


def of_32_bits(factor: int, offset: int) -> int | None:
    """The M0+'s output stage, as info: with a = floor((256 acc + offset) / 256) and 24 bits behind the point,

        a floor(factor / 2^12) <= (256 acc + offset) factor / 2^20 < a floor(factor / 2^12) + a + floor(factor / 2^12) + 1

    for a >= 0. So u is its upper 8 bits unless the lower 24 are at least 2^24 − a − floor(factor / 2^12) − 1: then the kernel
    takes the long product. most: the largest a that stays in 32 bits, in 17 bits and a shift; u is 255 beyond it. None where
    that does not hold, or more than half of all products would be long.
    """
    short = factor >> 12
    most = (2**32 - 1) // max(short, 1)
    shift = max(most.bit_length() - 17, 0)
    most = most >> shift << shift
    open_ = (2**24 - most - short - 1) >> 16
    first = 256 * (most + 1) + (offset & 255)                                         # the least that is beyond `most`
    if short == 0 or open_ < 128 or (first * factor) >> 44 < 255:
        return None
    return most >> shift | shift << 17 | open_ << 22


def record(layer: Convolution, n: int, low: int, high: int) -> list[int]:
    """offset, factor, info. The kernels sum codes, u − 128: that of u is in the bias."""
    s = layer.stage
    bias = int(s.bias[n]) + 128 * int(layer.w[n].astype(np.int64).sum())
    found = solve(int(s.multiplier[n]), int(s.shift[n]), low, high, SHIFT) if (s.zero, s.low, s.high) == (0, 0, 255) else None
    by_threes = depthwise_in_threes(layer.w[n]) << 30
    info = of_32_bits(found[0], found[1]) if found else None
    if info is None:
        exact = 1 << 31 | int(s.shift[n] + 31) << 24 | s.zero << 16 | s.low << 8 | s.high
        return [bias, int(s.multiplier[n]), exact | by_threes]
    return [256 * bias + found[1], found[0], info | by_threes]


def depthwise_in_threes(w) -> bool:
    """Whether the products of a column's three weights with codes may be summed on an M0+ before the rows are taken apart.

    w    (3, 3) of a depthwise layer, or any other's, for which it is not asked
    """
    return bool(w.shape == KERNEL and 128 * np.abs(w.astype(np.int64)).sum(axis=0).max() < 2**15)


def packed_weights(w, multiple: int) -> np.ndarray:
    """int8 (D,) -> words, zeros behind."""
    padded = np.zeros(up_to_multiple(len(w), multiple), np.int8)
    padded[:len(w)] = w
    return padded.view("<u4")


def layer_stream(layer: Convolution) -> np.ndarray:
    """Records of all channels; a depthwise layer's weights column by column."""
    low, high = attainable(layer)
    depthwise = layer.kind == "depthwise2d"
    w = (layer.w.transpose(0, 2, 1) if depthwise else layer.w).reshape(layer.channels, -1)
    return np.concatenate([part for n in range(layer.channels) for part in
                           (words(record(layer, n, int(low[n]), int(high[n]))), packed_weights(w[n], 4 if depthwise else 8))])


def product_stream(w, bias, channels, largest_x: int, multiple: int) -> np.ndarray | None:
    """A product of the GRU: bias, r << 16 | shift of MBQ64, weights; None where 32 bits or the shift do not suffice."""
    q = channels.multiplier.astype(np.int64)
    r, shift = np.where(q < 0x7FFF0000, (q + 2**15) >> 16, 0x7FFF), 15 - channels.shift.astype(np.int64)
    largest = np.abs(w.astype(np.int64)).sum(axis=1) * largest_x + np.abs(bias)
    if largest.max() >= 2**31 or shift.min() < 17 or shift.max() > 31:
        return None
    return np.concatenate([part for n in range(len(w)) for part in
                           (words([bias[n], int(r[n]) << 16 | int(shift[n])]), packed_weights(w[n], multiple))])


def gru_streams(network: Network) -> tuple | None:
    """Streams of the products with x and with h; None where a bound does not hold."""
    op, p = network.gru, network.gru.record
    if op.settings["bits"] != 16 or not all(-30 <= e <= 0 for e in (p.reset.shift, p.blend.shift, *(
            e for s in (p.gates, p.candidate, p.difference, p.update) for e in (s.x1_shift, s.x2_shift, s.y_shift)))):
        return None
    both = (product_stream(op.arrays["w"], op.arrays["bx"], p.input, 128, 8),
            product_stream(op.arrays["u"], op.arrays["bh"], p.state, 2**15, 4))
    largest = 128 * np.abs(op.arrays["w"].astype(np.int64)).sum(axis=1).max()
    return None if both[0] is None or both[1] is None or largest >= LARGEST_SUM else both


def fits(layer: Convolution) -> bool:
    """Whether the kernels know its sizes, and the lower row's sums stay in their bits."""
    sums = np.abs(layer.w.reshape(layer.channels, -1).astype(np.int64)).sum(axis=1)
    return 128 * sums.max() < LARGEST_SUM and (layer.kind != "depthwise2d" or layer.w.shape[1:] == KERNEL)


def are_fast(network: Network) -> bool:
    """All layers but the GRU are fast, or nothing is: the buffers have a layout of their own."""
    return bool(network.blocks) and all(map(fits, network.layers))


def work_words(network: Network) -> list[int]:
    """Words of work that the kernels need: the convolution's windows, the pairs of each block, the GRU's input and its product."""
    conv, w = network.conv, network.gru.arrays["w"]
    windows = 2 * up_to_multiple(conv.w[0].size, 8) * (conv.ring_columns // 4)
    recurrent = up_to_multiple(w.shape[1], 8) + up_to_multiple(w.shape[0], 4)
    return [windows, recurrent, *(GROUP * up_to_multiple(depthwise.channels, 8) for depthwise, _ in network.blocks)]


def rows_arrays(network: Network) -> tuple[dict, dict]:
    """As device_fast.fast_arrays."""
    if not are_fast(network):
        return {layer.name: None for layer in network.layers} | {"gru": None}, {}
    return {layer.name: layer_stream(layer) for layer in network.layers} | {"gru": gru_streams(network)}, {}
