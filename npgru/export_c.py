"""IntegerModel -> a folder of C99 that stands alone: the network's numbers, its kernels, the front end, and what builds it.

The same network gives the same bytes. What goes in comes from csrc/: device/ (the network row by row), project/ (the files
of build systems, demos, README), qemu/ (the emulated board) and the operators that the others call.
"""
import re
import tempfile
from pathlib import Path
from string import Template
from textwrap import fill

from . import __version__, emulator
from .checkpoint import write_atomically
from .device_costs import MEMORY, context_bytes, layer_sizes, report
from .device_layout import Network, network_of
from .device_source import EVEN, model_files
from .emulator import CSRC
from .int8 import IntegerModel

OPERATORS = ("npgru_int8.h", "cortex_m.h", "checks.h", "dense_s8.c", "elementwise_s8.c", "activations_s8.c", "gru_s8.c",
             "log_mel.h", "log_mel.c", "log_mel_rows.h", "log_mel_helium.h", "log_mel_pairs.c", "log_mel_m0.c")
PROJECT = ("CMakeLists.txt", "Makefile", "zephyr/module.yml", "zephyr/CMakeLists.txt", "zephyr/Kconfig")
TEMPLATES = ("library.json", "library.properties", "idf_component.yml")
CORES = ("m0plus", "m3", "m4", "m7", "m33", "m55")
KERNELS = ("conv", "depthwise", "pointwise", "pool", "gru_input", "gru_step", "gru")
COUNTED = ("Instructions, not cycles, of one clip: `npgru cost` turns them into cycles and energy. The network starts from int8\n"
           "features, without `NPGRU_CONTINUOUS`. The context holds all activations and states.")
NETWORK_ONLY = ("-DNPGRU_FRONT_END=0", "-DNPGRU_WITH_CONTINUOUS=0")


def folder_files(integers: IntegerModel, cores=(), threshold: float = 0.5, origin: str = EVEN) -> dict[str, str]:
    """{path inside the folder: text}, all of it.

    cores                whose instructions the README tells as measured, if the toolchain is there; else all are estimated
    threshold, origin    the score from which on a clip is a detection, and in words where that comes from
    raises               ValueError for a network that a device does not run
    """
    network = network_of(integers)
    sources = [*sorted((CSRC / "device").glob("*.[ch]")), *(CSRC / name for name in OPERATORS)]
    headers = [path.name for path in sources if path.suffix == ".h"]
    files = {f"src/{prefixed(path.name, headers)}": prefixed(text_of(path), headers) for path in sources}
    model = model_files(integers, network, about(integers, network), threshold, origin)
    files |= {f"src/{name}": prefixed(text, headers) for name, text in model.items()}
    files |= {f"demo/{name}": text_of(CSRC / "project" / name) for name in ("wav.c", "qemu.c", "layers.c")}
    files |= {f"demo/{name}": text_of(CSRC / "qemu" / name) for name in ("board.c", "board.h", "board.ld")}
    files |= {name: text_of(CSRC / "project" / name) for name in PROJECT}
    files |= {"examples/Microphone/Microphone.ino": text_of(CSRC / "project" / "Microphone.ino")}
    files |= {name: Template(text_of(CSRC / "project" / name)).substitute(version=__version__) for name in TEMPLATES}
    return files | {"README.md": readme(integers, network, files, cores, f"{threshold:.4f} ({origin})")}


def prefixed(text: str, headers: list[str]) -> str:
    """layers.h -> npgru_layers.h, wherever it is named: build systems put all headers of src/ beside those of others."""
    names = "|".join(re.escape(name) for name in headers if not name.startswith("npgru"))
    return re.sub(rf"(?<![\w/])({names})\b", r"npgru_\1", text)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def about(integers: IntegerModel, network: Network) -> str:
    """One sentence on the network."""
    blocks = ", ".join(str(pointwise.channels) for _, pointwise in network.blocks) or "none"
    units, dense = network.gru.arrays["u"].shape[1], ", ".join(str(len(op.arrays["bias"])) for op in network.dense)
    return (f"MobileGRU for {target_of(integers)}: {network.conv.channels} filters, blocks {blocks}, GRU {units} with int"
            f"{integers.state_bits} state, dense {dense}.")


def target_of(integers: IntegerModel) -> str:
    """The target's name, as a comment of C may hold it: one line that does not end the comment."""
    return " ".join(integers.classes[1].replace("*/", "* /").replace("\\", "/").split())


def write_folder(folder: Path, files: dict[str, str]) -> None:
    """folder_files -> a folder; files of the same names are replaced, others stay.

    raises  ValueError if src/ has other C files, as of an older npgru: whoever builds all of src/ would build them too
    """
    others = sorted(path.name for path in Path(folder, "src").glob("*.[ch]") if f"src/{path.name}" not in files)
    if others:
        raise ValueError(f"{folder}/src: holds {', '.join(others)}, not written by this export but built with it; remove what is "
                         "not needed there, or write into another folder")
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file, text=text: file.write(text.encode()))


