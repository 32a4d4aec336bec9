"""The emulated boards: counts are exact, stacks and sections are measured, failures are told in a line."""
import pytest

from npgru import emulator

MAIN = emulator.CSRC.parent / "tests" / "firmware" / "board_main.c"


def run(core, folder, exit_code=0):
    (folder / "in.bin").write_bytes(b"7 bytes")
    emulator.build(core, [MAIN], folder / "board.elf", ["-O2", f"-DEXIT_CODE={exit_code}"])
    return emulator.numbers(emulator.run(core, folder / "board.elf", folder))


@pytest.mark.parametrize("core", emulator.CORES)
def test_instructions_stack_and_files(core, toolchain, tmp_path):
    found = run(core, tmp_path)
    assert found["sum"] == 6 and found["nothing"] <= 2                 # moving the ticks from one call to the other
    per_turn = found["thousand"] // 1000                            # 11 (low-overhead loop) to 13
    assert 11 <= per_turn <= 13 and abs(found["thousand"] - 1000 * per_turn) <= 2
    assert abs(found["million"] - 1_999_000 * per_turn) <= 60        # and at most two interrupts of the counter
    assert 1000 <= found["stack"] <= 1064
    assert found["read"] == 7 and (tmp_path / "out.bin").read_bytes() == b"7 bytes"
    assert run(core, tmp_path) == found                              # the same in every run


def test_sections(toolchain, tmp_path):
    run("m4", tmp_path)
    sizes = emulator.section_bytes(tmp_path / "board.elf")
    assert sizes[".bss"] >= 4000 and sizes[".data"] in (12, 16) and sizes[".text"] > 500


def test_failures_are_told_in_a_line(toolchain, tmp_path):
    with pytest.raises(RuntimeError, match="board.elf on m3: code 3"):
        run("m3", tmp_path, exit_code=3)
    (tmp_path / "bad.c").write_text("int main(void) { int unused; return 0; }\n")
    with pytest.raises(RuntimeError, match="for m4: code 1: .*unused") as error:
        emulator.build("m4", [tmp_path / "bad.c"], tmp_path / "bad.elf")
    assert "\n" not in str(error.value)


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setattr(emulator, "QEMU", "qemu-of-nobody")
    assert "qemu-of-nobody not found; on Debian: apt install gcc-arm-none-eabi" in emulator.missing()
