"""What the tests of training share: songs of a second, tiny networks, comparisons of runs."""

import csv
import math
import types

import torch
from typer.testing import CliRunner

from sepkit import audio, cli
from sepkit.datasets import MemoryTrack
from sepkit.models import build, load
from sepkit.models.base import Model
from sepkit.training import Recipe, train

RATE = 8000
TINY = dict(hidden=8, layers=2, n_fft=256, hop=128, sample_rate=RATE, bandwidth=4000)
BANDS = dict(
    features=8, hidden=8, layers=1, mlp=8, split=[[4000, 500]], n_fft=256, hop=128, sample_rate=RATE
)
QUICK = Recipe(batch=4, chunk_seconds=0.5, samples_per_track=4, lr=1e-2, epochs=3)
#: All that has a state, at once.
FULL = QUICK.but(
    ema=0.9,
    accumulate=2,
    schedule="steps",
    warm_up=2,
    decay=0.9,
    decay_every=3,
    clip=1.0,
    mix_prob=0.5,
    silence=0.2,
)
CURVE = ("epoch", "step", "train_loss", "valid_loss", "lr")


def songs(count, seed=0, seconds=1.5):
    """Gated tones against noise."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(int(seconds * RATE)) / RATE
    made = []
    for number in range(count):
        pitch, rate = (
            200 + 300 * torch.rand(1, generator=generator),
            1 + 3 * torch.rand(1, generator=generator),
        )
        tone = (
            torch.sin(2 * math.pi * pitch * time) * (torch.sin(2 * math.pi * rate * time) > 0) * 0.3
        )
        noise = torch.randn(2, len(time), generator=generator) * 0.2
        made.append(
            MemoryTrack(
                f"song-{seed}-{number}", {"vocals": tone.expand(2, -1), "other": noise}, RATE
            )
        )
    return made


def tiny(**changes):
    """A small Open-Unmix: batch normalisation, dropout, and statistics of its songs."""
    torch.manual_seed(0)
    return build("open-unmix", **{**TINY, **changes})


def bands(**changes):
    """A small BSRNN: every example by itself, nothing random."""
    torch.manual_seed(0)
    return build("bsrnn", **{**BANDS, **changes})


def run(out, recipe=QUICK, model=None, tracks=None, valid=None, **options):
    options = {"device": "cpu", "progress": False, **options}
    return train(
        model or tiny(), tracks or songs(3), valid or songs(2, seed=1), out, recipe, **options
    )


def rows(out, columns=CURVE):
    with open(out / "log.csv", newline="") as file:
        return [tuple(row[column] for column in columns) for row in csv.DictReader(file)]


def weights(path):
    return load(path).state_dict()


def assert_same_run(a, b):
    """Log, best checkpoint and all that the state holds, bit for bit, but for the clock."""
    assert rows(a) == rows(b)
    ours, theirs = weights(a / "vocals.safetensors"), weights(b / "vocals.safetensors")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    ours, theirs = (torch.load(folder / "last.pt", weights_only=True) for folder in (a, b))
    for part in ("model", "ema"):
        assert (part in ours) == (part in theirs)
        assert all(torch.equal(ours[part][key], theirs[part][key]) for key in theirs.get(part, ()))
    assert [each["rng"].tolist() for each in ours["processes"]] == [
        each["rng"].tolist() for each in theirs["processes"]
    ]


def watch_steps(monkeypatch, look):
    """A list that gets ``look(optimiser)`` before every step of Adam."""
    seen, step = [], torch.optim.Adam.step

    def watched(self, *arguments, **options):
        seen.append(look(self))
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    return seen


def gradient(optimiser):
    """All gradients of an optimiser as one vector."""
    return torch.cat(
        [
            p.grad.flatten()
            for group in optimiser.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
    ).clone()


class Stopped(Exception):
    pass


def crash():
    raise Stopped


def stop_after(step, action, model=None):
    """A model whose loss does `action` in training batch number `step`."""
    model, count = model or tiny(), [0]

    def loss(self, mixture, target):
        if self.training:
            count[0] += 1
            if count[0] == step:
                action()
        return type(self).loss(self, mixture, target)

    model.loss = types.MethodType(loss, model)
    return model


class Known(Model):
    """A model whose loss is a known number for each example, whatever its one weight."""

    name = "open-unmix"

    def __init__(self, number):
        super().__init__(dict(TINY, target="vocals", channels=2, loss="mse"))
        self.weight, self.number, self.seen = torch.nn.Parameter(torch.zeros(1)), number, []

    def loss(self, mixture, target):
        values = self.number(target)
        if self.training:
            self.seen.extend(values.tolist())
        return values.mean() + 0 * self.weight.sum()


class Broken(MemoryTrack):
    """A song that cannot be read from sample `good` on."""

    def __init__(self, track, good=0):
        super().__init__(track.name, {stem: track.stem(stem) for stem in track.stems}, RATE)
        self.good = good

    def _read_file(self, name, start, frames):
        if start + frames > self.good:
            raise OSError(5, "Input/output error", f"{self.name}/{name}.wav")
        return super()._read_file(name, start, frames)


def command(data, out, *more):
    """The arguments of a training with all that has a state: 60 steps in 10 epochs."""
    recipe = dict(
        samples_per_track=8,
        save_minutes=0,
        schedule="steps",
        warm_up=5,
        decay=0.9,
        decay_every=7,
        silence=0.1,
    )
    pairs = [part for name, value in recipe.items() for part in ("--recipe", f"{name}={value}")]
    pairs += [part for name, value in TINY.items() for part in ("--setting", f"{name}={value}")]
    options = (
        "--max-steps",
        60,
        "--batch",
        2,
        "--accumulate",
        2,
        "--ema",
        0.9,
        "--chunk-seconds",
        0.5,
        "--mix-prob",
        0.5,
    )
    return [
        str(part)
        for part in (
            "train",
            "--data",
            data,
            "--out",
            out,
            "--device",
            "cpu",
            *options,
            *pairs,
            *more,
        )
    ]


def folder_of_songs(folder):
    for part, seed in (("train", 0), ("valid", 1)):
        for song in songs(3, seed):
            (folder / part / song.name).mkdir(parents=True)
            for stem in song.stems:
                audio.write(folder / part / song.name / f"{stem}.wav", song.stem(stem), RATE)
    return folder


def sepkit(*arguments):
    """What the command line says to these arguments."""
    return CliRunner().invoke(
        cli.app, [str(argument) for argument in arguments], env={"COLUMNS": "200"}
    )
