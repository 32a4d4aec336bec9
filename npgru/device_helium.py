"""The layers of device_layout.py -> the streams of csrc/device/kernels_helium.c, for the vectors of a Cortex-M55.

Weights are bytes, 16 to a vector, zeros behind. The kernels sum codes, u − 128: 128 times the sum of the weights is in the
bias. The output stage is (1) of device_fast.py, proved there; a channel without a proof is exact as there. Layers whose sizes
do not fit keep the DSP form: the convolution, all blocks together, and the GRU's product with its input, which reads what the
last block leaves.
"""
import numpy as np

from .device_fast import attainable, dsp_stream, gru_arrays, gru_numbers, padded, proved, solved_weights, words
from .device_layout import GROUP, Convolution, Network, up_to_multiple

VECTOR = 16                         # bytes
IN_REGISTERS = 3                    # vectors of a row of weights
MAX_STEP = 127                      # bytes that a load moves its address on
COLUMNS = 2 * GROUP                 # between a depthwise layer and its pointwise layer: bytes, where the DSP form has halfwords


def as_words(w) -> np.ndarray:
    """Bytes in a whole number of words -> uint32."""
    return np.ascontiguousarray(w.astype(np.int8)).ravel().view("<u4")


def pairs_of_rows(w, numbers, N: int, times: int = 1) -> np.ndarray:
    """w (n, D), its numbers (n, 2), n up to N, which is even: for every 2 rows their weights; `times` the first numbers of
    both, `times` the second."""
    w, numbers = padded(w, N, up_to_multiple(w.shape[1], VECTOR)), padded(numbers, N, 2)
    return np.concatenate([part for n in range(0, N, 2) for part in (
        as_words(w[n:n + 2]), words(np.tile(numbers[n:n + 2].T, times).ravel()))])


def taps(layer: Convolution, found) -> np.ndarray:
    """Weights (N, D) in the order of the inputs: those of the convolution column by column."""
    w = solved_weights(layer, found)
    return (w.transpose(0, 2, 1) if layer.kind == "conv2d" else w).reshape(layer.channels, -1)


def offsets_for_codes(layer: Convolution, found) -> np.ndarray:
    """256 b + d of (1) for inputs u − 128, (N,)."""
    return found[:, 1] + 256 * 128 * solved_weights(layer, found).reshape(layer.channels, -1).sum(axis=1)


def product_stream(layer: Convolution, found, times: int = 1) -> np.ndarray:
    """The convolution, and pointwise layers: (256 b + d, Q) of every channel as its numbers; twice for the last, of whose
    sums a vector has two of a channel."""
    numbers = np.stack([offsets_for_codes(layer, found), found[:, 0]], axis=1)
    return pairs_of_rows(taps(layer, found), numbers, up_to_multiple(layer.channels, 2), times)


def depthwise_stream(layer: Convolution, found) -> np.ndarray:
    """For every channel: a word of 0; a word a column, rows 0, 1, 2 and 0 in its bytes; 0; 256 b + d; Q."""
    columns = as_words(padded(solved_weights(layer, found).transpose(0, 2, 1), layer.channels, 5, 4)[:, [4, 0, 1, 2, 4]]).reshape(-1, 5)
    return np.concatenate([columns, words(offsets_for_codes(layer, found))[:, None], words(found[:, :1])], axis=1).ravel()


