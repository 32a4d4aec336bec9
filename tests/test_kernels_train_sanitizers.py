"""The compiled network under sanitizers: every layer and whole networks, in buffers of exactly their sizes, on threads."""
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_kernels_train import CASES, NETWORKS

from npgru import compress, kernels, model

if kernels.AVAILABLE:
    from npgru import layer_structs
    from npgru.audit_layers import clip_shape
CSRC = Path(__file__).resolve().parents[1] / "csrc"
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None or not kernels.AVAILABLE, reason="no gcc, or kernels not built")


def on_grids(layers):
    """The list that quantisation-aware training has."""
    ones = {f"{layer.name}/{key}": np.ones(shape, np.float32) for layer in layers for key, shape in layer.shapes.items()}
    stats = {f"{layer.name}/var": np.ones(layer.shapes["gamma"]) for layer in layers if layer.kind == "batchnorm"}
    folded, _ = compress.fold_batchnorm(layers, ones, stats | {name.replace("var", "mean"): s for name, s in stats.items()})
    return compress.insert_fake_quant(folded, compress.QuantisationConfig())


def layer_source(layer_lists):
    """C: the layer lists as arrays of npgru_train_layer, and an array `networks` of them."""
    texts = []
    for k, rows in enumerate(layer_lists):
        structs = []
        for row in rows:
            fields = [f".{name} = {f'(float){value}' if isinstance(value, float) else value}" for name, value in row.items()]
            structs.append(f"    {{ {', '.join(fields).replace('inf', 'INFINITY')} }},\n")
        texts.append(f"static const npgru_train_layer layers_{k}[] = {{\n{''.join(structs)}}};\n")
    names = [f"{{ layers_{k}, {len(rows)} }}" for k, rows in enumerate(layer_lists)]
    return "".join(texts) + f"static const network networks[] = {{ {', '.join(names)} }};\n"


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_networks_are_clean_under_sanitizers(tmp_path, sanitizer):
    lists = [[*layer_structs.c_layers(model.build(config, M), T, M).values()] for name, (config, T, M, _) in NETWORKS.items()
             if name not in ("teacher", "student")]                        # they take long and have no size of their own
    lists += [[*layer_structs.c_layers(on_grids(model.build(config, M)), T, M).values()] for config, T, M, _ in
              (NETWORKS["odd"], NETWORKS["smallest"])]
    if sanitizer != "thread":                                              # threads meet between layers, not in them
        lists += [[*layer_structs.c_layers(layers, *clip_shape(shape)).values()] for shape, layers in CASES]
    (tmp_path / "networks.h").write_text(layer_source(lists))
    sources = [Path(__file__).parent / "sanitizer" / "train_main.c", *sorted(CSRC.glob("train/*.c"))]
    build = subprocess.run(["gcc", *WARNINGS, "-O0", "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-pthread",
                            f"-I{CSRC}", f"-I{tmp_path}", *sources, "-lm", "-o", tmp_path / "main"],
                           capture_output=True, text=True)
    if "cannot find -l" in build.stderr or "cannot find lib" in build.stderr:
        pytest.skip(f"this gcc has no sanitizers: {build.stderr.splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    if "unexpected memory mapping" in run.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert run.returncode == 0, run.stdout + run.stderr
