"""What a quantised network costs on a Cortex-M, without one: instructions of every layer, cycles, memory, energy.

instructions.csv holds counts from the emulator for a few networks on every core. A layer of a size that is in it costs what
was counted; another one by a fit to all its kind,

    instructions = a multiply-adds + b outputs + c                                          (1)

relative least squares per core and kind, whose largest error on the table is told. export_c.measured counts anew.
"""
import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from .device_fast import exact_channels
from .device_layout import network_of
from .device_source import FORMS, body, pooled_words, sizes
from .int8 import IntegerModel

TABLE = Path(__file__).with_name("instructions.csv")
COLUMNS = ("core", "network", "quantity", "multiply_adds", "outputs", "value")
FORM_OF = {"m0plus": "ROWS", "m3": "ROWS", "m55": "HELIUM"}                               # else DSP: csrc/device/form.h
MEMORY = ("context_bytes", "stack_bytes", ".text", ".rodata")

# cycles an instruction, from code in memory without wait states to flash with them; MHz and microamperes a MHz at 3 V of
# processors on the market, thrifty and fast ones: data sheets, rounded. They are assumptions: measure on your board.
CYCLES = {"m0plus": (1.3, 2.0), "m3": (1.5, 2.5), "m4": (1.25, 2.0), "m7": (0.6, 1.2), "m33": (1.1, 1.8), "m55": (1.0, 1.6)}
MICROAMPERES_A_MHZ = {"m0plus": (50, 140), "m3": (150, 300), "m4": (40, 240), "m7": (150, 400), "m33": (20, 100), "m55": (30, 100)}
VOLTS = 3.0


def layer_sizes(integers: IntegerModel) -> dict[str, tuple[int, int]]:
    """{quantity: (multiply-adds, outputs) of one clip}, of all that has a count of its own; `rest` is what has none."""
    network = network_of(integers)
    T, M, (H, D) = network.n_steps, network.conv.columns, (network.gru.arrays["u"].shape[1], network.gru.arrays["w"].shape[1])
    found = {"front_end": (0, integers.front_end.n_frames(round(integers.clip_s * integers.front_end.sample_rate_hz)))}
    for layer in network.layers:
        found[layer.name] = (T * M * layer.w.size, T * M * layer.channels)
    found |= {"gru_input": (T * D * 3 * H, T * 3 * H), "gru_steps": (T * H * 3 * H, T * H)}
    return found | {"rest": (sum(op.arrays["w"].size for op in network.dense), integers.front_end.mel_n_channels * found["front_end"][1])}


def kind_of(quantity: str) -> str:
    """block2_pointwise -> pointwise."""
    return quantity.rpartition("_")[2] if quantity.startswith("block") else quantity


@lru_cache(maxsize=1)
def table() -> list[dict]:
    """The rows of instructions.csv, numbers as such."""
    with open(TABLE, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(line for line in file if not line.startswith("#"))]
    return [{key: value if key in COLUMNS[:3] else int(value) for key, value in row.items()} for row in rows]


def fit(core: str, kind: str) -> tuple[np.ndarray, float]:
    """(1) for a core and a kind of layer: (a, b, c), and its largest relative error on the table."""
    rows = [row for row in table() if row["core"] == core and kind_of(row["quantity"]) == kind]
    terms = np.array([[row["multiply_adds"], row["outputs"], 1.0] for row in rows])
    value = np.array([row["value"] for row in rows], float)
    solution = np.linalg.lstsq(terms / value[:, None], np.ones(len(rows)), rcond=None)[0]
    return solution, float(np.abs(terms @ solution / value - 1).max())


def estimated(integers: IntegerModel, core: str) -> dict[str, tuple[int, float]]:
    """{layer: (instructions, relative error)}: from the table where it has a layer of that size (error 0), else by (1)."""
    found = {}
    for quantity, (multiply_adds, outputs) in layer_sizes(integers).items():
        known = [row["value"] for row in table() if row["core"] == core and kind_of(row["quantity"]) == kind_of(quantity)
                 and (row["multiply_adds"], row["outputs"]) == (multiply_adds, outputs)]
        if known:
            found[quantity] = (known[0], 0.0)
        else:
            solution, error = fit(core, kind_of(quantity))
            found[quantity] = (round(float(np.dot(solution, (multiply_adds, outputs, 1)))), error)
    return found


def context_bytes(integers: IntegerModel, core: str) -> int:
    """sizeof(npgru) of csrc/device/npgru.h on a core, with front end and stream, fields in its order."""
    network = network_of(integers)
    size = {name.removeprefix("NPGRU_"): value for name, value in sizes(integers, network).items()}
    n = {name: int(size[name]) for name in ("WINDOW_SAMPLES", "CLASSES", "UNITS", "STATE_BITS", "STEPS", "WINDOW_WORDS",
                                            "RING_WORDS", "WORK_WORDS")}
    state = n["STATE_BITS"] // 8
    before_sums = 40 + 2 * n["WINDOW_SAMPLES"] + 4 * n["CLASSES"] + n["UNITS"] * state
    fields = before_sums + -before_sums % 4 + 4 * n["UNITS"] + 4 + state * n["STEPS"] * n["UNITS"]
    return fields + -fields % 4 + 4 * (n["WINDOW_WORDS"] + n["RING_WORDS"] + n["WORK_WORDS"]
                                        + pooled_words(network, FORM_OF.get(core, "DSP")))


