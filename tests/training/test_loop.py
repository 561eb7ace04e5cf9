"""The training loop: what it learns, what it keeps, and what a step is."""

import math

import pytest
import torch
from typer.testing import CliRunner

from sepkit import audio, cli, training
from sepkit.errors import SepkitError
from sepkit.models import build, load, read_header
from sepkit.models.open_unmix import SIZES
from sepkit.training import Recipe, train

from .tools import (
    FULL,
    QUICK,
    RATE,
    Known,
    assert_same_run,
    bands,
    command,
    folder_of_songs,
    gradient,
    rows,
    run,
    songs,
    tiny,
    watch_steps,
)

# --- what a run does ------------------------------------------------------------------------------


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
    assert (recipe.lr, recipe.weight_decay, recipe.batch, recipe.chunk_seconds, recipe.seed) == (
        1e-3,
        1e-5,
        16,
        6.0,
        42,
    )
    assert (
        recipe.lr_factor,
        recipe.lr_patience,
        recipe.lr_cooldown,
        recipe.patience,
        recipe.epochs,
    ) == (0.3, 80, 10, 140, 1000)
    assert (recipe.samples_per_track, recipe.gains, recipe.swap, recipe.mix_prob) == (
        64,
        (0.25, 1.25),
        0.5,
        1.0,
    )
    assert sum(p.numel() for p in build("open-unmix", **SIZES["student"]).parameters()) * 2 <= 3e6
    assert student.max_steps and student.schedule == "cosine"


def test_log_checkpoint_and_folder_say_what_happened(tmp_path):
    seen = []
    best = run(tmp_path, progress=seen.append)
    log = rows(tmp_path, ("epoch", "step", "valid_loss", "train_loss", "lr", "seconds"))
    assert [row[:2] for row in log] == [("1", "3"), ("2", "6"), ("3", "9")]
    assert [float(row[2]) for row in log] == [row["valid_loss"] for row in seen]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "last.pt",
        "log.csv",
        "run.json",
        "vocals.safetensors",
    ]
    about = read_header(best)["extra"]
    assert (
        about["valid_loss"] == min(row["valid_loss"] for row in seen)
        and about["recipe"]["lr"] == 1e-2
    )
    assert (
        about["train tracks"] == [track.name for track in songs(3)] and about["provenance"]["torch"]
    )


