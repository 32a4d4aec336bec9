"""The device's front end on emulated cores for windows of all lengths: the integers of the specification."""
import numpy as np
import pytest
from front_end_source import table_source

from npgru import emulator, features
from npgru.front_end import FrontEnd

MAIN = emulator.CSRC.parent / "tests" / "firmware" / "front_end_main.c"
N_WINDOWS = 24
FRONT_ENDS = [FrontEnd(16, 16, 8000, 14, 1, 0, 3000, 12), FrontEnd(32, 32, 8000, 14, 3, 0, 3700, 0),
              FrontEnd(64, 64, 16000, 12, 20, 125, 7000, 6), FrontEnd(128, 128, 8000, 10, 10, 100, 3800, 6),
              FrontEnd(256, 256, 16000, 12, 3, 3000, 7800, 7), FrontEnd(512, 512, 16000, 12, 32, 2000, 7500, 6),
              FrontEnd(1024, 1024, 24000, 13, 4, 0, 11000, 6),     # more than a hundred bins to a band
              FrontEnd(2048, 2048, 24000, 13, 64, 0, 11000, 7)]


def windows(N, rng):
    """(N_WINDOWS, N) int16: noise from full scale to a few units, silence, the ends of the range, faint and sparse."""
    level = np.arange(N_WINDOWS)[:, None] % 16
    noise = rng.integers(-32768, 32768, (N_WINDOWS, N)) >> level
    noise[3], noise[4], noise[5] = 0, -32768, rng.choice([-32768, 32767], N)
    noise[6:12] *= rng.random((6, N)) < 0.1
    return noise.astype(np.int16)


@pytest.mark.parametrize("core", emulator.CORES)
def test_other_windows_and_bands(core, toolchain, rng, tmp_path):
    x = [windows(front_end.window_len, rng) for front_end in FRONT_ENDS]
    (tmp_path / "tables.h").write_text(table_source(FRONT_ENDS))
    (tmp_path / "samples.bin").write_bytes(b"".join(samples.tobytes() for samples in x))
    emulator.build(core, [MAIN, *sorted(emulator.CSRC.glob("log_mel*.c"))], tmp_path / "main.elf", include=[tmp_path])
    emulator.run(core, tmp_path / "main.elf", tmp_path)
    for samples in x:
        for k in range(4, N_WINDOWS, 5):                            # as the main program: windows that end early
            samples[k, max(samples.shape[1] - k, 0):] = 0
    expected = [features.log_mel(samples, front_end, "numpy") for samples, front_end in zip(x, FRONT_ENDS)]
    assert (tmp_path / "features.bin").read_bytes() == b"".join(y.tobytes() for y in expected)
