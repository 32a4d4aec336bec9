"""The exported folder as others build it: other levels, link-time optimisation, soft float, Clang, C++; the same bytes, no warning."""
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from test_device import MAIN, check_scores

from npgru import emulator

MORE_WARNINGS = ("-Wcast-align", "-Wundef", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wsign-conversion", "-Wunused-macros",
                 "-Wvla", "-Wwrite-strings", "-Wpointer-arith", "-Wredundant-decls")
LEVELS = [("m0plus", "-Os"), ("m0plus", "-O3"), ("m0plus", "-O2 -flto"), ("m3", "-O0"), ("m3", "-Os -flto"), ("m4", "-Og"),
          ("m4", "-Os"), ("m4", "-O3"), ("m4", "-O2 -flto"), ("m4", "-O2 -DNPGRU_FPU=0"), ("m7", "-Os"), ("m33", "-O1"),
          ("m55", "-Os"), ("m55", "-O3"), ("m55", "-O2 -flto")]


@pytest.fixture
def exported(exported):
    """The seeded student, and its sources."""
    integers, folder = exported()
    return integers, folder / "src"


@pytest.fixture(scope="module")
def clang():
    """Clang, which compiles for any core. Absent: the test is skipped, but on CI (CI=true) it fails."""
    if not shutil.which("clang"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("clang not found; on Debian: apt install clang")


def compiled_by_clang(core, sources, flags, folder) -> list[Path]:
    """Object files, with newlib's headers; enumerations as small as GCC's, which the linker wants to be all the same."""
    flags = [*(flag for flag in emulator.CORES[core].flags if flag != "-mfpu=auto"), *emulator.WARNINGS, *MORE_WARNINGS, *flags]
    command = ["clang", "--target=arm-none-eabi", "-isystem", "/usr/include/newlib", "-mthumb", "-fshort-enums", *flags,
               f"-I{emulator.CSRC / 'qemu'}", f"-I{sources[0].parent}", "-c", *sources]
    process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[:2000]
    return [folder / f"{source.stem}.o" for source in sources]


@pytest.mark.parametrize("core, flags", LEVELS)
def test_gcc_at_any_level(core, flags, exported, toolchain, clips, tmp_path):
    emulator.build(core, [MAIN, *sorted(exported[1].glob("*.c"))], tmp_path / "device.elf", (*MORE_WARNINGS, *flags.split()),
                   [exported[1]])
    check_scores(core, tmp_path / "device.elf", exported[0], clips)


def test_gcc_without_a_floating_point_unit(exported, toolchain, clips, tmp_path, monkeypatch):
    soft = replace(emulator.CORES["m4"], flags=("-mcpu=cortex-m4", "-mfloat-abi=soft"))
    monkeypatch.setitem(emulator.CORES, "m4", soft)
    emulator.build("m4", [MAIN, *sorted(exported[1].glob("*.c"))], tmp_path / "device.elf", ("-O2",), [exported[1]])
    check_scores("m4", tmp_path / "device.elf", exported[0], clips)


@pytest.mark.parametrize("core, level", [("m0plus", "-O2"), ("m3", "-Os"), ("m4", "-O2"), ("m4", "-Os"), ("m33", "-O3"),
                                         ("m55", "-O2"), ("m55", "-O0")])
def test_clang(core, level, exported, toolchain, clang, clips, tmp_path):
    objects = compiled_by_clang(core, sorted(exported[1].glob("*.c")), [level], tmp_path)
    emulator.build(core, [MAIN, *objects], tmp_path / "device.elf", ("-O2", "-Wl,-z,noexecstack", "-Wl,--no-enum-size-warning"),
                   [exported[1]])
    check_scores(core, tmp_path / "device.elf", exported[0], clips)


@pytest.mark.parametrize("core", ["m0plus", "m4", "m55"])
def test_a_caller_in_cpp(core, exported, toolchain, clips, tmp_path):
    """The same main as C++: the header declares C functions, and is C++ without a warning."""
    chosen = emulator.CORES[core]
    source = tmp_path / "main.cpp"
    source.write_text('#include <stdint.h>\n#include <stddef.h>\nextern "C" {\n#include "board.h"\n}\n'
                      + MAIN.read_text().replace('#include "board.h"\n', ""))
    command = ["arm-none-eabi-g++", "-mthumb", *chosen.flags, "-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow",
               "-Wundef", "-Werror", "-fno-exceptions", "-fno-rtti", "-O2", f"-I{exported[1]}", f"-I{emulator.CSRC / 'qemu'}",
               "-c", source, "-o", tmp_path / "main.o"]
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[:2000]
    emulator.build(core, [tmp_path / "main.o", *sorted(exported[1].glob("*.c"))], tmp_path / "device.elf", include=[exported[1]])
    check_scores(core, tmp_path / "device.elf", exported[0], clips)
