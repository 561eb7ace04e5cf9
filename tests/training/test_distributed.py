"""Several processes that train together, started by torchrun on this machine's CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.training import distributed
from sepkit.training.batches import part_of_step
from sepkit.training.distributed import rank_and_size

from .tools import QUICK, assert_same_run, command, folder_of_songs, rows, run

SCRIPT = Path(__file__).parent / "process.py"
LIMIT = 240  # seconds: nothing here may hang
ONCE = dict(batch=2, samples_per_track=4, epochs=2, lr=1e-12, weight_decay=0.0, loss="l1")


def torchrun(*arguments, processes=2):
    """Start processes, at a port that the system chooses."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*launcher, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process):
    try:
        output, errors = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return SimpleNamespace(code=process.returncode, output=output, errors=errors)


def together(out, action=(), processes=2, **changes):
    return finish(torchrun(SCRIPT, out, json.dumps(changes), *action, processes=processes))


def seen(out, rank=0):
    return torch.load(out / f"seen-{rank}.pt", weights_only=True)


# --- without starting any -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world, examples, batch, accumulate",
    [(1, 15, 2, 3), (2, 15, 2, 3), (2, 16, 4, 1), (3, 40, 2, 4), (1, 7, 8, 1)],
)
def test_every_example_of_a_step_counts_alike(world, examples, batch, accumulate):
    """Weights, as means over processes, add up to one in each step; its last batch says so."""
    recipe, steps, total = QUICK.but(batch=batch, accumulate=accumulate), [], 0.0
    used = examples if world == 1 else examples // (batch * world) * batch * world
    for number, first in enumerate(range(0, used, batch * world)):
        size = min(batch * world, used - first) // world
        part, last = part_of_step(recipe, number, size, examples, world)
        total += part
        steps.append((size * world, part / size, last))
        if last:
            assert total == pytest.approx(1)
            assert (
                len({weight for _, weight, _ in steps}) == 1
            )  # the mean of a batch, by its examples
            steps, total = [], 0.0
    assert not steps


