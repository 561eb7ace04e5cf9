"""Checkpoints that ship with their log: the beginning is trained again, or the reason is told."""

import json
import math
import shutil

import pytest
import torch
from typer.testing import CliRunner

from sepkit import audio, cli, models, training
from sepkit.datasets import open_tracks
from sepkit.errors import SepkitError
from sepkit.files import shipped
from sepkit.models import checkpoints
from sepkit.reproduce import convergence_checkpoints
from sepkit.reproduce.convergence import NEAR, OTHER, SAME, VERSION
from sepkit.reproduce.convergence_checkpoints import load, verify, why_not

RATE = 8000
TINY = dict(hidden=4, layers=1, n_fft=256, hop=128, sample_rate=RATE, channels=1, bandwidth=4000)
#: Four epochs of two steps, with a schedule that depends on all of them.
RECIPE = training.Recipe(
    batch=2, chunk_seconds=0.5, samples_per_track=2, max_steps=8, lr=1e-2, schedule="cosine", seed=3
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Songs of noise, a training on them, and one that goes on from its weights."""
    folder = tmp_path_factory.mktemp("made")
    rng = torch.Generator().manual_seed(0)
    for number in range(3):
        for stem in ("vocals", "other"):
            split = "train" if number < 2 else "valid"
            path = folder / "songs" / split / f"song{number}" / f"{stem}.wav"
            audio.write(path, 0.1 * torch.randn(1, RATE, generator=rng), RATE, subtype="PCM_16")
    band = {"settings": {"version": VERSION, "seed": 5, "voice": "espeak"}}
    (folder / "songs" / "band.json").write_text(json.dumps(band))
    songs = [
        open_tracks(folder / "songs", split, sample_rate=RATE, channels=1)
        for split in ("train", "valid")
    ]
    for run, init in (("first", None), ("second", folder / "first" / "vocals.safetensors")):
        torch.manual_seed(RECIPE.seed)
        network = models.build("open-unmix", target="vocals", **TINY)
        training.train(network, *songs, folder / run, RECIPE, "cpu", "vocals", False, init=init)
    return folder


@pytest.fixture
def ship(made, tmp_path, monkeypatch):
    """A function that ships a training as a checkpoint called ``tiny``, without its header."""
    place = tmp_path / "checkpoints" / "tiny"
    for module in (convergence_checkpoints, checkpoints):
        monkeypatch.setattr(module, "shipped", lambda *parts: tmp_path.joinpath(*parts))

    def shipped_as(run="first", **changes):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        trained = made / run / "vocals.safetensors"
        extra = models.read_header(trained)["extra"]
        models.save(place / "vocals.safetensors", models.load(trained), extra={"model": "x"})
        shutil.copy(made / run / "log.csv", place)
        manifest = {
            "data": {
                "version": VERSION,
                "command": "sepkit data band --seed 5",
                "settings": {"seed": 5},
                "songs": 3,
            },
            "training": {key: extra.get(key) for key in ("settings", "recipe", "init")},
        }
        manifest["training"]["command"] = "sepkit train --recipe max_steps=8"
        for part, values in changes.items():
            manifest[part] = {**manifest[part], **values}
        (place / "manifest.json").write_text(json.dumps(manifest))
        return place

    return shipped_as


def sepkit(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)), env={"COLUMNS": "200"})


def test_the_beginning_is_that_of_the_recorded_training(made, ship):
    ship()
    found = verify("tiny", 3, made / "songs")
    assert found.verdict == SAME and found.seed == 3
    assert [row["steps"] for row in found.rows] == [2, 4]
    assert all(row["here"] == row["stored"] for row in found.rows)
    assert all(math.isnan(row["deviation"]) for row in found.rows)


def test_one_that_was_fine_tuned_begins_with_the_same_weights_or_not_at_all(made, ship):
    ship("second")
    first, second = (made / run / "vocals.safetensors" for run in ("first", "second"))
    found = verify("tiny", 2, made / "songs", first)
    assert found.verdict == SAME and [row["steps"] for row in found.rows] == [0, 2]
    with pytest.raises(SepkitError, match=r"tiny: began with the weights .*: --init FILE"):
        verify("tiny", 2, made / "songs")
    with pytest.raises(
        SepkitError, match=r"other weights \(sha256 .*\) than those with which tiny"
    ):
        verify("tiny", 2, made / "songs", second)
    # Where nobody noted which weights they were, their loss at step 0 tells.
    ship("second", training={"init": None})
    assert verify("tiny", 2, made / "songs", first).verdict == SAME
    assert verify("tiny", 2, made / "songs", second).verdict != SAME
    ship()
    with pytest.raises(SepkitError, match="tiny: began with random weights; leave --init out"):
        verify("tiny", 2, made / "songs", first)


@pytest.mark.parametrize("decibels, verdict", [(0.5, NEAR), (3.0, OTHER)])
def test_another_outcome_is_told(made, ship, decibels, verdict):
    log = ship() / "log.csv"
    header, *rows = log.read_text().splitlines()
    column = header.split(",").index("valid_loss")
    changed = [row.split(",") for row in rows]
    for row in changed:
        row[column] = str(float(row[column]) * 10 ** (decibels / 10))
    log.write_text("\n".join([header, *map(",".join, changed)]) + "\n")
    assert verify("tiny", 2, made / "songs").verdict == verdict
    done = sepkit("verify", "tiny", "--data", made / "songs", "--steps", "2")
    assert done.exit_code == (1 if verdict == OTHER else 0)
    assert f"tiny: {verdict}" in done.output and "one seed" in done.output


def test_several_seeds_in_one_log_have_a_mean_and_a_spread(made, ship):
    log = ship() / "log.csv"
    header, *rows = log.read_text().splitlines()
    both = [f"{seed},{row}" for seed in (3, 4) for row in rows]
    log.write_text("\n".join([f"seed,{header}", *both]) + "\n")
    curve = load("tiny").curve
    assert set(curve.losses) == {"3", "4"} and curve.steps == [2, 4, 6, 8]
    assert verify("tiny", 2, made / "songs").rows[0]["deviation"] == 0.0


@pytest.mark.parametrize(
    "changes, spoil, says",
    [
        ({"data": {"version": VERSION - 1}}, None, "was trained on version 1 of the band"),
        ({}, lambda place: (place / "log.csv").unlink(), "no log of its training was kept"),
        (
            {"training": {"recipe": None}},
            None,
            "manifest.json does not hold the settings and recipe of its log.csv",
        ),
        (
            {},
            lambda place: shutil.copy(place / "vocals.safetensors", place / "bass.safetensors"),
            "has several networks and one log.csv",
        ),
        (
            {},
            lambda place: (place / "log.csv").write_text(
                "run,epoch,step,valid_loss\n1,1,2,0.5\n2,1,2,0.4\n"
            ),
            "was trained in several runs, each from the weights of the one before",
        ),
    ],
    ids=["songs", "log", "recipe", "networks", "runs"],
)
def test_why_one_cannot_be_verified_is_said_precisely(ship, changes, spoil, says):
    place = ship(**changes)
    if spoil:
        spoil(place)
    assert why_not("tiny").startswith(f"tiny: {says}")
    done = sepkit("verify", "tiny")
    assert done.exit_code == 1 and says in done.stderr and "Traceback" not in done.output
    assert f"not tiny: {says}" in sepkit("verify").output


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"settings": {"seed": 6}}, "its songs have seed 5, those of tiny 6"),
        ({"songs": 4}, "has 3 songs to train on and to validate with, tiny was trained on 4"),
    ],
)
def test_other_songs_are_refused(made, ship, changes, says):
    ship(data=changes)
    with pytest.raises(SepkitError, match=says):
        verify("tiny", 2, made / "songs")


def test_where_the_songs_are_has_to_be_said(ship, tmp_path):
    ship()
    with pytest.raises(SepkitError, match="--data FOLDER; they are what sepkit data band --seed 5"):
        verify("tiny", 2)
    with pytest.raises(SepkitError, match="band.json"):
        verify("tiny", 2, tmp_path)


def test_options_of_experiments_have_no_effect_and_are_refused(ship):
    ship()
    done = sepkit("verify", "tiny", "--preset", "smoke")
    assert done.exit_code == 1 and "has no effect with the checkpoint tiny" in done.stderr
    done = sepkit("verify", "mixing", "--data", "songs")
    assert done.exit_code == 1 and "has no effect with the experiment mixing" in done.stderr


@pytest.mark.parametrize(
    "name", [path.parent.name for path in shipped("checkpoints").glob("*/manifest.json")]
)
def test_every_checkpoint_that_ships_with_its_log_can_be_verified_or_says_why_not(name):
    reason = why_not(name)
    if reason:
        assert reason.startswith(f"{name}: ") and "manifest.json" not in reason
        return
    found = load(name)
    best = json.loads((shipped("checkpoints") / name / "manifest.json").read_text())["training"]
    reached = [loss for own in found.curve.losses.values() for loss in own]
    assert min(reached) == pytest.approx(best.get("valid_loss", min(reached)), rel=1e-6)
    assert len(found.curve.steps) > 1 and found.curve.steps == sorted(found.curve.steps)


def test_of_several_networks_each_has_its_own_rows(made, ship):
    place = ship()
    header, *rows = (place / "log.csv").read_text().splitlines()
    shutil.copy(place / "vocals.safetensors", place / "other.safetensors")
    with pytest.raises(SepkitError, match="several networks and one log.csv; which it is of"):
        load("tiny")
    # The losses of the other network are others, so that a mix-up would show.
    column = header.split(",").index("valid_loss")
    others = [row.split(",") for row in rows]
    for row in others:
        row[column] = str(10 * float(row[column]))
    both = [f"other,{','.join(row)}" for row in others] + [f"vocals,{row}" for row in rows]
    (place / "log.csv").write_text("\n".join([f"target,{header}", *both]) + "\n")
    manifest = json.loads((place / "manifest.json").read_text())
    own = manifest["training"]
    manifest["training"] = {"vocals": own, "other": own}
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert convergence_checkpoints.logged("tiny") == ["other", "vocals"]
    assert load("tiny").target == "other" and load("tiny", "vocals").target == "vocals"
    assert verify("tiny", 2, made / "songs", target="vocals").verdict == SAME
    assert [row["arms"] for row in convergence_checkpoints.overview()] == ["other", "vocals"]
    with pytest.raises(SepkitError, match="tiny: has no log .* for 'bass'; of other, vocals it"):
        load("tiny", "bass")
    for target, code, found in (("other", 1, OTHER), ("vocals", 0, SAME)):
        options = ("--data", made / "songs", "--steps", "2", "--target", target)
        done = sepkit("verify", "tiny", *options)
        assert done.exit_code == code and f"tiny: {found}" in done.output
