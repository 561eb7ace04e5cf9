"""Ctrl-C, SIGTERM and SIGHUP, once or twice, at any moment: one line, soon, no process left."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from sepkit import audio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc"),
]
RATE = 8000
#: To the end of a command and of all its processes; the watch itself ends it after 4.
LIMIT = 5
SMALL = ("hidden=8", "n_fft=256", "hop=64", "sample_rate=8000", "bandwidth=4000", "layers=1")
COMMANDS = {
    "band": "data band --root OUT --train 40 --test 0 --seconds 8 --voice dsp --workers 2",
    "augment": "data augment --data SONGS --out OUT --workers 2",
    "activity": "data activity --data SONGS --cache OUT",
    "evaluate": "evaluate --separator mwf --data SONGS --out OUT --workers 2 --hop 0.01",
    "train": "train --data SONGS --out OUT --max-steps 1000000 --workers 1 "
    + " ".join(f"--setting {part}" for part in SMALL),
    "separate": "separate SONGS/test/c/mixture.wav --out OUT",
    "experiment": "experiment cost --out OUT",
    "reproduce": "reproduce 01 --profile smoke --out OUT",
    "models": "models",
    "doctor": "doctor",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    generator = torch.Generator().manual_seed(0)
    for split, name in (("train", "a"), ("train", "b"), ("test", "c"), ("test", "d")):
        stems = {
            stem: torch.randn(2, 60 * RATE, generator=generator) * 0.05
            for stem in ("vocals", "drums")
        }
        for stem, sound in {**stems, "mixture": sum(stems.values())}.items():
            audio.write(folder / "songs" / split / name / f"{stem}.wav", sound, RATE)
    return folder


def session(number):
    """The processes of a session that run; those that have ended but were not waited for do not."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    state, _, _, own = file.read().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(own) == number and state not in "ZX":
                found.append(int(entry))
    return found


@pytest.fixture(scope="module")
def start():
    """Seconds that a call takes that does nothing."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "sepkit", "doctor", "--help"], capture_output=True)
    return time.monotonic() - began


@pytest.mark.parametrize("command", COMMANDS)
def test_signals_at_any_moment_end_a_command_in_one_line(folder, start, tmp_path, command):
    rng = random.Random(command)
    for attempt in range(3):
        out = tmp_path / str(attempt)
        arguments = (
            COMMANDS[command]
            .replace("OUT", str(out))
            .replace("SONGS", str(folder / "songs"))
            .split()
        )
        environment = {**os.environ, "SEPKIT_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sepkit", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        number = rng.choice((signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        twice, whole, moment = (
            rng.random() < 0.5,
            rng.random() < 0.5,
            rng.choice((rng.uniform(0.4, 1.5), rng.uniform(1.5, 10))),
        )
        time.sleep(moment)
        if process.poll() is not None:  # has come to its end before
            assert process.returncode == 0, process.communicate()[1]
            continue
        before, began = files_in(out), time.monotonic()
        for _ in range(1 + twice):
            try:
                (os.killpg if whole else os.kill)(
                    process.pid, number
                )  # a terminal signals all, kill only one
            except ProcessLookupError:
                break
            time.sleep(0.15 if twice else 0)
        told = f"{command}: {number.name} {'twice' if twice else 'once'} after {moment:.2f} s"
        try:
            said = process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{told}: has not ended") from None
        while session(process.pid) and time.monotonic() < began + LIMIT:
            time.sleep(0.02)
        taken = time.monotonic() - began
        assert session(process.pid) == [], f"{told}: left processes behind"
        print(f"{told}: {taken:.2f} s")
        lines = [
            line for line in said.splitlines() if not line.startswith(("band: ", "sepkit: note: "))
        ]
        # Had done its work when it was told to stop: nothing was written any more, or it ended in
        # less time than two starts take.
        done = before and files_in(out) == before
        if process.returncode == 0 and (done or taken < max(1, 2 * start)):
            assert lines == [], f"{told}: {said}"
            assert taken < LIMIT, f"{told}: took {taken:.1f} s"
            continue
        assert (
            process.returncode == 130
            and len(lines) == 1
            and lines[0].startswith("sepkit: interrupted")
        ), f"{told}: {said}"
        assert taken < LIMIT, f"{told}: took {taken:.1f} s"


def files_in(folder):
    """What a command has written so far: {path: time of its last change}."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a file of the moment
            found[path] = path.stat().st_mtime_ns
    return found


ENDING = """
import os, signal, sys
from sepkit.runtime import interruption

class Late:
    def __del__(self):  # when Python clears what modules hold, after everything else
        os.kill(os.getpid(), signal.SIGHUP)

interruption.watch()
interruption.late = Late()
with interruption.ending(), interruption.work():
    print("done")
"""


def test_a_signal_after_the_work_does_not_change_how_it_ended():
    run = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


AMID_AN_IMPORT = """
import os, signal, time
from sepkit.cli.output import errors_in_one_line
from sepkit.runtime import interruption

@errors_in_one_line
def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(3)
    except KeyboardInterrupt:
        raise RuntimeError("module half imported")

interruption.watch()
with interruption.ending():
    command()
"""


POSTPONED = """
import os, signal, time
from sepkit.runtime import interruption

interruption.watch()
with interruption.work():
    try:
        with interruption.postponed():
            # the main thread does not take it: another one does
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)
            print("whole", flush=True)
        print("not reached", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
def test_a_signal_waits_until_what_must_be_whole_is_so():
    done = subprocess.run([sys.executable, "-c", POSTPONED], capture_output=True, text=True)
    assert done.stdout.split() == ["whole", "interrupted"], done.stderr


def test_what_a_module_makes_of_an_interruption_is_still_one():
    """numpy, interrupted amid its import, goes on with an error of its own."""
    command = [sys.executable, "-c", AMID_AN_IMPORT]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (130, "sepkit: interrupted\n")
