"""The SLURM file in docs/, with a stand-in for ``srun``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reproduce.course import notebook

SCRIPT = Path(__file__).parents[2] / "docs" / "batch.slurm"


def program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_tasks_of_an_array_and_a_last_call_do_everything_once(course, tmp_path):
    log = tmp_path / "log"
    for name in ("01_one", "02_broken"):
        cell = f"open({str(log)!r}, 'a').write(f'NAME {{seed}}\\n')"
        notebook(course["notebooks"], name, cell)
    notebook(course["notebooks"], "03_tables", f"open({str(log)!r}, 'a').write('tables\\n')")
    program(tmp_path / "bin" / "srun", 'echo "srun $SLURM_ARRAY_TASK_ID" >> srun.log; exec "$@"')
    program(tmp_path / "bin" / "sepkit", f'exec {sys.executable} -m sepkit "$@"')
    out = str(course["out"])
    call = ["reproduce", "--profile", "smoke", "--data", course["data"][0], "--seed", "0..1"]
    call += ["--out", out, "--notebooks", str(course["notebooks"])]
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    root = str(SCRIPT.parents[1])
    given = {**os.environ, "PATH": path, "PYTHONPATH": root, "SLURM_ARRAY_TASK_COUNT": "3"}

    def ran(command, **more):
        done = subprocess.run(
            command, cwd=tmp_path, env={**given, **more}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done

    for task in ("1", "2", "3"):
        told = ran(["bash", str(SCRIPT), *call], SLURM_ARRAY_TASK_ID=task).stdout
        assert f"share {task}/3" in told
    assert sorted((tmp_path / "srun.log").read_text().split()) == ["1", "2", "3"] + ["srun"] * 3
    shares = ["01_one 0", "01_one 1", "02_broken 0", "02_broken 1"]
    assert sorted(log.read_text().splitlines()) == shares
    ran([str(tmp_path / "bin" / "sepkit"), *call])
    assert sorted(log.read_text().splitlines()) == [*shares, "tables", "tables"]
    assert (course["out"] / "report.html").is_file()
