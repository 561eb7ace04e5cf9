"""Worker processes: results, errors, and that none outlives its work, its caller or its parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from sepkit.errors import SepkitError
from sepkit.runtime.processes import run_jobs


def power(base, exponent):
    return base**exponent, os.getpid()


def fail(text):
    raise SepkitError(text)


class Odd(Exception):
    """Cannot be made again from its arguments, so it cannot travel."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def odd():
    raise Odd(1, 2)


def unreturnable():
    return lambda: None


def test_every_job_is_done_once_in_other_processes():
    found = dict(run_jobs([partial(power, 2, n) for n in range(9)], 2))
    assert {n: value for n, (value, _) in found.items()} == {n: 2**n for n in range(9)}
    others = {process for _, process in found.values()}
    assert os.getpid() not in others and 1 <= len(others) <= 2
    assert multiprocessing.active_children() == []


def test_no_jobs_no_processes():
    assert list(run_jobs([], 10**22)) == []


@pytest.mark.parametrize(
    ("job", "kind", "message"),
    [
        (partial(fail, "song.wav: broken"), SepkitError, "^song.wav: broken$"),
        (odd, RuntimeError, "Odd: 1 and 2"),
        (
            unreturnable,
            SepkitError,
            "its result cannot be handed to another process .*; use one worker",
        ),
        (partial(os._exit, 3), SepkitError, "one of 2 workers was killed, .* use fewer workers"),
    ],
)
def test_a_job_that_fails_ends_all_with_its_error(job, kind, message):
    with pytest.raises(kind, match=message):
        list(run_jobs([job, partial(time.sleep, 60)], 2))
    assert multiprocessing.active_children() == []


def test_leaving_early_ends_the_workers():
    jobs = run_jobs([partial(power, 2, 2), partial(time.sleep, 60)], 2)
    next(jobs)
    jobs.close()
    assert multiprocessing.active_children() == []


SCRIPT = """
import os, sys, time
from functools import partial
from pathlib import Path
from sepkit.runtime.processes import run_jobs

def hold(folder):
    (folder / f"{os.getpid()}").touch()
    time.sleep(600)

if __name__ == "__main__":
    list(run_jobs([partial(hold, Path(sys.argv[1]))] * 2, 2))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_and_say_nothing(tmp_path, number, alive):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    folder = tmp_path / "held"
    folder.mkdir()
    run = subprocess.Popen([sys.executable, script, folder], stderr=subprocess.PIPE, text=True)
    while run.poll() is None and len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    run.send_signal(number)
    ended = time.monotonic()
    _, said = run.communicate(timeout=60)
    workers = [int(path.name) for path in folder.iterdir()]
    while any(map(alive, workers)) and time.monotonic() < ended + 60:
        time.sleep(0.01)
    assert len(workers) == 2 and time.monotonic() < ended + 5
    assert (
        number == signal.SIGINT or said == ""
    )  # Ctrl-C is Python's own traceback here: this is no command
    assert said.count("Traceback") <= 1
