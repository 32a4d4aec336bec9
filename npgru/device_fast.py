"""Which layers of a device run in a fast form, each proved equal to the exact formula; and their weights in its order.

Exact is u = clamp(MBQ(a, q, s), 0, 255) of the accumulator a. The DSP form computes it in two instructions,

    u = USAT8(SMMUL(256 a + d, Q) >> N)  =  clamp(floor((256 a + d) Q / 2^(32 + N)), 0, 255)             (1)

Both are monotone in a, so both are staircases, equal wherever their 255 steps are: with T_k the smallest attainable a
of an exact output of at least k,

    (256 T_k + d) Q >= k 2^(32 + N)  and  (256 (T_k − 1) + d) Q < k 2^(32 + N),  k = 1..255              (2)

is the whole proof, for every attainable a. For a given Q it says in which interval d may lie; `solve` looks for a Q whose
interval is not empty, beginning with the real multiplier. A channel that has none gets Q = 0, d = 0 and weights of 0 in the
fast form, whose output for it is 0, and is computed by the exact form behind it; a layer of which most have none, all of it.

Weights: two output channels in a halfword, h = 256 w_1 + w_0. SXTB16 of a word gives w_0 of two inputs; the word itself
gives the sum 256 S_1 + S_0, from which S_0 is taken off.
"""
from functools import lru_cache

import numpy as np

from .device_layout import MAX_ACC, Convolution, Network, up_to_multiple
from .fixed_point import mbq

FORMS = ("DSP", "PLAIN")
SHIFTS = (12, 11, 10, 9, 8)             # N, in the order of preference: more bits, smaller multipliers
SEARCH = (0, 16, 256, 4096)             # how far Q may be from the real multiplier


def attainable(layer: Convolution) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest accumulator of each output, bias inside, for inputs of 0..255: (N,) int64 each."""
    w = layer.w.reshape(layer.channels, -1).astype(np.int64)
    return layer.stage.bias + 255 * np.minimum(w, 0).sum(axis=1), layer.stage.bias + 255 * np.maximum(w, 0).sum(axis=1)


def steps(q, shift, low, high) -> np.ndarray:
    """T (N, 255): the smallest a in low..high with MBQ(a) >= k, k = 1..255; high + 1 where there is none. All (N,) int64."""
    k = np.arange(1, 256)
    below, above = (np.repeat(ends[:, None], 255, axis=1) for ends in (low - 1, high + 1))
    for _ in range(int(np.max(high - low) + 2).bit_length()):
        middle = (below + above) >> 1                   # MBQ(below) < k <= MBQ(above), at the ends by definition
        reached = mbq(middle, q[:, None], shift[:, None]) >= k
        open_ = above - below > 1
        above, below = np.where(open_ & reached, middle, above), np.where(open_ & ~reached, middle, below)
    return above


@lru_cache(maxsize=None)
def solve(q: int, shift: int, low: int, high: int, N: int) -> tuple[int, int] | None:
    """(Q, d) of (1) for one channel, proved by (2); None if there is none near the real multiplier, or it does not fit."""
    real = q * 2.0**(shift - 7 + N)
    if real >= 2**31 - SEARCH[-1] or max(-low, high) * 256 > MAX_ACC // 2 or max(-low, high) << max(shift, 0) > MAX_ACC:
        return None
    T, k = steps(np.array([q]), np.array([shift]), np.array([low]), np.array([high]))[0], np.arange(1, 256, dtype=np.int64)
    for reach in SEARCH:
        Q = np.arange(max(int(real) - reach, 1), int(real) + reach + 2)[:, None]
        c = -(-(k << (32 + N)) // Q)                                        # (1) is at least k if and only if 256 a + d >= c
        least = np.where(T <= high, c - 256 * np.maximum(T, low), -2**62).max(axis=1)
        most = np.where(T > low, c - 1 - 256 * np.minimum(T - 1, high), 2**62).min(axis=1)
        width = most - least
        if width.max() >= 0:
            best = int(width.argmax())
            d = int(least[best] + most[best]) // 2 if abs(least[best]) < 2**61 and abs(most[best]) < 2**61 else \
                int(least[best]) if abs(least[best]) < 2**61 else int(most[best]) if abs(most[best]) < 2**61 else 0
            fits = abs(d) + 256 * max(-low, high) <= MAX_ACC
            return (int(Q[best, 0]), d) if fits else None
    return None


def solutions(layer: Convolution, N: int) -> np.ndarray | None:
    """(N_out, 2) int64: Q and 256 bias + d of every channel, or 0, 0 without a solution; None if most have none."""
    s = layer.stage
    if layer.in_zero != 0 or (s.zero, s.low, s.high) != (0, 0, 255):
        return None
    low, high = attainable(layer)
    found = np.zeros((layer.channels, 2), np.int64)
    for n in range(layer.channels):
        solution = solve(int(s.multiplier[n]), int(s.shift[n]), int(low[n]), int(high[n]), N)
        if solution is not None:
            found[n] = solution[0], solution[1] + 256 * int(s.bias[n])
    return found if 2 * len(unsolved(found)) <= layer.channels else None


def unsolved(found) -> np.ndarray:
    """The channels of `solutions` that have none: a solution's Q is at least 1."""
    return np.flatnonzero(found[:, 0] == 0)


