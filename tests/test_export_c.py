"""export_c.py: the folder builds without a warning and gives the bytes of int8.run, clip by clip and as a stream."""
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from runs import contents
from test_int8 import SIZES, clips, quantised, trained

from npgru import device_fast, export_c, feature_files, features, int8, int8_params, int8_reference, model
from npgru.device_layout import network_of
from npgru.front_end import FrontEnd
from npgru.int8_nonlinear import softmax_s8
from npgru.model import NetworkConfig

MAIN = Path(__file__).parent / "sanitizer" / "export_main.c"
WARNINGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -g".split()
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
PLAIN, DSP, ROWS = 0, 1, 2
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")

# sizes that only the exact form knows, and mixtures: odd channels, columns and pools, strides, no blocks, many
ODD = [*SIZES[:3], NetworkConfig(conv_filters=3, conv_kernel=(3, 5), conv_stride=(2, 1), block_filters=(5, 4, 7, 2),
                                 pool_size=3, gru_units=5),
       NetworkConfig(conv_filters=4, conv_kernel=(2, 3), conv_stride=(3, 4), block_filters=(6,), pool_size=2, gru_units=4),
       NetworkConfig(conv_filters=8, conv_kernel=(4, 2), conv_stride=(7, 2), block_filters=(26, 8), pool_size=16, gru_units=6)]


def integers_of(config, rng, bits=16):
    return int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), bits)


def built(integers, folder, form, *flags):
    """The exported folder with the tests' main as a program of this machine."""
    export_c.write_folder(folder, export_c.folder_files(integers, ()))
    return compiled(folder, form, *flags)


def compiled(folder, form, *flags):
    program = folder / f"form{form}"
    command = ["gcc", "-O0", *WARNINGS, *SANITIZERS, f"-DNPGRU_FORM={form}", *flags, f"-I{folder / 'src'}",
               *sorted((folder / "src").glob("*.c")), MAIN, "-o", program]
    subprocess.run(list(map(str, command)), check=True)
    return program


def scores_of(program, integers, data, *args) -> np.ndarray:
    """What the program writes: (n, 2 K) int8, probabilities and logits."""
    process = subprocess.run([program, *map(str, args)], input=data.tobytes(), capture_output=True)
    assert process.returncode == 0, process.stderr.decode()[:2000]
    K = len(integers.operators[-2].arrays["bias"])
    return np.frombuffer(process.stdout, np.int8).reshape(-1, 2 * K)


def expected_scores(integers, x) -> np.ndarray:
    """The same of features (N, T, M), by the specification."""
    codes = int8.run(integers, x)
    return np.concatenate([codes["probabilities"], codes[integers.operators[-2].name]], axis=1)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The paper's student with random weights, and its folder."""
    integers = integers_of(model.student(), np.random.default_rng(7))
    folder = tmp_path_factory.mktemp("student")
    export_c.write_folder(folder, export_c.folder_files(integers, ()))
    return integers, folder


@pytest.fixture(scope="module", params=[PLAIN, DSP, ROWS])
def program(student, request):
    return compiled(student[1], request.param)


@pytest.fixture(scope="module")
def samples():
    """Three clips of sound of every loudness, (3, 32000) int16."""
    rng = np.random.default_rng(3)
    noise = rng.integers(-20000, 20000, (3, 32000)) * np.linspace(0, 1, 32000) ** 2
    return noise.astype(np.int16)


@pytest.mark.parametrize("config", ODD, ids=lambda c: f"{c.conv_filters}-{'-'.join(map(str, c.block_filters))}")
def test_any_network_gives_the_bytes_of_the_specification(config, rng, tmp_path):
    for bits, forms in ((16, (PLAIN, DSP, ROWS)), (8, (DSP, ROWS) if config in SIZES[:2] else ())):
        integers = integers_of(config, rng, bits)
        x = clips(rng, 3)
        x[0], x[1, ::2] = 0, 65535
        export_c.write_folder(tmp_path / str(bits), export_c.folder_files(integers, ()))
        for form in forms:
            found = scores_of(compiled(tmp_path / str(bits), form), integers, x, "features")
            np.testing.assert_array_equal(found, expected_scores(integers, x))