def test_validation_is_the_mean_over_whole_songs_of_the_best_weights(tmp_path):
    best = run(tmp_path)
    model = load(best)
    with torch.no_grad():
        losses = [
            model.loss(t.mixture()[None], t.stem("vocals")[None]).item() for t in songs(2, seed=1)
        ]
    assert read_header(best)["extra"]["valid_loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_train_loss_is_weighted_by_examples(tmp_path):
    model = Known(lambda target: target.abs().mean((1, 2)))
    run(tmp_path, QUICK.but(batch=5, epochs=1), model)
    assert len(model.seen) == 12  # in batches of 5, 5 and 2
    assert float(rows(tmp_path)[0][2]) == pytest.approx(sum(model.seen) / 12, rel=1e-5)


def test_plateau_lowers_the_step_size_and_patience_ends_the_run(tmp_path):
    model = Known(lambda target: torch.ones(len(target)))
    run(tmp_path, QUICK.but(lr=1e-3, lr_patience=1, lr_cooldown=0, patience=6, epochs=50), model)
    # Epoch 1 is the best; after two epochs that are no better, the learning rate falls.
    assert [float(row[4]) for row in rows(tmp_path)] == pytest.approx(
        [1e-3, 1e-3, 3e-4, 3e-4, 9e-5, 9e-5, 2.7e-5]
    )


@pytest.mark.parametrize("limit", [dict(max_steps=4), dict(max_seconds=1e-6)])
def test_limits_end_the_run_with_a_validated_checkpoint(tmp_path, limit):
    best = run(tmp_path, QUICK.but(**limit))
    last = rows(tmp_path, ("step", "valid_loss"))[-1]
    assert (
        int(last[0]) == limit.get("max_steps", 1)
        and math.isfinite(float(last[1]))
        and best.exists()
    )


def test_clipping_bounds_the_gradient(tmp_path, monkeypatch):
    norms = watch_steps(monkeypatch, lambda optimiser: gradient(optimiser).norm().item())
    run(tmp_path, QUICK.but(clip=1e-3, epochs=1))
    assert norms and max(norms) <= 1.001e-3


def test_batches_accumulate_to_the_gradient_of_one_batch_as_large(tmp_path, monkeypatch):
    """15 examples: steps of 6, 6 and 3, in batches of 2 (the last one of 1) or of 6.

    The learning rate is next to nothing, so that the weights stay.
    """
    seen = watch_steps(monkeypatch, gradient)
    once = QUICK.but(samples_per_track=5, epochs=1, lr=1e-12, weight_decay=0.0, loss="l1")
    run(tmp_path / "parts", once.but(batch=2, accumulate=3), bands())
    run(tmp_path / "whole", once.but(batch=6), bands())
    assert len(seen) == 6 and rows(tmp_path / "parts", ("step",)) == [("3",)]
    for parts, whole in zip(seen[:3], seen[3:]):
        assert (parts - whole).norm() <= 1e-5 * whole.norm() and whole.norm() > 0
    assert float(rows(tmp_path / "parts")[0][2]) == pytest.approx(
        float(rows(tmp_path / "whole")[0][2]), rel=1e-5
    )


def test_averaged_weights_follow_their_formula_and_are_validated_and_kept(tmp_path, monkeypatch):
    model, history = bands(), []
    watch_steps(
        monkeypatch,
        lambda optimiser: history.append([p.detach().double().clone() for p in model.parameters()]),
    )
    best = run(tmp_path, QUICK.but(ema=0.8, epochs=2), model)
    history = history[1:] + [[p.detach().double() for p in model.parameters()]]  # after each step
    average = history[0]
    for after in history[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, after)]
    state = torch.load(tmp_path / "last.pt", weights_only=True)["ema"]
    for (name, _), wanted in zip(model.named_parameters(), average):
        torch.testing.assert_close(state[f"module.{name}"].double(), wanted, rtol=1e-5, atol=1e-7)
    assert read_header(best)["extra"]["epoch"] == 2
    kept = load(best)
    assert all(
        torch.equal(value, state[f"module.{name}"]) for name, value in kept.state_dict().items()
    )
    with torch.no_grad():
        losses = [
            kept.loss(t.mixture()[None], t.stem("vocals")[None]).item() for t in songs(2, seed=1)
        ]
    assert float(rows(tmp_path)[-1][3]) == pytest.approx(sum(losses) / 2, rel=1e-5)
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), kept.parameters()))


def test_mixed_precision_computes_in_16_bits_and_leaves_the_audio_alone(tmp_path):
    seen = {}

    def look(mode):
        class Looking(Known):
            def loss(self, mixture, target):
                seen[mode, self.training] = (
                    mixture.clone(),
                    torch.is_autocast_enabled("cpu"),
                    torch.get_autocast_dtype("cpu"),
                )
                return super().loss(mixture, target)

        return Looking(lambda target: target.abs().mean((1, 2)))

    for mode in ("32-true", "bf16-mixed"):
        run(tmp_path / mode, QUICK.but(batch=12, epochs=1, precision=mode), look(mode))
    for training_now in (True, False):
        plain, mixed = seen["32-true", training_now], seen["bf16-mixed", training_now]
        assert torch.equal(plain[0], mixed[0]) and mixed[0].dtype == torch.float32
        assert not plain[1] and mixed[1:] == (True, torch.bfloat16)


