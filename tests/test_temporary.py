"""What a killed process leaves is removed by the next one; what a living one writes to is not."""

import signal
import subprocess
import sys

import pytest

from sepkit import files
from sepkit.files import atomic
from sepkit.files.atomic import Temporary, sweep

HOLD = """
import sys, time
from pathlib import Path
from sepkit.files.atomic import Temporary
held = Temporary(Path(sys.argv[1]), folder=sys.argv[2] == "folder")
(held.path / "half.wav" if sys.argv[2] == "folder" else held.path).write_bytes(b"half")
print(held.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """``holder(kind)`` starts a process that writes into one: the process, and the path."""
    started = []

    def start(kind):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path / "song.wav", kind],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_what_the_dead_have_left_is_swept(tmp_path, holder, kind):
    (tmp_path / ".hidden.wav").write_text("a user's")
    (tmp_path / ".sepkit-settings").write_text("a user's")
    process, path = holder(kind)
    before = {p.name for p in tmp_path.iterdir()}
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == before and len(before) == 3
    process.kill()
    process.wait()
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {".hidden.wav", ".sepkit-settings"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_the_next_write_into_a_folder_sweeps_it(tmp_path, holder, monkeypatch):
    process, path = holder("file")
    process.kill()
    process.wait()
    monkeypatch.setattr(atomic, "_swept", set())  # as in a new process
    files.write_json(tmp_path / "x.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_is_given_once_and_leaves_nothing_beside_it(tmp_path, folder):
    held = Temporary(tmp_path / "x.wav", folder)
    (held.path / "inside" if folder else held.path).write_text("whole")
    sweep(tmp_path)  # the same process writes to it
    held.become(tmp_path / "x.wav")
    held.remove()
    assert [p.name for p in tmp_path.rglob("*")] == (["x.wav", "inside"] if folder else ["x.wav"])


def test_what_is_swept_away_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    make, swept = atomic.tempfile.mkdtemp, []

    def mkdtemp(**options):
        path = make(**options)
        if not swept:
            swept.append(path)
            sweep(tmp_path)
        return path

    monkeypatch.setattr(atomic.tempfile, "mkdtemp", mkdtemp)
    held = Temporary(tmp_path / "song", folder=True)
    assert swept and held.path.is_dir() and str(held.path) != swept[0]
    held.remove()
    assert list(tmp_path.iterdir()) == []


def test_links_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / atomic.LOCK).write_text("a user's")
    (tmp_path / f".x{atomic.MARK}abcdefgh").symlink_to(tmp_path / "mine")
    sweep(tmp_path)
    assert (tmp_path / "mine" / atomic.LOCK).exists()
