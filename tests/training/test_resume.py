"""Stopping a run, by accident or on purpose, and going on: it changes nothing."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from sepkit import cli
from sepkit.errors import Notice, SepkitError
from sepkit.training import checkpoint
from sepkit.training.checkpoint import read_state, write_state

from .tools import (
    FULL,
    QUICK,
    Known,
    Stopped,
    assert_same_run,
    command,
    crash,
    folder_of_songs,
    rows,
    run,
    stop_after,
    tiny,
)


@pytest.mark.parametrize("step", [2, 4, 5, 8])
def test_a_crash_anywhere_changes_nothing(tmp_path, step):
    """With averaged weights, accumulation, a schedule and remixing; 2, 5 and 8 are amid a step."""
    run(tmp_path / "whole", FULL)
    with pytest.raises(Stopped):
        run(tmp_path / "broken", FULL.but(save_minutes=0), stop_after(step, crash))
    run(tmp_path / "broken", FULL)
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.parametrize("step", [2, 3])
def test_ctrl_c_saves_says_how_to_resume_and_changes_nothing(tmp_path, step):
    run(tmp_path / "whole")
    with pytest.raises(
        KeyboardInterrupt,
        match=f"stopped in epoch 1 after step {step}; the same call resumes from .*last.pt",
    ):
        run(tmp_path / "broken", model=stop_after(step, lambda: signal.raise_signal(signal.SIGINT)))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run(tmp_path / "broken")
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


def test_a_finished_run_is_not_repeated_and_can_be_extended(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "parts", QUICK.but(epochs=1))
    assert len(rows(tmp_path / "parts")) == 1
    run(tmp_path / "parts", QUICK.but(epochs=1), stop_after(1, crash))  # nothing is trained
    run(tmp_path / "parts", QUICK)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_folder_that_is_removed_meanwhile_is_made_again_with_the_best_from_then_on(tmp_path):
    out = tmp_path / "run"

    def remove(row):
        if row["epoch"] == 1:
            shutil.rmtree(out)

    losses = iter([1.0, 1.0, 2.0, 2.0, 3.0, 3.0])  # of two songs each: epoch 1 was the best

    class Listed(Known):
        def loss(self, mixture, target):
            return super().loss(mixture, target) if self.training else torch.tensor(next(losses))

    with pytest.warns(
        Notice, match="vocals.safetensors: has been removed; the best from now on is kept"
    ):
        best = run(out, QUICK, Listed(lambda target: target.abs().mean((1, 2))), progress=remove)
    assert (
        best.exists() and torch.load(out / "last.pt", weights_only=True)["state"]["best_epoch"] == 2
    )
    assert [row[0] for row in rows(out)] == ["1", "2", "3"]
    best.unlink()
    with pytest.raises(
        SepkitError,
        match=r"has been removed, and with it the best weights \(of epoch 2\); train on",
    ):
        run(out, QUICK, Listed(lambda target: target.abs().mean((1, 2))))


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(recipe=QUICK.but(lr=1e-3)), "lr 0.01, not 0.001"),
        (dict(recipe=QUICK.but(gains=None)), r"gains \[0.25, 1.25\], not None"),
        (dict(model=tiny(hidden=16)), "hidden 8, not 16"),
    ],
)
def test_a_run_with_other_settings_is_refused_naming_the_difference(tmp_path, change, message):
    run(tmp_path, QUICK.but(epochs=1))
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(SepkitError, match=f"holds a run with {message}; choose another folder"):
        run(tmp_path, **change)
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("gone", ["vocals_semitones", "vocals_gains"])
def test_a_run_older_than_a_part_of_the_recipe_is_resumed_without_it(tmp_path, gone):
    """A part that is not recorded has its default, and with another value is another run."""
    run(tmp_path / "whole")
    run(tmp_path / "old", QUICK.but(epochs=1))
    state = read_state(tmp_path / "old/last.pt")
    recorded = state["about"]["recipe"]
    assert "doubling" not in recorded and "reverb_wet" not in recorded
    del recorded[gone]
    write_state(tmp_path / "old/last.pt", state)
    with pytest.raises(SepkitError, match="holds a run with doubling 0.0, not 0.4; choose another"):
        run(tmp_path / "old", QUICK.but(doubling=0.4))
    run(tmp_path / "old")
    assert_same_run(tmp_path / "old", tmp_path / "whole")


def test_a_run_with_effects_is_resumed_with_them_only_and_changes_nothing(tmp_path):
    effects = FULL.but(doubling=0.5, breath=0.5, equaliser=0.5, drive=0.5, reverb=0.5)
    effects = effects.but(cut_seconds=0.4, semitones=3, drums_semitones=0, epochs=2)
    run(tmp_path / "whole", effects)
    with pytest.raises(Stopped):
        run(tmp_path / "broken", effects.but(save_minutes=0), stop_after(5, crash))
    with pytest.raises(SepkitError, match="holds a run with breath 0.5, not 0.0; choose another"):
        run(tmp_path / "broken", effects.but(breath=0.0))
    run(tmp_path / "broken", effects.but(workers=1))  # nor does a process that prepares chunks
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


def test_a_damaged_state_is_named(tmp_path):
    run(tmp_path, QUICK.but(epochs=1))
    last = tmp_path / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(SepkitError, match="last.pt: cannot be resumed from") as error:
        run(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["save", "write_json"])
def test_a_crash_between_state_and_checkpoint_loses_neither(tmp_path, monkeypatch, where):
    """Killed after last.pt was written and before the best weights, or the log, were."""
    run(tmp_path / "whole", QUICK.but(epochs=1))
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(checkpoint, where, lambda *arguments, **options: crash())
        run(tmp_path / "broken", QUICK.but(epochs=1))
    assert (tmp_path / "broken" / "last.pt").exists() and not (
        tmp_path / "broken" / "log.csv"
    ).exists()
    run(tmp_path / "broken", QUICK.but(epochs=1))
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


# --- two trainings in one folder ------------------------------------------------------------------
HOLD = """
import sys, time, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_training_in_the_same_folder_is_refused_and_does_not_disturb_the_first(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoint, "LOCK_SECONDS", 0.1)
    out = tmp_path / "run"
    refusal = f"{out}: another training is running in this folder; wait for its end, or choose "

    def second():
        with pytest.raises(SepkitError, match=re.escape(refusal)) as error, torch.random.fork_rng():
            run(out)
        assert "\n" not in str(error.value)

    run(out, model=stop_after(2, second))
    run(tmp_path / "alone")
    assert_same_run(out, tmp_path / "alone")
    assert not (out / ".lock").exists()