def readme(integers: IntegerModel, network: Network, files: dict[str, str], cores, threshold: str) -> str:
    """README.md with this model's figures."""
    fe, hop = integers.front_end, integers.front_end.window_stride * network.conv.sizes["stride_rows"]
    numbers = measured_numbers(integers, files, cores) if cores and not emulator.missing() else estimated_numbers(integers)
    return Template(text_of(CSRC / "project" / "README.md")).substitute(
        title=f"{target_of(integers)} detector", about=fill(about(integers, network), 120), version=__version__, numbers=numbers,
        rate=fe.sample_rate_hz, clip_s=f"{integers.clip_s:g}", hop_ms=f"{1000 * hop / fe.sample_rate_hz:g}",
        context_bytes=max(context_bytes(integers, core) for core in CORES), threshold=threshold)


def estimated_numbers(integers: IntegerModel) -> str:
    """Tables in Markdown of every core's instructions and bytes, as `npgru cost` tells them."""
    reports = {core: report(integers, core) for core in CORES}
    rows = [f"| {core} | {found['network_instructions']:,} | {found['instructions']:,} | {found['flash_bytes']['code']:,} + "
            f"{found['flash_bytes']['constants']:,} | {found['ram_bytes']['context']:,} + {found['ram_bytes']['stack']} |"
            for core, found in reports.items()]
    layers = {core: {layer["layer"]: layer["instructions"] for layer in found["layers"]} for core, found in reports.items()}
    error = max(layer["relative_error"] for found in reports.values() for layer in found["layers"])
    near = f"; those of a layer of another size are within {100 * error:.0f} %" if error else ""
    return "\n".join([
        "Estimated, not measured: from counts of layers of these sizes in networks of random weights, made with arm-none-eabi-gcc",
        f"-O2 in the emulator QEMU{near}. `npgru export` measures this very model where both are installed.", "",
        "| core | network, instructions a clip | with front end | flash: code + constants, bytes | RAM: context + stack, bytes |",
        "|---|---|---|---|---|", *rows, "", *layer_table(integers, layers), "", COUNTED])


def measured_numbers(integers: IntegerModel, files: dict[str, str], cores) -> str:
    """Tables in Markdown of every core's instructions and bytes, from the emulator."""
    head = ("| core | network, instructions a clip | with front end | that at -Os | network: code; constants; RAM + stack, bytes | "
            "all of it |")
    rows, layers = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder, {path: text for path, text in files.items() if path.startswith(("src/", "demo/"))})
        for core in cores:
            whole, network, layers[core] = counted(integers, folder, core)
            rows.append(f"| {core} | {network['instructions']:,} | {whole['instructions']:,} | "
                        f"{figures(folder, core, ('-Os',))['instructions']:,} | {bytes_text(network)} | {bytes_text(whole)} |")
    return "\n".join(["Measured in the emulator QEMU with arm-none-eabi-gcc, -O2 where nothing else is said.", "", head,
                      "|---|---|---|---|---|---|", *rows, "", *layer_table(integers, layers), "", COUNTED])


def counted(integers: IntegerModel, folder: Path, core: str) -> tuple[dict, dict, dict]:
    """An exported folder on a core: `figures` of all of it, of the network alone, and {layer: instructions a clip}.

    The front end is what a clip of samples takes more than its int8 features do.
    """
    whole, network = figures(folder, core), figures(folder, core, NETWORK_ONLY)
    counts = [n for _, n in layer_figures(folder, core)]
    layers = dict(zip([layer for layer in layer_sizes(integers) if layer not in ("front_end", "rest")], counts))
    return whole, network, {"front_end": whole["instructions"] - network["instructions"], **layers,
                            "rest": network["instructions"] - sum(counts)}


def measured(integers: IntegerModel, core: str) -> dict[str, int]:
    """Instructions of every layer, their total, and the bytes of MEMORY, counted in QEMU.   raises RuntimeError without it"""
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), folder_files(integers))
        whole, _, layers = counted(integers, Path(name), core)
    return {**layers, "total": whole["instructions"], **{quantity: whole[quantity] for quantity in MEMORY}}


def bytes_text(figure: dict[str, int]) -> str:
    return f"{figure['.text']:,}; {figure['.rodata']:,}; {figure['context_bytes']:,} + {figure['stack_bytes']}"


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


def layer_table(integers: IntegerModel, layers: dict[str, dict[str, int]]) -> list[str]:
    """Rows of Markdown: layers down, their multiply-adds and cores across."""
    rows = [f"| {layer.replace('_', ' ')} | {multiply_adds:,} | {' | '.join(f'{counts[layer]:,}' for counts in layers.values())} |"
            for layer, (multiply_adds, _) in layer_sizes(integers).items()]
    return [f"| instructions a clip | multiply-adds | {' | '.join(layers)} |", "|---" * (2 + len(layers)) + "|", *rows]
