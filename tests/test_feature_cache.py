"""The cache gives back exactly what was put in, or nothing; whoever is killed, and whatever is on the disk."""
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from npgru.feature_cache import FeatureCache, default_folder
from npgru.front_end import FrontEnd

WRITER = """
import sys
import numpy as np
from npgru.feature_cache import FeatureCache
from npgru.front_end import FrontEnd
cache = FeatureCache(sys.argv[1], FrontEnd.paper(), 32000)
print("ready", flush=True)
for i in range(int(sys.argv[2])):
    cache.put(f"{i % 50:064x}", np.full((84, 32), i % 50, np.uint16), "notice")
assert cache.failure is None, cache.failure
"""


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache", FrontEnd.paper(), 32000)


def features(value=7):
    return (np.arange(84 * 32, dtype=np.uint16) + np.uint16(value)).reshape(84, 32)


def writer(folder, n):
    process = subprocess.Popen([sys.executable, "-c", WRITER, folder, str(n)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def check_all_whole(cache):
    """Every entry is right or missing; how many there are."""
    found = [cache.get(f"{i:064x}") for i in range(50)]
    for i, entry in enumerate(found):
        assert entry is None or ((entry[0] == i).all() and entry[1] == "notice")
    return sum(entry is not None for entry in found)


def test_what_was_put_comes_back(cache):
    assert cache.get("ab" * 32) is None
    cache.put("ab" * 32, features(), "ü: a notice")
    found, notice = cache.get("ab" * 32)
    assert np.array_equal(found, features()) and found.dtype == np.uint16 and notice == "ü: a notice"
    assert np.array_equal(np.load(cache.path("ab" * 32)), features())               # a .npy file like any other
    cache.put("ab" * 32, features(9), "")
    assert np.array_equal(cache.get("ab" * 32)[0], features(9)) and cache.get("ab" * 32)[1] == ""
    assert [path.name for path in cache.path("ab" * 32).parent.iterdir()] == ["ab" * 32 + ".npy"]


def test_the_key_is_content_part_and_configuration(tmp_path, cache):
    a, b, other = (tmp_path / name for name in ("a", "b", "other"))
    a.write_bytes(b"sound"), b.write_bytes(b"sound"), other.write_bytes(b"Sound")
    key = cache.key(a, 0, None)
    assert key == cache.key(b, 0.0, None) and len(key) == 64
    keys = {key, cache.key(other, 0, None), cache.key(a, 1, None), cache.key(a, 0, 1.0), cache.key(a, 0, 10.0)}
    for change in ({"window_stride": 256}, {"mel_low_hz": 1999.0}, {"pad_tail": False}, {"mel_post_scaling_bits": 5}):
        keys.add(FeatureCache(tmp_path, replace(FrontEnd.paper(), **change), 32000).key(a, 0, None))
    keys.add(FeatureCache(tmp_path, FrontEnd.paper(), 31999).key(a, 0, None))
    assert len(keys) == 10
    assert FeatureCache(tmp_path / "elsewhere", FrontEnd.paper(), 32000).key(a, 0, None) == key
    with pytest.raises(OSError):
        cache.key(tmp_path / "missing", 0, None)


def test_damaged_files_are_not_believed(cache):
    key = "cd" * 32
    cache.put(key, features(), "n")
    good = cache.path(key).read_bytes()
    damaged = [b"", good[:1], good[:100], good[:-1], good[:len(good) // 2], bytes(len(good)), good + b"x", b"\x93NUMPY"]
    damaged += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1:] for at in (0, 20, 200, len(good) - 33, len(good) - 1)]
    for content in damaged:
        cache.path(key).write_bytes(content)
        assert cache.get(key) is None
    other = FeatureCache(cache.folder.parent, replace(FrontEnd.paper(), window_stride=256), 32000)
    other.put(key, np.zeros(other.shape, np.uint16), "")
    assert cache.get(key) is None                                                   # whole, but another shape
    cache.path(key).unlink()
    cache.path(key).mkdir()
    assert cache.get(key) is None
    cache.put("ef" * 32, features(), "")
    assert cache.failure is None and cache.get("ef" * 32) is not None


def test_a_writer_killed_at_any_moment_leaves_whole_files(tmp_path, cache):
    for delay_s in (0.0, 0.004, 0.02, 0.05):
        process = writer(cache.folder.parent, 10**6)
        time.sleep(delay_s)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        check_all_whole(cache)
    last = writer(cache.folder.parent, 50)
    last.communicate()
    assert last.returncode == 0
    assert check_all_whole(cache) == 50


def test_two_processes_write_the_same_files(cache):
    processes = [writer(cache.folder.parent, 500) for _ in range(2)]
    while any(process.poll() is None for process in processes):
        check_all_whole(cache)
        time.sleep(0.02)
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0] and check_all_whole(cache) == 50
    assert not list(cache.folder.rglob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_given_up_once(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = FeatureCache(tmp_path / "file", FrontEnd.paper(), 32000)
    cache.put("ab" * 32, features(), "")
    assert "NPGRU_CACHE" in cache.failure and "\n" not in cache.failure and cache.get("ab" * 32) is None


def test_a_full_disk_leaves_nothing_behind(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "replace", full)
    cache.put("ab" * 32, features(), "")
    assert "No space left" in cache.failure and not [path for path in cache.folder.rglob("*") if path.is_file()]


def test_the_folder_is_the_users_or_the_one_asked_for(monkeypatch):
    monkeypatch.setenv("NPGRU_CACHE", "/somewhere")
    assert str(default_folder()) == os.path.normpath("/somewhere")
    monkeypatch.delenv("NPGRU_CACHE")
    assert "npgru" in str(default_folder())
