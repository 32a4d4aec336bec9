"""What the firmware tests listen to, and the student that they export: made once."""
from functools import lru_cache

import numpy as np
import pytest
from seeded_student import seeded_student, synthetic_clip

from npgru import export_c, feature_files
from npgru.front_end import FrontEnd


@pytest.fixture(scope="session")
def clips(shared_data):
    """(7, 32000) int16: two real songs, two other real sounds, a synthetic one, silence, and the ends of the range."""
    folder = shared_data / "great_tit" / "Validation_Set"
    files = [path for kind in ("Target", "Negatives") for path in sorted((folder / kind).iterdir())[::9][:2]]
    real = [feature_files.slice_of(path, FrontEnd.paper(), 2.0) for path in files]
    ends = np.random.default_rng(3).choice(np.int16([-32768, 32767]), 32000)
    return np.stack([synthetic_clip(40), *real, np.zeros(32000, np.int16), ends])


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """state bits -> the seeded student, and its folder."""
    @lru_cache
    def student(state_bits=16):
        integers, folder = seeded_student(state_bits), tmp_path_factory.mktemp("student")
        export_c.write_folder(folder, export_c.folder_files(integers, ()))
        return integers, folder
    return student


@pytest.fixture(scope="session")
def counted(exported, toolchain):
    """core -> export_c.counted of the student: figures of all of it, of the network alone, and instructions of each layer."""
    return lru_cache(lambda core: export_c.counted(*exported(), core))
