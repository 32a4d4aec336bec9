"""Whole networks as .tflite files: the runtimes' integers are those of int8.run, in every form and with both kinds of state."""
import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from test_int8 import clips, quantised, trained

from npgru import dataset, int8, int8_params, int8_reference, model
from npgru.export_tflite import GRU_FORMS, check, clip_graphs, clip_shape, tflite_bytes
from npgru.features import FrontEnd
from npgru.import_tflite import read_metadata
from npgru.int8_nonlinear import logistic_s16, lookup_s8, tanh_s16
from npgru.model import NetworkConfig
from npgru.tflite_writer import write_tflite

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


@pytest.fixture
def profiled(witness, monkeypatch):
    """The witness; int8.run in NumPy rounds as it does."""
    for name in ("dense_s8", "gru_step_s8", "gru_step_s16"):
        monkeypatch.setattr(int8.REFERENCE, name, partial(getattr(int8.REFERENCE, name), profile=witness.profile))
    return witness


class Session:
    """One interpreter for many clips."""

    def __init__(self, witness, content, preserve=False):
        self.interpreter = witness.module.Interpreter(
            model_content=content, num_threads=1, experimental_preserve_all_tensors=preserve,
            experimental_op_resolver_type=witness.module.OpResolverType.BUILTIN_REF)
        self.interpreter.allocate_tensors()

    def run(self, *inputs):
        """All outputs."""
        for detail, x in zip(self.interpreter.get_input_details(), inputs):
            self.interpreter.set_tensor(detail["index"], x)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.interpreter.get_output_details()]

    def by_name(self):
        """{tensor's name: its codes}, of the last run."""
        return {detail["name"]: self.interpreter.get_tensor(detail["index"])
                for detail in self.interpreter.get_tensor_details() if detail["name"]}


def check_clip_form(witness, integers, codes, gru, minimal):
    session = Session(witness, tflite_bytes(integers, gru, minimal=minimal))
    for expected, x in zip(codes["probabilities"], codes["input"]):
        np.testing.assert_array_equal(session.run(x[None])[0], expected[None])


def check_step_form(witness, integers, codes, minimal):
    """T' steps from zeros: every state, every sum of states, and at the end the clip's probabilities."""
    session = Session(witness, tflite_bytes(integers, "step", minimal=minimal))
    for x, states, expected in zip(codes["stack"], codes["gru"], codes["probabilities"]):
        h, total = np.zeros_like(states[:1]), np.zeros((1, states.shape[1]), np.int32)
        for x_t, h_t, sum_t in zip(x, states, states.cumsum(axis=0, dtype=np.int32)):
            h, total, probabilities = session.run(x_t[None], h, total)
            np.testing.assert_array_equal(h, h_t[None])
            np.testing.assert_array_equal(total, sum_t[None])
        np.testing.assert_array_equal(probabilities, expected[None])


def inside_steps(integers, codes, profile):
    """Every tensor inside the GRU of clip 0: {name: (T', width)}, of int8_gru's formulas applied to its known states."""
    op = next(op for op in integers.operators if op.kind == "gru")
    p, (w, u, bx, bh), bits = op.record, (op.arrays[key] for key in ("w", "u", "bx", "bh")), op.settings["bits"]
    dense, sigmoid, tanh = ((int8_reference.dense_s16, logistic_s16, tanh_s16) if bits == 16 else
                            (int8_reference.dense_s8, lookup_s8, lookup_s8))
    x, h_new, H = codes["stack"][0], codes["gru"][0], u.shape[1]
    h = np.concatenate([np.zeros_like(h_new[:1]), h_new[:-1]])
    gx, gh = dense(x.astype(h.dtype), w, bx, p.input, profile=profile), dense(h, u, bh, p.state, profile=profile)
    found = {"gx_zr": gx[:, :2*H], "gx_n": gx[:, 2*H:], "gh": gh, "gh_zr": gh[:, :2*H], "gh_n": gh[:, 2*H:], "h": h_new}
    found["gates"] = int8_reference.add(found["gx_zr"], found["gh_zr"], p.gates)
    found["zr"] = sigmoid(found["gates"], p.sigmoid)
    found["z"], found["r"] = found["zr"][:, :H], found["zr"][:, H:]
    found["reset"] = int8_reference.mul(found["r"], found["gh_n"], p.reset)
    found["candidate"] = int8_reference.add(found["gx_n"], found["reset"], p.candidate)
    found["n"] = tanh(found["candidate"], p.tanh)
    found["difference"] = int8_reference.sub(h, found["n"], p.difference)
    found["h_int32"], found["total"] = h_new, h_new.cumsum(axis=0, dtype=np.int32)
    found["blend"] = int8_reference.mul(found["z"], found["difference"], p.blend)
    return found


