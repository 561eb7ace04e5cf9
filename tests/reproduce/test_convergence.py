"""Convergence files: what is recorded is what was stored, and a rerun is told from another one."""

import json
import math
import statistics

import pytest
import torch
from typer.testing import CliRunner

from sepkit import audio, cli
from sepkit.datasets import open_tracks
from sepkit.errors import SepkitError
from sepkit.metrics import Score, card_for
from sepkit.reproduce import convergence, convergence_files, experiments
from sepkit.reproduce.convergence import ALIKE, NEAR, OTHER, SAME, Curve, beginning, verify
from sepkit.reproduce.experiments import Arm, Design, catalogue
from sepkit.reproduce.experiments.catalogue import Experiment
from sepkit.training import Recipe

RATE = 8000
TINY = dict(hidden=4, layers=1, n_fft=256, hop=128, sample_rate=RATE, channels=1, bandwidth=4000)
#: Four epochs of four steps, with a schedule that depends on all of them.
RECIPE = Recipe(
    batch=1, chunk_seconds=0.5, samples_per_track=2, max_steps=16, lr=1e-2, schedule="cosine"
)
DESIGN = Design("open-unmix", TINY, RECIPE, (Arm("plain"), Arm("one song", songs=1)))
HERE = {"band": convergence.VERSION, "voice": "espeak", "instruments": "sampled"}


