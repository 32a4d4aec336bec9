"""import_tflite, tflite_reader: the very network comes back; other files are refused in one line; nothing is trusted."""
import json
import struct
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

pytest.importorskip("flatbuffers", reason="the exporter needs the package flatbuffers")
from test_int8 import SIZES, clips, quantised, trained       # noqa: E402

from npgru import int8, tflite_reader                        # noqa: E402
from npgru.export_tflite import GRU_FORMS, METADATA, check, metadata_json, tflite_bytes     # noqa: E402
from npgru.features import FrontEnd                          # noqa: E402
from npgru.import_tflite import read_metadata, read_tflite, with_facts    # noqa: E402
from npgru.tflite_writer import Graph, write_tflite          # noqa: E402

FACTS = {"threshold": 0.5123456789, "seed": 7, "data_sha256": 64 * "a", "npgru": "0.1.0"}
CLIP_FORMS = GRU_FORMS[:2]


@pytest.fixture(scope="module", params=range(len(SIZES)), ids=lambda k: f"network{k}")
def fake(request):
    """Networks of several sizes with random weights, on their grids; the last is the student."""
    rng = np.random.default_rng(7)
    return quantised(trained(SIZES[request.param], clips(rng, 16), rng), clips(rng, 32))


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(7)
    return int8.freeze(quantised(trained(SIZES[0], clips(rng, 16), rng), clips(rng, 32)))


