"""The witnesses: other people's runtimes that execute a .tflite file, where they are installed.

    runtime          profile       install
    tflite-runtime   tflm          Linux, Python 3.10 and 3.11, beside numpy<2 only
    ai-edge-litert   litert-ref    every system
    tflite-micro     tflm          the devices' own runtime; Linux, x86-64; development builds only

Their reference kernels give the integers of int8_reference under the profile, bit for bit. The optimised kernels and
XNNPACK, which the first two also have, round otherwise: tests/tolerances.py says by how much.
"""
import importlib
from dataclasses import dataclass

import numpy as np

from .int8_params import Quantisation
from .tflite_reader import read_graphs

ARENA_BYTES = 2**24             # working memory that tflite-micro gets for a model


@dataclass(frozen=True)
class Runtime:
    module: str
    profile: str                # a key of int8_reference.PROFILES
    install: str
    resolvers: tuple            # kinds of kernels that it has


WITH_RESOLVERS = {"reference": "BUILTIN_REF", "optimised": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "BUILTIN"}
RUNTIMES = {
    "tflite-runtime": Runtime("tflite_runtime.interpreter", "tflm", "pip install 'numpy<2' tflite-runtime==2.14.0 (needs Linux "
                              "and Python 3.10 or 3.11)", tuple(WITH_RESOLVERS)),
    "ai-edge-litert": Runtime("ai_edge_litert.interpreter", "litert-ref", "pip install ai-edge-litert", tuple(WITH_RESOLVERS)),
    "tflite-micro": Runtime("tflite_micro.python.tflite_micro.runtime", "tflm", "pip install --pre tflite-micro (needs Linux on "
                            "x86-64)", ("reference",)),
}


def why_absent(name: str) -> str | None:
    """None if the runtime can be used, else one line that says why not, and how to get it."""
    runtime = RUNTIMES[name]
    if name == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
        return f"needs numpy<2, here is {np.__version__}: {runtime.install}"
    try:
        importlib.import_module(runtime.module)
    except ImportError:
        return f"not installed: {runtime.install}"
    return None


class Session:
    """A runtime with a model in it, on one thread.

    runtime     a key of RUNTIMES
    content     bytes of a .tflite file
    resolver    "reference", "optimised" or "xnnpack"
    """

    def __init__(self, runtime: str, content: bytes, resolver: str = "reference"):
        self.is_micro, self.n_outputs = runtime == "tflite-micro", len(read_graphs(content)[0].outputs)
        module = importlib.import_module(RUNTIMES[runtime].module)
        if self.is_micro:
            self.interpreter = module.Interpreter.from_bytes(content, arena_size=ARENA_BYTES)
            return
        self.interpreter = module.Interpreter(
            model_content=content, num_threads=1,
            experimental_op_resolver_type=getattr(module.OpResolverType, WITH_RESOLVERS[resolver]))
        self.interpreter.allocate_tensors()

    def run(self, *inputs) -> list[np.ndarray]:
        """Its inputs in order -> all outputs in order."""
        if self.is_micro:
            for k, x in enumerate(inputs):
                self.interpreter.set_input(x, k)
            self.interpreter.invoke()
            return [self.interpreter.get_output(k) for k in range(self.n_outputs)]
        for detail, x in zip(self.interpreter.get_input_details(), inputs):
            self.interpreter.set_tensor(detail["index"], x)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.interpreter.get_output_details()]

    def input_quantisation(self) -> Quantisation:
        """Of the first input."""
        if self.is_micro:
            q = self.interpreter.get_input_details(0)["quantization_parameters"]
            return Quantisation(q["scales"][0], int(q["zero_points"][0]))
        return Quantisation(*self.interpreter.get_input_details()[0]["quantization"])
