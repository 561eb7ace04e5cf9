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
        self.options = ["--profile", "smoke", "--data", course["data"][0], "--device", "cpu"]
        self.options += ["--notebooks", str(course["notebooks"])]

    def start(self, *more):
        return subprocess.Popen(
            [sys.executable, "-m", "sepkit", "reproduce", "01,02", *self.options, *map(str, more)],
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
        records = [path.read_text() for path in Path(out).glob("*/jobs/*.json")]
        return sum(json.loads(text)["status"] == "done" for text in records)

    def open(self):
        """Notebooks that have begun and were not done, in all calls so far."""
        text = self.log.read_text() if self.log.exists() else ""
        return text.count("begun") - text.count("done")

    def finished(self):
        """How often each job was run to its end."""
        lines = self.log.read_text().splitlines()
        return Counter(line.removesuffix(" done") for line in lines if line.endswith("done"))


ALL = {f"{name} {seed}": 1 for name in ("01_one", "02_broken") for seed in range(3)}


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