def memory_of_student(core: str, quantity: str) -> int:
    """Bytes of the table's first network: code and stack hardly depend on the sizes."""
    return next(row["value"] for row in table() if (row["core"], row["quantity"]) == (core, quantity))


def ranges(core: str, instructions: int) -> dict[str, tuple[float, float]]:
    """Cycles and microjoules, at least and at most, by the assumptions above."""
    cycles = tuple(instructions * each for each in CYCLES[core])
    energy = tuple(n * ampere * 1e-6 * VOLTS for n, ampere in zip(cycles, MICROAMPERES_A_MHZ[core]))        # cycles uA/MHz V = pJ
    return {"cycles": cycles, "microjoules": energy}


def report(integers: IntegerModel, core: str, measured: dict[str, int] | None = None) -> dict:
    """All of it for one core: per layer multiply-adds, instructions, their relative error; totals, ranges, bytes.

    measured    of export_c.measured, instead of the estimates
    """
    sizes_of, errors = layer_sizes(integers), {}
    if measured:
        counts, memory = {quantity: measured[quantity] for quantity in sizes_of}, measured
    else:
        both = estimated(integers, core)
        counts, errors = {quantity: n for quantity, (n, _) in both.items()}, {quantity: e for quantity, (_, e) in both.items()}
        memory = {"context_bytes": context_bytes(integers, core), ".rodata": constant_bytes(integers, core),
                  **{quantity: memory_of_student(core, quantity) for quantity in ("stack_bytes", ".text")}}
    layers = [{"layer": quantity, "multiply_adds": sizes_of[quantity][0], "instructions": n, "relative_error": errors.get(quantity, 0.0)}
              for quantity, n in counts.items()]
    total = sum(counts.values())
    return {"core": core, "source": "measured in QEMU" if measured else "instructions.csv", "layers": layers, "instructions": total,
            "network_instructions": total - counts["front_end"], **ranges(core, total), "clip_s": integers.clip_s,
            "ram_bytes": {"context": memory["context_bytes"], "stack": memory["stack_bytes"]},
            "flash_bytes": {"code": memory[".text"], "constants": memory[".rodata"]},
            "assumptions": {"cycles_an_instruction": CYCLES[core], "microamperes_a_mhz": MICROAMPERES_A_MHZ[core], "volts": VOLTS}}


def constant_bytes(integers: IntegerModel, core: str) -> int:
    """Of the folder's constants: those of the table's first network, its arrays replaced by this one's."""
    return memory_of_student(core, ".rodata") - memory_of_student(core, "array_bytes") + array_bytes(integers, core)


def array_bytes(integers: IntegerModel, core: str) -> int:
    """Weights and output stages as the core's kernels take them."""
    network = network_of(integers)
    form = FORM_OF.get(core, "DSP")
    streams, _ = FORMS[form](network)
    return sum(array.nbytes for array in body(network, streams, exact_channels(network, form, streams))[1].values())


def name_of(core: str) -> str:
    """m0plus -> Cortex-M0+."""
    return f"Cortex-{core.replace('plus', '+').upper()}"


def as_text(found: dict) -> str:
    """report -> lines for people."""
    source = "counted in QEMU" if found["source"] != "instructions.csv" else (
        "from a table of counts in QEMU; --measure counts those of this very network")
    lines = [f"{name_of(found['core'])}, one clip of {found['clip_s']:g} s", f"instructions: {source}", "",
             f"{'layer':18}{'multiply-adds':>14}{'instructions':>14}"]
    for layer in found["layers"]:
        error = f"within {100 * layer['relative_error']:.0f} %" if layer["relative_error"] else ""
        lines.append(f"{layer['layer']:18}{layer['multiply_adds']:14,}{layer['instructions']:14,}  {error}".rstrip())
    (fewest, most), (least, largest), clip_s = found["cycles"], found["microjoules"], found["clip_s"]
    assumed = found["assumptions"]
    ram, flash = found["ram_bytes"], found["flash_bytes"]
    return "\n".join([
        *lines, f"{'all':18}{sum(layer['multiply_adds'] for layer in found['layers']):14,}{found['instructions']:14,}", "",
        f"cycles   {fewest / 1e6:.1f} to {most / 1e6:.1f} million a clip: assumed {assumed['cycles_an_instruction'][0]:g} to "
        f"{assumed['cycles_an_instruction'][1]:g} an instruction (memory without wait states to flash with them)",
        f"clock    {fewest / 1e6 / clip_s:.1f} to {most / 1e6 / clip_s:.1f} MHz keep up with the sound",
        f"energy   {least:.0f} to {largest:.0f} microjoules a clip: {least / clip_s:.0f} to {largest / clip_s:.0f} microwatts on average, "
        f"assumed {assumed['microamperes_a_mhz'][0]} to",
        f"         {assumed['microamperes_a_mhz'][1]} microamperes a MHz at {assumed['volts']:g} V; neither microphone nor sleep is in it: "
        "measure your board",
        f"RAM      {ram['context'] + ram['stack']:,} bytes: {ram['context']:,} of context + {ram['stack']:,} of stack",
        f"flash    {flash['code'] + flash['constants']:,} bytes: {flash['code']:,} of code + {flash['constants']:,} of constants; front end "
        "and streams included"])
