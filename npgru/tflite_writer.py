"""Tensors and operators -> the bytes of a .tflite file.

The flatbuffer is written with flatbuffers.Builder and the slot numbers of TensorFlow Lite's schema.fbs (version 3,
identifier TFL3). Equal tables and vectors are stored once, so a file is small, and the same model gives the same bytes.
What is a legal operator is the caller's business: export_tflite.py, and the models of one operator in tests/conformance/.
"""
from dataclasses import dataclass, field
from typing import NamedTuple

import flatbuffers
import numpy as np
from flatbuffers import number_types as nt

CODES = {"ADD": 0, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 9, "LOGISTIC": 14,
         "MAX_POOL_2D": 17, "MUL": 18, "RESHAPE": 22, "SOFTMAX": 25, "TANH": 28, "GATHER": 36, "MEAN": 40, "SUB": 41,
         "SPLIT": 49, "CAST": 53, "LESS": 58, "SPLIT_V": 102, "QUANTIZE": 114, "WHILE": 119}
TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}
PADDINGS = {"same": 0, "valid": 1}
ACTIVATIONS = {"none": 0, "relu": 1, "relu6": 3}
DATA_ALIGNMENT = 16
INT8, INT32, FLOAT32, BOOL = nt.Int8Flags, nt.Int32Flags, nt.Float32Flags, nt.BoolFlags

# operator -> (tag of its options in the union, {option: (slot, type, default in the schema)})
OPTIONS = {
    "CONV_2D": (1, {"padding": (0, INT8, 0), "stride_m": (1, INT32, 0), "stride_t": (2, INT32, 0),
                    "activation": (3, INT8, 0), "dilation_m": (4, INT32, 1), "dilation_t": (5, INT32, 1)}),
    "DEPTHWISE_CONV_2D": (2, {"padding": (0, INT8, 0), "stride_m": (1, INT32, 0), "stride_t": (2, INT32, 0),
                              "depth_multiplier": (3, INT32, 0), "activation": (4, INT8, 0)}),
    "MAX_POOL_2D": (5, {"padding": (0, INT8, 0), "stride_m": (1, INT32, 0), "stride_t": (2, INT32, 0),
                        "kernel_m": (3, INT32, 0), "kernel_t": (4, INT32, 0), "activation": (5, INT8, 0)}),
    "FULLY_CONNECTED": (8, {"activation": (0, INT8, 0), "keep_num_dims": (2, BOOL, 0)}),
    "SOFTMAX": (9, {"beta": (0, FLOAT32, 0.0)}),
    "CONCATENATION": (10, {"axis": (0, INT32, 0), "activation": (1, INT8, 0)}),
    "ADD": (11, {"activation": (0, INT8, 0), "pot_scale_int16": (1, BOOL, 1)}),
    "MUL": (21, {"activation": (0, INT8, 0)}),
    "GATHER": (23, {"axis": (0, INT32, 0)}),
    "MEAN": (27, {"keep_dims": (0, BOOL, 0)}),
    "SUB": (28, {"activation": (0, INT8, 0), "pot_scale_int16": (1, BOOL, 1)}),
    "SPLIT": (35, {"num_splits": (0, INT32, 0)}),
    "SPLIT_V": (79, {"num_splits": (0, INT32, 0)}),
    "WHILE": (93, {"cond": (0, INT32, 0), "body": (1, INT32, 0)}),
}


class Tensor(NamedTuple):
    shape: tuple
    dtype: str
    scale: np.ndarray | None        # float32 (1,) or one per channel; None: not quantised
    zero_point: int
    axis: int                       # of the channels
    data: bytes                     # b"": not a constant
    name: str


class Operator(NamedTuple):
    code: str
    version: int
    inputs: tuple                   # indices of tensors; -1: an optional one that is left out
    outputs: tuple
    options: dict


@dataclass
class Graph:
    """A subgraph in the making: tensors and operators, in the order of their creation."""

    tensors: list = field(default_factory=list)
    operators: list = field(default_factory=list)
    inputs: tuple = ()
    outputs: tuple = ()

    def tensor(self, shape, dtype, scale=None, zero_point=0, axis=0, name="") -> int:
        """A tensor that is computed or fed -> its index."""
        scale = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        self.tensors.append(Tensor(tuple(shape), np.dtype(dtype).name, scale, int(zero_point), axis, b"", name))
        return len(self.tensors) - 1

    def constant(self, array, scale=None, zero_point=0, axis=0, name="") -> int:
        """A constant tensor -> its index. A scalar stays one: axes must have no dimension."""
        array = np.asarray(array)
        index = self.tensor(array.shape, array.dtype, scale, zero_point, axis, name)
        self.tensors[index] = self.tensors[index]._replace(data=array.astype(array.dtype.newbyteorder("<")).tobytes())
        return index

    def operator(self, code, version, inputs, outputs, **options):
        """Append an operator; options as in OPTIONS. Without any the options table is left out."""
        unknown = set(options) - set(OPTIONS.get(code, (0, {}))[1])
        if code not in CODES or unknown:
            raise ValueError(f"operator {code} with {sorted(options)} is not known; accepted: tflite_writer.OPTIONS")
        self.operators.append(Operator(code, version, tuple(inputs), tuple(outputs), options))