def sepkit(*arguments):
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """An experiment on two songs of noise, and a function that stores its convergence file."""
    rng = torch.Generator().manual_seed(0)
    for split, count in (("train", 2), ("valid", 1)):
        for number in range(count):
            for stem in ("vocals", "other"):
                path = tmp_path / "songs" / split / f"{split}{number}" / f"{stem}.wav"
                audio.write(path, 0.1 * torch.randn(1, RATE, generator=rng), RATE)

    def opened(data, split, preset=None, **options):
        assert data == "band"
        return open_tracks(str(tmp_path / "songs"), split, **options)

    monkeypatch.setitem(catalogue.EXPERIMENTS, "trial", Experiment("?", (), lambda _: DESIGN))
    monkeypatch.setattr(convergence, "open_tracks", opened)
    monkeypatch.setattr(convergence, "songs_here", lambda preset, root: HERE)
    monkeypatch.setattr(convergence, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(convergence, "_end", lambda name, arm: "")

    def store(losses, steps=(4, 8), **changes):
        curve = {"steps": list(steps), "losses": losses}
        preset = {**HERE, "arms": {"plain": curve, "one song": curve}, **changes}
        (tmp_path / "convergence").mkdir(exist_ok=True)
        file = tmp_path / "convergence" / "trial.json"
        file.write_text(json.dumps({"presets": {convergence.LARGE: preset}}))

    return store


def losses_of(seed, steps=8):
    return [loss for _, loss in beginning("trial", "plain", seed, steps)]


def test_scores_are_decibels_and_their_spread_is_over_seeds():
    curve = Curve([100, 200], {"0": [0.1, 0.01], "3": [0.2, 0.02]})
    assert curve.score(3, 1) == pytest.approx(-10 * math.log10(0.02))
    mean, deviation = curve.over_seeds(0)
    both = [10.0, -10 * math.log10(0.2)]
    assert (mean, deviation) == pytest.approx((statistics.mean(both), statistics.stdev(both)))
    assert math.isnan(curve.score(7, 0))


def test_a_beginning_is_that_of_the_whole_training(trial):
    """Stopped early, it has the steps, the schedule and the losses of the training that goes on."""
    whole = list(beginning("trial", "plain", 0, 16))
    assert [step for step, _ in whole] == [4, 8, 12, 16]
    assert list(beginning("trial", "plain", 0, 5)) == whole[:2]
    assert list(beginning("trial", "one song", 0, 2))[0][0] == 2


def test_the_same_seed_is_told_from_another_and_from_another_training(trial):
    mine, other = losses_of(0), losses_of(1)
    assert mine != other
    trial({"0": mine, "1": other})
    found = verify("trial", steps=8)
    assert found.verdict == SAME and [row["steps"] for row in found.rows] == [4, 8]
    assert all(row["here"] == row["stored"] for row in found.rows)
    # As if this machine had come out where another seed does.
    trial({"0": [2 * loss for loss in other], "1": other, "2": mine})
    assert verify("trial", steps=8).verdict == ALIKE
    trial({"0": [loss / 4 for loss in mine], "1": [loss / 4.1 for loss in mine]})
    assert verify("trial", steps=8).verdict == OTHER


def test_it_ends_at_the_first_recorded_step_that_is_enough(trial):
    losses = losses_of(0)
    trial({"0": losses, "1": losses_of(1)})
    for asked, trained in ((1, [4]), (4, [4]), (5, [4, 8]), (10**6, [4, 8])):
        assert [row["steps"] for row in verify("trial", steps=asked).rows] == trained


def test_a_seed_that_was_never_stored_is_compared_with_the_others(trial):
    trial({"1": losses_of(1), "2": [1.3 * loss for loss in losses_of(1)]})
    found = verify("trial", steps=4, seed=0)
    assert math.isnan(found.rows[0]["stored"]) and found.verdict in (ALIKE, OTHER)


@pytest.mark.parametrize(
    "changes, arguments, says",
    [
        ({"band": 1}, {}, "trial: was trained on version 1 of the band"),
        ({"voice": "dsp"}, {}, "have voice 'espeak', the stored ones 'dsp'"),
        ({}, {"arm": "fast"}, "unknown arm of trial 'fast': choose from plain, one song"),
        ({}, {"preset": "paper"}, "unknown preset of the convergence of trial 'paper'"),
    ],
)
def test_what_cannot_be_compared_is_refused(trial, changes, arguments, says):
    trial({"0": [1.0, 1.0], "1": [1.0, 1.1]}, **changes)
    with pytest.raises(SepkitError, match=says):
        verify("trial", **arguments)


def test_files_are_written_from_the_logs_behind_the_stored_scores(trial, tmp_path, monkeypatch):
    """Of two logs of a training, the one that reaches the loss that the Scores name."""
    facts = dict.fromkeys(("commit", "command", "machine", "date", "torch", "device"), "")
    card = card_for("usdr", ("vocals",))
    kept = [
        Score(
            "a", "vocals", "usdr", 1.0, arm, "band", card, {**facts, "seed": seed, "valid_loss": x}
        )
        for arm in ("plain", "one song")
        for seed, x in ((0, 0.25), (1, 0.2))
    ]
    monkeypatch.setattr(convergence_files, "stored", lambda: {"trial": kept})
    monkeypatch.setattr(convergence_files, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(convergence_files, "songs_here", lambda preset: HERE)
    logs = {"0": (0.5, 0.25), "0-0123abcd": (0.4, 0.3), "1": (0.3, 0.2)}
    for name in ("plain", "one-song"):
        for ending, losses in logs.items():
            folder = tmp_path / "runs" / "trial" / f"{name}-{ending}"
            folder.mkdir(parents=True)
            rows = [f"{4 * number + 4},{loss}" for number, loss in enumerate(losses)]
            (folder / "log.csv").write_text("\n".join(["step,valid_loss", *rows]) + "\n")
    (tmp_path / "convergence").mkdir()
    convergence_files.write("trial", tmp_path / "runs", notice=lambda text: None)
    curve = convergence.load("trial")["arms"]["one song"]
    assert curve == Curve([4, 8], {"0": [0.5, 0.25], "1": [0.3, 0.2]})
    (folder / "log.csv").write_text("step,valid_loss\n4,0.9\n")
    with pytest.raises(SepkitError, match="no log of 'one song' reaches the stored loss, 0.2"):
        convergence_files.write("trial", tmp_path / "runs", notice=lambda text: None)


def test_the_exit_code_says_whether_it_was_reproduced(trial):
    trial({"0": losses_of(0), "1": losses_of(1)})
    done = sepkit("verify", "trial")
    assert done.exit_code == 0 and "trial: reproduced" in done.output
    trial({"0": [9.0, 9.0], "1": [9.0, 9.1]})
    done = sepkit("verify", "trial", "--json", "--steps", "8")
    assert done.exit_code == 1 and json.loads(done.stdout)["verdict"] == OTHER


def test_one_seed_has_no_spread_and_a_stated_tolerance(trial):
    mine = losses_of(0)
    trial({"0": mine})
    assert verify("trial", steps=8).verdict == SAME
    for decibels, verdict in ((0.9, NEAR), (-0.9, NEAR), (1.1, OTHER), (-1.1, OTHER)):
        trial({"0": [loss * 10 ** (decibels / 10) for loss in mine]})
        found = verify("trial", steps=8)
        assert found.verdict == verdict and math.isnan(found.rows[0]["deviation"])


def test_the_tolerance_of_one_seed_is_three_times_the_usual_spread():
    spreads = [
        curve.over_seeds(number)[1]
        for name in convergence.names()
        for curve in convergence.load(name)["arms"].values()
        for number in range(len(curve.steps))
        if len(curve.losses) == 8
    ]
    assert len(spreads) > 80
    assert 3 * statistics.median(spreads) == pytest.approx(convergence.ALONE, abs=0.15)


def test_an_unknown_name_lists_what_there_is():
    done = sepkit("verify", "mixings")
    assert done.exit_code == 1
    assert "unknown experiment or checkpoint 'mixings'" in done.stderr and "mixing" in done.stderr


@pytest.mark.parametrize("name", ["overfit", "cost"])
def test_an_experiment_without_beginnings_has_no_file_and_says_why(name, tmp_path):
    with pytest.raises(SepkitError, match=f"{name}: no arm begins with random weights"):
        convergence_files.write(name, tmp_path)
    assert name not in convergence.names()


def test_every_stored_experiment_of_this_band_has_a_file_that_fits_its_scores():
    """The lowest recorded loss is that of the stored Scores, arm by arm and seed by seed."""
    listed = {row["experiment"] for row in convergence.overview()}
    compared = 0
    for name, scores in experiments.stored().items():
        design = catalogue.design(name)
        version = scores[0].provenance.get("band", 1)
        if design is None or version != convergence.VERSION or not convergence.arms(design):
            continue
        assert name in listed, f"{name}: run make convergence"
        recorded = convergence.load(name)["arms"]
        for score in scores:
            if score.separator in recorded and "derived" not in score.provenance:
                losses = recorded[score.separator].losses[str(score.provenance["seed"])]
                assert min(losses) == pytest.approx(score.provenance["valid_loss"], rel=1e-5)
                compared += 1
    assert compared > 1000


def test_two_are_recorded_on_songs_that_are_rendered_in_seconds():
    quick = [r["experiment"] for r in convergence.overview() if r["preset"] == convergence.SMALL]
    assert quick == ["ablation", "mixing"]
