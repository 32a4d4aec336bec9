"""The memory of `npgru detect`: the same for long recordings, and for many."""
import os
import subprocess
import sys

import numpy as np
import pytest

from npgru import archive
from soundcheck import noise, write

MEMORY = """
import sys
from npgru import cli, machine
assert cli.main(sys.argv[1:]) == 0
print("peak", machine.peak_memory_bytes() / 2**20)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory of a process")


def peak_mb(*args):
    """Largest memory of the command in one process, MB."""
    process = subprocess.run([sys.executable, "-c", MEMORY, *map(str, args)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return float(process.stdout.split("peak")[1])


@pytest.mark.parametrize("rate_hz, channels, overlap_s", [(16000, 1, 0), (48000, 2, 1.5)])
def test_memory_does_not_grow_with_the_length_of_a_recording(finished, tmp_path, rate_hz, channels, overlap_s):
    peaks = []
    for minutes in (2, 40):
        path = tmp_path / f"{minutes}.wav"
        write(path, np.zeros((1, channels)), rate_hz)
        n_bytes = minutes * 60 * rate_hz * channels * 2
        with open(path, "r+b") as file:                         # silence that takes no room on the disk
            file.truncate(44 + n_bytes)
            file.seek(40)
            file.write(n_bytes.to_bytes(4, "little"))
        peaks.append(peak_mb("detect", path, "-m", finished, "-o", tmp_path / f"out{minutes}", "--overlap", overlap_s))
        assert f"{minutes / 60:.3f} hours" in (tmp_path / f"out{minutes}" / archive.SUMMARY).read_text()
    assert peaks[1] < peaks[0] + 8 and peaks[1] < 120           # MB; we measure 60 to 70 in all, and 1 more


def test_memory_does_not_grow_with_the_number_of_recordings(finished, tmp_path):
    write(tmp_path / "0.wav", noise(np.random.default_rng(0), 800))
    peaks = []
    for n in (200, 2000):
        folder = tmp_path / f"card{n}"
        folder.mkdir()
        for k in range(n):
            os.link(tmp_path / "0.wav", folder / f"{k}.wav")
        peaks.append(peak_mb("detect", folder, "-m", finished, "-o", tmp_path / f"out{n}", "--rtype", "csv", "--threads", 1,
                             "--combine_results", "--min_conf", 0))
    assert peaks[1] < peaks[0] + 8                              # MB; 1800 paths, rows and results are 2