def solved_weights(layer: Convolution, found) -> np.ndarray:
    """Zeros for the channels without a solution; int64."""
    return layer.w * (found[:, 0] != 0).astype(np.int64).reshape(-1, *[1] * (layer.w.ndim - 1))


def words(values) -> np.ndarray:
    """Integers modulo 2^32 -> uint32."""
    return (np.asarray(values, np.int64) & 0xFFFFFFFF).astype(np.uint32)


def two_in_a_word(low, high) -> np.ndarray:
    """Halfwords of any sign -> words."""
    return words((np.asarray(low, np.int64) & 0xFFFF) | (np.asarray(high, np.int64) << 16))


def padded(array, *sizes) -> np.ndarray:
    """Zeros behind an array, up to these sizes of its axes; as int64."""
    result = np.zeros(sizes, np.int64)
    result[tuple(slice(0, n) for n in array.shape)] = array
    return result


def conv_stream(layer: Convolution, found, inputs: int) -> np.ndarray:
    """For every 2 channels: 256 b + d of both; per row of taps, of both the taps (0, 1) and (2, 3) as 256 w; Q of both."""
    N, rows = up_to_multiple(layer.channels, 2), inputs
    w, found = 256 * padded(solved_weights(layer, found), N, rows, 4), padded(found, N, 2)
    pairs = two_in_a_word(w[..., ::2], w[..., 1::2]).reshape(N // 2, 2, rows, 2)            # [pair, channel, row, half]
    return np.concatenate([part for n in range(0, N, 2) for part in (
        words(found[n:n + 2, 1]), pairs[n // 2].transpose(1, 2, 0).ravel(), words(found[n:n + 2, 0]))])


def depthwise_stream(layer: Convolution, found) -> np.ndarray:
    """For every channel: 256 b + d; (w_0j, w_2j) of the columns j = 0, 1, 2; (w_10, w_11); w_12; Q. Weights as 256 w."""
    w = 256 * solved_weights(layer, found)
    columns = two_in_a_word(w[:, 0], w[:, 2])
    return np.concatenate([words(found[:, 1:]), columns, two_in_a_word(w[:, 1, :1], w[:, 1, 1:2]), words(w[:, 1, 2:]),
                           words(found[:, :1])], axis=1).ravel()


def packed(w) -> np.ndarray:
    """w (2, D) of two outputs, D even -> (D / 2,): halfwords 256 w_1 + w_0 of two inputs."""
    halves = 256 * w[1] + w[0]
    return two_in_a_word(halves[::2], halves[1::2])


def pointwise_stream(layer: Convolution, found, inputs: int) -> np.ndarray:
    """For every 2 channels: 256 b + d of the second; the packed weights; 256 b + d of the first; Q of both."""
    N = up_to_multiple(layer.channels, 2)
    w, found = padded(solved_weights(layer, found), N, inputs), padded(found, N, 2)
    return np.concatenate([part for n in range(0, N, 2) for part in (
        words(found[n + 1:n + 2, 1]), packed(w[n:n + 2]), words([found[n, 1], found[n, 0], found[n + 1, 0]]))])


def is_fast(layer: Convolution, kind: str, pool: int) -> bool:
    """Whether the DSP kernels know these sizes."""
    if kind == "CONV":
        return layer.sizes["stride_columns"] == 2 and layer.sizes["kernel_columns"] <= 4
    if kind == "DEPTHWISE":
        return layer.columns % 4 == 0
    return kind != "POOL" or pool == 4 and layer.columns % 4 == 0 and layer.channels % 2 == 0


def gru_numbers(network: Network) -> tuple | None:
    """Of the products with x and with h: weights, biases for inputs u, R; None where a bound does not hold.

    MBQ64 is SMMULR(acc, R), R = r 2^(17 + s) with the upper half r of q, for s in −17..−1 and an int32 acc.
    """
    op = network.gru
    p, bits = op.record, op.settings["bits"]
    if bits != 16 or not all(-30 <= e <= 0 for e in (p.reset.shift, p.blend.shift, *(
            e for s in (p.gates, p.candidate, p.difference, p.update) for e in (s.x1_shift, s.x2_shift, s.y_shift)))):
        return None
    w, u = op.arrays["w"].astype(np.int64), op.arrays["u"].astype(np.int64)
    bx = op.arrays["bx"] - 128 * w.sum(axis=1)
    R = []
    for channels in (p.input, p.state):
        q, s = channels.multiplier.astype(np.int64), channels.shift.astype(np.int64)
        if np.any((q != 0) & ((s < -17) | (s > -1))):
            return None
        r = np.where(q < 0x7FFF0000, (q + 2**15) >> 16, 0x7FFF)
        R.append(np.where(q != 0, r << np.maximum(17 + s, 0), 0))
    w_sums, u_sums = np.abs(w).sum(axis=1), np.abs(u).sum(axis=1)
    bounds = 255 * 256 * w_sums, np.abs(bx) + 255 * w_sums, np.abs(op.arrays["bh"]) + 32768 * u_sums
    if max(int(bound.max()) for bound in bounds) > MAX_ACC:
        return None
    return (w, bx, R[0]), (u, op.arrays["bh"], R[1])


def gru_arrays(network: Network) -> tuple | None:
    """Streams of the products with x and with h; None where a bound does not hold."""
    numbers = gru_numbers(network)
    return None if numbers is None else (gru_input_stream(*numbers[0]), gru_state_stream(*numbers[1]))


def gru_input_stream(w, bias, R) -> np.ndarray:
    """For every 4 rows of w: their weights, two packed words for every 2 inputs; 4 biases; 4 R."""
    N, D = up_to_multiple(len(w), 4), up_to_multiple(w.shape[1], 16)
    w, bias, R = padded(w, N, D), padded(bias, N), padded(R, N)
    return np.concatenate([part for n in range(0, N, 4) for part in (
        np.stack([packed(w[n:n + 2]), packed(w[n + 2:n + 4])], axis=1).ravel(), words(bias[n:n + 4]), words(R[n:n + 4]))])


def gru_state_stream(u, bias, R) -> np.ndarray:
    """For every 4 rows of u: for every 2 inputs two words, bytes (row 0, row 1) of both, (row 2, row 3); 4 biases; 4 R."""
    N, H = up_to_multiple(len(u), 4), up_to_multiple(u.shape[1], 4)
    u, bias, R = padded(u, N, H), padded(bias, N), padded(R, N)
    texts = []
    for n in range(0, N, 4):
        rows = u[n:n + 4].reshape(2, 2, H // 2, 2).transpose(2, 0, 3, 1)     # [inputs / 2, rows / 2, input, row]
        texts += [np.ascontiguousarray(rows.astype(np.int8)).ravel().view("<u4"), words(bias[n:n + 4]), words(R[n:n + 4])]
    return np.concatenate(texts)


STREAMS = {"CONV": conv_stream, "DEPTHWISE": depthwise_stream, "POINTWISE": pointwise_stream, "POOL": pointwise_stream}


def n_solved(found) -> int:
    """Channels with a solution in a list of `solutions`."""
    return sum(len(s) - len(unsolved(s)) for s in found if s is not None)


def proved(network: Network) -> tuple[dict, dict]:
    """{layer's name: its solutions, or None: sizes that the DSP kernels do not know, or no proof}; {kind: N of (1)}."""
    solved, shifts = {}, {}
    for kind, layers in network.by_kind.items():
        known = [layer for layer in layers if is_fast(layer, kind, network.pool)]
        found = {N: [solutions(layer, N) for layer in known] for N in SHIFTS[:1]}
        shifts[kind] = SHIFTS[0]
        for N in SHIFTS:                                                    # the N with which most channels are fast
            found[N] = found.get(N) or [solutions(layer, N) for layer in known]
            if n_solved(found[N]) > n_solved(found[shifts[kind]]):
                shifts[kind] = N
            if n_solved(found[N]) == sum(layer.channels for layer in known):
                break
        solved |= dict.fromkeys(layer.name for layer in layers) | dict(zip((layer.name for layer in known), found[shifts[kind]]))
    return solved, shifts


def dsp_stream(network: Network, kind: str, layer: Convolution, found) -> np.ndarray | None:
    """The DSP kernels' weights and output stage of a layer; found: of `proved`."""
    more = () if kind == "DEPTHWISE" else (network.inputs(kind, layer),)
    return None if found is None else STREAMS[kind](layer, found, *more)


def fast_arrays(network: Network, form: str) -> tuple[dict, dict]:
    """{layer's name: its stream, or None for the exact form; "gru": both of its}; and {kind: N of (1)}."""
    kinds = network.by_kind
    if form == "PLAIN":
        return {layer.name: None for layer in network.layers} | {"gru": None}, {}
    solved, shifts = proved(network)
    streams = {layer.name: dsp_stream(network, kind, layer, solved[layer.name]) for kind, layers in kinds.items() for layer in layers}
    return streams | {"gru": gru_arrays(network)}, shifts


def exact_channels(network: Network, form: str, streams: dict) -> dict[str, np.ndarray]:
    """{layer's name: the channels that the exact form computes}: all without a stream, else those without a solution."""
    solved = {} if form == "ROWS" else proved(network)[0]                   # that form has an exact stage of its own
    return {layer.name: np.arange(layer.channels) if streams[layer.name] is None else
            unsolved(solved[layer.name]) if layer.name in solved else np.arange(0) for layer in network.layers}
