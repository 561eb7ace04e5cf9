"""The batch: parameters arrive, failures are isolated, unchanged chapters are left alone."""

import json
import os
import shutil
import signal
from pathlib import Path

import nbformat
import psutil
import pytest

from sepkit import files
from sepkit.errors import SepkitError
from sepkit.files import hashes
from sepkit.reproduce import fingerprint, manifest, process
from sepkit.reproduce.notebook import find_chapters
from tests.reproduce.course import WRITE, gone, in_process, notebook, run, seen, until


def test_batch_runs_isolates_and_repeats_only_what_changed(course):
    events = []
    entries = run(course, seeds=[3])

    assert {name: entry["status"] for name, entry in entries.items()} == {
        "01_one": "done",
        "02_broken": "failed",
        "03_tables": "done",
    }
    first = seen(course["out"], "01_one")
    assert first["profile"] == "smoke" and first["seed"] == 3 and first["data"] == course["data"][0]
    assert first["threads"] == str(max(1, os.cpu_count() // 2))
    assert seen(course["out"], "03_tables")["others"] == ["01_one"], (
        "the gathering chapter runs after the others"
    )
    assert entries["01_one"]["seconds"] > 0 and 10 < entries["01_one"]["peak_mb"] < 4000

    # The failing chapter: named by cell and exception on one line, its partial notebook kept.
    (line,) = manifest.failures(entries)
    assert line.startswith("02_broken: cell 4 of 5: RuntimeError: no such;") and "\n" not in line
    partial = nbformat.read(course["out"] / "executed" / "02_broken.failed.ipynb", 4)
    assert any(
        "7" in output.get("text", "")
        for cell in partial.cells
        for output in cell.get("outputs", [])
    )
    assert not (course["out"] / "executed" / "02_broken.ipynb").exists()
    assert not list((course["out"] / "executed").glob(".*")), "nothing half-written is left"

    # Mended, it runs, and so does the chapter that gathers, because a result is new; the first is
    # left alone.
    notebook(course["notebooks"], "02_broken", WRITE)
    events.clear()
    entries = run(
        course, seeds=[3], on_event=lambda name, event, details: events.append((name, event))
    )
    assert {name for name, event in events if event == "cell"} == {"02_broken", "03_tables"}
    assert ("01_one", "unchanged") in events
    assert manifest.failures(entries) == [] and seen(course["out"], "03_tables")["others"] == [
        "01_one",
        "02_broken",
    ]
    assert not (course["out"] / "executed" / "02_broken.failed.ipynb").exists()


def test_what_makes_a_chapter_run_again(course, tmp_path, monkeypatch):
    """Notebook, data, what comes with sepkit, environment and parameters; not where things lie."""
    (chapter,) = find_chapters(["01"], course["notebooks"])
    given = {"profile": "smoke", "data": course["data"][0], "seed": 0, "out_dir": "a"}

    def mark(**changed):
        parameters = {**given, **changed}
        digest = fingerprint.data_digest(parameters["data"], parameters["profile"])
        return fingerprint.fingerprint(chapter, parameters, course["out"], digest)["fingerprint"]

    before, song = mark(), Path(course["data"][0]) / "a" / "vocals.wav"
    moved = Path(shutil.copytree(course["data"][0], tmp_path / "elsewhere" / "dätä"))
    (moved / "notes.txt").write_text("nothing that a chapter reads")
    os.utime(song)
    assert mark() == mark(out_dir="b") == mark(data=str(moved)) == before
    assert mark(seed=1) != before and mark(profile="student") != before
    for place in (44, 4000, -1):  # the first sample, one in the middle, the last
        whole, status = song.read_bytes(), song.stat()
        data = bytearray(whole)
        data[place] ^= 1
        song.write_bytes(data)
        os.utime(song, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert mark() != before
        song.write_bytes(whole)
        assert mark() == before
    (moved / "a").rename(moved / "b")  # the song's name stands in every table
    assert mark(data=str(moved)) != before
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint.metadata, "version", lambda name: "9.9")
        assert mark() != before
    for name in ("reported", "checkpoints", "experiments"):
        shutil.copytree(files.shipped(name), tmp_path / "shipped" / name)
    shutil.copy(files.shipped("weights.json"), tmp_path / "shipped")
    monkeypatch.setattr(fingerprint, "shipped", lambda name: tmp_path / "shipped" / name)
    assert mark() == before
    (tmp_path / "shipped" / "budgets.json").write_text("{}")
    assert mark() == before
    for kept in ("experiments/mixing.json", "checkpoints/bsrnn-student/vocals.safetensors"):
        whole = (tmp_path / "shipped" / kept).read_bytes()
        (tmp_path / "shipped" / kept).write_bytes(whole[:-1] + b"x")
        assert mark() != before
        (tmp_path / "shipped" / kept).write_bytes(whole)
    assert mark() == before
    printed = json.loads(chapter.path.read_text())
    printed["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    printed["cells"][1]["metadata"]["execution"] = {"iopub.status.busy": "2026-11-29T10:00:00Z"}
    chapter.path.write_text(json.dumps(printed))
    assert mark() == before
    notebook(course["notebooks"], "01_one", WRITE, "print(1)")
    assert mark() != before


def test_a_second_look_reads_no_audio_and_no_checkpoint(course, monkeypatch):
    (chapter,) = find_chapters(["01"], course["notebooks"])
    read, sha256 = [], files.sha256
    monkeypatch.setattr(hashes, "SETTLED", -(10**18))  # as if all files were old
    monkeypatch.setattr(hashes, "sha256", lambda path: read.append(path) or sha256(path))
    for _ in range(2):
        read.clear()
        hashes._here.clear()  # as in another process
        digest = fingerprint.data_digest(course["data"][0], "smoke")
        fingerprint.fingerprint(chapter, {"data": course["data"][0]}, course["out"], digest)
    assert read == []


def test_a_chapter_whose_results_are_no_longer_its_own_runs_again(course):
    def ran():
        events = []
        run(course, "01", on_event=lambda name, event, details: events.append(event))
        return "cell" in events

    assert ran() and not ran()
    results = course["out"] / "results" / "01_one.json"
    results.write_text(results.read_text().replace("smoke", "paper"))
    assert ran() and json.loads(results.read_text())["profile"] == "smoke" and not ran()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["07"]}, "unknown chapter '07': choose from 01_one, 02_broken, 03_tables"),
        ({"profile": "huge"}, "unknown profile 'huge': choose from smoke, student, paper"),
        ({"weights": "none"}, "unknown weights 'none': choose from shipped, published, train"),
        (
            {"extra": {"epochs": 3}},
            "01_one.ipynb: unknown parameter 'epochs': the chapter has profile, weights",
        ),
        ({"data": ["nowhere"]}, "nowhere: neither a folder nor one of the data sets band"),
        ({"seeds": [2**32]}, "seed=4294967296: a whole number from 0 to 4294967295"),
        ({"notebooks": "nowhere"}, "nowhere: no chapters"),
        ({"names": ["01,07"]}, "unknown chapter '07': choose from 01_one, 02_broken, 03_tables"),
        ({"names": ["01,"]}, "unknown chapter '': choose from"),
        ({"share": "5/2"}, "--array 5/2: expected N/M with N from 1 to M"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(course, change, message):
    with pytest.raises(SepkitError) as caught:
        run(course, *change.pop("names", ()), **change)
    assert str(caught.value).startswith(message)
    assert not course["out"].exists()


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies(course):
    notebook(course["notebooks"], "01_one", "import time; time.sleep(60)")
    notebook(course["notebooks"], "02_broken", "import os; os._exit(9)")
    entries = run(course, "01", "02", timeout=1)
    assert entries["01_one"]["error"] == "cell 3 of 3: took longer than 1 s; --timeout allows more"
    assert entries["02_broken"]["error"].startswith("cell 3 of 3: the kernel died")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "timeout", "message"),
    [
        # Compiled code that holds Python's lock: the kernel hears no interrupt.
        ("import ctypes; ctypes.PyDLL(None).sleep(600)", 8, "took longer than 8 s"),
        ("import threading; threading.Event().wait()", None, "did nothing for"),
        ("while True: pass", 8, "took longer than 8 s"),
        (
            "while True:\n    try:\n        sum(range(1000))\n    except BaseException: pass",
            8,
            "took longer than 8 s",
        ),
    ],
    ids=["does not stop", "does nothing", "loops", "loops and hears no interrupt"],
)
def test_the_watchdog_kills_a_stuck_notebook_and_keeps_what_it_printed(
    course, monkeypatch, cell, timeout, message
):
    monkeypatch.setattr(process, "STUCK", 20)
    pause = "import time; time.sleep(5.1)"  # outputs are saved every five seconds
    notebook(course["notebooks"], "01_one", "print('before')", pause, cell)
    (entry,) = run(course, "01", timeout=timeout).values()
    assert entry["status"] == "failed" and message in entry["error"]
    kept = nbformat.read(course["out"] / "executed" / "01_one.failed.ipynb", 4)
    printed = [o.text for cell in kept.cells for o in cell.get("outputs", []) if "text" in o]
    assert printed == ["before\n"]


