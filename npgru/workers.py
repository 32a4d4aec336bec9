"""The same function of many things: here, in processes, or on a dask.distributed cluster. Results come as they finish.

Each thing gives exactly one result, whatever becomes of the processes: one that dies is replaced, what it was doing is
done again, and a thing that ends every process that touches it gives a `Lost`.
"""
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import NamedTuple

AHEAD = 2               # things a process has waiting, so that it need not wait itself
CONNECT_S = 30          # a scheduler, and its first worker, may take so long to answer
RETRIES = 2             # of a thing on a cluster whose worker raised; a worker that dies is dask's own affair
NO_DASK = ("--cluster needs the package distributed, which is not installed; install it with: pip install 'npgru[cluster]', "
           "or use --threads")
DEADLY = "ended every process that read it; it is damaged, or the memory is too small"
_kept = []              # in a process of the pool: the function, unpacked once


class Lost(NamedTuple):
    """A thing without a result. str() says what happened."""
    reason: str


def results(work: Callable, things: Iterable, n_processes: int = 1, cluster: str = "") -> Iterator[tuple]:
    """Yields (thing, work(thing) or Lost), each thing once, in the order in which they finish.

    work     a picklable function; what it raises ends everything here, and is a Lost on a cluster after RETRIES
    cluster  "tcp://host:8786", a dask scheduler; "local:4", four processes of this machine; "": none
    raises   ValueError for a cluster that cannot be used
    """
    if cluster:
        yield from on_cluster(work, things, cluster)
    elif n_processes == 1:
        yield from ((thing, work(thing)) for thing in things)
    else:
        yield from in_processes(work, things, n_processes)


def in_processes(work: Callable, things: Iterable, n_processes: int) -> Iterator[tuple]:
    """results in processes of this machine. Whose process died is found by trying the suspects one by one."""
    things, lost = iter(things), True
    while lost:
        lost = yield from _until_one_dies(work, things, n_processes)
        for thing in lost:
            if (yield from _until_one_dies(work, iter([thing]), 1)):
                yield thing, Lost(DEADLY)


def _until_one_dies(work, things, n_processes):
    """Yields results; returns the things that had none when a process died, [] when all things have theirs."""
    with _pool(work, n_processes) as pool:
        waiting, more, broken = {}, True, False
        try:
            while more or waiting:
                while more and len(waiting) < AHEAD * n_processes:
                    thing = next(things, waiting)               # `waiting` itself: there are no more
                    more = thing is not waiting
                    if more:
                        waiting[pool.submit(_call, thing)] = thing
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    broken = broken or isinstance(future.exception(), BrokenProcessPool)
                    if not broken:
                        yield waiting.pop(future), future.result()
                if broken:
                    return list(waiting.values())
        except BrokenProcessPool:                               # of submit: `thing` is in no future
            return [thing, *waiting.values()]
    return []


@contextmanager
def _pool(work, n_processes):
    """A pool whose processes end with this one, and at once when the caller stops early."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(n_processes, multiprocessing.get_context("spawn"), _begin, (work,))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work):
    """First thing in a process: keep the function, leave Ctrl-C to the parent, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _kept[:] = [work]


def _call(thing):
    return _kept[0](thing)


def on_cluster(work: Callable, things: Iterable, address: str) -> Iterator[tuple]:
    """results on a dask.distributed cluster. Its machines must see the files under the same names."""
    try:
        import distributed
    except ImportError:
        raise ValueError(NO_DASK) from None
    suspects = []
    with _client(distributed, address) as client:
        shared = client.submit(_itself, work, pure=False)       # goes to each worker once; is made again if it is lost
        n_ahead = AHEAD * max(1, sum(client.nthreads().values()))
        for thing, result, error in _on_client(client, shared, things, n_ahead):
            if isinstance(error, distributed.KilledWorker):     # it, or another that was waiting on the same worker
                suspects.append(thing)
            else:
                yield thing, _failed(error) if error else result
        for thing, result, error in _on_client(client, shared, suspects, 1):
            deadly = isinstance(error, distributed.KilledWorker)
            yield thing, Lost(DEADLY) if deadly else _failed(error) if error else result


def _on_client(client, shared, things, n_ahead):
    """Yields (thing, result, None) or (thing, None, exception) as they finish; n_ahead of them are with the cluster."""
    from distributed import as_completed
    running, waiting, things = as_completed(), {}, iter(things)

    def start(n):
        for _, thing in zip(range(n), things):
            future = client.submit(_apply, shared, thing, pure=False, retries=RETRIES)
            waiting[future.key] = thing
            running.add(future)

    start(n_ahead)
    for future in running:
        if future.cancelled():
            raise RuntimeError("the connection to the cluster is lost; nothing else is: the same command continues")
        error = future.exception()
        yield waiting.pop(future.key), None if error else future.result(), error
        start(1)


def _failed(error):
    return Lost(f"failed on the cluster ({' '.join(str(error).split())})")


@contextmanager
def _client(distributed, address):
    """A client of a running cluster, or of one made for this."""
    kind, _, count = address.partition(":")
    if kind == "local" and count.isdecimal() and int(count) > 0:
        with distributed.LocalCluster(n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address=None,
                                      silence_logs=50) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    client, why = _connected(distributed, address) if kind != "local" else (None, "that is no number of processes")
    if not client:
        gc.collect()        # closes what failed now: while another client starts, its __del__ would wait for a lock for ever
        raise ValueError(f"--cluster {address}: cannot be used ({why}); accepted: tcp://HOST:PORT of a dask scheduler with "
                         "workers, or local:N for N processes of this machine")
    with client:
        yield client


def _connected(distributed, address):
    """-> (a client whose cluster has a worker, "") or (None, why not)."""
    client = None
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
        client.wait_for_workers(1, timeout=CONNECT_S)
        return client, ""
    except (OSError, ValueError, TypeError) as error:           # a TimeoutError is an OSError
        if client:
            client.close()
        return None, " ".join(str(error).split()) or type(error).__name__


def _itself(work):
    return work


def _apply(work, thing):
    return work(thing)
