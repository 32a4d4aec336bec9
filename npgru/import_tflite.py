"""A .tflite file of `npgru export` -> the IntegerModel that wrote it, and its metadata.

What a runtime must know of a network stands in the file: codes and scales. The records of its operators follow from
them as they did when it was frozen. Then the network is written once more, and the file must have the same tensors and
operators: so nothing in it goes unnoticed, and int8.run gives the integers that a runtime gives with the file.
"""
import json
from dataclasses import replace
from pathlib import Path
from typing import Mapping

import numpy as np

from . import export_tflite, int8_gru, int8_params
from .export_tflite import METADATA, TARGETS, clip_graphs, clip_shape, metadata_json
from .features import FrontEnd
from .int8 import PROBABILITY, STATE_BITS, IntegerModel, Operator, kernel_record
from .int8_gru import GruQuantisation
from .int8_params import Quantisation, softmax_of
from .tflite_reader import LARGEST_BYTES, all_options, read_graphs, read_metadata_entries
from .tflite_writer import ACTIVATIONS, Graph, write_tflite

OF_THE_NETWORK = ("front_end", "classes", "clip_s", "state_bits", "gru")        # metadata that are no mere facts,
TARGET = "target"                                                               # and one that only some files have
LONGEST_CLIP_S = 3600
REFUSED = "is damaged, or was not written by `npgru export`; export it again"


def read_metadata(source: Path | str | bytes) -> dict:
    """A .tflite file, or its bytes -> the dict that tflite_bytes wrote.

    raises  ValueError for anything else than a .tflite file of npgru with its metadata
    """
    return _read(source, _metadata)


def read_tflite(source: Path | str | bytes) -> tuple[IntegerModel, dict]:
    """A .tflite file, or its bytes -> the network that wrote it, and the facts that travel with it (threshold, ...).

    raises  ValueError for a file of one step, without metadata, damaged, or not of npgru
    """
    return _read(source, _network)


def with_facts(content: bytes, facts: Mapping) -> bytes:
    """The same file with these facts, JSON-able, instead of its own; all else that is in it stays.

    raises  ValueError for what read_tflite refuses, and for a fact that belongs to the network
    """
    integers, _ = read_tflite(content)
    if taken := sorted(facts.keys() & {*OF_THE_NETWORK, TARGET}):
        raise ValueError(f"{', '.join(taken)}: belongs to the network; accepted: facts beside {', '.join(OF_THE_NETWORK)}")
    graphs, form = read_graphs(content), {key: value for key, value in _metadata(content).items() if key in ("gru", TARGET)}
    entries = read_metadata_entries(content) | {METADATA: metadata_json(integers, {**facts, **form})}
    return write_tflite(graphs, metadata=entries, names=any(t.name for g in graphs for t in g.tensors))


def _read(source, read):
    """read(bytes), its refusals with the name of the file."""
    name, content = "the model", source
    if not isinstance(source, bytes):
        name = source
        with open(source, "rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    try:
        with np.errstate(all="ignore"):                         # what overflows is refused as a multiplier
            return read(content)
    except ValueError as error:
        raise ValueError(f"{name}: {' '.join(str(error).split())}") from error


def _metadata(content) -> dict:
    entry = read_metadata_entries(content).get(METADATA)
    if entry is None:
        raise ValueError("has no metadata of npgru; accepted: a file of `npgru export` without --minimal")
    try:
        about = json.loads(entry)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"has damaged metadata ({error}); export it again") from error
    if not isinstance(about, dict) or not set(OF_THE_NETWORK) <= about.keys():
        raise ValueError(REFUSED)
    return about


def _network(content) -> tuple[IntegerModel, dict]:
    about = _metadata(content)
    if about["gru"] == "step":
        raise ValueError("is a GRU's single step, without the network before it; accepted: a file of `npgru export` with "
                         "--gru while or --gru unrolled")
    graphs = read_graphs(content)
    try:
        check_metadata(about)
        check_codes(graphs)
        integers = integer_model(graphs, about)
        export_tflite.check(integers)
        written = clip_graphs(integers, about["gru"], False, TARGETS[about.get(TARGET)])
        if [comparable(g) for g in graphs] != [comparable(g) for g in written]:
            raise ValueError("its graph is another")
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"{REFUSED} ({type(error).__name__}: {error})") from error
    return integers, {key: value for key, value in about.items() if key not in (*OF_THE_NETWORK, TARGET)}


