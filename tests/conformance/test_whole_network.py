"""Whole networks as .tflite files: the runtimes' integers are those of int8.run, in every form and with both kinds of state."""
import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from test_int8 import clips, quantised, trained
from tolerances import OTHER_KERNELS_CODES

from npgru import dataset, int8, int8_params, int8_reference, model
from npgru.audit_network import (all_tensors, check_all_tensors, check_clip_form, check_file, check_step_form,
                                 run_unrolled)
from npgru.export_tflite import GRU_FORMS, check, tflite_bytes
from npgru.features import FrontEnd
from npgru.import_tflite import read_metadata
from npgru.model import NetworkConfig
from npgru.tally import Tally

NETWORKS = int(os.environ.get("NPGRU_CONFORMANCE_NETWORKS", "40"))
N_CLIPS = 5                     # a network; two of them are the darkest and the loudest that there can be

# What TensorFlow Lite Micro registers, and the types of an operator's first input there (its source, August 2026).
REGISTERED = {"CONV_2D": {"INT8"}, "DEPTHWISE_CONV_2D": {"INT8"}, "MAX_POOL_2D": {"INT8"}, "RESHAPE": {"INT8", "INT32"},
              "WHILE": {"INT32"}, "LESS": {"INT32"}, "GATHER": {"INT8"}, "CAST": {"INT8", "INT16"},
              "SPLIT_V": {"INT32", "INT8", "INT16"}, "FULLY_CONNECTED": {"INT8", "INT16"}, "ADD": {"INT8", "INT16", "INT32"},
              "SUB": {"INT8", "INT16"}, "MUL": {"INT8", "INT16"}, "LOGISTIC": {"INT8", "INT16"}, "TANH": {"INT8", "INT16"},
              "QUANTIZE": {"INT32"}, "SOFTMAX": {"INT8"}}