def assert_equal(found, expected, where="network"):
    """Every array to its type, every number to the bit, however deep."""
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and np.array_equal(found, expected), where
    elif is_dataclass(expected):
        for field in fields(expected):
            assert_equal(getattr(found, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_equal(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for k, pair in enumerate(zip(found, expected)):
            assert_equal(*pair, f"{where}[{k}]")
    else:
        assert found == expected, where


@pytest.mark.parametrize("gru", CLIP_FORMS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("names, target", [(False, None), (True, None), (False, "esp-nn"), (True, "esp-nn")])
def test_the_network_that_wrote_a_file_comes_back_from_it(fake, gru, bits, names, target, tmp_path):
    integers = int8.freeze(fake, bits)
    if target and any(op.kind == "dense" and len(op.arrays["w"]) == 1 for op in integers.operators):
        with pytest.raises(ValueError, match="dense: a single output, .* use 2 units, or no --target"):
            tflite_bytes(integers, gru, FACTS, names, target=target)
        return
    content = tflite_bytes(integers, gru, FACTS, names, target=target)
    (tmp_path / "m.tflite").write_bytes(content)
    found, facts = read_tflite(tmp_path / "m.tflite")
    assert_equal(found, integers)
    assert facts == FACTS and read_tflite(content)[1] == FACTS
    x = clips(np.random.default_rng(1), 2)
    assert_equal(int8.run(found, x), int8.run(integers, x))


@pytest.mark.parametrize("gru", CLIP_FORMS)
@pytest.mark.parametrize("names, target", [(False, None), (True, None), (False, "esp-nn")])
def test_other_facts_give_the_file_that_export_would_have_written(small, gru, names, target):
    content, other = tflite_bytes(small, gru, FACTS, names, target=target), {"threshold": 0.25, "calibration": [1.5, -0.5]}
    assert with_facts(content, other) == tflite_bytes(small, gru, other, names, target=target)
    assert with_facts(content, FACTS) == content


def test_other_facts_leave_the_rest_of_the_file_alone(small):
    graphs, about = tflite_reader.read_graphs(tflite_bytes(small)), metadata_json(small, {"gru": "while"})
    content = write_tflite(graphs, metadata={METADATA: about, "TFLITE_METADATA": b"of another tool"})
    entries = tflite_reader.read_metadata_entries(with_facts(content, {"threshold": 1.0}))
    assert entries["TFLITE_METADATA"] == b"of another tool" and json.loads(entries[METADATA])["threshold"] == 1


def test_facts_may_not_contradict_the_network(small):
    with pytest.raises(ValueError, match="classes, clip_s: belongs to the network"):
        with_facts(tflite_bytes(small), {"clip_s": 3, "classes": ["a", "b"]})


@pytest.mark.parametrize("gru", GRU_FORMS)
def test_metadata_comes_back(small, gru, tmp_path):
    content = tflite_bytes(small, gru, FACTS)
    (tmp_path / "m.tflite").write_bytes(content)
    found = read_metadata(tmp_path / "m.tflite")
    assert found == read_metadata(content) and found.items() >= FACTS.items()
    assert FrontEnd(**found["front_end"]) == small.front_end and found["classes"] == list(small.classes)
    assert (found["clip_s"], found["state_bits"], found["gru"]) == (2.0, 16, gru)


def test_front_end_and_classes_travel_without_being_asked(small):
    assert {"front_end", "classes", "clip_s"} <= read_metadata(tflite_bytes(small)).keys()


@pytest.mark.parametrize("option", [{"metadata": None}, {"minimal": True}])
def test_a_file_without_metadata_says_so(small, option):
    with pytest.raises(ValueError, match="has no metadata of npgru; accepted"):
        read_metadata(tflite_bytes(small, **option))


def test_damaged_files_are_refused_in_one_line(small, tmp_path, rng):
    content = tflite_bytes(small, metadata=FACTS)
    for broken in (b"", b"no model", content[:40], content[:len(content) // 2]):
        with pytest.raises(ValueError, match="^the model: is (not a .tflite file|damaged)"):
            read_metadata(broken)
    for _ in range(300):
        broken = bytearray(content)
        for place in rng.integers(0, 400, 3):
            broken[place] = rng.integers(256)
        try:
            assert isinstance(read_metadata(bytes(broken)), dict)
        except ValueError as error:
            assert "\n" not in str(error)


REFUSALS = {"step": ("step", {}, "single step.*accepted: .*--gru while or --gru unrolled"),
            "minimal": ("while", {"minimal": True}, "no metadata of npgru; accepted: .* without --minimal")}


@pytest.mark.parametrize("name", REFUSALS)
def test_files_that_do_not_hold_the_network_say_what_to_do(small, name, tmp_path):
    gru, options, message = REFUSALS[name]
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(small, gru, **options))
    with pytest.raises(ValueError, match=f"m.tflite: .*{message}"):
        read_tflite(tmp_path / "m.tflite")


def test_a_file_of_another_program_is_refused(small, tmp_path):
    graph = Graph()
    x, y = (graph.tensor((1, 4), "int8", 0.5) for _ in range(2))
    graph.operator("TANH", 2, [x], [y])
    graph.inputs, graph.outputs = (x,), (y,)
    about = metadata_json(small, {"gru": "while"})
    with pytest.raises(ValueError, match="has no metadata of npgru"):
        read_tflite(write_tflite([graph]))
    with pytest.raises(ValueError, match="was not written by `npgru export`"):
        read_tflite(write_tflite([graph], metadata={METADATA: about}))
    for content in (b"", b"RIFF....WAVE", np.random.default_rng(1).bytes(5000)):
        with pytest.raises(ValueError, match="the model: is not a .tflite file"):
            read_tflite(content)


CHANGES = {"classes": ["one"], "clip_s": 1e9, "state_bits": 8, "gru": "unrolled", "front_end": {"window_len": 2}}


@pytest.mark.parametrize("key", CHANGES)
def test_metadata_that_contradict_the_graph_are_refused(small, key):
    about = json.loads(metadata_json(small, {"gru": "while"})) | {key: CHANGES[key]}
    content = write_tflite(tflite_reader.read_graphs(tflite_bytes(small)), metadata={METADATA: json.dumps(about).encode()})
    with pytest.raises(ValueError, match="^the model: "):
        read_tflite(content)


def other_file(small, change):
    """A file whose graphs are changed after the exporter made them."""
    graphs = tflite_reader.read_graphs(tflite_bytes(small))
    change(graphs)
    return write_tflite(graphs, metadata={METADATA: metadata_json(small, {"gru": "while"})})


def set_tensor(graph, index, **changes):
    graph.tensors[index] = graph.tensors[index]._replace(**changes)


def widest_bias(graphs):
    """The GRU's int64 bias, beyond what 64 bits can add to."""
    body = graphs[2]
    k = next(k for k, t in enumerate(body.tensors) if t.dtype == "int64" and t.data)
    set_tensor(body, k, data=np.full(body.tensors[k].shape, 2**62).astype("<i8").tobytes())


def swapped(graphs):
    operators = graphs[2].operators
    operators[-1], operators[-2] = operators[-2], operators[-1]


def other_stride(graphs):
    graphs[0].operators[0] = graphs[0].operators[0]._replace(options=graphs[0].operators[0].options | {"stride_t": 0})


GRAPH_CHANGES = {
    "scale": lambda graphs: set_tensor(graphs[0], 0, scale=np.float32([np.nan])),
    "no scale": lambda graphs: set_tensor(graphs[0], 0, scale=np.float32([0])),
    "zero point": lambda graphs: set_tensor(graphs[0], 0, zero_point=128),
    "shape": lambda graphs: set_tensor(graphs[0], 0, shape=(1, 85, 32, 1)),
    "order": swapped, "stride": other_stride, "bias": widest_bias,
    "graph": lambda graphs: graphs.pop(),
    "output": lambda graphs: setattr(graphs[0], "outputs", (0,))}


@pytest.mark.parametrize("name", GRAPH_CHANGES)
def test_a_graph_that_computes_something_else_is_refused(small, name):
    with pytest.raises(ValueError, match="^the model: [^\n]*$"):
        read_tflite(other_file(small, GRAPH_CHANGES[name]))


def test_any_truncation_and_any_damage_is_a_model_or_one_line(small):
    """Every truncation, and bytes changed anywhere; what is still a model can be run."""
    content, rng, n_models = tflite_bytes(small, metadata=FACTS), np.random.default_rng(3), 0
    broken = [content[:n] for n in range(len(content))]
    for _ in range(3000):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        broken.append(bytes(damaged))
    for case in broken:
        try:
            found, facts = read_tflite(case)
            check(found)
            n_models += 1
        except ValueError as error:
            assert "\n" not in str(error) and str(error).startswith("the model: ")
    assert 300 < n_models < 3000                        # most bytes are weights, and other weights are a model too


def test_a_file_that_claims_to_be_endless_is_refused_at_once(small):
    """Vectors of 2^31 elements, and many references to one large table."""
    content = tflite_bytes(small, metadata=FACTS)
    for place in range(0, len(content) - 4, 4):
        if 0 < struct.unpack_from("<I", content, place)[0] < 200:
            for length in (2**31 - 1, 2**20):
                claimed = bytearray(content)
                struct.pack_into("<I", claimed, place, length)
                try:
                    read_tflite(bytes(claimed))
                except ValueError as error:
                    assert str(error).startswith("the model: ")
    graph = Graph()
    graph.tensors = 30000 * [replace_data(small)]
    with pytest.raises(ValueError, match="holds more than its size allows"):
        tflite_reader.read_graphs(write_tflite([graph]))


def replace_data(small):
    """One tensor with 100 000 bytes, which a writer stores once."""
    graph = Graph()
    graph.constant(np.zeros(100_000, np.int8), 1.0)
    return graph.tensors[0]