def test_the_recipe_reaches_chunks_and_remixing(tmp_path):
    """Normalised, 0.25 s long, and without vocals: what the network is given."""
    seen = []

    class Listening(Known):
        def loss(self, mixture, target):
            if self.training:
                seen.append((mixture.clone(), target.clone()))
            return super().loss(mixture, target)

    recipe = QUICK.but(
        epochs=1,
        mix_prob=0.5,
        cut_seconds=0.25,
        normalise=True,
        gains=None,
        gain_db=(-10, 10),
        silence=0.5,
    )
    run(tmp_path, recipe, Listening(lambda target: target.abs().mean((1, 2))))
    mixtures, targets = (torch.cat(side) for side in zip(*seen))
    assert mixtures.shape == targets.shape == (12, 2, RATE // 4)
    peaks = torch.maximum(mixtures.abs().amax((1, 2)), targets.abs().amax((1, 2)))
    assert all(peak == 0 or peak == pytest.approx(1) for peak in peaks.tolist())
    assert 1 <= sum(target.abs().max() == 0 for target in targets) <= 11


def test_workers_do_not_change_the_run(tmp_path):
    run(tmp_path / "none", FULL.but(epochs=2))
    run(tmp_path / "two", FULL.but(epochs=2, workers=2))
    assert_same_run(tmp_path / "two", tmp_path / "none")


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_the_cache_changes_examples_by_less_than_16_bits(tmp_path, where):
    cache = where if where == "memory" else str(tmp_path)
    plain, fast = (training.examples(songs(3), "vocals", QUICK.but(cache=c)) for c in (None, cache))
    for index in range(len(plain)):
        for a, b in zip(plain[index], fast[index], strict=True):
            assert (a - b).abs().max() <= 2 * 1.25 / 65536 + 1e-7


def test_sepkit_train_with_speech_in_place_of_vocals(tmp_path):
    """With ``--speech``, a fifth of the examples; other speech is refused when resuming."""
    data, voices = folder_of_songs(tmp_path / "songs"), tmp_path / "speech" / "train"
    for speaker in "ab":
        (voices / speaker).mkdir(parents=True)
        audio.write(
            voices / speaker / "1.wav",
            0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0)),
            RATE,
        )
    quick = ("--max-steps", 2, "--batch", 2, "--speech", tmp_path / "speech")
    arguments = [str(part) for part in command(data, tmp_path / "run", *quick)]
    said = CliRunner().invoke(cli.app, arguments)
    assert said.exit_code == 0, said.stderr
    about = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["about"]
    assert (
        about["speech"] == "Speech(2 utterances of 2 speakers, 8000 Hz)"
        and about["recipe"]["speech_prob"] == 0.2
    )
    (voices / "b" / "1.wav").unlink()
    said = CliRunner().invoke(cli.app, arguments)
    assert said.exit_code == 1 and said.stderr.count("\n") == 1
    assert (
        "holds a run with speech Speech(2 utterances of 2 speakers, 8000 Hz), not "
        "Speech(1 utterances of 1 speakers" in said.stderr
    )


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda out: train(tiny(), [], songs(1), out, QUICK), "no training tracks"),
        (lambda out: train(tiny(), songs(1), [], out, QUICK), "no validation tracks"),
        (
            lambda out: run(out, target="drums"),
            "unknown target of this model 'drums': choose from vocals",
        ),
        (
            lambda out: run(out, model=tiny(target="drums")),
            "unknown target 'drums': choose from vocals, other",
        ),
        (
            lambda out: run(out, model=tiny(sample_rate=16000)),
            "sample rate is 8000, the model's 16000; open them with sample_rate=16000",
        ),
        (lambda out: run(out, model=tiny(channels=1)), "channels is 2, the model's 1"),
        (lambda out: run(out, device="tpu"), "unknown device 'tpu'"),
        (
            lambda out: QUICK.but(learning_rate=1),
            "unknown part of the recipe 'learning_rate': choose from loss, batch",
        ),
        (lambda out: Recipe(schedule="linear"), "unknown schedule 'linear'"),
        (lambda out: Recipe(batch=0), "batch=0: a whole number from 1 to 1000000 was expected"),
        (lambda out: Recipe(accumulate=0), "accumulate=0: a whole number from 1 to"),
        (lambda out: Recipe(lr="fast"), "lr='fast': a number from 1e-15 to 1000 was expected"),
        (lambda out: Recipe(mix_prob=1.5), "mix_prob=1.5: a number from 0 to 1 was expected"),
        (lambda out: Recipe(ema=1), "ema=1: a number from 1e-06 to 0.999999 or null was expected"),
        (
            lambda out: Recipe(gain_db=(-10, 10)),
            "gains=.* and gain_db=.*: choose one; set the other to None",
        ),
        (
            lambda out: Recipe(gains=(2, 1)),
            "gains=.2, 1.: a pair .low, high., each a number from -1000 to 1000 or null was "
            "expected",
        ),
        (lambda out: Recipe(cut_seconds=7), "cut_seconds=7: must not exceed chunk_seconds"),
        (
            lambda out: Recipe(precision="half"),
            "unknown precision 'half': choose from 32-true, bf16-mixed",
        ),
        (lambda out: Recipe(log="paper"), "unknown log 'paper': choose from csv, tensorboard"),
        (lambda out: run(out, QUICK.but(speech_prob=0.5)), "speech_prob: no speech was given"),
        (lambda out: run(out, QUICK.but(loss="l3")), "unknown loss 'l3'"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(tmp_path, call, message):
    with pytest.raises(SepkitError, match=message):
        call(tmp_path / "out")
    assert not (tmp_path / "out").exists()