def random_network(seed):
    """A fake-quantised network of random sizes, and clips for it (N_CLIPS, T, M)."""
    rng = np.random.default_rng(seed)
    size = partial(rng.integers, endpoint=True)
    M, stride_m = int(size(4, 32)), int(size(1, 3))
    config = NetworkConfig(
        conv_filters=int(size(1, 9)), conv_kernel=size(1, 10, 2).tolist(), conv_stride=(int(size(1, 6)), stride_m),
        block_filters=size(1, 9, size(0, 3)).tolist(), pool_size=int(size(1, -(-M // stride_m))),
        gru_units=int(size(1, 9)), dense_units=int(size(2, 9)))
    front_end, clip_s = replace(FrontEnd.paper(), mel_n_channels=M), float(rng.uniform(0.04, 2))
    T = front_end.n_frames(round(clip_s * front_end.sample_rate_hz))

    def features(n):
        return np.resize(clips(rng, n), (n, T, M))
    fake = quantised(trained(config, features(16), rng), features(32))
    x = features(N_CLIPS)
    x[-2:] = [[[0]], [[65535]]]
    try:
        check(int8.freeze(fake, 8))
    except ValueError:                          # a layer whose outputs are all 0: export refuses it, so draw another
        return random_network(seed + 1_000_000)
    return replace(fake, front_end=front_end, clip_s=clip_s), x


def equal(tally: Tally):
    assert tally.cases > 0 and tally.worst == 0, tally


def check_network(witness, fake, x, bits, minimal):
    """Three forms and every tensor."""
    integers = int8.freeze(fake, bits)
    codes = int8.run(integers, x, "numpy", witness.profile)
    for gru in ("while", "unrolled"):
        equal(check_clip_form(integers, codes, witness.name, gru, minimal=minimal))
    equal(check_step_form(integers, {name: array[:2] for name, array in codes.items()}, witness.name, minimal=minimal))
    equal(check_all_tensors(integers, codes, witness.name, witness.profile))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(NETWORKS))
def test_random_networks(witness, seed, bits):
    fake, x = random_network(seed)
    check_network(witness, fake, x, bits, minimal=bool(seed % 2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("config", [model.student(), model.teacher()])
def test_student_and_teacher(witness, config, bits, rng):
    fake, x = quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), clips(rng, 8)
    check_network(witness, fake, x, bits, minimal=False)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("gru", ["while", "unrolled"])
def test_padding_for_esp_nn_changes_no_integer(witness, gru, bits):
    for seed in range(min(NETWORKS, 10)):
        fake, x = random_network(seed)
        integers = int8.freeze(fake, bits)
        codes = int8.run(integers, x, "numpy", witness.profile)
        equal(check_clip_form(integers, codes, witness.name, gru, target="esp-nn"))
        equal(check_step_form(integers, {name: array[:1] for name, array in codes.items()}, witness.name, target="esp-nn"))


@pytest.fixture(scope="module")
def real_student(shared_data):
    """The student with random weights on the grids of real clips, and the clips of validation."""
    rng = np.random.default_rng(7)
    corpus = dataset.discover(shared_data / "great_tit", split=("train", "validation"))
    x, kept, _ = dataset.load_features(corpus.clips, FrontEnd.paper(), threads=2)
    split = np.array([clip.split for clip in kept])
    learned = x[split == "train"][rng.permutation((split == "train").sum())]
    return quantised(trained(model.student(), learned[:128], rng), learned[:256]), x[split == "validation"]


@pytest.mark.parametrize("bits", [8, 16])
def test_student_on_all_real_validation_clips(witness, bits, real_student):
    fake, x = real_student
    assert len(x) > 20 and len(np.unique(int8.run(int8.freeze(fake, bits), x)["probabilities"])) > 10
    check_network(witness, fake, x, bits, minimal=False)


def worst_codes(witness, resolver, fake, x, bits):
    """Largest differences, in codes, over clips x: of an operator on the runtime's own inputs, of a state, of a probability."""
    integers = int8.freeze(fake, bits)
    codes = int8.run(integers, x, "numpy", witness.profile)
    found = run_unrolled(integers, codes["input"][:1], witness.name, resolver)
    expected = all_tensors(integers, codes, witness.profile)
    found["input"], worst = codes["input"][:1], {"operator": 0, "state": 0}
    for before, op in zip(integers.operators, integers.operators[1:]):
        if op.kind not in ("gru", "mean_time"):
            own = int8.RUN[op.kind](int8.operators_of("numpy", witness.profile), op, found[before.name])
            difference = np.abs(found[op.name].astype(int).ravel() - own.ravel()).max()
            worst["operator"] = max(worst["operator"], difference)
    for name in expected:
        if name.endswith("/h"):
            worst["state"] = max(worst["state"], np.abs(found[name].astype(int)[0] - expected[name]).max())
    files = [check_file(tflite_bytes(integers, gru), codes, witness.name, resolver) for gru in ("while", "unrolled")]
    return worst | {"probability": max(tally.worst for tally in files)}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("resolver", ["optimised", "xnnpack"])
@pytest.mark.runtimes("tflite-runtime", "ai-edge-litert")
def test_other_kernels_differ_by_little(witness, resolver, bits, real_student):
    """They round otherwise; by how much is measured, and stated in tolerances.py."""
    cases = [random_network(seed) for seed in range(NETWORKS)] + [real_student]
    all_found = [worst_codes(witness, resolver, fake, x[:20], bits) for fake, x in cases]
    found = {name: int(max(one[name] for one in all_found)) for name in all_found[0]}
    allowed = OTHER_KERNELS_CODES[resolver, bits]
    assert all(found[name] <= allowed[name] for name in allowed), found


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("gru", GRU_FORMS)
def test_only_operators_of_tflite_micro(gru, bits):
    """Read by the schema bindings of the package `tflite`; every type of an operator is one that TFLite Micro has."""
    tflite = pytest.importorskip("tflite", reason="the cross-check needs the package tflite")
    names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
    types = {value: name for name, value in vars(tflite.TensorType).items() if isinstance(value, int)}
    integers = int8.freeze(random_network(1)[0], bits)
    read = tflite.Model.GetRootAsModel(tflite_bytes(integers, gru), 0)
    assert read.SubgraphsLength() == (3 if gru == "while" else 1)
    for graph in map(read.Subgraphs, range(read.SubgraphsLength())):
        assert graph.InputsLength() and graph.OutputsLength()
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = read.OperatorCodes(operator.OpcodeIndex())
            first = graph.Tensors(operator.Inputs(0))
            assert types[first.Type()] in REGISTERED[names[code.BuiltinCode()]], names[code.BuiltinCode()]
            assert operator.CustomOptionsLength() == 0


def test_the_file_says_how_features_become_its_input(witness):
    """Scale and zero point of the file's input quantise uint16 features to the codes of int8.run."""
    fake, x = random_network(2)
    integers = int8.freeze(fake)
    content = tflite_bytes(integers)
    quantised_as = witness.session(content).input_quantisation()
    codes = int8_reference.quantize_features(x, int8_params.features(*quantised_as))[..., None]
    np.testing.assert_array_equal(codes, int8.run(integers, x, "numpy")["input"])
    assert FrontEnd(**read_metadata(content)["front_end"]) == fake.front_end