def check_metadata(about: dict) -> None:
    """raises ValueError unless what is said of the network has its type and range; the front end checks itself."""
    if about["gru"] not in ("while", "unrolled") or about["state_bits"] not in STATE_BITS:
        raise ValueError(f"gru={about['gru']!r}, state_bits={about['state_bits']!r}")
    if not (isinstance(about["classes"], list) and len(about["classes"]) == 2
            and all(isinstance(name, str) for name in about["classes"])):
        raise ValueError(f"classes={about['classes']!r}; accepted: two names")
    if not isinstance(about["clip_s"], (int, float)) or not 0 < about["clip_s"] <= LONGEST_CLIP_S:
        raise ValueError(f"clip_s={about['clip_s']!r}; accepted: above 0, at most {LONGEST_CLIP_S}")


def check_codes(graphs) -> None:
    """raises ValueError unless scales are positive and finite, and zero points are codes that may be one."""
    for t in (t for g in graphs for t in g.tensors):
        if t.scale is not None and not (np.isfinite(t.scale).all() and (t.scale > 0).all()):
            raise ValueError(f"a scale is {t.scale.min()}")
        if not (-128 <= t.zero_point <= 127 if t.dtype == "int8" else t.zero_point == 0):
            raise ValueError(f"a zero point is {t.zero_point}")


def comparable(g: Graph) -> tuple:
    """What makes a graph: all but the names."""
    return (tuple(g.inputs), tuple(g.outputs), [(op.code, op.version, op.inputs, op.outputs, all_options(op)) for op in g.operators],
            [(t.shape, t.dtype, None if t.scale is None else t.scale.tobytes(), t.zero_point, t.axis, t.data) for t in g.tensors])


def integer_model(graphs: list[Graph], about: dict) -> IntegerModel:
    """The operators of export_tflite in their order: layers, the GRU, layers. T' is checked: it copies a step T' times."""
    main, unrolled = graphs[0], about["gru"] == "unrolled"
    codes = [op.code for op in main.operators]
    stack, mean = codes.index("RESHAPE"), codes.index("QUANTIZE")
    (x,), between = main.inputs, main.operators[stack + 1:mean]
    features = int8_params.features(*codes_of(main, x))
    operators = [Operator("features", "input", features, codes_of(main, x), {}, {})]
    operators += [LAYERS[op.code](main, op) for op in main.operators[:stack + 1]]
    operators.append(gru(main if unrolled else graphs[2], between if unrolled else graphs[2].operators, operators[-1].y,
                         about["state_bits"]))
    operators.append(Operator("mean_time", "", None, output(main, main.operators[mean]), {}, {"x": operators[-1].y}))
    operators += [LAYERS[op.code](main, op) for op in main.operators[mean + 1:] if op.code != "SPLIT_V"]
    integers = IntegerModel(named(operators), FrontEnd(**about["front_end"]), tuple(about["classes"]), about["clip_s"],
                            about["state_bits"])
    n_steps = sum(op.code == "FULLY_CONNECTED" for op in between) - 1
    if clip_shape(integers) != main.tensors[x].shape or unrolled and n_steps != export_tflite.parts(integers)[1].n_steps:
        raise ValueError("clips of another length")
    if main.tensors[main.outputs[0]].shape != (1, len(integers.classes)):
        raise ValueError(f"{main.tensors[main.outputs[0]].shape} scores; accepted: (1, {len(integers.classes)})")
    return integers


def codes_of(g, index) -> Quantisation:
    t = g.tensors[index]
    return Quantisation(t.scale[0], t.zero_point)


def output(g, op) -> Quantisation:
    return codes_of(g, op.outputs[0])


def constants(g, op, keys, channel_axis=0, n_outputs=None) -> dict:
    """A kernel's weights, their scales and its bias under their keys. raises ValueError unless their sizes fit together

    n_outputs   those that the network has; the others are padding for a target
    """
    (x, w, bias), y = (g.tensors[index] for index in op.inputs), g.tensors[op.outputs[0]]
    n, n_dims = w.shape[channel_axis], 2 if op.code == "FULLY_CONNECTED" else 4
    fits = len(w.shape) == n_dims and w.shape[-1] == x.shape[-1] and y.shape[-1] == n == len(w.scale) and bias.shape == (n,)
    if not fits or w.dtype != "int8" or bias.dtype not in ("int32", "int64"):
        raise ValueError(f"weights {w.dtype} {w.shape}, bias {bias.dtype} {bias.shape}, input {x.shape}")
    arrays = array(w), w.scale, array(bias)
    return dict(zip(keys, arrays if n_outputs is None else (a[:n_outputs].copy() for a in arrays)))


