"""Trainings that cannot succeed, or have not: they are stopped, and the checkpoint is judged."""

import warnings

import pytest
import torch

from sepkit.datasets import MemoryTrack
from sepkit.errors import SepkitError
from sepkit.models import load, save
from sepkit.training.checks import judge
from sepkit.training.progress import has_risen

from .tools import QUICK, RATE, Known, command, folder_of_songs, rows, run, sepkit, songs, tiny


def silent(track, *stems):
    return MemoryTrack(
        track.name, {s: track.stem(s) * (0 if s in stems else 1) for s in track.stems}, RATE
    )


def test_a_target_that_is_silent_in_all_songs_is_told_before_anything_is_written(tmp_path):
    quiet = [silent(track, "vocals") for track in songs(3)]
    with pytest.raises(
        SepkitError, match=r"vocals is silent in all of the 3 training songs \(song-0-0, ...\)"
    ):
        run(tmp_path / "run", tracks=quiet)
    with pytest.raises(SepkitError, match="vocals is silent in all of the 2 validation songs"):
        run(tmp_path / "run", valid=[silent(track, "vocals") for track in songs(2, seed=1)])
    assert not (tmp_path / "run").exists()
    run(
        tmp_path / "run", QUICK.but(epochs=1), tracks=[*quiet[:2], songs(3)[2]]
    )  # one that sounds is enough


def test_a_loss_that_rises_a_hundredfold_stops_and_keeps_the_best(tmp_path):
    """The mean of 20 batches tells: a single one of a thousand times the loss is nothing."""
    steps = []

    def number(target):
        steps.append(len(target))
        return torch.full(
            (len(target),), 1000.0 if len(steps) == 5 + 23 or len(steps) > 3 * 23 else 1.0
        )

    recipe = QUICK.but(samples_per_track=7, batch=1, lr=1e-3, epochs=6)
    with pytest.raises(
        SepkitError,
        match="failed in epoch 4, step 79: the loss has risen from 1 to 850; .*keeps the best of "
        "epoch 1",
    ):
        run(tmp_path, recipe, Known(number))


def test_a_validation_loss_that_rises_a_hundredfold_stops(tmp_path):
    class Worse(Known):
        def loss(self, mixture, target):
            return (
                super().loss(mixture, target)
                if self.training
                else torch.tensor(float(1000 ** len(rows_of)))
            )

    rows_of = []
    with pytest.raises(
        SepkitError, match=r"training failed in epoch 2.*: the loss has risen from 1 to 1e\+03"
    ):
        run(tmp_path, QUICK, Worse(lambda target: torch.ones(len(target))), progress=rows_of.append)
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    "start, now, decibels, risen",
    [
        (1, 99, False, False),
        (1, 101, False, True),
        (1e-9, 1e-6, False, True),
        (-5, 14, True, False),
        (-5, 16, True, True),
        (5, 24, True, False),
        (-5, 16, False, True),
    ],
)
def test_what_counts_as_a_rise(start, now, decibels, risen):
    assert has_risen(now, start, decibels) is risen


def trained(tmp_path, spoil):
    """A run's checkpoint, its weights changed."""
    best = run(tmp_path / "run", QUICK.but(epochs=12, loss="nmse"), tiny(dropout=0.0))
    model = load(best)
    with torch.no_grad():
        spoil(model)
    return save(tmp_path / "spoilt.safetensors", model)


def test_a_checkpoint_is_judged_by_the_validation_songs(tmp_path):
    valid = songs(2, seed=1)
    good = judge(trained(tmp_path, lambda model: None), valid, "vocals", "cpu")
    model = load(tmp_path / "run" / "vocals.safetensors")
    ratios = []
    for song in valid:
        wanted, estimate = song.stem("vocals"), model(song.mixture()[None])[0].detach()
        ratios.append(
            10 * torch.log10(wanted.square().sum() / (wanted - estimate).square().sum()).item()
        )
    assert good == pytest.approx(sum(ratios) / 2, abs=1e-3) and good > 0
    assert (
        judge(
            tmp_path / "run" / "vocals.safetensors",
            [silent(track, "vocals") for track in valid],
            "vocals",
            "cpu",
        )
        is None
    )


@torch.no_grad()
def _shut(model):
    model.output_mean.fill_(-100)
    model.output_scale.zero_()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            _shut,
            "spoilt.safetensors: of no use, its estimates of the validation songs are silent; "
            "train again in another folder",
        ),
        (
            lambda model: model.output_mean.fill_(1e3),
            "of no use, its estimates are .* dB further from vocals than silence",
        ),
    ],
)
def test_a_checkpoint_of_no_use_is_named(tmp_path, spoil, message):
    with pytest.raises(SepkitError, match=message):
        judge(trained(tmp_path, spoil), songs(2, seed=1), "vocals", "cpu")


def test_sepkit_train_ends_with_0_only_with_a_useful_checkpoint(tmp_path, monkeypatch):
    data, out = folder_of_songs(tmp_path / "songs"), tmp_path / "run"
    early = sepkit(*command(data, out, "--max-steps", 2))
    assert (
        early.exit_code == 0
        and early.stderr.count("\n") == 1
        and "no better than silence yet" in early.stderr
    )
    dead = tiny()
    _shut(dead)
    monkeypatch.setattr("sepkit.training.checks.load", lambda path: dead)
    again = sepkit(*command(data, out, "--max-steps", 2))
    assert again.exit_code == 1 and again.stdout == "" and again.stderr.count("\n") == 1
    assert "estimates of the validation songs are silent" in again.stderr


def test_a_mixture_that_is_not_the_sum_is_told_once_before_training(tmp_path):
    half = [
        MemoryTrack(t.name, {s: t.stem(s) for s in t.stems}, RATE, 0.5 * t.mixture())
        for t in songs(3)
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(tmp_path, QUICK.but(epochs=1), tracks=half)
        run(tmp_path, QUICK.but(epochs=2), tracks=half)
    told = [str(warning.message) for warning in caught if "not the sum" in str(warning.message)]
    assert (
        len(told) == 1 and told[0].startswith("song-0-0: ") and " 0.0 dB of the mixture" in told[0]
    )
    assert "(and 2 more like this)" in told[0] and "training adds up the stems" in told[0]


@pytest.mark.parametrize("way, count", [("silent", 3), ("skip", 2)])
def test_sepkit_train_with_songs_that_lack_a_stem(tmp_path, way, count):
    data, out = folder_of_songs(tmp_path / "songs"), tmp_path / "run"
    (data / "train" / "song-0-1" / "vocals.wav").unlink()
    refused = sepkit(*command(data, out, "--max-steps", 2))
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1 and not out.exists()
    assert (
        "song-0-1 lacks vocals" in refused.stderr
        and "--missing silent" in refused.stderr
        and "--missing skip" in refused.stderr
    )
    done = sepkit(*command(data, out, "--max-steps", 2, "--missing", way))
    assert done.exit_code == 0, done.stderr
    about = torch.load(out / "last.pt", weights_only=True)["about"]
    assert len(about["train tracks"]) == count
