"""Fixtures shared by all tests: a seeded generator and the real recordings."""
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from npgru import emulator
from runs import FAST, npgru

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real recordings. Absent: the test is skipped, but on CI (CI=true) it fails."""
    if not SHARED_DATA.is_dir():
        message = f"the real recordings are not in {SHARED_DATA}"
        if os.environ.get("CI") == "true":
            pytest.fail(message + "; CI must have them")
        pytest.skip(message)
    return SHARED_DATA


@pytest.fixture(scope="session")
def toolchain():
    """GCC and QEMU for Cortex-M. Absent: the test is skipped, but on CI (CI=true) it fails."""
    message = emulator.missing()
    if message and os.environ.get("CI") == "true":
        pytest.fail(message)
    if message:
        pytest.skip(message)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A BioDCASE folder of 2-second clips: targets hold a rising chirp at 4 to 6 kHz, negatives noise."""
    root, rng, t = tmp_path_factory.mktemp("corpus"), np.random.default_rng(5), np.arange(32000) / 16000
    for split, n in (("Training_Set", 24), ("Validation_Set", 12), ("Test_Set", 12)):
        for k in range(n):
            noise = 0.05 * rng.standard_normal(32000)
            song = 0.2 * np.sin(2 * np.pi * (4000 + 500 * t) * t) * (k % 2)
            name = f"Wren/YH_{split[0]}{k // 8}_P1_{'ABCD'[k // 2 % 4]}" if k % 2 else f"Negatives/Background_{split[0]}{k}"
            (root / split / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(root / split / f"{name}.wav", noise + song, 16000)
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NPGRU_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def finished(corpus, tmp_path_factory):
    """A finished run on the corpus, seed 3."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    process = npgru("train", corpus, "-o", run, "--seed", 3, "--threads", 1, *FAST)
    assert process.returncode == 0, process.stderr
    return run