def running(course, name="01_one"):
    """A batch whose chapter sleeps, once it does; and the processes that it has started."""
    pid = course["out"].parent / "pid"
    note_pid = f"import os, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    notebook(course["notebooks"], name, note_pid, "import time; time.sleep(600)")
    call = in_process(course, name)
    until(lambda: (pid.exists() and pid.read_text()) or call.poll() is not None)
    family = psutil.Process(call.pid).children(recursive=True)
    assert int(pid.read_text()) in [member.pid for member in family]
    return call, family


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_batch_leaves_no_process_and_no_fragment_and_goes_on(course, number):
    """Ctrl-C and kill -9: notebook and kernel end within seconds, with what is half-done."""
    call, family = running(course)
    call.send_signal(number)
    call.communicate(timeout=20)
    assert call.returncode != 0 and gone(family)
    assert list((course["out"] / "executed").iterdir()) == []
    state = {signal.SIGINT: "waiting", signal.SIGKILL: "running"}[number]
    assert manifest.load_record(course["out"], "01_one")["status"] == state
    notebook(course["notebooks"], "01_one", WRITE)
    assert run(course, "01")["01_one"]["status"] == "done"


@pytest.mark.slow
def test_two_batches_into_one_folder_lose_nothing(course):
    """Different chapters run side by side; for the same chapter one batch waits for the other."""
    notebook(course["notebooks"], "01_one", "import time; time.sleep(2)", WRITE)
    notebook(course["notebooks"], "02_broken", "import time; time.sleep(2)", WRITE)
    calls = [in_process(course, *names) for names in (["01"], ["02"], ["01", "02"])]
    assert [(call.communicate()[1], call.returncode) for call in calls] == [("", 0)] * 3
    out = course["out"]
    entries = manifest.load_manifest(out)["chapters"]
    assert {name: entry["status"] for name, entry in entries.items()} == {
        "01_one": "done",
        "02_broken": "done",
    }
    assert all((out / entries[name][key]).is_file() for name in entries for key in FILES)
    before = (out / "manifest.json").read_bytes()
    assert all(entry["status"] == "done" for entry in run(course, "01", "02").values())
    assert (out / "manifest.json").read_bytes() == before


FILES = ("executed", "results")


@pytest.mark.slow
def test_a_folder_that_is_deleted_meanwhile_is_told(course):
    notebook(
        course["notebooks"],
        "01_one",
        f"import shutil; shutil.rmtree({str(course['out'])!r})",
        WRITE,
    )
    (entry,) = run(course, "01").values()
    assert (
        entry["status"] == "failed"
        and entry["error"] == f"{course['out']} was deleted while it ran; run it again"
    )
