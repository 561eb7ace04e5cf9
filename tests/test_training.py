"""The training loop: what it learns, what it keeps, and that stopping it changes nothing."""

import csv
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
import types

import pytest
import torch

from sepkit import training
from sepkit.datasets import MemoryTrack
from sepkit.errors import SepkitError
from sepkit.models import build, load, read_header
from sepkit.training import Recipe, train

RATE = 8000
TINY = dict(hidden=8, layers=2, n_fft=256, hop=128, sample_rate=RATE, bandwidth=4000)
QUICK = Recipe(batch=4, chunk_seconds=0.5, samples_per_track=4, lr=1e-2, epochs=3)
CURVE = ("epoch", "step", "train_loss", "valid_loss", "lr")


@pytest.fixture(autouse=True)
def one_thread():
    """These networks are too small to share; and one thread gives the same sums on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def songs(count, seed=0, seconds=1.5):
    """Gated tones against noise."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(int(seconds * RATE)) / RATE
    made = []
    for number in range(count):
        pitch, rate = 200 + 300 * torch.rand(1, generator=generator), 1 + 3 * torch.rand(1, generator=generator)
        tone = torch.sin(2 * math.pi * pitch * time) * (torch.sin(2 * math.pi * rate * time) > 0) * 0.3
        noise = torch.randn(2, len(time), generator=generator) * 0.2
        made.append(MemoryTrack(f"song-{seed}-{number}", {"vocals": tone.expand(2, -1), "other": noise}, RATE))
    return made


def tiny(**changes):
    torch.manual_seed(0)
    return build("open-unmix", **{**TINY, **changes})


def run(out, recipe=QUICK, model=None, **options):
    options = {"device": "cpu", "progress": False, **options}
    return train(model or tiny(), songs(3), songs(2, seed=1), out, recipe, **options)


def rows(out, columns=CURVE):
    with open(out / "log.csv", newline="") as file:
        return [tuple(row[column] for column in columns) for row in csv.DictReader(file)]


def weights(path):
    return load(path).state_dict()


def assert_same_run(a, b):
    assert rows(a) == rows(b)
    ours, theirs = weights(a / "vocals.safetensors"), weights(b / "vocals.safetensors")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    ours, theirs = (torch.load(folder / "last.pt", weights_only=True) for folder in (a, b))
    assert all(torch.equal(ours["model"][key], theirs["model"][key]) for key in theirs["model"])


# --- what a run does --------------------------------------------------------------------------------------


def test_training_separates(tmp_path):
    recipe = QUICK.but(epochs=12, loss="nmse")
    best = run(tmp_path, recipe, tiny(dropout=0.0))
    unseen = songs(1, seed=2)[0]
    with torch.no_grad():
        estimate = load(best)(unseen.mixture()[None])[0]

    def sdr(x, target=unseen.stem("vocals")):
        return 10 * torch.log10(target.square().sum() / (target - x).square().sum())

    assert sdr(estimate) > sdr(unseen.mixture()) + 4


def test_default_recipe_is_the_authors():
    recipe, student = Recipe(), training.STUDENT
    assert (recipe.lr, recipe.weight_decay, recipe.batch, recipe.chunk_seconds, recipe.seed) == (1e-3, 1e-5, 16, 6.0, 42)
    assert (recipe.lr_factor, recipe.lr_patience, recipe.lr_cooldown, recipe.patience, recipe.epochs) == (0.3, 80, 10, 140, 1000)
    assert (recipe.samples_per_track, recipe.gains, recipe.swap, recipe.mix_prob) == (64, (0.25, 1.25), 0.5, 1.0)
    assert sum(p.numel() for p in build("open-unmix", **training.STUDENT_MODEL).parameters()) * 2 <= 3e6
    assert student.max_steps and student.schedule == "cosine"


def test_log_checkpoint_and_folder_say_what_happened(tmp_path):
    seen = []
    best = run(tmp_path, progress=seen.append)
    log = rows(tmp_path, ("epoch", "step", "valid_loss", "train_loss", "lr", "seconds"))
    assert [row[:2] for row in log] == [("1", "3"), ("2", "6"), ("3", "9")]
    assert [float(row[2]) for row in log] == [row["valid_loss"] for row in seen]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "log.csv", "run.json", "vocals.safetensors"]
    about = read_header(best)["extra"]
    assert about["valid_loss"] == min(row["valid_loss"] for row in seen) and about["recipe"]["lr"] == 1e-2
    assert about["train tracks"] == [track.name for track in songs(3)] and about["provenance"]["torch"]


