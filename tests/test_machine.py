"""What is said of the machine: facts that are there, a roof that products stay below, a process's own memory."""
import subprocess
import sys

import pytest

from npgru import machine


def test_facts_say_what_a_reader_of_a_figure_must_know():
    facts = machine.facts()
    assert facts["cpu"] and facts["cores"] >= 1 and facts["memory_gb"] > 0 and facts["numpy"] and facts["npgru"]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_roof_is_the_higher_of_two_peaks(threads, monkeypatch):
    monkeypatch.setattr(machine, "ROUNDS", 2)
    peak = machine.roof_gflops(threads)
    assert peak["roof"] == max(peak["sgemm"], peak["fma"]) and peak["sgemm"] > 0


def test_peak_memory_is_of_this_process_and_grows_with_what_it_takes():
    code = ("from npgru import machine\nbefore = machine.peak_memory_bytes()\n{}\n"
            "print(before, machine.peak_memory_bytes() - before)")
    found = [subprocess.run([sys.executable, "-c", code.format(line)], capture_output=True, text=True, check=True).stdout
             for line in ("pass", "block = b'x' * 50_000_000; del block")]
    (before, little), (_, much) = (map(int, line.split()) for line in found)
    if before == 0:
        pytest.skip("the system does not tell")
    assert little < 20_000_000 < 45_000_000 < much < 80_000_000
