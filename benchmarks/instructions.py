"""Counts the instructions of every layer on every emulated core anew, and rewrites npgru/instructions.csv.

    python benchmarks/instructions.py

Networks with random weights from a seed: the counts of a size hardly depend on the weights.
"""
import csv
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "firmware"))
from seeded_student import seeded_student  # noqa: E402

from npgru import device_costs, emulator, export_c, model  # noqa: E402

NETWORKS = {
    "student": model.student(), "teacher": model.NetworkConfig(),
    "small": model.NetworkConfig(conv_filters=16, block_filters=(24,), gru_units=8, dense_units=8),
    "middle": model.NetworkConfig(conv_filters=16, block_filters=(32, 64), gru_units=24, dense_units=16)}


def rows_of(network: str, core: str):
    """Rows of the table: layers with their sizes, then total and bytes."""
    integers = seeded_student(config=NETWORKS[network])
    sizes = device_costs.layer_sizes(integers)
    for quantity, value in export_c.measured(integers, core).items():
        yield core, network, quantity, *sizes.get(quantity, (0, 0)), value
    yield core, network, "array_bytes", 0, 0, device_costs.array_bytes(integers, core)


def main():
    compiler = subprocess.run([emulator.GCC, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    machine = subprocess.run([emulator.QEMU, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    rows = []                                               # all first: what is counted reads the table there is
    for network in NETWORKS:
        for core in emulator.CORES:
            rows.extend(rows_of(network, core))
            print(network, core, flush=True)
    with open(device_costs.TABLE, "w", newline="", encoding="utf-8") as file:
        file.write(f"# Instructions of a clip and bytes; {compiler}, -O2; {machine}. Written by benchmarks/instructions.py.\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(device_costs.COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
