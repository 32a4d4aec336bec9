"""The exported network on every emulated core: the very scores of the host, for networks of many sizes."""
from dataclasses import replace

import numpy as np
import pytest
from seeded_student import seeded_student, synthetic_clip

from npgru import bench_int8, device_fast, device_layout, device_source, emulator, features, int8, model
from npgru.device_helium import helium_macros
from npgru.front_end import FrontEnd
from npgru.model import NetworkConfig

MAIN = emulator.CSRC.parent / "tests" / "firmware" / "network_main.c"
OPERATORS = ("dense_s8.c", "elementwise_s8.c", "activations_s8.c", "gru_s8.c")
FLAGS = ("-O2", "-DNPGRU_FRONT_END=0", "-DNPGRU_WITH_CONTINUOUS=0")
SIZES = [NetworkConfig(conv_filters=5, block_filters=(7, 6), gru_units=3, dense_units=4),
         NetworkConfig(conv_filters=1, block_filters=(1,), gru_units=1, dense_units=1),
         NetworkConfig(conv_filters=10, conv_kernel=(4, 3), conv_stride=(3, 2), block_filters=(20, 9, 12), pool_size=2, gru_units=5),
         NetworkConfig(conv_filters=8, conv_kernel=(5, 5), conv_stride=(4, 3), block_filters=(16,), pool_size=3, gru_units=8),
         NetworkConfig(conv_filters=6, conv_kernel=(14, 4), block_filters=(50,), gru_units=13),
         NetworkConfig(conv_filters=24, block_filters=(48, 56, 60), gru_units=4),
         NetworkConfig(conv_filters=3, conv_stride=(4, 3), block_filters=(9,), pool_size=4, gru_units=2),     # no band in columns 8..10
         NetworkConfig(block_filters=()), model.student()]


def write_model(integers, folder):
    """The exported network's own files."""
    for name, text in device_source.model_files(integers, device_layout.network_of(integers), "A test.").items():
        (folder / name).write_text(text)


def built(core, main, folder):
    """The network that write_model wrote and a main of this folder -> an ELF file for a core."""
    sources = [main, *sorted((emulator.CSRC / "device").glob("*.c")), *(emulator.CSRC / name for name in OPERATORS),
               folder / "npgru_model.c"]
    emulator.build(core, sources, folder / f"{core}.elf", FLAGS, [folder, emulator.CSRC / "device"])
    return folder / f"{core}.elf"


def check_scores(cores, integers, x, folder):
    """x (N, T, M) uint16: logits and probabilities, (N, 2 K) int8, are those of the host, on all these cores -> what each printed."""
    write_model(integers, folder)
    codes = int8.run(integers, x)
    codes["input"].tofile(folder / "codes.bin")
    expected = np.concatenate([codes[integers.operators[-2].name], codes["probabilities"]], axis=1)
    printed = {}
    for core in cores:
        printed[core] = emulator.numbers(emulator.run(core, built(core, MAIN, folder), folder))
        found = np.fromfile(folder / "scores.bin", np.int8).reshape(expected.shape)
        np.testing.assert_array_equal(found, expected, core)
    return printed


def inputs(front_end, rng, clips=()):
    """Features of clips, of none, of the largest there are, and noise."""
    x = [features.log_mel(clip, front_end) for clip in clips]
    shape = (84, front_end.mel_n_channels)
    return np.stack([*x, np.zeros(shape), np.full(shape, 65535), rng.integers(0, 900, shape), rng.integers(0, 65536, shape)]
                    ).astype(np.uint16)


# a core of every form; with int8 state the GRU is exact whatever the sizes, so few do
@pytest.mark.parametrize("config, state_bits", [*((config, 16) for config in SIZES), (SIZES[0], 8), (SIZES[4], 8)], ids=str)
def test_networks_of_many_sizes(config, state_bits, toolchain, rng, tmp_path):
    integers = seeded_student(state_bits, config)
    check_scores(["m0plus", "m3", "m4", "m55"], integers, inputs(integers.front_end, rng), tmp_path)


@pytest.mark.parametrize("bands", [24, 40])
def test_rows_of_other_numbers_of_columns(bands, toolchain, rng, tmp_path):
    """12 and 20 after the convolution: less than a group of the vectors' form, and more."""
    front_end = replace(FrontEnd.paper(), mel_n_channels=bands)
    clips = [synthetic_clip(k) for k in range(16)]
    integers = bench_int8.seeded_student(np.stack([features.log_mel(clip, front_end) for clip in clips]))
    integers = replace(integers, front_end=front_end)
    macros = helium_macros(device_layout.network_of(integers))
    assert macros["HELIUM_BLOCKS"] and macros["COLUMNS"] == {24: 12, 40: 0}[bands]
    check_scores(["m4", "m55"], integers, inputs(front_end, rng, clips[:2]), tmp_path)


def with_a_large_multiplier(op, channel: int):
    """A convolution of which one channel's multiplier is 1/2 or more, for which the fast output stage has no numbers."""
    shift = op.record.shift.copy()
    shift[channel] = 0
    return replace(op, record=replace(op.record, shift=shift))


def test_one_channel_of_every_layer_has_no_proof(toolchain, clips, rng, tmp_path):
    """Its layer stays fast, and it is exact."""
    student = seeded_student()
    operators = [with_a_large_multiplier(op, k) if op.kind in ("conv2d", "depthwise2d") else op
                 for k, op in enumerate(student.operators)]
    integers, x = replace(student, operators=operators), inputs(student.front_end, rng, clips)
    network = device_layout.network_of(integers)
    streams, _ = device_fast.fast_arrays(network, "DSP")
    assert all(stream is not None for stream in streams.values())
    assert [len(channels) for channels in device_fast.exact_channels(network, "DSP", streams).values()] == [1] * 5
    printed = check_scores(["m0plus", "m3", "m4", "m55"], integers, x, tmp_path)
    assert helium_macros(network)["HELIUM_CONV"] and helium_macros(network)["HELIUM_BLOCKS"]
    assert printed["m4"]["instructions"] < 2_000_000                              # all channels exact: 16.7 million
    assert printed["m55"]["instructions"] < 1_000_000


@pytest.mark.parametrize("units", [3, 8, 13, 16])
def test_the_vectors_cell_is_that_of_all_cores(units, toolchain, tmp_path):
    integers = seeded_student(16, NetworkConfig(conv_filters=4, block_filters=(4,), gru_units=units))
    assert helium_macros(device_layout.network_of(integers))["HELIUM_GRU"]
    write_model(integers, tmp_path)
    program = built("m55", MAIN.with_name("gru_main.c"), tmp_path)
    printed = emulator.numbers(emulator.run("m55", program, tmp_path))
    assert printed["different"] == 0 and printed["largest_product"] > 1000