def test_the_papers_student_is_fast_in_every_layer(student):
    header = (student[1] / "src" / "npgru_model.h").read_text()
    of_dsp = header[header.index("#if NPGRU_FORM == NPGRU_DSP"):header.index("#elif NPGRU_FORM == NPGRU_ROWS")]
    assert of_dsp.count("FAST_") == 5 and of_dsp.count(" 1\n") >= 5
    assert all(f"#define NPGRU_PLAIN_{kind} 0" in of_dsp for kind in ("CONV", "DEPTHWISE", "POINTWISE", "POOL", "GRU"))


@pytest.mark.parametrize("chunk", [1000, 383, 100000])
def test_clips_of_a_stream_are_scored_as_clips(chunk, program, student, samples):
    found = scores_of(program, student[0], samples, "clips", chunk)
    expected = expected_scores(student[0], features.log_mel(samples, student[0].front_end))
    np.testing.assert_array_equal(found, expected)


def test_real_clips(shared_data, program, student):
    folder = shared_data / "great_tit" / "Validation_Set"
    files = [path for kind in ("Target", "Negatives") for path in sorted((folder / kind).iterdir())[:6]]
    x = np.stack([feature_files.slice_of(path, FrontEnd.paper(), 2.0) for path in files])
    found = scores_of(program, student[0], x, "clips", 4096)
    np.testing.assert_array_equal(found, expected_scores(student[0], features.log_mel(x, FrontEnd.paper())))


def continuous_scores(integers, x) -> np.ndarray:
    """NPGRU_CONTINUOUS by the specification: features (T, M) of a long sound -> a score for every state from the 17th on,
    as long as its neighbours are in x."""
    network, codes = network_of(integers), int8.run(integers, x[None])
    states, n = codes["gru"][0].astype(np.int64), network.n_steps
    record = int8_params.mean_of_sum(network.mean.settings["x"], network.mean.y, n)
    totals = np.stack([states[t - n:t].sum(axis=0) for t in range(n, len(states) + 1)])
    y = int8_reference.quantize(totals.astype(np.int32), record)
    for op in network.dense:
        y = int8_reference.dense_s8(y, op.arrays["w"], op.arrays["bias"], op.record)
    return np.concatenate([softmax_s8(y, network.softmax.record), y], axis=1)


