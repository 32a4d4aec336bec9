"""The witnesses: runtimes that execute a .tflite file with TensorFlow Lite's reference kernels.

A test that asks for `witness` runs once per profile whose runtime is installed. Where none can be, it is skipped;
with NPGRU_CONFORMANCE=1 it runs with the runtime that the extra `conformance` pins for this Python, or it fails.
"""
import importlib
import os
import sys

import numpy as np
import pytest

MODULES = {"tflm": "tflite_runtime.interpreter", "litert-ref": "ai_edge_litert.interpreter"}
PINNED = "tflm" if sys.version_info < (3, 12) and sys.platform == "linux" else "litert-ref"

MUST_RUN = os.environ.get("NPGRU_CONFORMANCE") == "1"        # then with the pinned runtime, and no test is skipped


class Witness:
    """A runtime and the profile whose rounding it has."""

    def __init__(self, profile):
        self.profile, self.module = profile, importlib.import_module(MODULES[profile])

    def run(self, model, *inputs):
        """model (bytes of a file), its inputs in order -> the first output."""
        interpreter = self.module.Interpreter(
            model_content=model, num_threads=1,
            experimental_op_resolver_type=self.module.OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        for detail, x in zip(interpreter.get_input_details(), inputs):
            interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def witness_of(profile):
    """The witness, or a skipped test, or (NPGRU_CONFORMANCE=1 and pinned for this Python) a failed one."""
    try:
        return Witness(profile)
    except ImportError as error:
        message = f"{MODULES[profile]} cannot be imported ({error}); install the extra 'conformance'"
        if MUST_RUN and profile == PINNED:
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session", params=[PINNED] if MUST_RUN else list(MODULES))
def witness(request):
    if request.param == "tflm" and int(np.__version__.split(".")[0]) >= 2 and not MUST_RUN:
        pytest.skip(f"tflite-runtime 2.14 needs numpy<2, here is {np.__version__}")
    return witness_of(request.param)