def test_validation_is_the_mean_over_whole_songs_of_the_best_weights(tmp_path):
    best = run(tmp_path)
    model = load(best)
    with torch.no_grad():
        losses = [model.loss(t.mixture()[None], t.stem("vocals")[None]).item() for t in songs(2, seed=1)]
    assert read_header(best)["extra"]["valid_loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)


class Known(torch.nn.Module):
    """A model whose loss is a known number for each example, whatever its one weight."""

    name, sample_rate, channels, targets, settings = "open-unmix", RATE, 2, ("vocals",), dict(TINY)

    def __init__(self, number):
        super().__init__()
        self.weight, self.number, self.seen = torch.nn.Parameter(torch.zeros(1)), number, []

    def loss(self, mixture, target):
        values = self.number(target)
        if self.training:
            self.seen.extend(values.tolist())
        return values.mean() + 0 * self.weight.sum()


def test_train_loss_is_weighted_by_examples(tmp_path):
    model = Known(lambda target: target.abs().mean((1, 2)))
    run(tmp_path, QUICK.but(batch=5, epochs=1), model)
    assert len(model.seen) == 12  # in batches of 5, 5 and 2
    assert float(rows(tmp_path)[0][2]) == pytest.approx(sum(model.seen) / 12, rel=1e-5)


def test_plateau_lowers_the_step_size_and_patience_ends_the_run(tmp_path):
    model = Known(lambda target: torch.ones(len(target)))
    run(tmp_path, QUICK.but(lr=1e-3, lr_patience=1, lr_cooldown=0, patience=6, epochs=50), model)
    # Epoch 1 is the best; after two epochs that are no better, the step size falls.
    assert [float(row[4]) for row in rows(tmp_path)] == pytest.approx([1e-3, 1e-3, 3e-4, 3e-4, 9e-5, 9e-5, 2.7e-5])


def test_cosine_rises_then_falls_to_almost_nothing(tmp_path):
    run(tmp_path, QUICK.but(schedule="cosine", epochs=99, max_steps=9))
    lrs = [float(row[4]) for row in rows(tmp_path)]
    assert lrs == sorted(lrs, reverse=True) and lrs[-1] < 0.1 * lrs[0]
    shares = [training.cosine(i / 1000) for i in range(1001)]
    assert max(shares) <= 1 and shares[20] == pytest.approx(1, abs=0.01) and shares[0] < 0.2 and 0 < shares[-1] <= 1e-3


@pytest.mark.parametrize("limit", [dict(max_steps=4), dict(max_seconds=1e-6)])
def test_limits_end_the_run_with_a_validated_checkpoint(tmp_path, limit):
    best = run(tmp_path, QUICK.but(**limit))
    last = rows(tmp_path, ("step", "valid_loss"))[-1]
    assert int(last[0]) == limit.get("max_steps", 1) and math.isfinite(float(last[1])) and best.exists()


def test_clipping_bounds_the_gradient(tmp_path):
    norms = []
    step = torch.optim.Adam.step

    def watched(self, *arguments, **options):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(torch.linalg.vector_norm(torch.cat([g.flatten() for g in grads])).item())
        return step(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", watched)
        run(tmp_path, QUICK.but(clip=1e-3, epochs=1))
    assert norms and max(norms) <= 1.001e-3


def test_workers_do_not_change_the_run(tmp_path):
    run(tmp_path / "none", QUICK.but(epochs=1))
    run(tmp_path / "two", QUICK.but(epochs=1, workers=2))
    assert_same_run(tmp_path / "two", tmp_path / "none")


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_the_cache_changes_examples_by_less_than_16_bits(tmp_path, where):
    cache = where if where == "memory" else str(tmp_path)
    plain, fast = (training.examples(songs(3), "vocals", QUICK.but(cache=c)) for c in (None, cache))
    for index in range(len(plain)):
        for a, b in zip(plain[index], fast[index], strict=True):
            assert (a - b).abs().max() <= 2 * 1.25 / 65536 + 1e-7


# --- stopping and going on --------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def stop_after(step, action):
    """A model whose loss does `action` in training step number `step`."""
    model, count = tiny(), [0]
    plain = model.loss

    def loss(self, mixture, target):
        if self.training:
            count[0] += 1
            if count[0] == step:
                action()
        return plain(mixture, target)

    model.loss = types.MethodType(loss, model)
    return model


def crash():
    raise Stopped


@pytest.mark.parametrize("step", [2, 3, 4, 6, 8])
def test_a_crash_anywhere_changes_nothing(tmp_path, step):
    run(tmp_path / "whole")
    with pytest.raises(Stopped):
        run(tmp_path / "broken", QUICK.but(save_minutes=0), stop_after(step, crash))
    run(tmp_path / "broken")
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.parametrize("step", [2, 3])
def test_ctrl_c_saves_says_how_to_resume_and_changes_nothing(tmp_path, step):
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match=f"stopped in epoch 1 after step {step}; the same call resumes from .*last.pt"):
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
    with pytest.raises(SepkitError, match="holds a run with train tracks 3 from 'song-0-0' to 'song-0-2', not 2"):
        train(tiny(), songs(2), songs(2, seed=1), tmp_path, QUICK, "cpu", progress=False)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_damaged_state_is_named(tmp_path):
    run(tmp_path, QUICK.but(epochs=1))
    last = tmp_path / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(SepkitError, match="last.pt: cannot be resumed from") as error:
        run(tmp_path)
    assert "\n" not in str(error.value)


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    run(tmp_path, QUICK.but(epochs=1))
    before = (tmp_path / "last.pt").read_bytes()

    def full(saved, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/1: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SepkitError, match="last.pt: cannot be written .*is the disk full"):
        run(tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# --- what goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path, where):
    run(tmp_path, QUICK.but(epochs=1))
    good, before = weights(tmp_path / "vocals.safetensors"), (tmp_path / "last.pt").read_bytes()
    model = tiny()

    def spoil():
        model.fc1.weight.data[0, 0] = float("nan")

    spoiler = stop_after(2, spoil) if where == "loss" else stop_after(2, lambda: None)
    if where == "loss":
        spoiler.fc1.register_forward_hook(lambda module, inputs, output: output * float("nan") if spoiler.training else output)
    else:
        spoiler.fc2.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(SepkitError, match="training failed in epoch 2, step .*: loss or weights are NaN.*smaller lr than 0.01") as error:
        run(tmp_path, QUICK.but(save_minutes=0), spoiler)
    assert "\n" not in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert all(torch.equal(value, good[key]) for key, value in weights(tmp_path / "vocals.safetensors").items())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda out: train(tiny(), [], songs(1), out, QUICK), "no training tracks"),
        (lambda out: train(tiny(), songs(1), [], out, QUICK), "no validation tracks"),
        (lambda out: run(out, target="drums"), "unknown target of this model 'drums': choose from vocals"),
        (lambda out: run(out, model=tiny(target="drums")), "unknown target 'drums': choose from vocals, other"),
        (lambda out: run(out, model=tiny(sample_rate=16000)), "sample rate is 8000, the model's 16000; open them with sample_rate=16000"),
        (lambda out: run(out, model=tiny(channels=1)), "channels is 2, the model's 1"),
        (lambda out: run(out, device="tpu"), "unknown device 'tpu'"),
        (lambda out: QUICK.but(learning_rate=1), "unknown part of the recipe 'learning_rate': choose from loss, batch"),
        (lambda out: Recipe(schedule="linear"), "unknown schedule 'linear'"),
        (lambda out: Recipe(batch=0), "batch=0: must be positive"),
        (lambda out: run(out, QUICK.but(loss="l3")), "unknown loss 'l3'"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(tmp_path, call, message):
    with pytest.raises(SepkitError, match=message):
        call(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- a real process ---------------------------------------------------------------------------------------

SCRIPT = """
    import sys
    import torch
    torch.set_num_threads(1)
    sys.path.insert(0, {here!r})
    import test_training as t
    from pathlib import Path
    t.run(Path({out!r}), t.QUICK.but(epochs=30, save_minutes=0, samples_per_track=16))
"""


def process(out):
    code = textwrap.dedent(SCRIPT.format(here=os.path.dirname(__file__), out=str(out)))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    whole = process(tmp_path / "whole")
    log = tmp_path / "broken" / "log.csv"
    for epochs in (1, 5, 9):  # killed three times, wherever it happens to be
        broken = process(tmp_path / "broken")
        while broken.poll() is None and not (log.exists() and len(rows(log.parent)) >= epochs):
            time.sleep(0.02)
        time.sleep(0.05)
        assert broken.poll() is None, broken.stdout.read().decode()
        broken.kill()
        broken.wait()
        assert len(rows(log.parent)) < 30
    last = process(tmp_path / "broken")
    for finished in (last, whole):
        output = finished.communicate()[0].decode()
        assert finished.returncode == 0 and output == "", output  # and quiet in a pipe
    assert len(rows(log.parent)) == 30
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


def test_training_counts_denormal_numbers_as_zero_and_leaves_them_alone_afterwards(tmp_path):
    """Products with such weights take a processor many times as long."""
    seen = []
    tiny_number = torch.full((4,), 1e-39)
    run(tmp_path, QUICK.but(epochs=1), progress=lambda row: seen.append(float((tiny_number * 0.5).sum())))
    assert seen == [0.0] or not torch.set_flush_denormal(False)  # False: a processor that cannot
    assert float((tiny_number * 0.5).sum()) > 0
