"""The kernels of csrc/ on every emulated core: no warning, and from samples to score the very bytes of the host."""
import pytest
from network_source import network_source
from seeded_student import seeded_student

from npgru import emulator, features, int8

MAIN, KERNELS = emulator.CSRC.parent / "tests" / "firmware" / "reference_main.c", sorted(emulator.CSRC.glob("*.c"))


def layers_on(core, integers, clips, folder):
    """Every layer's codes on a core, one after another as bytes, clip after clip; and the instructions of each layer."""
    one = int8.run(integers, features.log_mel(clips[:1], integers.front_end))
    (folder / "network.h").write_text(network_source(integers, clips.shape[1], one))
    emulator.build(core, [MAIN, *KERNELS], folder / f"{core}.elf", include=[folder])
    clips.tofile(folder / "samples.bin")
    counts = emulator.numbers(emulator.run(core, folder / f"{core}.elf", folder))
    return (folder / "layers.bin").read_bytes(), counts


def layers_on_host(integers, clips):
    """The same bytes by NumPy's specification."""
    x = features.log_mel(clips, integers.front_end, "numpy")
    codes = int8.run(integers, x, "numpy")
    kept = [op.name for op in integers.operators if op.kind != "stack"]
    return b"".join(array[k].tobytes() for k in range(len(clips)) for array in (x, x, *(codes[name] for name in kept)))


@pytest.mark.parametrize("core, state_bits", [*((core, 16) for core in emulator.CORES), ("m0plus", 8), ("m4", 8)])
def test_the_whole_student_gives_the_bytes_of_the_host(core, state_bits, toolchain, clips, tmp_path):
    integers = seeded_student(state_bits)
    found, counts = layers_on(core, integers, clips, tmp_path)
    expected = layers_on_host(integers, clips)
    assert len(found) == len(expected) and found == expected
    assert list(counts) == ["log_mel", "log_mel_pairs", *(op.name for op in integers.operators if op.kind != "stack")]
