"""Several things at a time, in threads: reading, decoding and hashing files leave Python free."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: At most, unless the caller says otherwise: each may hold an audio file in memory.
THREADS = 8


def cores() -> int:
    """The cores that this process may use: of a SLURM job, those that it was given."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def in_threads(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int | None = None
) -> list[Any]:
    """``[function(item) for item in items]``, several at a time; after an error none is begun."""
    failed = threading.Event()

    def unless_failed(item):
        if failed.is_set():
            return None
        try:
            return function(item)
        except BaseException:
            failed.set()
            raise

    pool = ThreadPoolExecutor(workers or min(THREADS, os.cpu_count() or 1))
    try:
        return list(pool.map(unless_failed, items))
    finally:
        pool.shutdown(cancel_futures=True)
