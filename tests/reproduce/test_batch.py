"""The batch: parameters arrive, failures are isolated, unchanged chapters are left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from sepkit import audio, files
from sepkit.errors import SepkitError
from sepkit.files import hashes
from sepkit.reproduce import batch

PARAMETERS = """\
profile = "smoke"
weights = "shipped"
data = "band"
device = "cpu"
seed = 0
out_dir = "build"
"""
WRITE = """
    import json, os, pathlib
    folder = pathlib.Path(out_dir) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    seen = {"profile": profile, "seed": seed, "data": data,
            "threads": os.environ["OMP_NUM_THREADS"],
            "others": sorted(path.stem for path in folder.glob("*.json"))}
    (folder / "NAME.json").write_text(json.dumps(seen))
"""


def notebook(folder, name, *cells, parameters=PARAMETERS):
    """Write a chapter with a parameter cell and `cells`."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    rest = [new_code_cell(textwrap.dedent(cell).strip().replace("NAME", name)) for cell in cells]
    nbformat.write(new_notebook(cells=[first, *rest]), folder / f"{name}.ipynb")


@pytest.fixture
def course(tmp_path):
    """Two chapters that work, one that fails and one that gathers; and a data set of one file."""
    notebooks, data = tmp_path / "note books {x}", tmp_path / "dätä"
    notebooks.mkdir()
    audio.write(data / "a" / "vocals.wav", torch.full((1, 4000), 0.1), 8000, subtype="PCM_16")
    notebook(notebooks, "01_one", WRITE)
    notebook(
        notebooks,
        "02_broken",
        "kept = 7\nprint(kept)",
        "raise RuntimeError('no such\\nluck')",
        WRITE,
    )
    notebook(notebooks, "03_tables", WRITE)
    return {
        "notebooks": notebooks,
        "data": str(data),
        "profile": "smoke",
        "out": tmp_path / "out",
        "device": "cpu",
    }


def seen(course, name):
    return json.loads((course["out"] / "results" / f"{name}.json").read_text())


