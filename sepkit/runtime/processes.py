"""Worker processes that end when they should: with their work, with Ctrl-C, and with their parent.

`ProcessPoolExecutor` waits for running jobs when it is interrupted, and a second Ctrl-C
while it waits leaves it waiting for ever. Here a worker ignores Ctrl-C, is killed at once
when the caller stops for any reason, and ends by itself when the caller is killed.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import Any

from ..errors import SepkitError
from . import interruption

#: Signals that a terminal or a scheduler sends to all processes of a command; the first process
#: answers for all.
_SHARED = ("SIGINT", "SIGHUP", "SIGTERM")


def run_jobs(
    jobs: Sequence[Callable[[], Any]], workers: int, start: Callable[[], None] | None = None
) -> Iterator[tuple[int, Any]]:
    """Call every job in worker processes.

    Parameters
    ----------
    jobs : sequence of callable
        Without arguments, and such that they can be pickled (`functools.partial`).
    workers : int
        Processes; no more are started than there are jobs.
    start : callable, optional
        What every process calls first, such as to set its number of threads.

    Yields
    ------
    index, result
        As jobs are finished.

    Raises
    ------
    SepkitError
        If a process ends in the middle of its job, most often for want of memory.
    Exception
        What the first job that fails has raised. Other jobs are given up then.

    Notes
    -----
    Processes are spawned, not forked: the state of threads and of foreign libraries is not
    copied, and every platform behaves alike.
    """
    jobs = list(jobs)
    busy: dict[Any, int] = {}  # the job that runs at the other end
    waiting = iter(enumerate(jobs))
    with _Workers(start) as processes:
        for _ in range(min(workers, len(jobs))):
            _next_job(processes.hire(), waiting, busy)
        while busy:
            # Not for ever: Windows gets Ctrl-C only in between.
            for pipe in connection.wait(list(busy), timeout=0.5):
                index = busy.pop(pipe)
                yield index, _answer(pipe, workers)
                _next_job(pipe, waiting, busy)


def _next_job(pipe, waiting, busy):
    index, job = next(waiting, (None, None))
    if job is not None:
        busy[pipe] = index
        with contextlib.suppress(OSError):  # a worker that is gone is noticed by `_answer`
            pipe.send(job)


def _answer(pipe, workers):
    try:
        fine, value, trace = pipe.recv()
    except (EOFError, OSError):
        # The signal that ended the worker may be meant for this process too: let it come first.
        time.sleep(0.2)
        raise SepkitError(
            f"one of {workers} workers was killed, most likely for want of memory; use fewer "
            "workers. "
            "What was finished is kept where it is written to files, and the same call goes on"
        ) from None
    if not fine:
        raise value from RuntimeError(trace)
    return value


class _Workers:
    """Worker processes, each at the other end of a pipe; leaving the block kills them."""

    def __init__(self, start):
        self.context, self.start = multiprocessing.get_context("spawn"), start
        self.members, self.pipes = [], []

    def __enter__(self):
        return self

    def hire(self):
        ours, theirs = self.context.Pipe()
        by_main = threading.current_thread() is threading.main_thread()
        worker = self.context.Process(
            target=_serve, args=(theirs, self.start, by_main), daemon=True
        )
        # A worker that is left half started prints what it misses.
        with interruption.postponed(), _signals_blocked():
            worker.start()
            theirs.close()  # so that the pipe ends when the worker does
            self.members.append(worker)
            self.pipes.append(ours)
        return ours

    def __exit__(self, *_):
        for worker in self.members:
            worker.kill()
        for worker in self.members:
            worker.join(1)
        for pipe in self.pipes:
            pipe.close()


@contextlib.contextmanager
def _signals_blocked():
    """Block signals in here: in processes that are started, until they can handle them; in this
    one, until afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it later would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in _SHARED})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe, start, by_main):
    """A worker's life: jobs come, answers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {getattr(signal, name) for name in _SHARED})
    end_with_parent(by_main)
    if start:
        start()
    with contextlib.suppress(EOFError, OSError):  # the other end is gone
        while True:
            answer = _done(pipe.recv)
            try:
                pipe.send(answer)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send((False, _not_portable("its result", error), ""))


def _done(receive):
    """(whether it went well, result or exception, traceback) of the next job."""
    try:
        job = receive()
    except (EOFError, OSError):
        raise
    except Exception as error:
        return False, _not_portable("this work", error), ""
    try:
        return True, job(), None
    except Exception as error:
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return False, error, trace


def _not_portable(what, error):
    return SepkitError(f"{what} cannot be handed to another process ({error}); use one worker")


def end_with_parent(by_main: bool = False) -> None:
    """End this process when the one that started it ends, however that happens.

    Parameters
    ----------
    by_main : bool
        Whether the parent's main thread has started it. Linux can then see to it, whatever
        this process is doing; for it, the parent ends with the thread.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if by_main and sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent.pid:
            os._exit(1)

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def kill_family(process: int, and_itself: bool = True) -> None:
    """Kill the processes that `process` has started, and itself."""
    import psutil

    try:
        head = psutil.Process(process)
        family = [*([head] if and_itself else []), *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