class _Writer:
    """A flatbuffers.Builder that writes equal tables and vectors once."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1 << 15)
        self.written = {}

    def _once(self, key, write):
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]

    def vector(self, array) -> int:
        """A vector of numbers; array 1-d."""
        array = np.asarray(array)
        return self._once(("vector", array.dtype.str, array.tobytes()), lambda: self.builder.CreateNumpyVector(array))

    def data(self, content: bytes) -> int:
        """A byte vector that begins at a multiple of DATA_ALIGNMENT."""
        def write():
            self.builder.StartVector(1, len(content), DATA_ALIGNMENT)
            self.builder.head -= len(content)
            self.builder.Bytes[self.builder.head:self.builder.head + len(content)] = content
            return self.builder.EndVector()
        return self._once(("data", content), write)

    def text(self, value: str) -> int:
        return self._once(("text", value), lambda: self.builder.CreateString(value))

    def offsets(self, offsets) -> int:
        """A vector of tables."""
        def write():
            self.builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                self.builder.PrependUOffsetTRelative(offset)
            return self.builder.EndVector()
        return self._once(("offsets", tuple(offsets)), write)

    def table(self, fields) -> int:
        """A table; fields: (slot, type or "offset", value, default), offset 0: absent. Written from the last slot on."""
        fields = [field for field in fields if field[2] != field[3]]

        def write():
            self.builder.StartObject(1 + max((field[0] for field in fields), default=-1))
            for slot, kind, value, default in sorted(fields, key=lambda f: -f[0]):
                if kind == "offset":
                    self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
                else:
                    self.builder.PrependSlot(kind, slot, value, default)
            return self.builder.EndObject()
        return self._once(("table", tuple((slot, str(kind), value) for slot, kind, value, _ in fields)), write)


def write_tflite(graphs, description="", metadata=None, names=False) -> bytes:
    """Graphs -> the file; graphs[0] is the one that is run, WHILE refers to the others by their index.

    metadata   {name: bytes}, travels in the file
    names      True: with the names of the tensors
    """
    writer = _Writer()
    metadata = metadata or {}
    buffers = list(dict.fromkeys([b"", *(t.data for g in graphs for t in g.tensors), *metadata.values()]))
    codes = list(dict.fromkeys((op.code, op.version) for g in graphs for op in g.operators))
    # The file is written from its end: what is written first lies last.
    buffer_tables = [writer.table([(0, "offset", writer.data(b) if b else 0, 0)]) for b in buffers]
    subgraphs = [_subgraph(writer, g, buffers, codes, names) for g in graphs]
    metadata_tables = [writer.table([(0, "offset", writer.text(name), 0), (1, nt.Uint32Flags, buffers.index(content), 0)])
                       for name, content in metadata.items()]
    code_tables = [writer.table([(0, INT8, min(CODES[code], 127), 0), (2, INT32, version, 1), (3, INT32, CODES[code], 0)])
                   for code, version in codes]
    model = writer.table([
        (0, nt.Uint32Flags, 3, 0), (1, "offset", writer.offsets(code_tables), 0),
        (2, "offset", writer.offsets(subgraphs), 0), (3, "offset", writer.text(description) if description else 0, 0),
        (4, "offset", writer.offsets(buffer_tables), 0),
        (6, "offset", writer.offsets(metadata_tables) if metadata else 0, 0)])
    writer.builder.Finish(model, file_identifier=b"TFL3")
    return bytes(writer.builder.Output())


def _subgraph(writer, graph, buffers, codes, names):
    operators = [_operator(writer, op, codes) for op in graph.operators]
    tensors = [_tensor(writer, t, buffers.index(t.data), names) for t in graph.tensors]
    return writer.table([
        (0, "offset", writer.offsets(tensors), 0), (1, "offset", writer.vector(np.int32(graph.inputs)), 0),
        (2, "offset", writer.vector(np.int32(graph.outputs)), 0), (3, "offset", writer.offsets(operators), 0)])


def _tensor(writer, t, buffer, names):
    quantisation = 0
    if t.scale is not None:
        quantisation = writer.table([
            (2, "offset", writer.vector(t.scale), 0),
            (3, "offset", writer.vector(np.full(len(t.scale), t.zero_point, np.int64)), 0), (6, INT32, t.axis, 0)])
    return writer.table([
        (0, "offset", writer.vector(np.int32(t.shape)), 0), (1, INT8, TYPES[t.dtype], 0),
        (2, nt.Uint32Flags, buffer, 0), (3, "offset", writer.text(t.name) if names and t.name else 0, 0),
        (4, "offset", quantisation, 0)])


def _operator(writer, op, codes):
    tag, slots = OPTIONS.get(op.code, (0, {}))
    options = 0
    if op.options:
        options = writer.table([(*slots[key][:2], _number(value), slots[key][2]) for key, value in sorted(op.options.items())])
    return writer.table([
        (0, nt.Uint32Flags, codes.index((op.code, op.version)), 0), (1, "offset", writer.vector(np.int32(op.inputs)), 0),
        (2, "offset", writer.vector(np.int32(op.outputs)), 0), (3, nt.Uint8Flags, tag if options else 0, 0),
        (4, "offset", options, 0)])


def _number(value):
    """A padding's or an activation's name -> its number."""
    return {**PADDINGS, **ACTIVATIONS}.get(value, value) if isinstance(value, str) else value
