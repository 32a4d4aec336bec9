"""Fixtures shared by all tests: a seeded generator and the real recordings."""
import os
from pathlib import Path

import numpy as np
import pytest

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
