"""IntegerModel -> a folder of C99 that stands alone: the network's numbers, its kernels, the front end, and what builds it.

The same network gives the same bytes. What goes in comes from csrc/: device/ (the network row by row), project/ (the files
of build systems, demos, README), qemu/ (the emulated board) and the operators that the others call.
"""
import tempfile
from pathlib import Path
from string import Template

from . import __version__, emulator
from .checkpoint import write_atomically
from .device_fast import fast_arrays
from .device_layout import Network, network_of
from .device_source import model_files
from .emulator import CSRC
from .int8 import IntegerModel

OPERATORS = ("npgru_int8.h", "cortex_m.h", "checks.h", "dense_s8.c", "elementwise_s8.c", "activations_s8.c", "gru_s8.c",
             "log_mel.c", "log_mel_pairs.c")
PROJECT = ("CMakeLists.txt", "Makefile", "zephyr/module.yml", "zephyr/CMakeLists.txt", "zephyr/Kconfig")
TEMPLATES = ("library.json", "library.properties", "idf_component.yml")
CORES = ("m0plus", "m3", "m4", "m7", "m33", "m55")
KERNELS = ("conv", "depthwise", "pointwise", "pool", "gru_input", "gru_step", "gru")
NETWORK_ONLY = ("-DNPGRU_FRONT_END=0", "-DNPGRU_WITH_CONTINUOUS=0")


def folder_files(integers: IntegerModel, cores=CORES) -> dict[str, str]:
    """{path inside the folder: text}, all of it.

    cores     whose instructions the README tells, measured if the toolchain is there
    raises    ValueError for a network that a device does not run
    """
    network = network_of(integers)
    files = {f"src/{path.name}": text_of(path) for path in sorted((CSRC / "device").glob("*.[ch]"))}
    files |= {f"src/{name}": text_of(CSRC / name) for name in OPERATORS}
    files |= {f"src/{name}": text for name, text in model_files(integers, network, about(integers, network)).items()}
    files |= {f"demo/{name}": text_of(CSRC / "project" / name) for name in ("wav.c", "qemu.c", "layers.c")}
    files |= {f"demo/{name}": text_of(CSRC / "qemu" / name) for name in ("board.c", "board.h", "board.ld")}
    files |= {name: text_of(CSRC / "project" / name) for name in PROJECT}
    files |= {name: Template(text_of(CSRC / "project" / name)).substitute(version=__version__) for name in TEMPLATES}
    return files | {"README.md": readme(integers, network, files, cores)}


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def about(integers: IntegerModel, network: Network) -> str:
    """One sentence on the network."""
    blocks = ", ".join(str(pointwise.channels) for _, pointwise in network.blocks) or "none"
    units, dense = network.gru.arrays["u"].shape[1], ", ".join(str(len(op.arrays["bias"])) for op in network.dense)
    return (f"MobileGRU for {integers.classes[1]}: {network.conv.channels} filters, blocks {blocks}, GRU {units} with int"
            f"{integers.state_bits} state, dense {dense}.")


def write_folder(folder: Path, files: dict[str, str]) -> None:
    """folder_files -> a folder; files of the same names are replaced, others stay."""
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file, text=text: file.write(text.encode()))


def readme(integers: IntegerModel, network: Network, files: dict[str, str], cores) -> str:
    """README.md with this model's figures."""
    fe, hop = integers.front_end, integers.front_end.window_stride * network.conv.sizes["stride_rows"]
    missing = emulator.missing()
    numbers, context = f"Not measured: {missing or 'it was not asked for'}.", "some 10 000"
    if cores and not missing:
        numbers, context = measured(files, cores)
    return Template(text_of(CSRC / "project" / "README.md")).substitute(
        title=f"{integers.classes[1]} detector", about=about(integers, network), version=__version__, numbers=numbers,
        rate=fe.sample_rate_hz, clip_s=f"{integers.clip_s:g}", hop_ms=f"{1000 * hop / fe.sample_rate_hz:g}",
        context_bytes=context)


def measured(files: dict[str, str], cores) -> tuple[str, str]:
    """A table in Markdown of every core's instructions and bytes, from the emulator; and the bytes of the context."""
    head = "| core | network, instructions a clip | with front end | network: code, constants, RAM + stack, bytes | all of it |"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), {name: text for name, text in files.items() if name.startswith(("src/", "demo/"))})
        for core in cores:
            network, everything = (figures(Path(folder), core, flags) for flags in (NETWORK_ONLY, ()))
            rows.append(f"| {core} | {network['instructions']} | {everything['instructions']} | {bytes_text(network)} | "
                        f"{bytes_text(everything)} |")
        layers = {core: layer_figures(Path(folder), core) for core in cores}
    text = "\n".join([head, "|---|---|---|---|---|", *rows, "", *layer_table(layers)])
    note = ("\n\nInstructions (not cycles) of one clip, counted in QEMU; the network from int8 features, without "
            "`NPGRU_CONTINUOUS`. arm-none-eabi-gcc -O2. RAM: the context, which holds all activations and states.")
    return text + note, str(everything["context_bytes"])


def bytes_text(figure: dict[str, int]) -> str:
    return f"{figure['.text']}, {figure['.rodata']}, {figure['context_bytes']} + {figure['stack_bytes']}"


def figures(folder: Path, core: str, flags=()) -> dict[str, int]:
    """What the QEMU demo of an exported folder prints on a core, and the bytes of code and constants beyond an empty one's."""
    sources = [folder / "demo" / "qemu.c", *sorted((folder / "src").glob("*.c"))]
    full, empty = (folder / f"{core}{len(flags)}{name}.elf" for name in ("", "_empty"))
    emulator.build(core, sources, full, flags=("-O2", *flags), include=[folder / "src"])
    emulator.build(core, sources, empty, flags=("-O2", "-DDEMO_EMPTY", *flags), include=[folder / "src"])
    found = emulator.numbers(emulator.run(core, full, folder))
    sections, none = emulator.section_bytes(full), emulator.section_bytes(empty)
    return found | {name: sections[name] - none[name] for name in (".text", ".rodata")}


def layer_figures(folder: Path, core: str) -> list[tuple[str, int]]:
    """(layer, instructions a clip), top to bottom; what is in none of them is not listed."""
    program, sources = folder / f"{core}_layers.elf", [folder / "demo" / "layers.c", *sorted((folder / "src").glob("*.c"))]
    wrapped = [f"-Wl,--wrap=npgru_{kernel}_{form}" for kernel in KERNELS for form in ("fast", "plain")]
    emulator.build(core, sources, program, flags=("-O2", *NETWORK_ONLY, *wrapped), include=[folder / "src"])
    lines = (line.split() for line in emulator.run(core, program, folder).splitlines())
    return [(parts[0], int(parts[1])) for parts in lines if len(parts) == 2]


def layer_table(layers: dict[str, list]) -> list[str]:
    """Rows of Markdown: layers down, cores across."""
    counts = zip(*([count for _, count in rows] for rows in layers.values()))
    names = [name for name, _ in next(iter(layers.values()))]
    rows = [f"| {name.replace('_', ' ')} | {' | '.join(map(str, row))} |" for name, row in zip(names, counts)]
    return [f"| instructions a clip | {' | '.join(layers)} |", "|---" * (1 + len(layers)) + "|", *rows]
