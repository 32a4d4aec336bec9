"""C programs on an emulated Cortex-M: compile, run in QEMU, count instructions, measure sections. No board is needed.

The counts are of instructions, exact and the same in every run; they are not cycles.
Needs arm-none-eabi-gcc with newlib and qemu-system-arm (Debian: gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm).
"""
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CSRC = PACKAGE / "csrc" if (PACKAGE / "csrc").is_dir() else PACKAGE.parent / "csrc"       # installed, or in its repository
GCC, QEMU, SIZE = "arm-none-eabi-gcc", "qemu-system-arm", "arm-none-eabi-size"
PACKAGES = "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-ffreestanding")
LINK = ("-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections")
SECURE = {"code_start": "0x10000000", "ram_start": "0x38000000"}


@dataclass(frozen=True)
class Core:
    """A core as GCC and QEMU know it.

    machine     of QEMU        flags       that select the core        tick_ps     of its SysTick
    places      where the linker puts code and RAM, if not at 0 and 0x20000000
    """
    machine: str
    flags: tuple
    tick_ps: int = 40_000
    places: tuple = ()


CORES = {
    "m0plus": Core("mps2-an385", ("-mcpu=cortex-m0plus", "-mfloat-abi=soft")),     # runs on the emulator's M3, a superset
    "m3": Core("mps2-an385", ("-mcpu=cortex-m3", "-mfloat-abi=soft")),
    "m4": Core("mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    "m7": Core("mps2-an500", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16")),
    "m33": Core("mps2-an505", ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), 50_000, tuple(SECURE.items())),
    "m55": Core("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard", "-mfpu=auto"), 31_250),
}


def missing() -> str | None:
    """What this machine lacks, in a sentence with its cure; None if nothing."""
    absent = [tool for tool in (GCC, QEMU) if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found; on Debian: apt install {PACKAGES}" if absent else None


def build(core: str, sources, elf: Path, flags=("-O2",), include=()) -> None:
    """C sources and the board's start -> an ELF file for core (a key of CORES), without a warning.

    raises  RuntimeError with the compiler's first lines, or without the tools
    """
    chosen = CORES[core]
    command = [GCC, "-mthumb", *chosen.flags, *WARNINGS, "-ffunction-sections", "-fdata-sections", *flags,
               f"-DBOARD_TICK_PS={chosen.tick_ps}", *(f"-I{folder}" for folder in (CSRC, CSRC / "qemu", *include)),
               *sources, CSRC / "qemu" / "board.c", *LINK, *(f"-Wl,--defsym,{name}={at}" for name, at in chosen.places),
               f"-Wl,-T,{CSRC / 'qemu' / 'board.ld'}", "-o", elf]
    _run(command, f"{GCC} for {core}")


def run(core: str, elf: Path, folder: Path, timeout_s: float = 300) -> str:
    """The program in QEMU, its files relative to folder -> what it printed.

    raises  RuntimeError if it ends with a code other than 0, or not in time
    """
    command = [QEMU, "-M", CORES[core].machine, "-display", "none", "-monitor", "none", "-serial", "none", "-icount", "shift=6",
               "-semihosting-config", "enable=on,target=native", "-kernel", Path(elf).resolve()]
    return _run(command, f"{elf} on {core}", folder, timeout_s)


def numbers(printed: str) -> dict[str, int]:
    """Lines "name value" of board_print_number -> {name: value}."""
    return {name: int(value) for name, value in re.findall(r"^(\S+) (\d+)$", printed, re.MULTILINE)}


def section_bytes(file: Path) -> dict[str, int]:
    """{section: bytes} of an ELF or object file: .text, .rodata, .data, .bss; parts of one section are added up."""
    total = dict.fromkeys((".text", ".rodata", ".data", ".bss"), 0)
    for name, size in re.findall(r"^(\.\S+)\s+(\d+)", _run([SIZE, "-A", file], SIZE), re.MULTILINE):
        kind = next((kind for kind in total if name == kind or name.startswith(kind + ".")), None)
        if kind:
            total[kind] += int(size)
    return total


def _run(command, what, folder=None, timeout_s=300) -> str:
    if shutil.which(command[0]) is None:
        raise RuntimeError(missing() or f"{command[0]} not found; on Debian: apt install {PACKAGES}")
    try:
        process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=timeout_s,
                                 stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{what}: not finished after {timeout_s:g} s") from None
    if process.returncode != 0:
        lines = (process.stdout + process.stderr).strip().splitlines()
        raise RuntimeError(f"{what}: code {process.returncode}: {' | '.join(lines[:5])}")
    return process.stdout + process.stderr