def test_the_lock_of_a_killed_process_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "LOCK_SECONDS", 0.1)
    run(tmp_path / "run", QUICK.but(epochs=1))
    data, lock = folder_of_songs(tmp_path / "songs"), str(tmp_path / "run" / ".lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE)
    assert holder.stdout.readline()
    said = CliRunner().invoke(cli.app, command(data, tmp_path / "run"))
    holder.kill()
    holder.communicate()
    assert said.exit_code == 1 and said.stdout == "" and said.stderr.count("\n") == 1
    assert f"{tmp_path / 'run'}: another training is running in this folder; wait" in said.stderr
    run(tmp_path / "run")
    assert len(rows(tmp_path / "run")) == 3 and not os.path.exists(lock)


# --- the state on disk ----------------------------------------------------------------------------


class Clock:
    """Half a minute passes between two looks at it."""

    now = 0.0

    def perf_counter(self):
        self.now += 30.0
        return self.now


def test_the_state_is_saved_every_few_minutes_and_never_amid_a_step(tmp_path, monkeypatch):
    saved, plain = [], checkpoint.Checkpoint.save
    monkeypatch.setattr("sepkit.training.loop.time", Clock())
    monkeypatch.setattr(
        checkpoint.Checkpoint, "save", lambda self: (saved.append(self.progress.batch), plain(self))
    )
    run(
        tmp_path, QUICK.but(samples_per_track=16, epochs=1, accumulate=2, save_minutes=2.5)
    )  # 12 batches of a minute each
    assert saved == [4, 8, 12, 0]  # three minutes would be amid a step; the last one ends the epoch


@pytest.mark.slow
def test_sepkit_train_killed_and_repeated_equals_uninterrupted_bit_for_bit(tmp_path):
    """Killed four times at random, once while it starts; with two workers."""
    data, chance = folder_of_songs(tmp_path / "songs"), random.Random(os.getpid())

    def start(out):
        arguments = [sys.executable, "-m", "sepkit", *command(data, tmp_path / out, "--workers", 2)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    whole, last = start("whole"), tmp_path / "broken" / "last.pt"
    for kill in range(4):
        broken, writes, seen = start("broken"), chance.randrange(1, 14) if kill else 0, None
        while (
            writes and broken.poll() is None
        ):  # so many times the state is written, then a little longer
            now = last.stat().st_mtime_ns if last.exists() else None
            writes, seen = writes - (now != seen), now
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.2))
        assert broken.poll() is None, broken.communicate()[0]
        broken.kill()
        broken.communicate()
    final = start("broken")
    for process, out in ((final, "broken"), (whole, "whole")):
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0 and output.splitlines()[-1] == str(
            tmp_path / out / "vocals.safetensors"
        ), output
    assert rows(tmp_path / "whole", ("step",))[-1] == ("60",)
    assert_same_run(tmp_path / "broken", tmp_path / "whole")
    assert torch.load(last, weights_only=True)["state"]["step"] == 60


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sepkit_train_stopped_says_how_to_go_on_and_has_saved(tmp_path, number):
    data = folder_of_songs(tmp_path / "songs")
    out = tmp_path / "run"
    arguments = [
        sys.executable,
        "-m",
        "sepkit",
        *command(data, out, "--max-steps", 100_000, "--workers", 1),
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (out / "log.csv").exists():
        time.sleep(0.01)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and output == "", errors
    assert f"the same call resumes from {out / 'last.pt'}" in errors and "Traceback" not in errors
    step = int(errors.split("after step ")[1].split(";")[0])
    assert torch.load(out / "last.pt", weights_only=True)["state"]["step"] == step >= 6
