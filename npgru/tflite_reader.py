"""The bytes of a .tflite file -> tensors and operators: tflite_writer, backwards. Nothing in the file is trusted.

Every place that the file names is checked to lie inside it, and all that is read together is at most a few times its
size: tables and vectors may be shared, so that a small file can claim to be endless.
"""
import struct

import numpy as np
from flatbuffers import number_types as nt
from flatbuffers.table import Table

from .tflite_writer import ACTIVATIONS, CODES, OPTIONS, PADDINGS, TYPES, Graph, Operator, Tensor

LARGEST_BYTES = 16 * 2**20      # of a file; a network of npgru has some 30 000
READ_AGAIN = 8                  # times its size may be read of a file, shared parts counted every time
TABLE_BYTES = 16                # what a table counts

NAMES = {number: name for name, number in CODES.items()}
DTYPES = {number: name for name, number in TYPES.items()}


def read_metadata_entries(content: bytes) -> dict[str, bytes]:
    """{name: content} of the metadata. raises ValueError for anything but an intact .tflite file"""
    return _guarded(content, _File.metadata)


def read_graphs(content: bytes) -> list[Graph]:
    """Every subgraph; paddings and activations by their numbers, options complete (all_options).

    raises  ValueError for anything but an intact .tflite file of operators and types that tflite_writer knows
    """
    return _guarded(content, _File.graphs)


def all_options(op: Operator) -> dict:
    """Every option of an operator as a number: those that it has, and the schema's defaults."""
    words = {**PADDINGS, **ACTIVATIONS}
    given = {key: words[value] if isinstance(value, str) else value for key, value in op.options.items()}
    return {key: given.get(key, default) for key, (_, _, default) in OPTIONS.get(op.code, (0, {}))[1].items()}


def _guarded(content, read):
    if not 8 <= len(content) <= LARGEST_BYTES or content[4:8] != b"TFL3":
        raise ValueError("is not a .tflite file")
    try:
        return read(_File(content))
    except (struct.error, TypeError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"is damaged ({type(error).__name__}: {error})") from error


class _File:
    """The bytes, and how many of them may still be read. Slots are those of TensorFlow Lite's schema.fbs."""

    def __init__(self, content):
        self.content, self.left = content, READ_AGAIN * len(content)
        self.model = Table(content, struct.unpack_from("<I", content)[0])
        self.buffers = self.tables(self.model, 4)

    def spend(self, n_bytes):
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError("is damaged (it holds more than its size allows)")

    def metadata(self):
        return {self.text(entry, 0): bytes(self.buffer(self.number(entry, 1, nt.Uint32Flags)))
                for entry in self.tables(self.model, 6)}

    def graphs(self):
        self.codes = [(max(self.number(code, 0, nt.Int8Flags), self.number(code, 3, nt.Int32Flags)),
                       self.number(code, 2, nt.Int32Flags, 1)) for code in self.tables(self.model, 1)]
        return [Graph([self.tensor(t) for t in self.tables(graph, 0)], [self.operator(op) for op in self.tables(graph, 3)],
                      tuple(self.vector(graph, 1, np.int32).tolist()), tuple(self.vector(graph, 2, np.int32).tolist()))
                for graph in self.tables(self.model, 2)]

    def tensor(self, t):
        quantisation = self.table(t, 4)
        scale, zero_points, axis = None, [0], 0
        if quantisation and len(found := self.vector(quantisation, 2, np.float32)):
            scale, zero_points = found, self.vector(quantisation, 3, np.int64)
            axis = self.number(quantisation, 6, nt.Int32Flags)
            if len(zero_points) != len(scale) or (zero_points != zero_points[0]).any():
                raise ValueError("is damaged, or not of npgru (a tensor has several zero points)")
        shape, dtype = tuple(self.vector(t, 0, np.int32).tolist()), DTYPES[self.number(t, 1, nt.Int8Flags)]
        data = bytes(self.buffer(self.number(t, 2, nt.Uint32Flags)))
        if min(shape, default=1) < 1 or data and len(data) != np.prod(shape, dtype=object) * np.dtype(dtype).itemsize:
            raise ValueError(f"is damaged (a tensor of {dtype} {shape} has {len(data)} bytes)")
        return Tensor(shape, dtype, scale, int(zero_points[0]), axis, data, self.text(t, 3))

    def operator(self, op):
        number, version = self.codes[self.number(op, 0, nt.Uint32Flags)]
        if number not in NAMES:
            raise ValueError(f"has the operator {number} of TensorFlow Lite, which no network of npgru has")
        code, table = NAMES[number], self.table(op, 4)
        tag, slots = OPTIONS.get(code, (0, {}))
        if table and self.number(op, 3, nt.Uint8Flags) != tag:
            raise ValueError(f"is damaged (the options of a {code} are those of another operator)")
        options = {key: self.number(table, slot, kind, default) if table else default
                   for key, (slot, kind, default) in slots.items()}
        inputs, outputs = (tuple(self.vector(op, slot, np.int32).tolist()) for slot in (1, 2))
        return Operator(code, version, inputs, outputs, options)

    def number(self, table, slot, kind, default=0):
        at = table.Offset(4 + 2 * slot)
        return table.Get(kind, self.inside(table.Pos + at)) if at else default

    def table(self, parent, slot):
        """The table that a field refers to, or None."""
        at = parent.Offset(4 + 2 * slot)
        return self.table_at(parent.Pos + at) if at else None

    def table_at(self, place):
        self.spend(TABLE_BYTES)
        return Table(self.content, self.inside(self.model.Indirect(place)))

    def tables(self, parent, slot):
        """A field that is a vector of tables; an absent one is empty."""
        start, n = self.place(parent, slot, 4)
        return [self.table_at(start + 4 * k) for k in range(n)]

    def vector(self, parent, slot, dtype):
        """A field that is a vector of numbers -> (n,)"""
        start, n = self.place(parent, slot, np.dtype(dtype).itemsize)
        return np.frombuffer(self.content, np.dtype(dtype).newbyteorder("<"), n, start).astype(dtype)

    def text(self, parent, slot):
        return self.vector(parent, slot, np.uint8).tobytes().decode()

    def buffer(self, index):
        """Content of a buffer; 0 is the empty one."""
        return self.vector(self.buffers[index], 0, np.uint8)

    def place(self, parent, slot, item_bytes):
        """Where the items of a vector are, and how many."""
        at = parent.Offset(4 + 2 * slot)
        if not at:
            return 0, 0
        start, n = self.inside(parent.Vector(at)), parent.VectorLen(at)
        self.spend(n * item_bytes)
        self.inside(start + n * item_bytes)
        return start, n

    def inside(self, place):
        if not 0 <= place <= len(self.content):
            raise ValueError(f"is damaged (it refers to byte {place}, it has {len(self.content)})")
        return place