def check_all_tensors(witness, integers, codes):
    """The unrolled form, every tensor that is computed, by its name.

    All are made outputs: with experimental_preserve_all_tensors alone the runtime still adds in place.
    """
    main, = clip_graphs(integers, "unrolled", minimal=False)
    main.outputs = [y for operator in main.operators for y in operator.outputs]
    session = Session(witness, write_tflite([main], names=True), preserve=True)
    session.run(codes["input"][:1])
    expected = {name: array[0] for name, array in codes.items() if name not in ("input", "gru")}
    for name, array in inside_steps(integers, codes, witness.profile).items():
        expected |= {f"gru/{t}/{name}": row for t, row in enumerate(array)}
    found = session.by_name()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name].ravel(), array.ravel(), err_msg=name)
    unseen = {main.tensors[y].name for y in main.outputs} - expected.keys()
    assert unseen <= {"scaled_total", "gru/x", "gru/gx", "gru/gx_zr", "gru/gx_n"}, unseen       # seen as their parts


def check_network(witness, fake, x, bits, minimal):
    integers = int8.freeze(fake, bits)
    codes = int8.run(integers, x, "numpy")
    for gru in ("while", "unrolled"):
        check_clip_form(witness, integers, codes, gru, minimal)
    check_step_form(witness, integers, {name: array[:2] for name, array in codes.items()}, minimal)
    check_all_tensors(witness, integers, codes)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(NETWORKS))
def test_random_networks(profiled, seed, bits):
    fake, x = random_network(seed)
    check_network(profiled, fake, x, bits, minimal=bool(seed % 2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("config", [model.student(), model.teacher()])
def test_student_and_teacher(profiled, config, bits, rng):
    fake, x = quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), clips(rng, 8)
    check_network(profiled, fake, x, bits, minimal=False)


@pytest.mark.parametrize("bits", [8, 16])
def test_student_on_all_real_validation_clips(profiled, bits, shared_data, rng):
    corpus = dataset.discover(shared_data / "great_tit", split=("train", "validation"))
    x, kept, _ = dataset.load_features(corpus.clips, FrontEnd.paper(), threads=2)
    split = np.array([clip.split for clip in kept])
    learned = x[split == "train"][rng.permutation((split == "train").sum())]
    fake = quantised(trained(model.student(), learned[:128], rng), learned[:256])
    integers = int8.freeze(fake, bits)
    codes = int8.run(integers, x[split == "validation"], "numpy")
    assert len(codes["input"]) > 20 and len(np.unique(codes["probabilities"])) > 10
    for gru in ("while", "unrolled"):
        check_clip_form(profiled, integers, codes, gru, minimal=False)
    check_step_form(profiled, integers, codes, minimal=False)
    check_all_tensors(profiled, integers, codes)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(min(NETWORKS, 20)))
def test_tflite_micro(seed, bits):
    """The runtime of the devices itself, from its development wheels (pip install --pre tflite-micro)."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="the dev wheel tflite-micro is not here")
    fake, x = random_network(seed)
    integers = int8.freeze(fake, bits)
    codes = int8.run(integers, x, "numpy")
    while_form, unrolled, step = (runtime.Interpreter.from_bytes(tflite_bytes(integers, gru, minimal=bool(seed % 2)),
                                                                 arena_size=2**24) for gru in GRU_FORMS)
    for k, expected in enumerate(codes["probabilities"]):
        for interpreter in (while_form, unrolled):
            interpreter.set_input(codes["input"][k:k + 1], 0)
            interpreter.invoke()
            np.testing.assert_array_equal(interpreter.get_output(0), expected[None])
        state = [np.zeros_like(codes["gru"][k, :1]), np.zeros(codes["gru"][k, :1].shape, np.int32)]
        for x_t, h_t in zip(codes["stack"][k], codes["gru"][k]):
            for index, array in enumerate([x_t[None], *state]):
                step.set_input(array, index)
            step.invoke()
            *state, probabilities = (step.get_output(index) for index in range(3))
            np.testing.assert_array_equal(state[0], h_t[None])
        np.testing.assert_array_equal(probabilities, expected[None])


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


def test_the_file_says_how_features_become_its_input(profiled):
    """Scale and zero point of the file's input quantise uint16 features to the codes of int8.run."""
    fake, x = random_network(2)
    integers = int8.freeze(fake)
    content = tflite_bytes(integers)
    detail, = Session(profiled, content).interpreter.get_input_details()
    assert tuple(detail["shape"]) == clip_shape(integers) and detail["dtype"] == np.int8
    record = int8_params.features(*detail["quantization"])
    np.testing.assert_array_equal(int8_reference.quantize_features(x, record)[..., None], int8.run(integers, x, "numpy")["input"])
    assert FrontEnd(**read_metadata(content)["front_end"]) == fake.front_end
