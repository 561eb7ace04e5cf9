"""A training in a chapter: stopped, it leaves the best network; run again, it goes on."""

import os
import signal

import pytest
import torch

from sepkit import audio
from sepkit.learn import chapter
from sepkit.learn.curves import read_log
from sepkit.learn.stopping import stoppable
from sepkit.models import build, load
from sepkit.training import Recipe

RECIPE = Recipe(
    epochs=3, batch=2, chunk_seconds=0.5, samples_per_track=4, lr=1e-3, cache=None, workers=0
)
SIZE = dict(hidden=8, layers=1, n_fft=256, hop=128, sample_rate=8000, channels=1, bandwidth=4000)


def press_stop():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def run(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for song in ("a", "b", "c"):
        for stem in ("vocals", "other"):
            sound = 0.1 * torch.randn(1, 8000, generator=generator)
            audio.write(tmp_path / "songs" / song / f"{stem}.wav", sound, 8000)
    given = dict(profile="smoke", data=str(tmp_path / "songs"), device="cpu", show=False)
    return chapter.begin("01_stft", out_dir=tmp_path / "out", **given)


def train(run, recipe=RECIPE, progress=False, **size):
    torch.manual_seed(0)
    network = build("open-unmix", target="vocals", **{**SIZE, **size})
    own = dict(sample_rate=8000, channels=1)
    tracks = run.tracks("train", **own), run.tracks("valid", **own)
    return run.train("vocals", network, *tracks, recipe, progress)


def stop_after(epochs):
    rows = []

    def progress(row):
        rows.append(row)
        if len(rows) == epochs:
            press_stop()

    return progress


def test_a_stopped_training_leaves_its_best_network_and_a_rerun_goes_on(run, capsys, tmp_path):
    stopped = train(run, progress=stop_after(1))
    assert "goes on with the best network so far. Run this cell again" in capsys.readouterr().out
    assert load(stopped).name == "open-unmix" and len(read_log(stopped.parent)) == 1
    again = train(run)
    assert again == stopped and len(read_log(again.parent)) == 3
    assert capsys.readouterr().out == ""
    whole = load(again).state_dict()
    run.out_dir = tmp_path / "another"
    straight = load(train(run)).state_dict()
    assert all(torch.equal(whole[name], straight[name]) for name in whole)


def test_a_training_that_is_stopped_in_its_first_epoch_leaves_a_validated_network(
    run, capsys, monkeypatch
):
    from sepkit.training import loop

    step, steps = loop.step, []

    def stopping(*given):
        step(*given)
        steps.append(1)
        if len(steps) == 2:
            press_stop()

    monkeypatch.setattr(loop, "step", stopping)
    best = train(run)
    (row,) = read_log(best.parent)
    assert row["step"] == len(steps) == 2 and row["valid_loss"] > 0 and load(best)
    assert "Stopped" in capsys.readouterr().out


def test_a_finished_training_is_taken_as_it_is_and_says_so(run, capsys):
    best = train(run)
    written = best.stat().st_mtime_ns
    assert train(run) == best and best.stat().st_mtime_ns == written
    said = capsys.readouterr().out
    assert "Trained before: delete runs/01_stft/smoke-vocals-" in said and said.count("\n") == 1


def test_whatever_decides_the_result_gets_a_folder_of_its_own(run, tmp_path):
    first = train(run)
    assert train(run, RECIPE.but(lr=2e-3)).parent != first.parent
    assert train(run, hidden=16).parent != first.parent
    audio.write(tmp_path / "songs" / "a" / "vocals.wav", torch.zeros(1, 8000) + 0.1, 8000)
    assert train(run).parent != first.parent
    run.seed = 1
    assert train(run).parent != first.parent


def test_a_loop_that_is_stopped_finishes_its_step(capsys):
    done, before = [], signal.getsignal(signal.SIGINT)
    for step in stoppable(range(5)):
        if step == 1:
            press_stop()
        done.append(step)
    assert done == [0, 1] and "Stopped" in capsys.readouterr().out
    assert list(stoppable(iter("abc"))) == ["a", "b", "c"]
    for _ in stoppable(range(5)):
        break
    assert signal.getsignal(signal.SIGINT) == before
