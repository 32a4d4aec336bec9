"""The fast front end on emulated cores with vectors and with pairs: for every size the bits of the plain one."""
import pytest
from network_source import numbers, struct

from npgru import emulator
from npgru.front_end import FrontEnd, tables

MAIN = emulator.CSRC.parent / "tests" / "firmware" / "log_mel_main.c"
TABLES = ("window", "twiddles", "segments", "weights", "unweights", "log_table")
FRONT_ENDS = [FrontEnd.paper(), FrontEnd(16, 16, 8000, 14, 1, 0, 3000, 12, True), FrontEnd(32, 7, 8000, 14, 3, 0, 3700, 0),
              FrontEnd(64, 64, 8000, 12, 5, 100, 3800, 6), FrontEnd(128, 64, 8000, 10, 10, 100, 3800, 6),
              FrontEnd(256, 64, 8000, 12, 12, 100, 3900, 6), FrontEnd(1024, 64, 16000, 12, 30, 0, 7900, 6),
              FrontEnd(2048, 500, 24000, 13, 64, 0, 11000, 7)]


def c_of(fe: FrontEnd) -> str:
    """npgru_log_mel_params of a front end."""
    arrays = {name: numbers(getattr(tables(fe), name)) for name in TABLES}
    return struct(None, window_len=fe.window_len, window_stride=fe.window_stride, window_bits=fe.window_scaling_bits,
                  n_channels=fe.mel_n_channels, post_bits=fe.mel_post_scaling_bits, pad_tail=int(fe.pad_tail), **arrays)


@pytest.mark.parametrize("core", ["m4", "m55"])
def test_both_forms_of_every_size_are_equal(core, toolchain, tmp_path):
    text = ",\n".join(map(c_of, FRONT_ENDS))
    (tmp_path / "front_ends.h").write_text(f"static const npgru_log_mel_params front_ends[] = {{\n{text}\n}};\n")
    program = tmp_path / f"{core}.elf"
    emulator.build(core, [MAIN, *sorted(emulator.CSRC.glob("log_mel*.c"))], program, include=[tmp_path])
    printed = emulator.numbers(emulator.run(core, program, tmp_path))
    assert printed["different"] == 0 and printed["largest"] > 1000
