"""The .tflite writer: what it wrote, read back by the schema bindings of the package `tflite`; sharing, and equal bytes."""
import numpy as np
import pytest

pytest.importorskip("flatbuffers", reason="the writer needs the package flatbuffers")
from npgru.tflite_writer import CODES, DATA_ALIGNMENT, OPTIONS, TYPES, Graph, write_tflite      # noqa: E402


def two_dense_layers():
    """x (1, 3) -> two layers with the same weights; a scalar constant beside them."""
    graph = Graph()
    x = graph.tensor((1, 3), "int8", 0.5, -3, name="input")
    w = [graph.constant(np.arange(9, dtype=np.int8).reshape(3, 3), np.float32([1, 2, 3])) for _ in range(2)]
    bias = graph.constant(np.int32([7, 8, 9]), np.float32([0.5, 1, 1.5]))
    graph.constant(np.array(1, np.int32))
    h, y = graph.tensor((1, 3), "int8", 0.5, -3), graph.tensor((1, 3), "int8", 0.25, 100, name="scores")
    graph.operator("FULLY_CONNECTED", 5, [x, w[0], bias], [h], activation="relu")
    graph.operator("FULLY_CONNECTED", 5, [h, w[1], -1], [y], activation="none")
    graph.inputs, graph.outputs = (x,), (y,)
    return graph


def test_the_same_model_gives_the_same_bytes():
    first, second = (write_tflite([two_dense_layers()], "a model", {"front_end": b"{}"}, names=True) for _ in range(2))
    assert first == second and first[4:8] == b"TFL3"


def test_equal_tables_and_vectors_are_stored_once():
    once = len(write_tflite([two_dense_layers()]))
    graph = two_dense_layers()
    graph.constant(np.arange(9, dtype=np.int8).reshape(3, 3), np.float32([1, 2, 3]))
    assert len(write_tflite([graph])) - once <= DATA_ALIGNMENT         # one more offset, and padding


def test_unknown_operators_and_options_are_refused():
    with pytest.raises(ValueError, match="accepted: tflite_writer.OPTIONS"):
        Graph().operator("LSTM", 1, [0], [1])
    with pytest.raises(ValueError, match="axes"):
        Graph().operator("GATHER", 2, [0], [1], axes=0)


def test_the_bindings_of_tflite_read_what_was_written():
    tflite = pytest.importorskip("tflite", reason="the cross-check needs the package tflite")
    content = write_tflite([two_dense_layers(), Graph()], "a model", {"front_end": b"{}"}, names=True)
    model = tflite.Model.GetRootAsModel(content, 0)
    assert (model.Version(), model.Description(), model.SubgraphsLength()) == (3, b"a model", 2)
    assert model.Buffers(0).DataLength() == 0 and model.OperatorCodesLength() == 1
    code = model.OperatorCodes(0)
    assert (code.BuiltinCode(), code.DeprecatedBuiltinCode(), code.Version()) == (9, 9, 5)
    graph = model.Subgraphs(0)
    assert (graph.InputsAsNumpy().tolist(), graph.OutputsAsNumpy().tolist()) == ([0], [6])
    x, w, axis = graph.Tensors(0), graph.Tensors(1), graph.Tensors(4)
    assert (x.ShapeAsNumpy().tolist(), x.Type(), x.Name(), x.Buffer()) == ([1, 3], tflite.TensorType.INT8, b"input", 0)
    assert (x.Quantization().ScaleAsNumpy().tolist(), x.Quantization().ZeroPointAsNumpy().tolist()) == ([0.5], [-3])
    assert w.Quantization().ScaleAsNumpy().tolist() == [1, 2, 3] and w.Quantization().ZeroPointLength() == 3
    assert w.Buffer() == graph.Tensors(2).Buffer() != 0 and axis.ShapeLength() == 0
    assert model.Buffers(w.Buffer()).DataAsNumpy().tolist() == list(range(9))
    assert graph.Operators(1).InputsAsNumpy().tolist() == [5, 2, -1]
    options = tflite.FullyConnectedOptions()
    options.Init(graph.Operators(0).BuiltinOptions().Bytes, graph.Operators(0).BuiltinOptions().Pos)
    assert graph.Operators(0).BuiltinOptionsType() == 8 and options.FusedActivationFunction() == 1
    assert model.Metadata(0).Name() == b"front_end"
    assert model.Buffers(model.Metadata(0).Buffer()).DataAsNumpy().tobytes() == b"{}"


def test_data_is_aligned():
    content = write_tflite([two_dense_layers()])
    for data in (np.arange(9, dtype=np.int8).tobytes(), np.int32([7, 8, 9]).tobytes()):
        assert content.index(data) % DATA_ALIGNMENT == 0


def test_numbers_are_those_of_the_schema():
    tflite = pytest.importorskip("tflite", reason="the cross-check needs the package tflite")
    assert all(getattr(tflite.BuiltinOperator, name) == code for name, code in CODES.items())
    assert all(getattr(tflite.TensorType, name.upper()) == code for name, code in TYPES.items())
    tables = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "MAX_POOL_2D": "Pool2DOptions",
              "FULLY_CONNECTED": "FullyConnectedOptions", "SOFTMAX": "SoftmaxOptions", "CONCATENATION": "ConcatenationOptions",
              "ADD": "AddOptions", "MUL": "MulOptions", "GATHER": "GatherOptions", "MEAN": "ReducerOptions", "SUB": "SubOptions",
              "SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions", "WHILE": "WhileOptions"}
    assert set(tables) == set(OPTIONS)
    assert all(getattr(tflite.BuiltinOptions, tables[name]) == tag for name, (tag, _) in OPTIONS.items())


SETTERS = {"padding": "Padding", "stride_m": "StrideW", "stride_t": "StrideH", "activation": "FusedActivationFunction",
           "dilation_m": "DilationWFactor", "dilation_t": "DilationHFactor", "depth_multiplier": "DepthMultiplier",
           "kernel_m": "FilterWidth", "kernel_t": "FilterHeight", "keep_num_dims": "KeepNumDims", "beta": "Beta", "axis": "Axis",
           "pot_scale_int16": "PotScaleInt16", "keep_dims": "KeepDims", "num_splits": "NumSplits", "cond": "CondSubgraphIndex",
           "body": "BodySubgraphIndex"}


@pytest.mark.parametrize("code", OPTIONS)
def test_every_option_is_in_its_slot(code):
    """Each option with a value of its own, read back under its name in the schema; and its default, when left out."""
    tflite = pytest.importorskip("tflite", reason="the cross-check needs the package tflite")
    tag, slots = OPTIONS[code]
    union = {number: name for name, number in vars(tflite.BuiltinOptions).items() if isinstance(number, int)}
    for given in (True, False):
        defaults = {key: default for key, (_, _, default) in slots.items()}
        others = {key: 1 - int(default) if "pot" in key or "keep" in key else k + 2
                  for k, (key, default) in enumerate(defaults.items())}
        values = others if given else defaults
        graph = Graph()
        graph.tensor((1,), "int8")
        graph.operator(code, 1, [0], [0], **values)
        operator = tflite.Model.GetRootAsModel(write_tflite([graph]), 0).Subgraphs(0).Operators(0)
        options = getattr(tflite, union[tag])()
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        assert operator.BuiltinOptionsType() == tag
        assert {key: getattr(options, SETTERS[key])() for key in values} == values