def rows_of_four(w, bias, R, lanes: int) -> np.ndarray:
    """w (n, D): for every 4 rows `lanes` bytes of each, the next `lanes`, ..; 4 biases, 4 R."""
    N, D = up_to_multiple(len(w), 4), up_to_multiple(w.shape[1], lanes)
    parts = padded(w, N, D).reshape(N // 4, 4, D // lanes, lanes).transpose(0, 2, 1, 3)
    bias, R = padded(bias, N), padded(R, N)
    return np.concatenate([part for n in range(N // 4) for part in (
        as_words(parts[n]), words(bias[4 * n:4 * n + 4]), words(R[4 * n:4 * n + 4]))])


def gru_streams(network: Network) -> tuple | None:
    """The product with the input, on codes, and that with the state."""
    numbers = gru_numbers(network)
    if numbers is None:
        return None
    w, bias, R = numbers[0]
    return rows_of_four(w, bias + 128 * w.sum(axis=1), R, VECTOR), rows_of_four(*numbers[1], VECTOR // 2)


def is_narrow(layer: Convolution, found, N: int) -> bool:
    """Whether (256 a + d) Q / 2^(32 + N) of (1) in device_fast.py has 16 bits before it is saturated, for every attainable a."""
    ends = 256 * (np.stack(attainable(layer)) - layer.stage.bias) + found[:, 1]
    outputs = (ends * found[:, 0]) >> (32 + N)
    return bool(outputs.min() >= -2**15 and outputs.max() < 2**15)


def fits(network: Network, solved: dict, shifts: dict) -> tuple[bool, bool]:
    """Whether the convolution, and all blocks, are of this form."""
    def fit(kind, layer):
        found = solved[layer.name]
        return found is not None and layer.columns % 4 == 0 and is_narrow(layer, found, shifts[kind])

    known = {kind: [fit(kind, layer) for layer in layers] for kind, layers in network.by_kind.items()}
    conv = all(known.pop("CONV")) and network.conv.sizes["window_columns"] >= VECTOR // 2
    return conv, bool(network.blocks) and all(map(all, known.values()))


def helium_arrays(network: Network) -> tuple[dict, dict]:
    """As device_fast.fast_arrays."""
    solved, shifts = proved(network)
    conv, blocks = fits(network, solved, shifts)
    streams = {}
    for kind, layers in network.by_kind.items():
        for layer in layers:
            if not (conv if kind == "CONV" else blocks):
                streams[layer.name] = dsp_stream(network, kind, layer, solved[layer.name])
            elif kind == "DEPTHWISE":
                streams[layer.name] = depthwise_stream(layer, solved[layer.name])
            else:
                streams[layer.name] = product_stream(layer, solved[layer.name], 2 if kind == "POOL" else 1)
    return streams | {"gru": gru_streams(network) if blocks else gru_arrays(network)}, shifts


def helium_macros(network: Network) -> dict[str, int]:
    """Which layers are of this form, and constants of their kernels: the vectors of a row of weights of a kind's layers, 0 if
    they differ or are many; the bytes from one column of the convolution's inputs to the next; all columns, 0 if they are more
    than a group."""
    conv, blocks = fits(network, *proved(network))
    step = network.conv.sizes["stride_columns"] * network.conv.sizes["kernel_rows"]
    gru = blocks and gru_numbers(network) is not None
    macros = {"HELIUM_CONV": int(conv), "HELIUM_BLOCKS": int(blocks), "HELIUM_GRU": int(gru),
              "GROUP": COLUMNS if blocks else GROUP, "CONV_STEP": step,
              "VECTORS_GRU": up_to_multiple(network.gru.arrays["w"].shape[1], VECTOR) // VECTOR,
              "COLUMNS": network.conv.columns if network.conv.columns <= COLUMNS else 0}
    for kind in ("CONV", "POINTWISE", "POOL"):
        vectors = {-(-layer.w[0].size // VECTOR) for layer in network.by_kind[kind]}
        few = len(vectors) == 1 and max(vectors) <= IN_REGISTERS and (kind != "CONV" or step <= MAX_STEP)
        macros[f"VECTORS_{kind}"] = vectors.pop() if few else 0
    return macros


def helium_work_words(network: Network) -> list[int]:
    """Words of work that the kernels need: the convolution's window as bytes, and the pairs of each block."""
    sizes = network.conv.sizes
    window = sizes["kernel_rows"] * up_to_multiple(sizes["window_columns"], 8) + 2 * VECTOR
    columns = min(COLUMNS, network.conv.ring_columns)
    pairs = [2 * columns * up_to_multiple(depthwise.channels, VECTOR) // 4 for depthwise, _ in network.blocks]
    return [window // 4 + 1, *pairs]