def test_batch_runs_isolates_and_repeats_only_what_changed(course):
    events = []
    entries = batch.run(**course, seed=3)

    assert {name: entry["status"] for name, entry in entries.items()} == {
        "01_one": "done",
        "02_broken": "failed",
        "03_tables": "done",
    }
    first = seen(course, "01_one")
    assert first["profile"] == "smoke" and first["seed"] == 3 and first["data"] == course["data"]
    assert first["threads"] == str(max(1, os.cpu_count() // 2))
    assert seen(course, "03_tables")["others"] == ["01_one"], (
        "the gathering chapter runs after the others"
    )
    assert entries["01_one"]["seconds"] > 0 and 10 < entries["01_one"]["peak_mb"] < 4000

    # The failing chapter: named by cell and exception on one line, its partial notebook kept.
    (line,) = batch.failures(entries)
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
    entries = batch.run(
        **course, seed=3, on_event=lambda name, event, details: events.append((name, event))
    )
    assert {name for name, event in events if event == "cell"} == {"02_broken", "03_tables"}
    assert ("01_one", "unchanged") in events
    assert batch.failures(entries) == [] and seen(course, "03_tables")["others"] == [
        "01_one",
        "02_broken",
    ]
    assert not (course["out"] / "executed" / "02_broken.failed.ipynb").exists()


def test_what_makes_a_chapter_run_again(course, tmp_path, monkeypatch):
    """Notebook, data, what comes with sepkit, environment and parameters; not where things lie."""
    (chapter,) = batch.find_chapters(["01"], course["notebooks"])
    given = {"profile": "smoke", "data": course["data"], "seed": 0, "out_dir": "a"}

    def mark(**changed):
        parameters = {**given, **changed}
        digest = batch.data_digest(parameters["data"], parameters["profile"])
        return batch.fingerprint(chapter, parameters, course["out"], digest)["fingerprint"]

    before, song = mark(), Path(course["data"]) / "a" / "vocals.wav"
    moved = Path(shutil.copytree(course["data"], tmp_path / "elsewhere" / "dätä"))
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
        patch.setattr(batch.metadata, "version", lambda name: "9.9")
        assert mark() != before
    for name in ("reported", "checkpoints", "experiments"):
        shutil.copytree(files.shipped(name), tmp_path / "shipped" / name)
    shutil.copy(files.shipped("weights.json"), tmp_path / "shipped")
    monkeypatch.setattr(batch, "shipped", lambda name: tmp_path / "shipped" / name)
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
    (chapter,) = batch.find_chapters(["01"], course["notebooks"])
    read, sha256 = [], files.sha256
    monkeypatch.setattr(hashes, "SETTLED", -(10**18))  # as if all files were old
    monkeypatch.setattr(hashes, "sha256", lambda path: read.append(path) or sha256(path))
    for _ in range(2):
        read.clear()
        hashes._here.clear()  # as in another process
        digest = batch.data_digest(course["data"], "smoke")
        batch.fingerprint(chapter, {"data": course["data"]}, course["out"], digest)
    assert read == []


def test_a_chapter_whose_results_are_no_longer_its_own_runs_again(course):
    def ran():
        events = []
        batch.run(["01"], **course, on_event=lambda name, event, details: events.append(event))
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
        ({"data": "nowhere"}, "nowhere: neither a folder nor one of the data sets band"),
        ({"notebooks": "nowhere"}, "nowhere: no chapters"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(course, change, message):
    with pytest.raises(SepkitError) as caught:
        batch.run(**{**course, **change})
    assert str(caught.value).startswith(message)
    assert not course["out"].exists()


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies(tmp_path, course):
    notebook(course["notebooks"], "01_one", "import time; time.sleep(60)")
    notebook(course["notebooks"], "02_broken", "import os; os._exit(9)")
    entries = batch.run(**course, names=["01", "02"], timeout=1)
    assert entries["01_one"]["error"] == "cell 3 of 3: took longer than 1 s"
    assert entries["02_broken"]["error"].startswith("cell 3 of 3: the kernel died")


@pytest.mark.slow
def test_interrupting_leaves_no_process_and_no_fragment(tmp_path, course):
    """Ctrl-C ends the batch within seconds, with nothing of the chapter left running."""
    pid = tmp_path / "pid"
    note_pid = f"import os, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    notebook(course["notebooks"], "01_one", note_pid, "import time; time.sleep(600)")
    arguments = {key: str(value) for key, value in course.items()}
    code = f"from sepkit.reproduce import batch; batch.run(['01'], **{arguments!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not (pid.exists() and pid.read_text()) and time.time() < deadline:
        time.sleep(0.1)
    kernel = psutil.Process(int(pid.read_text()))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) != 0
    psutil.wait_procs([kernel], timeout=5)
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert list((course["out"] / "executed").iterdir()) == []
    assert json.loads((course["out"] / "manifest.json").read_text())["chapters"] == {}


def in_process(course, names):
    """The batch in a process of its own."""
    arguments = {key: str(value) for key, value in course.items()}
    code = f"from sepkit.reproduce import batch; batch.run({names!r}, **{arguments!r})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_kill_leaves_no_kernel_and_no_fragment(tmp_path, course):
    """kill -9 of the batch: notebook and kernel end within seconds, with what is half-done."""
    pid = tmp_path / "pid"
    note_pid = f"import os, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    notebook(course["notebooks"], "01_one", note_pid, "import time; time.sleep(600)")
    process = in_process(course, ["01"])
    while not (pid.exists() and pid.read_text()) and process.poll() is None:
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    assert int(pid.read_text()) in [member.pid for member in family]
    process.kill()
    process.communicate()
    _, left = psutil.wait_procs(family, timeout=5)
    assert [
        member for member in left if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    ] == []
    assert list((course["out"] / "executed").iterdir()) == []


@pytest.mark.slow
def test_two_batches_into_one_folder_lose_nothing(course):
    """Different chapters run side by side; for the same chapter one batch waits for the other."""
    notebook(course["notebooks"], "01_one", "import time; time.sleep(2)", WRITE)
    notebook(course["notebooks"], "02_broken", "import time; time.sleep(2)", WRITE)
    calls = [in_process(course, names) for names in (["01"], ["02"], ["01", "02"])]
    assert [(call.communicate()[1], call.returncode) for call in calls] == [("", 0)] * 3
    manifest = json.loads((course["out"] / "manifest.json").read_text())["chapters"]
    assert {name: entry["status"] for name, entry in manifest.items()} == {
        "01_one": "done",
        "02_broken": "done",
    }
    assert all(
        (course["out"] / manifest[name][key]).is_file()
        for name in manifest
        for key in ("executed", "results")
    )
    before = (course["out"] / "manifest.json").read_bytes()
    assert all(
        entry["status"] == "done" for entry in batch.run(**course, names=["01", "02"]).values()
    )
    assert (course["out"] / "manifest.json").read_bytes() == before


@pytest.mark.slow
def test_a_folder_that_is_deleted_meanwhile_is_told(course):
    notebook(
        course["notebooks"],
        "01_one",
        f"import shutil; shutil.rmtree({str(course['out'])!r})",
        WRITE,
    )
    (entry,) = batch.run(**course, names=["01"]).values()
    assert (
        entry["status"] == "failed"
        and entry["error"] == f"{course['out']} was deleted while it ran; run it again"
    )
