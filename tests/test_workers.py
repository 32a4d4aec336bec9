"""One function of many things: each result once, whatever becomes of the processes."""
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from npgru import workers
from npgru.workers import Lost


def square(k):
    return k * k


def deadly(victims, k):
    """The square, or the death of this process."""
    if k in victims:
        os.kill(os.getpid(), signal.SIGKILL)
    return k * k


def deadly_once(folder, k):
    """The square; 7 kills its process the first time."""
    if k == 7 and not (folder / "dead").exists():
        (folder / "dead").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return k * k


def slow(k):
    time.sleep(30)


def squares(results):
    """[(k, result)], each k once -> {k: result}."""
    results = list(results)
    assert len(dict(results)) == len(results)
    return dict(results)


@pytest.mark.parametrize("n_processes", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 50])
def test_each_thing_has_its_result(n_processes, n):
    assert squares(workers.results(square, range(n), n_processes)) == {k: k * k for k in range(n)}


def test_a_process_that_dies_once_costs_nothing(tmp_path):
    found = squares(workers.in_processes(partial(deadly_once, tmp_path), range(30), 2))
    assert found == {k: k * k for k in range(30)}


def test_a_thing_that_ends_every_process_is_lost_and_no_other():
    found = squares(workers.in_processes(partial(deadly, (0, 12, 29)), range(30), 2))
    assert {k for k, result in found.items() if isinstance(result, Lost)} == {0, 12, 29}
    assert all(result == k * k for k, result in found.items() if k not in (0, 12, 29))


def test_a_mistake_in_the_function_is_raised():
    with pytest.raises(TypeError):
        list(workers.in_processes(square, ["x"], 2))


def test_stopping_early_ends_the_processes_at_once():
    begun = time.monotonic()
    with closing(workers.in_processes(partial(mixed, 3), range(8), 2)) as results:
        assert next(results)[0] in range(3)
    assert time.monotonic() - begun < 20                        # not the 30 s of what they were doing


def mixed(n_fast, k):
    return square(k) if k < n_fast else slow(k)


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_workers
from npgru import workers
if __name__ == "__main__":
    for _ in workers.in_processes(test_workers.pid_then_sleep, range(4), 2):
        pass
"""


def pid_then_sleep(k):
    Path(os.environ["NPGRU_TEST_PIDS"], str(os.getpid())).touch()
    time.sleep(60)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks /proc whether a process is there")
def test_no_process_outlives_a_killed_parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    pids = tmp_path / "pids"
    pids.mkdir()
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", Path(__file__).parent],
                              env={**os.environ, "NPGRU_TEST_PIDS": str(pids)})
    wait_until(lambda: len(list(pids.iterdir())) == 2)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(runs(int(path.name)) for path in pids.iterdir()))


def wait_until(true, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(pid):
    """Whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("address", ["local:0", "local:x", "nowhere", "tcp://127.0.0.1:1"])
def test_a_cluster_that_is_none_is_refused_in_one_line(address, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_S", 0.5)
    with pytest.raises(ValueError, match="accepted: tcp://HOST:PORT") as caught:
        list(workers.results(square, range(3), cluster=address))
    assert "\n" not in str(caught.value)


def test_without_distributed_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'npgru\[cluster\]'"):
        list(workers.results(square, range(3), cluster="local:2"))