def test_slurm_tasks_that_know_nothing_of_each_other_are_refused(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert rank_and_size() == (0, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(
        SepkitError,
        match="srun has started 4 tasks that know nothing of each other; start one torchrun a node",
    ):
        rank_and_size()
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert rank_and_size() == (0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert rank_and_size() == (3, 8)


@pytest.mark.parametrize(
    "device, gpus, message",
    [
        ("cuda", 1, r"2 processes on a machine with 1 GPU\(s\); use --nproc-per-node 1"),
        ("cuda:1", 4, "device cuda:1: 2 processes were started"),
        ("mps", 0, "device mps: 2 processes were started"),
    ],
)
def test_devices_that_do_not_suffice_are_refused(monkeypatch, device, gpus, message):
    for name, value in dict(
        TORCHELASTIC_RUN_ID="x", RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="2"
    ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(SepkitError, match=message):
        distributed.fabric(torch.device(device), "32-true")


# --- real processes -------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_batches_twice_as_large(tmp_path):
    """Gradients of every step, losses, and the loss over whole songs: two, one per process."""
    done = together(tmp_path / "two", accumulate=2, **ONCE)
    assert done.code == 0, done.errors
    finish(
        subprocess.Popen(
            [
                sys.executable,
                SCRIPT,
                tmp_path / "one",
                json.dumps({**ONCE, "batch": 4, "accumulate": 2}),
            ]
        )
    )
    two, other, one = seen(tmp_path / "two"), seen(tmp_path / "two", 1), seen(tmp_path / "one")
    assert (
        len(two["gradients"]) == len(one["gradients"]) == 4
    )  # 12 examples per epoch: steps of 8 and 4
    for ours, theirs, wanted in zip(two["gradients"], other["gradients"], one["gradients"]):
        assert (
            torch.equal(ours, theirs)
            and (ours - wanted).norm() <= 1e-5 * wanted.norm()
            and wanted.norm() > 0
        )
    assert all(torch.equal(value, other["weights"][name]) for name, value in two["weights"].items())
    for ours, wanted in zip(rows(tmp_path / "two"), rows(tmp_path / "one")):
        assert ours[:2] == wanted[:2] and [float(x) for x in ours[2:]] == pytest.approx(
            [float(x) for x in wanted[2:]], rel=1e-5
        )


@pytest.mark.slow
def test_the_first_process_decides_where_all_start_and_about_running_statistics(tmp_path):
    """Open-Unmix looks at its songs before it starts; the second process's weights were zero."""
    done = together(tmp_path / "two", model="tiny", epochs=1, ema=0.5)
    assert done.code == 0, done.errors
    first, second = seen(tmp_path / "two"), seen(tmp_path / "two", 1)
    assert all(
        torch.equal(value, second["weights"][name]) for name, value in first["weights"].items()
    )
    assert first["weights"]["fc1.weight"].abs().sum() > 0


@pytest.mark.slow
def test_a_song_unreadable_for_one_process_is_left_out_by_all(tmp_path):
    done = together(tmp_path / "two", broken=True, batch=1, samples_per_track=8)
    assert done.code == 0, done.errors
    assert done.errors.count("this song is left out") == 1 and "song-0-1" in done.errors
    first, second = seen(tmp_path / "two"), seen(tmp_path / "two", 1)
    assert all(
        torch.equal(value, second["weights"][name]) for name, value in first["weights"].items()
    )
    assert torch.load(tmp_path / "two" / "last.pt", weights_only=True)["state"]["left_out"][
        "train"
    ] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("action", ["die", "fail", "nan"])
def test_a_process_that_ends_takes_the_others_with_it_and_the_run_goes_on_from_its_state(
    tmp_path, action
):
    changes = dict(model="tiny", batch=2, save_minutes=0, ema=0.9)
    begun = time.monotonic()
    broken = together(tmp_path / "broken", (action, 1, 5), **changes)
    assert broken.code != 0 and time.monotonic() - begun < LIMIT
    said = [line for line in broken.errors.splitlines() if line.startswith("sepkit:")]
    if action == "nan":
        assert len([line for line in said if "loss or weights are NaN" in line]) == 1, broken.errors
        return
    if action == "fail":
        assert any(
            "process 1 of 2: unexpected ValueError: this process has had enough" in line
            for line in said
        ), broken.errors
    assert all(together(tmp_path / name, **changes).code == 0 for name in ("broken", "whole"))
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.slow
def test_another_number_of_processes_is_refused(tmp_path):
    run(tmp_path / "one", QUICK.but(epochs=1, batch=2))
    before = (tmp_path / "one" / "last.pt").read_bytes()
    refused = together(tmp_path / "one", model="tiny", epochs=1, batch=2)
    assert (
        refused.code != 0
        and refused.errors.count("holds a run with processes 1, not 2; choose another folder") == 1
    ), refused.errors
    assert (tmp_path / "one" / "last.pt").read_bytes() == before


@pytest.mark.slow
def test_sepkit_train_under_torchrun_stops_with_ctrl_c_and_goes_on(tmp_path):
    data, out = folder_of_songs(tmp_path / "songs"), tmp_path / "run"
    process = torchrun("-m", "sepkit", *command(data, out, "--workers", 1, "--max-steps", 100_000))
    begun = time.monotonic()
    while (
        process.poll() is None
        and not (out / "log.csv").exists()
        and time.monotonic() - begun < LIMIT
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code != 0 and stopped.output == "", stopped.errors
    assert stopped.errors.count("the same call resumes from") == 1, stopped.errors
    step = torch.load(out / "last.pt", weights_only=True)["state"]["step"]
    done = finish(
        torchrun("-m", "sepkit", *command(data, out, "--workers", 1, "--max-steps", step + 4))
    )
    assert done.code == 0 and done.output == f"{out / 'vocals.safetensors'}\n", done.errors
    assert int(rows(out)[-1][1]) == step + 4