def test_a_stream_without_end_gives_a_score_every_hop(program, student, samples):
    sound = np.concatenate([*samples, samples[0][::-1]])
    found = scores_of(program, student[0], sound, "continuous", 777)
    x = features.log_mel(sound, student[0].front_end)
    expected = continuous_scores(student[0], x[:len(x) // 5 * 5 - 1])           # then SAME pads 3 rows in front, as in a clip
    n = len(expected) - 4                                                       # the last rows see the border
    assert n > 40 and len(found) >= n
    np.testing.assert_array_equal(found[:n], expected[:n])


def test_a_stream_that_ends_with_the_first_clip_has_its_score(program, student, samples):
    found = scores_of(program, student[0], samples[1], "continuous", 500)
    np.testing.assert_array_equal(found[-1:], expected_scores(student[0], features.log_mel(samples[1:2], student[0].front_end)))


def test_what_is_refused(program, student):
    assert scores_of(program, student[0], np.zeros(0), "statuses").size == 0


@pytest.mark.parametrize("seed", range(4))
def test_any_calls_in_any_order_leave_nothing_behind(seed, program, student, samples):
    found = scores_of(program, student[0], samples[:1], "chaos", seed, 1000)
    np.testing.assert_array_equal(found, expected_scores(student[0], features.log_mel(samples[:1], student[0].front_end)))


def test_wrong_bytes_of_the_model_are_refused(student, tmp_path):
    shutil.copytree(student[1], tmp_path / "damaged", dirs_exist_ok=True)
    source = tmp_path / "damaged" / "src" / "npgru_model.c"
    for before, after in ((".check = 0x", ".check = 0x1"), (".magic = NPGRU_MODEL_MAGIC", ".magic = 1")):
        text = source.read_text()
        source.write_text(text.replace(before + text.partition(before)[2][0] if "check" in before else before, after))
        process = subprocess.run([compiled(tmp_path / "damaged", DSP), "features"], capture_output=True, input=b"")
        assert process.returncode == 3 and process.stdout == b"status 3\n"
        source.write_text(text)


def test_a_network_that_is_fast_in_no_layer_is_exact_all_the_same(rng, tmp_path, monkeypatch):
    """Where no proof is found, the exact form is taken: here it never is."""
    monkeypatch.setattr("npgru.device_fast.solve", lambda *_: None)
    monkeypatch.setattr("npgru.device_fast.gru_arrays", lambda _: None)
    integers, x = integers_of(SIZES[0], rng), clips(rng, 2)
    found = scores_of(built(integers, tmp_path, DSP), integers, x, "features")
    np.testing.assert_array_equal(found, expected_scores(integers, x))


@pytest.mark.parametrize("config", [model.student(), SIZES[0], NetworkConfig(conv_filters=5, block_filters=(7, 6), gru_units=3)])
def test_channels_without_a_proof_are_exact_in_layers_that_are_fast(config, rng, tmp_path, monkeypatch):
    """Every third channel of every layer, known by its multiplier."""
    solve, integers, x = device_fast.solve, integers_of(config, rng), clips(rng, 3)
    network = network_of(integers)
    refused = {int(q) for layers in network.by_kind.values() for layer in layers for q in layer.stage.multiplier[::3]}
    monkeypatch.setattr("npgru.device_fast.solve", lambda q, *others: None if q in refused else solve(q, *others))
    streams, _ = device_fast.fast_arrays(network, "DSP")
    exact = device_fast.exact_channels(network, "DSP", streams)
    mixed = [name for name in exact if streams[name] is not None and len(exact[name])]
    assert len(mixed) >= (5 if config == model.student() else 1)
    found = scores_of(built(integers, tmp_path, DSP), integers, x, "features")
    np.testing.assert_array_equal(found, expected_scores(integers, x))


@pytest.mark.parametrize("flags", [("-DNPGRU_FRONT_END=0", "-DNPGRU_WITH_CONTINUOUS=0"), ("-DNPGRU_WITH_CONTINUOUS=0",)])
def test_parts_can_be_left_out(flags, student, tmp_path):
    source = tmp_path / "main.c"
    source.write_text('#include "npgru.h"\nstatic npgru c;\n'
                      "int main(void) { return (int)npgru_init(&c, sizeof c, NPGRU_CLIPS) + "
                      "(npgru_init(&c, sizeof c, NPGRU_CONTINUOUS) != NPGRU_BAD_RANGE) + (int)sizeof c / 20000; }\n")
    for form in (PLAIN, DSP, ROWS):
        command = ["gcc", *WARNINGS, f"-DNPGRU_FORM={form}", *flags, f"-I{student[1] / 'src'}",
                   *sorted((student[1] / "src").glob("*.c")), source, "-o", tmp_path / "main"]
        subprocess.run(list(map(str, command)), check=True)
        assert subprocess.run([tmp_path / "main"]).returncode == 0


def test_nothing_is_called_but_memcpy_and_memset(student, tmp_path):
    sources = sorted((student[1] / "src").glob("*.c"))
    for form in (PLAIN, DSP, ROWS):
        flags = ["-O2", *WARNINGS, "-ffreestanding", "-fno-pic", "-fno-stack-protector", f"-DNPGRU_FORM={form}"]
        subprocess.run(["gcc", *flags, "-c", *map(str, sources)], check=True, cwd=tmp_path)
        objects = map(str, sorted(tmp_path.glob("*.o")))
        printed = subprocess.run(["nm", *objects], capture_output=True, text=True, check=True).stdout
        symbols = [line.split() for line in printed.splitlines()]
        undefined = {parts[1] for parts in symbols if len(parts) == 2 and parts[0] == "U" and not parts[1].startswith("npgru_")}
        variables = {parts[2] for parts in symbols if len(parts) == 3 and parts[1] in "bBdDC"}
        assert undefined <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"} and not variables


def test_the_same_network_gives_the_same_bytes(student):
    assert export_c.folder_files(student[0], ()) == {
        name: content.decode() for name, content in contents(student[1]).items() if not name.startswith("form")}
