"""Machines whose clocks differ by an hour and share a folder: no time of day decides anything."""

import os
import threading
import time

import pytest

from sepkit.reproduce import manifest
from tests.reproduce.course import run
from tests.reproduce.test_grid import Kernels

HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch):
    """A function that sets this machine's clock, and what it says of files that were written."""
    right, right_ns = time.time, time.time_ns

    def set_to(offset):
        monkeypatch.setattr(time, "time", lambda: right() + offset)
        monkeypatch.setattr(time, "time_ns", lambda: right_ns() + int(offset * 1e9))

    return set_to


@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_what_another_machine_has_done_is_neither_run_again_nor_kept_if_stale(
    course, monkeypatch, clock, offset
):
    kernels = Kernels(monkeypatch)
    run(course)
    assert len(kernels.ran) == 3
    clock(offset)
    for path in [*course["out"].glob("**/*.json"), *course["notebooks"].glob("*.ipynb")]:
        seen = path.stat().st_mtime - offset  # as a file server with another clock dates it
        os.utime(path, (seen, seen))
    kernels.ran.clear()
    entries = run(course)
    assert kernels.ran == [] and {entry["status"] for entry in entries.values()} == {"done"}
    # A change is seen also where its date is that of the file before.
    results = course["out"] / "results" / "01_one.json"
    before = results.stat()
    results.write_text(results.read_text().replace("net", "nit"))
    os.utime(results, ns=(before.st_atime_ns, before.st_mtime_ns))
    run(course, "01")
    assert kernels.ran == [("01_one", 0)]


@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_job_is_running_as_long_as_somebody_holds_it_whatever_its_date(
    course, monkeypatch, clock, offset
):
    kernels = Kernels(monkeypatch)
    begun, end = threading.Event(), threading.Event()

    def hold(name):
        begun.set()
        assert end.wait(60)

    kernels.after = hold
    other = threading.Thread(target=run, args=(course, "01"))
    other.start()
    assert begun.wait(60)
    record = manifest.record_file(course["out"], "01_one")
    then = time.time() - offset
    os.utime(record, (then, then))
    clock(offset)
    found = {}
    waits = threading.Thread(target=lambda: found.update(run(course, "01")))
    waits.start()
    waits.join(2)
    assert waits.is_alive() and kernels.ran == [("01_one", 0)], "it waits, and runs nothing"
    end.set()
    other.join()
    waits.join()
    assert found["01_one"]["status"] == "done" and kernels.ran == [("01_one", 0)]


@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_job_whose_machine_has_died_is_run_at_once_whatever_its_date(
    course, monkeypatch, clock, offset
):
    kernels = Kernels(monkeypatch)
    run(course, "01")
    record = manifest.load_record(course["out"], "01_one")
    manifest.save_record(course["out"], "01_one", {**record, "status": "running", "error": ""})
    path = manifest.record_file(course["out"], "01_one")
    then = time.time() - offset
    os.utime(path, (then, then))
    clock(offset)
    kernels.ran.clear()
    assert run(course, "01")["01_one"]["status"] == "done" and kernels.ran == [("01_one", 0)]
