"""A layer list -> the structs of csrc/train/: what C does in one go, and where each finds its weights and statistics."""
import math

import numpy as np

from .kernels import lib
from .layers.conv2d import same_padding
from .model import Layer, scale_bits

KINDS = {"scale": "SCALE", "conv2d": "CONV2D", "depthwise2d": "DEPTHWISE2D", "pointwise": "POINTWISE",
         "batchnorm": "BATCHNORM", "relu": "CLAMP", "relu6": "CLAMP", "maxpool": "MAXPOOL", "stack": None, "gru": "GRU",
         "dropout": "DROPOUT", "mean_time": "MEAN_TIME", "dense": "DENSE", "gru_quantised": "GRU",
         "fake_quant": "QUANTISE"}                                              # None: the numbers stay where they are
LIMITS = {"relu": (0, np.inf), "relu6": (0, 6)}
STATS = {"batchnorm": ("mean", "var"), "fake_quant": ("low", "high"), "gru_quantised": ("ranges",)}     # that C reads and writes


def n_numbers(shapes) -> int:
    """How many numbers arrays of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes)


def stats_shapes(layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    """{"layer/statistic": shape} in the order in which C has them one after another."""
    return {f"{layer.name}/{key}": {"batchnorm": layer.shapes.get("gamma"), "fake_quant": ()}.get(layer.kind, (4,))
            for layer in layers for key in STATS.get(layer.kind, ())}


def shape_after(layer: Layer, T: int, M: int, C: int) -> tuple[int, int, int]:
    """A clip (T, M, C) that goes into a layer -> the shape that comes out; a sequence (T, D) is (T, 1, D)."""
    match layer.kind:
        case "conv2d":
            (k_t, k_m, _, N), (s_t, s_m) = layer.shapes["w"], layer.settings["stride"]
            return same_padding(T, k_t, s_t)[0], same_padding(M, k_m, s_m)[0], N
        case "pointwise" | "dense":
            return T, M, layer.shapes["w"][1]
        case "maxpool":
            return T, M // layer.settings["size"], C
        case "stack":
            return T, 1, M * C
        case "gru" | "gru_quantised":
            return T, 1, layer.shapes["u"][0]
        case "mean_time":
            return 1, M, C
        case _:
            return T, M, C


def together(layers: list[Layer]) -> list[list[Layer]]:
    """What C does in one go: a batch-norm with the ReLU behind it; a fake_quant with the bias and the ReLU ahead of it."""
    groups = []
    for layer in layers:
        kinds = [member.kind for member in groups[-1]] if groups else []
        if (layer.kind in LIMITS and kinds in (["batchnorm"], ["bias"])
                or layer.kind == "fake_quant" and kinds and all(kind in ("bias", *LIMITS) for kind in kinds)):
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def own_fields(layer: Layer, T: int, M: int) -> dict:
    """The fields of npgru_train_layer that only this kind has."""
    match layer.kind:
        case "conv2d":
            (k_t, k_m), (s_t, s_m) = layer.shapes["w"][:2], layer.settings["stride"]
            return {"k_t": k_t, "k_m": k_m, "s_t": s_t, "s_m": s_m,
                    "before_t": same_padding(T, k_t, s_t)[1], "before_m": same_padding(M, k_m, s_m)[1]}
        case "fake_quant":
            momentum = layer.settings.get("momentum")
            return {"bits": scale_bits(layer.name), "share": 0.0 if momentum is None else 1 - momentum}
    taken = {"scale": {"factor": "factor"}, "maxpool": {"k_m": "size"}, "batchnorm": {"eps": "eps"}}.get(layer.kind, {})
    return {field: layer.settings[name] for field, name in taken.items()}


def c_layers(layers: list[Layer], T: int, M: int, C: int = 1) -> dict[str, dict]:
    """{name: fields of npgru_train_layer} for clips (T, M, C), in their order.

    A row's name is that of its kernel, its batch-norm or its fake_quant. In a list on the integers' grids a dense layer
    is a pointwise one, whose bias the fake_quant behind it adds.
    raises   ValueError for what C does not know
    """
    rows, weights, stats = {}, 0, 0
    kernel, codes, at_border = None, None, True                 # the last kernel since the last fake_quant; that one's name
    for group in together(layers):
        head, last = group[0], group[-1]
        T_in, M_in, C_in = T, M, C
        check(group, kernel, codes, at_border)
        T, M, C = shape_after(last, T, M, C)
        limits = next((LIMITS[layer.kind] for layer in group if layer.kind in LIMITS), (-np.inf, np.inf))
        on_grid = last.kind == "fake_quant" and "kernel" in last.settings
        begins = weights - C if on_grid and head.kind != "bias" else weights            # of dense, the bias comes last
        named = last if last.kind == "fake_quant" else head
        kind = "POINTWISE" if head.kind == "dense" and "kernel" in head.settings else KINDS[named.kind]
        if kind:
            at_border = is_border(group)
            rows[named.name] = {
                "kind": getattr(lib, f"NPGRU_{kind}"), "T": T_in, "M": M_in, "C": C_in, "T_out": T, "M_out": M, "N": C,
                "weights": begins, "stats": stats, "y_min": limits[0], "y_max": limits[1],
                "quantised": int("kernel" in named.settings), **own_fields(named, T_in, M_in)}
        weights += n_numbers(shape for layer in group for shape in layer.shapes.values())
        stats += n_numbers(stats_shapes(group).values())
        if last.kind == "fake_quant":
            kernel, codes = None, last.name
        elif "w" in head.shapes:
            kernel = head
    return rows


def is_border(group: list[Layer]) -> bool:
    """Whether C needs the whole batch for this group: there must be a layer ahead of it that does not."""
    return group[0].kind == "batchnorm" or group[-1].kind == "fake_quant"


def check(group: list[Layer], kernel: Layer | None, codes: str | None, at_border: bool) -> None:
    """raises ValueError unless C can do this group behind that kernel and those codes.

    at_border   the group comes first, or right behind a border
    """
    head, last = group[0], group[-1]
    known = (head.kind in KINDS or last.kind == "fake_quant") and not (at_border and is_border(group))
    if head.kind == "depthwise2d":
        known = known and head.shapes["w"][:2] == (3, 3)
    for layer in group:
        known = known and layer.settings.get("codes", codes) == codes
    if last.kind == "fake_quant" and "kernel" in last.settings:
        known = (known and kernel is not None and last.settings["kernel"] == kernel.name
                 and (head.kind == "bias") != (kernel.kind == "dense"))
    elif head.kind == "bias":
        known = False
    if not known:
        raise ValueError(f"layer {head.name!r} is of kind {head.kind!r} with weights {head.shapes}; the C back end knows "
                         f"{', '.join(KINDS)}, depthwise2d of 3 x 3; use the NumPy back end")
