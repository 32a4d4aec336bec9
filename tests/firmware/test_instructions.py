"""The counts of npgru/instructions.csv hold: what a core takes for the student may not grow by more than 1 %."""
import pytest

from npgru import device_costs, emulator

MOST = 1.01             # counts are the same in every run; a compiler's next version moves them a little


@pytest.mark.parametrize("core", emulator.CORES)
def test_no_layer_takes_more_instructions_than_the_table_says(core, exported, counted):
    """After an improvement, or a reason: python benchmarks/instructions.py writes the table anew."""
    expected = {row["quantity"]: row["value"] for row in device_costs.table() if (row["core"], row["network"]) == (core, "student")}
    (integers, _), (whole, _, layers) = exported(), counted(core)
    found = {**layers, "total": whole["instructions"], **{quantity: whole[quantity] for quantity in device_costs.MEMORY},
             "array_bytes": device_costs.array_bytes(integers, core)}
    assert found.keys() == expected.keys()
    worse = {quantity: (n, expected[quantity]) for quantity, n in found.items() if n > MOST * expected[quantity]}
    assert not worse, f"found, and in the table: {worse}"
    assert found["context_bytes"] == device_costs.context_bytes(integers, core)
