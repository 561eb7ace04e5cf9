"""Jobs on the workers of a Dask cluster (``pip install 'sepkit[cluster]'``).

The scheduler and its workers are started by the user: on one machine by ``dask scheduler`` and
``dask worker``, on a cluster by dask-jobqueue and the like. It hands the jobs of a worker that
dies to others; what is here checks that all workers have the same sepkit, and says in one line
what goes wrong.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import SepkitError, first_few

#: Seconds to wait for the scheduler, and for its first worker.
PATIENCE = 30.0


def run_jobs(
    jobs: Sequence[Callable[[], Any]],
    scheduler: str,
    same: Callable[[], str],
    gpu: bool = False,
    notice: Callable[[str], object] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Call every job on some worker of the cluster.

    Parameters
    ----------
    jobs : sequence of callable
        Without arguments, and such that they can be pickled.
    scheduler : str
        Its address, such as ``tcp://10.0.0.1:8786``.
    same : callable
        What must be equal here and on all workers: the version of the code.
    gpu : bool
        Whether a job needs a GPU: it then runs on workers that declare one
        (``dask worker ADDRESS --resources GPU=1``), as many at a time as they declare.
    notice : callable, optional
        Called with a line of text about what is unusual.

    Yields
    ------
    index, result
        As jobs are finished.

    Raises
    ------
    SepkitError
        Without the package, if the scheduler cannot be reached or goes away, or if a worker has
        another version; it is named.
    Exception
        What the first job that fails has raised. Other jobs are given up then.
    """
    distributed = _distributed()
    with _client(distributed, scheduler) as client:
        expected = same()
        _check_workers(client, scheduler, same, expected, gpu)
        resources = {"GPU": 1} if gpu else None
        futures = [
            client.submit(_checked, job, same, expected, pure=False, resources=resources)
            for job in jobs
        ]
        index = {future.key: number for number, future in enumerate(futures)}
        try:
            for future in _as_finished(client, futures, scheduler):
                yield index[future.key], _result(distributed, future)
        finally:
            with contextlib.suppress(Exception):
                client.cancel(futures, force=True)


def _distributed():
    try:
        import distributed

        return distributed
    except ImportError:
        raise SepkitError(
            "--scheduler: Dask is not installed; run: pip install 'sepkit[cluster]'"
        ) from None


@contextlib.contextmanager
def _client(distributed, scheduler):
    import logging

    # What they say of lost connections is said here in a line.
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise SepkitError(
            f"--scheduler {scheduler}: no scheduler answers ({_line(error)}); "
            "start one with: dask scheduler"
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _check_workers(client, scheduler, same, expected, gpu):
    """Refuse workers without this very sepkit, and a cluster that could never do the jobs."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except (TimeoutError, OSError):
        raise SepkitError(
            f"{scheduler}: has no workers; start them with: dask worker {scheduler}"
        ) from None
    for worker, found in client.run(same, on_error="return").items():
        if isinstance(found, Exception):
            raise SepkitError(
                f"worker {worker}: cannot run sepkit ({_line(found)}); install it there, or "
                "start the worker with the Python that has it"
            )
        if found != expected:
            raise SepkitError(_other_version(worker, found, expected))
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if gpu and not any(worker["resources"].get("GPU") for worker in workers):
        raise SepkitError(
            f"{scheduler}: no worker declares a GPU; start one with: "
            f"dask worker {scheduler} --nthreads 1 --resources GPU=1"
        )


def _checked(job, same, expected):
    """On the worker, which may have come later than the others."""
    if (found := same()) != expected:
        import distributed

        raise SepkitError(_other_version(distributed.get_worker().address, found, expected))
    return job()


def _other_version(worker, found, expected):
    return f"worker {worker}: has sepkit {found}, expected {expected}; install the same there"


def _as_finished(client, futures, scheduler):
    """The futures, as they are finished; a short wait each time, so that Ctrl-C is heard."""
    ended: queue.Queue = queue.Queue()
    for future in futures:
        future.add_done_callback(ended.put)
    left = len(futures)
    while left:
        with contextlib.suppress(queue.Empty):
            future = ended.get(timeout=0.5)
            if future.status in ("finished", "error"):  # not: cancelled, as the scheduler has gone
                left -= 1
                yield future
        if left and client.status != "running":
            raise SepkitError(
                f"{scheduler}: the scheduler has gone; what was finished is kept, and the same "
                "call goes on"
            )


def _result(distributed, future):
    try:
        return future.result()
    except distributed.KilledWorker as error:
        raise SepkitError(
            f"a job has killed {error.allowed_failures + 1} workers, most likely for want of "
            f"memory; the last was {error.last_worker.address}"
        ) from None


def _line(error):
    return (
        first_few([line for line in str(error).splitlines() if line.strip()], 1)
        or type(error).__name__
    )


@contextlib.contextmanager
def when_cancelled(stop: Callable[[], object]) -> Iterator[None]:
    """On a worker, around a job: call `stop` as soon as nobody wants its result any more.

    That is when the caller was interrupted or killed. Dask itself lets a job run to its end.
    """
    import distributed

    worker = distributed.get_worker()
    key, ended = worker.get_current_task(), threading.Event()

    def watch():
        while not ended.wait(1.0):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                stop()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