def n_outputs_of(g, dense) -> int:
    """How many outputs of a dense layer are used: all, or those of the SPLIT_V that reads them."""
    parts = [op.outputs[0] for op in g.operators if op.code == "SPLIT_V" and op.inputs[0] == dense.outputs[0]]
    return g.tensors[[*parts, dense.outputs[0]][0]].shape[-1]


def array(t) -> np.ndarray:
    return np.frombuffer(t.data, np.dtype(t.dtype).newbyteorder("<")).astype(t.dtype).reshape(t.shape)


def kernel(g, op) -> Operator:
    """A convolution or dense layer."""
    kind = KERNELS[op.code]
    arrays = constants(g, op, ("w", "w_scale", "bias"), 3 if kind == "depthwise2d" else 0,
                       n_outputs_of(g, op) if kind == "dense" else None)
    if kind == "depthwise2d":
        arrays["w"] = arrays["w"][0]
    options, y = all_options(op), output(g, op)
    activation = {number: name for name, number in ACTIVATIONS.items()}[options["activation"]]
    settings = {"stride": (options.get("stride_t", 1), options.get("stride_m", 1)), "activation": activation}
    record = kernel_record(kind, codes_of(g, op.inputs[0]), arrays["w_scale"], y, activation)
    return Operator(kind, "", record, y, arrays, settings)


def max_pool(g, op) -> Operator:
    kernel_size = op.options["kernel_t"], op.options["kernel_m"]
    return Operator("maxpool", "", None, codes_of(g, op.inputs[0]), {}, {"kernel": kernel_size})


def gru(g, operators, x: Quantisation, bits: int) -> Operator:
    """The first step among these operators; in the order of int8_gru (1)-(4)."""
    by_code = {code: [op for op in operators if op.code == code and op.version > 1]         # version 1: the int32 sum over time
               for code in ("FULLY_CONNECTED", "ADD", "MUL", "SUB")}
    of_x, of_h, *_ = by_code["FULLY_CONNECTED"]
    _, H = g.tensors[of_h.inputs[1]].shape
    arrays = constants(g, of_x, ("w", "w_scale", "bx"), 0, 3 * H) | constants(g, of_h, ("u", "u_scale", "bh"), 0, 3 * H)
    gates, candidate, h, *_ = (output(g, op) for op in by_code["ADD"])
    reset, blend, *_ = (output(g, op) for op in by_code["MUL"])
    q = GruQuantisation(output(g, of_x), output(g, of_h), gates, reset, candidate, output(g, by_code["SUB"][0]), blend, h)
    record = int8_gru.gru_of(x, arrays["w_scale"], arrays["u_scale"], q, bits)
    return Operator("gru", "", record, h, arrays, {"bits": bits, "q": q})


KERNELS = {"CONV_2D": "conv2d", "DEPTHWISE_CONV_2D": "depthwise2d", "FULLY_CONNECTED": "dense"}
LAYERS = {**dict.fromkeys(KERNELS, kernel), "MAX_POOL_2D": max_pool,
          "RESHAPE": lambda g, op: Operator("stack", "", None, codes_of(g, op.inputs[0]), {}, {}),
          "SOFTMAX": lambda g, op: Operator("softmax", "", softmax_of(codes_of(g, op.inputs[0])), PROBABILITY, {}, {})}


def named(operators) -> list[Operator]:
    """The operators under the names of model.build's layers, which a file without names does not hold."""
    names, n_blocks, last_dense = [], 0, max(k for k, op in enumerate(operators) if op.kind == "dense")
    for k, op in enumerate(operators):
        n_blocks += op.kind == "depthwise2d"
        names.append({"features": "input", "conv2d": f"block{n_blocks}_pointwise" if k > 1 else "conv",
                      "depthwise2d": f"block{n_blocks}_depthwise", "maxpool": "pool", "softmax": "probabilities",
                      "dense": "classes" if k == last_dense else "dense"}.get(op.kind, op.kind))
    if len(set(names)) < len(names):
        raise ValueError("its layers are others")
    return [replace(op, name=name) for op, name in zip(operators, names)]
