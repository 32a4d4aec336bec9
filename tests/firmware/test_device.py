"""An exported folder on every emulated core: no warning, the scores of `npgru evaluate` byte for byte, the memory promised."""
from pathlib import Path

import numpy as np
import pytest

from npgru import emulator, features, int8

MAIN = Path(__file__).parent / "device_main.c"
# What was promised for the paper's student: instructions a clip of the network, from int8 features; bytes
MAX_INSTRUCTIONS = {"m0plus": 7_000_000, "m3": 3_600_000, "m4": 1_900_000, "m7": 1_900_000, "m33": 1_900_000, "m55": 750_000}
MAX_RAM, MAX_CONSTANTS, MAX_CODE = 8192, 21 * 1024, 10 * 1024
MAX_RAM_WITH_FRONT_END, MAX_FLASH_WITH_FRONT_END = 12 * 1024, 42 * 1024


def check_scores(core, elf, integers, clips):
    """Of a program made of MAIN: those of `npgru evaluate`, byte for byte."""
    clips.tofile(elf.parent / "samples.bin")
    emulator.run(core, elf, elf.parent)
    codes = int8.run(integers, features.log_mel(clips, integers.front_end, "numpy"), "numpy")
    expected = np.concatenate([codes["probabilities"], codes[integers.operators[-2].name]], axis=1)
    assert (elf.parent / "scores.bin").read_bytes() == expected.tobytes()


# the GRU's exact form is the same C on all cores
@pytest.mark.parametrize("core, state_bits", [*((core, 16) for core in emulator.CORES), ("m0plus", 8), ("m4", 8)])
def test_the_scores_are_those_of_the_host(core, state_bits, exported, toolchain, clips, tmp_path):
    integers, folder = exported(state_bits)
    emulator.build(core, [MAIN, *sorted((folder / "src").glob("*.c"))], tmp_path / "device.elf", include=[folder / "src"])
    check_scores(core, tmp_path / "device.elf", integers, clips)


@pytest.mark.parametrize("core", MAX_INSTRUCTIONS)
def test_what_was_promised(core, counted):
    everything, network, _ = counted(core)
    assert network["instructions"] <= MAX_INSTRUCTIONS[core]
    assert network["context_bytes"] + network["stack_bytes"] <= MAX_RAM
    assert network[".rodata"] <= MAX_CONSTANTS and network[".text"] <= MAX_CODE
    assert everything["context_bytes"] + everything["stack_bytes"] <= MAX_RAM_WITH_FRONT_END
    assert everything[".text"] + everything[".rodata"] <= MAX_FLASH_WITH_FRONT_END
