"""A grid as a user types it: stopped with Ctrl-C, killed, and continued."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.reproduce.course import gone, notebook, until

ROOT = Path(__file__).parents[2]


class Calls:
    """Calls of ``sepkit reproduce 01,02`` in a terminal's process group, and what they have run."""

    def __init__(self, course, tmp_path):
        self.log, self.gate = tmp_path / "log", tmp_path / "gate"
        note = f"open({str(self.log)!r}, 'a').write(f'NAME {{seed}} WORD\\n')"
        wait = (  # the first jobs are fast, the others wait until the test opens the gate
            f"import pathlib, time\nwhile seed and not pathlib.Path({str(self.gate)!r}).exists():"
            "\n    time.sleep(0.1)"
        )
        for name in ("01_one", "02_broken"):
            cells = note.replace("WORD", "begun"), wait, note.replace("WORD", "done")
            notebook(course["notebooks"], name, *cells)
        self.chapters = ["01,02", "--profile", "smoke", "--device", "cpu"]
        self.chapters += ["--data", course["data"][0], "--notebooks", course["notebooks"]]

    def start(self, *more):
        chapters = [] if "--merge" in more else self.chapters
        return subprocess.Popen(
            [sys.executable, "-m", "sepkit", "reproduce", *map(str, (*chapters, *more))],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *more):
        """The exit code and what was printed."""
        call = self.start(*more)
        printed, said = call.communicate(timeout=240)
        return call.returncode, printed + said

    def stop(self, number, done, *more):
        """Send a signal to the whole group once so many jobs are done and another runs."""
        before, call = self.open(), self.start(*more)
        # Records, not the log: a job is done when its record says so.
        until(lambda: self.done(more[-1]) >= done and self.open() > before, 240)
        family = psutil.Process(call.pid).children(recursive=True)
        os.killpg(call.pid, number)
        said = call.communicate(timeout=20)[1]
        assert family and gone(family)
        return call.returncode, said

    def done(self, out):
        # without what is being written: it gets its name when it is whole
        records = [p for p in Path(out).glob("*/jobs/*.json") if not p.name.startswith(".")]
        return sum(json.loads(p.read_text())["status"] == "done" for p in records)

    def open(self):
        """Notebooks that have begun and were not done, in all calls so far."""
        text = self.log.read_text() if self.log.exists() else ""
        return text.count("begun") - text.count("done")

    def finished(self):
        """How often each job was run to its end."""
        lines = self.log.read_text().splitlines()
        return Counter(line.removesuffix(" done") for line in lines if line.endswith("done"))


NAMES = "01_one", "02_broken"
ALL = {f"{name} {seed}": 1 for name in NAMES for seed in range(3)}


@pytest.mark.slow
def test_stopped_killed_and_continued_it_has_done_everything_once(course, tmp_path):
    calls, grid = Calls(course, tmp_path), ("--seed", "0..2", "--out", tmp_path / "out")
    code, said = calls.stop(signal.SIGINT, 2, *grid)
    told = "sepkit: interrupted; finished chapters are kept, and the same command goes on\n"
    assert code == 130 and said.endswith(told) and "Traceback" not in said
    code, _ = calls.stop(signal.SIGKILL, 2, *grid)
    assert code == -signal.SIGKILL
    calls.gate.touch()
    code, said = calls.run(*grid)
    assert code == 0 and calls.finished() == ALL, said
    assert said.count("unchanged") == 2 and (tmp_path / "out" / "report.html").is_file()
    code, said = calls.run(*grid)
    assert code == 0 and calls.finished() == ALL and said.count("unchanged") == 6


def states(out):
    """(chapter, seed) -> state, by the manifest."""
    entries = json.loads((out / "manifest.json").read_text())["chapters"].values()
    return {(each["chapter"], each["parameters"]["seed"]): each["status"] for each in entries}


@pytest.mark.long
@pytest.mark.slow
def test_two_calls_at_once_with_other_seeds_in_one_new_folder_keep_both(course, tmp_path):
    calls, out = Calls(course, tmp_path), tmp_path / "out"
    started = [calls.start("--seed", seed, "--out", out) for seed in (1, 2)]
    until(lambda: calls.open() >= 2, 240)
    calls.gate.touch()
    said = [call.communicate(timeout=240) for call in started]
    assert [call.returncode for call in started] == [0, 0], said
    wanted = {f"{name} {seed}": 1 for name in NAMES for seed in (1, 2)}
    assert calls.finished() == wanted
    code, printed = calls.run("--seed", "1,2", "--out", out)
    assert code == 0 and calls.finished() == wanted and printed.count("unchanged") == 4
    assert states(out) == {(name, seed): "done" for name in NAMES for seed in (1, 2)}
    assert not (out / "jobs").exists(), "each seed has a folder of its own"


@pytest.mark.long
@pytest.mark.slow
def test_two_halves_made_apart_are_merged_and_nothing_is_run_again(course, tmp_path):
    calls, out = Calls(course, tmp_path), tmp_path / "out"
    calls.gate.touch()
    halves = [tmp_path / "first", tmp_path / "second"]
    for number, half in enumerate(halves, start=1):
        share = "--seed", "0..2", "--array", f"{number}/2", "--out", half
        code, said = calls.run(*share)
        assert code == 0, said
    assert calls.finished() == ALL and all(0 < len(states(half)) < 6 for half in halves)
    code, said = calls.run("--merge", *halves, "--out", out)
    assert code == 0, said
    assert len(states(out)) == 6 and set(states(out).values()) == {"done"}
    code, said = calls.run("--seed", "0..2", "--out", out)
    assert code == 0 and calls.finished() == ALL and said.count("unchanged") == 6
