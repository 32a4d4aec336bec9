"""export_tflite: sizes, equal bytes, metadata, recovered scales, refusals. What runtimes make of a file: conformance/."""
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("flatbuffers", reason="the exporter needs the package flatbuffers")
from test_int8 import SIZES, clips, quantised, trained       # noqa: E402

from npgru import int8, int8_params, model, tflite_gru    # noqa: E402
from npgru.export_tflite import GRU_FORMS, check_accumulators, clip_graphs, step_graphs, tflite_bytes     # noqa: E402
from npgru.int8_params import Quantisation                   # noqa: E402
from npgru.layers import fake_quant                          # noqa: E402

FACTS = {"threshold": 0.5123456789, "seed": 7, "data_sha256": 64 * "a", "npgru": "0.1.0"}
LARGEST_BYTES = {"with metadata": 26_500, "without": 25_500, "minimal": 24_000}


@pytest.fixture(scope="module")
def student():
    """The student with random weights, on its grids."""
    rng = np.random.default_rng(7)
    return quantised(trained(model.student(), clips(rng, 16), rng), clips(rng, 32))


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(7)
    return int8.freeze(quantised(trained(SIZES[0], clips(rng, 16), rng), clips(rng, 32)))


@pytest.mark.parametrize("bits", [8, 16])
def test_sizes_of_the_student(student, bits):
    integers = int8.freeze(student, bits)
    found = {"with metadata": len(tflite_bytes(integers, metadata=FACTS)), "without": len(tflite_bytes(integers, metadata=None)),
             "minimal": len(tflite_bytes(integers, minimal=True))}
    assert all(found[name] <= LARGEST_BYTES[name] for name in LARGEST_BYTES), found


@pytest.mark.parametrize("gru", GRU_FORMS)
def test_the_same_network_gives_the_same_bytes(student, gru):
    first, second = (tflite_bytes(int8.freeze(student), gru, FACTS) for _ in range(2))
    assert first == second and first[4:8] == b"TFL3"
    assert first == tflite_bytes(int8.freeze(student), gru, dict(reversed(FACTS.items())))


@pytest.mark.parametrize("bits", [8, 16])
def test_esp_nn_gets_multiples_of_8_outputs_and_the_scores_keep_their_shape(bits):
    rng = np.random.default_rng(7)
    integers = int8.freeze(quantised(trained(SIZES[0], clips(rng, 16), rng), clips(rng, 32)), bits)
    for graphs in (clip_graphs(integers, "while", False, 8), clip_graphs(integers, "unrolled", False, 8), step_graphs(integers, False, 8)):
        dense = [g.shape(op.outputs[0])[1] for g in graphs for op in g.operators if op.code == "FULLY_CONNECTED"
                 and g.tensors[op.outputs[0]].dtype == "int8"]
        assert len(dense) >= (2 if bits == 16 else 4) and {n % 8 for n in dense} == {0}
        assert graphs[0].shape(graphs[0].outputs[-1]) == (1, 2)
    with pytest.raises(ValueError, match="target='esp'; accepted: esp-nn"):
        tflite_bytes(integers, target="esp")


def test_names_are_left_out_unless_asked_for(small):
    assert b"gru/gates" not in tflite_bytes(small) and b"gru/gates" in tflite_bytes(small, names=True)


def test_the_input_has_the_features_own_unit(student):
    """The network multiplies them by a power of two; the first kernel's weights take it over, exactly."""
    features, conv, *_ = int8.freeze(student).operators
    factor, (scale, zero_point) = student.layers[0].settings["factor"], model.activation_scale(model.INPUT_CODES, student.stats)
    assert features.y == (scale / factor, zero_point) and features.record == int8_params.features(*features.y)
    w_scale = fake_quant.weight_scale(student.params["conv/w"])
    np.testing.assert_array_equal(conv.arrays["w_scale"], w_scale * factor)
    p = int8_params.channels(Quantisation(scale, zero_point), w_scale, conv.y, conv.settings["activation"])
    assert (p.multiplier == conv.record.multiplier).all() and (p.shift == conv.record.shift).all()


def test_shapes_of_the_step(small):
    graph, = step_graphs(small, minimal=False)
    H, D = small.operators[[op.kind for op in small.operators].index("gru")].arrays["u"].shape[1], 24
    assert [graph.shape(index) for index in graph.inputs] == [(1, D), (1, H), (1, H)]
    assert [graph.shape(index) for index in graph.outputs] == [(1, H), (1, H), (1, 2)]
    assert [graph.tensors[index].dtype for index in graph.inputs] == ["int8", "int16", "int32"]


def test_sums_of_int32_have_no_scale(small):
    """TensorFlow Lite Micro's ADD refuses it."""
    for graphs in (clip_graphs(small, "while", False), clip_graphs(small, "unrolled", False), step_graphs(small, False)):
        sums = [op for g in graphs for op in g.operators if op.code == "ADD" and op.version == 1]
        g = graphs[-1]
        assert sums and all(g.tensors[i].scale is None for op in sums for i in (*op.inputs, *op.outputs))


def test_equal_constants_are_one_tensor():
    g = tflite_gru.CodeGraph(minimal=False)
    first, second, other = (g.constant(np.int32([k])) for k in (1, 1, 2))
    assert first == second != other and len(g.tensors) == 2
    assert g.constant(np.int8([1]), np.float32([0.5])) != g.constant(np.int8([1]), np.float32([0.25]))


def changed(integers, kind, **changes):
    """The first operator of a kind, with other fields."""
    k = [op.kind for op in integers.operators].index(kind)
    operators = list(integers.operators)
    operators[k] = replace(operators[k], **changes)
    return replace(integers, operators=operators)


def test_refusals(small):
    with pytest.raises(ValueError, match="gru='lstm'; accepted: while, unrolled, step"):
        tflite_bytes(small, "lstm")
    with pytest.raises(ValueError, match="features' scale"):
        tflite_bytes(changed(small, "features", record=int8_params.Features(255, 0, 0)))
    with pytest.raises(ValueError, match="conv: output scale 1e-10"):
        tflite_bytes(changed(small, "conv2d", y=Quantisation(1e-10)))
    with pytest.raises(ValueError, match="conv: its sums reach 2147"):
        check_accumulators("conv", np.ones((1, 3), np.int8), np.int32([2**31 - 1]), 0)
    dense = next(op for op in small.operators if op.kind == "dense")
    one = {"w": dense.arrays["w"][:1], "w_scale": dense.arrays["w_scale"][:1], "bias": dense.arrays["bias"][:1]}
    record = replace(dense.record, multiplier=np.int32([1 << 30]), shift=np.int32([-5]))
    with pytest.raises(ValueError, match="dense: TensorFlow Lite rounds the multiplier of a single output otherwise"):
        tflite_bytes(changed(small, "dense", arrays=one, record=record))
    gru = next(op for op in small.operators if op.kind == "gru")
    large = replace(gru.record.state, shift=gru.record.state.shift + 30)
    with pytest.raises(ValueError, match="accepted: at most 2.14; retrain"):
        tflite_bytes(changed(small, "gru", record=replace(gru.record, state=large)))
