"""The batch on a Dask cluster of two local worker processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch

from sepkit import audio, evaluation, models, separation
from sepkit.datasets import open_tracks
from sepkit.errors import SepkitError
from sepkit.reproduce import batch, experiments
from sepkit.reproduce.grid import Grid
from sepkit.runtime import cluster
from tests.reproduce.course import WRITE, gone, notebook, run, until
from tests.reproduce.test_experiments import DESIGN, RATE, TINY

distributed = pytest.importorskip("distributed", reason="needs pip install 'sepkit[cluster]'")
NAP = "import time; time.sleep(3)"


def started(module, *arguments):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and two workers without nannies, each a process; (address, processes)."""
    file = tmp_path / "scheduler.json"
    processes = [
        started(
            "distributed.cli.dask_scheduler",
            *(
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--no-dashboard",
                "--scheduler-file",
                str(file),
            ),
        )
    ]
    until(lambda: file.exists() and file.read_text().endswith("}"))
    address = json.loads(file.read_text())["address"]
    processes += [worker(address) for _ in range(2)]
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


def worker(address, *more):
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    return started("distributed.cli.dask_worker", address, *options, *more)


def on_cluster(course, address, *names, **changed):
    return batch.run(Grid(names, **{**course, **changed}), scheduler=address)


def elsewhere():
    """Not on the scheduler's machine alone: who did it."""
    time.sleep(0.3)
    return os.getpid()


@pytest.mark.slow
def test_a_killed_worker_s_job_is_done_elsewhere_once(course, scheduler, tmp_path):
    address, (_, *workers) = scheduler
    log = tmp_path / "log"
    note = f"import os; open({str(log)!r}, 'a').write(f'{{seed}} WORD {{os.getpid()}}\\n')"
    for name in ("01_one", "02_broken"):
        cells = (note.replace("WORD", "begun"), NAP, note.replace("WORD", "done"), WRITE)
        notebook(course["notebooks"], name, *cells)
    found = {}

    def kill_one():
        until(lambda: log.exists() and log.read_text().endswith("\n"), 300)
        kernel = int(log.read_text().split()[2])
        families = {w: psutil.Process(w.pid).children(recursive=True) for w in workers}
        # Both workers may be busy: killed is the one whose kernel has written its line.
        busy = next(w for w in workers if kernel in [child.pid for child in families[w]])
        found["family"] = families[busy]
        busy.kill()
        found["gone"] = gone(found["family"])

    thread = threading.Thread(target=kill_one)
    thread.start()
    entries = on_cluster(course, address, "01", "02", "03", seeds=[4])
    thread.join()
    assert {name: entry["status"] for name, entry in entries.items()} == {
        "01_one": "done",
        "02_broken": "done",
        "03_tables": "done",
    }
    assert found["family"] and found["gone"]
    lines = log.read_text().splitlines()
    words = [line.rpartition(" ")[0] for line in lines]
    assert words.count("4 done") == 2 and words.count("4 begun") == 3
    assert {entry["status"] for entry in run(course, "01", "02", seeds=[4]).values()} == {"done"}
    assert log.read_text().splitlines() == lines, "what the cluster has done is not run again here"


@pytest.mark.slow
def test_workers_are_checked_and_jobs_for_a_gpu_go_where_one_is(scheduler):
    address, processes = scheduler
    with pytest.raises(SepkitError, match=r"worker tcp://.*: has sepkit \d+, expected \d+"):
        list(cluster.run_jobs([elsewhere], address, lambda: str(os.getpid())))
    with pytest.raises(SepkitError, match="no worker declares a GPU; start one with: dask worker"):
        list(cluster.run_jobs([elsewhere], address, str, gpu=True))
    processes.append(worker(address, "--resources", "GPU=1"))
    with distributed.Client(address) as client:
        client.wait_for_workers(3, timeout=60)
    on_gpu = dict(cluster.run_jobs([elsewhere] * 4, address, str, gpu=True))
    assert set(on_gpu.values()) == {processes[-1].pid} and set(on_gpu) == {0, 1, 2, 3}
    anywhere = dict(cluster.run_jobs([elsewhere] * 8, address, str))
    assert len(set(anywhere.values())) == 3


@pytest.mark.slow
def test_a_batch_that_is_given_up_ends_its_notebooks(course, scheduler):
    address, (_, *workers) = scheduler
    notebook(course["notebooks"], "01_one", "import time; time.sleep(600)")
    family = []

    def on_event(name, event, details):
        until(lambda: sum(len(kernels(each)) for each in workers) >= 2)
        family.extend(sum(map(kernels, workers), []))
        raise KeyboardInterrupt

    grid = Grid(("01", "02"), **course)  # the second fails at once
    with pytest.raises(KeyboardInterrupt):
        batch.run(grid, scheduler=address, on_event=lambda *e: e[1] == "failed" and on_event(*e))
    assert family and gone(family, 10)


def kernels(worker):
    return psutil.Process(worker.pid).children(recursive=True)


@pytest.mark.slow
def test_a_scheduler_that_goes_away_and_one_that_never_was(scheduler, monkeypatch):
    address, (head, *_) = scheduler
    jobs = cluster.run_jobs([elsewhere, *[nap] * 3], address, str)
    next(jobs)
    head.send_signal(signal.SIGKILL)
    with pytest.raises(SepkitError, match="the scheduler has gone; what was finished is kept"):
        list(jobs)
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(SepkitError, match="no scheduler answers .*start one with: dask scheduler"):
        list(cluster.run_jobs([elsewhere], "tcp://127.0.0.1:9", str))


def nap():
    time.sleep(60)


@pytest.mark.slow
def test_songs_and_trainings_are_done_by_the_cluster_as_they_are_here(scheduler, tmp_path):
    address, _ = scheduler
    rng = torch.Generator().manual_seed(0)
    for split in ("train", "train", "valid", "test", "test"):
        name = f"{split}{len(list((tmp_path / 'songs').glob('*/*')))}"
        for stem in ("vocals", "other"):
            path = tmp_path / "songs" / split / name / f"{stem}.wav"
            audio.write(path, 0.1 * torch.randn(1, 2 * RATE, generator=rng), RATE)

    torch.manual_seed(0)
    separator = separation.ModelSeparator(models.build("open-unmix", **TINY), "tiny", device="cpu")
    tracks = open_tracks(str(tmp_path / "songs"), "test")
    here = evaluation.evaluate(separator, tracks, metrics=("usdr",))
    there = evaluation.evaluate(
        separator, tracks, tmp_path / "scores", ("usdr",), scheduler=address, device="cpu"
    )
    assert values(there) == pytest.approx(values(here), abs=1e-4) and len(here) == 2
    assert {score.provenance["device"] for score in there} == {"cpu"}

    def trained(out, **where):
        return experiments.run(
            "trial", DESIGN, str(tmp_path / "songs"), None, 1, tmp_path / out, device="cpu", **where
        )

    once, spread = trained("here"), trained("there", scheduler=address)
    assert values(spread) == pytest.approx(values(once), abs=1e-4) and len(once) == 8
    assert (tmp_path / "there" / "trial.json").is_file()


def values(scores):
    return {(s.separator, s.track, s.metric): s.value for s in scores}
