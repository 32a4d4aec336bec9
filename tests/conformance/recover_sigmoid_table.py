"""Asks the runtime for its table of the logistic function: where npgru.int8_nonlinear.ONE_MORE comes from.

    python3.11 -m venv /tmp/conf && /tmp/conf/bin/pip install 'numpy<2' tflite-runtime==2.14.0 flatbuffers
    /tmp/conf/bin/python tests/conformance/recover_sigmoid_table.py

TANH on int16 with s = f32(4/3) 2^-13 has d = 2 x; at x = 128 u it interpolates nothing and y = T[u] − 32768.
T[255] is never reached: TensorFlow's source has 65535 there.
"""
import hashlib

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType

from npgru.tflite_writer import Graph, write_tflite


def recovered_table():
    """(256,) uint16."""
    graph = Graph()
    x = graph.tensor((1, 255), "int16", np.float32(4 / 3) * 2**-13)
    y = graph.tensor((1, 255), "int16", 1 / 32768)
    graph.operator("TANH", 2, [x], [y])
    graph.inputs, graph.outputs = (x,), (y,)
    interpreter = Interpreter(model_content=write_tflite([graph]), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(x, 128 * np.arange(255, dtype=np.int16)[None])
    interpreter.invoke()
    return np.append(interpreter.get_tensor(y)[0].astype(int) + 32768, 65535).astype(np.uint16)


if __name__ == "__main__":
    T = recovered_table()
    rounded = np.floor(65536 / (1 + np.exp(-np.arange(256) / 24)) + 0.5)
    print("sha256", hashlib.sha256(T.astype("<u2").tobytes()).hexdigest(), "sum", T.sum(dtype=int))
    print("one more at", np.flatnonzero(T != rounded).tolist(), "difference", set((T - rounded).tolist()))
