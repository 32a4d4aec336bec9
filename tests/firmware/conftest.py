"""What the firmware tests listen to."""
import numpy as np
import pytest
from seeded_student import synthetic_clip

from npgru import feature_files
from npgru.front_end import FrontEnd


@pytest.fixture(scope="session")
def clips(shared_data):
    """(7, 32000) int16: two real songs, two other real sounds, a synthetic one, silence, and the ends of the range."""
    folder = shared_data / "great_tit" / "Validation_Set"
    files = [path for kind in ("Target", "Negatives") for path in sorted((folder / kind).iterdir())[::9][:2]]
    real = [feature_files.slice_of(path, FrontEnd.paper(), 2.0) for path in files]
    ends = np.random.default_rng(3).choice(np.int16([-32768, 32767]), 32000)
    return np.stack([synthetic_clip(40), *real, np.zeros(32000, np.int16), ends])
