"""A recipe's parts stand in groups, and keep names of their own."""

import dataclasses
import json
import pickle

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.training import STUDENT, Recipe
from sepkit.training.recipe import PARTS
from sepkit.training.setup import optimiser_of

from .tools import QUICK, command, folder_of_songs, run, sepkit


def test_a_part_is_read_by_its_own_name_and_in_its_group():
    recipe = Recipe(lr=2e-3, swap=0.25).but(epochs=7)
    assert recipe.lr == recipe.optimisation.lr == 2e-3
    assert recipe.swap == recipe.augmentation.swap == 0.25
    assert recipe.epochs == recipe.budget.epochs == 7
    assert recipe.workers == recipe.runtime.workers == Recipe().workers
    assert Recipe().but() == Recipe() != recipe


def test_no_part_stands_in_two_groups():
    groups = [getattr(STUDENT, group.name) for group in dataclasses.fields(STUDENT)]
    names = [part.name for group in groups for part in dataclasses.fields(group)]
    assert sorted(names) == sorted(PARTS) and len(set(names)) == len(names)


def test_the_flat_form_is_the_whole_recipe():
    assert Recipe(**STUDENT.flat()) == STUDENT == pickle.loads(pickle.dumps(STUDENT))
    assert hash(Recipe(**STUDENT.flat())) == hash(STUDENT)


def test_parts_that_came_later_are_recorded_where_they_are_not_at_their_default():
    recipe = Recipe(doubling=0.4, reverb_wet=[0.05, 0.5])
    added = recipe.flat().keys() - Recipe().flat().keys()
    assert added == {"doubling", "reverb_wet"} and Recipe(**recipe.flat()) == recipe
    assert recipe.but(doubling=0.0, reverb_wet=(0.05, 0.4)).flat() == Recipe().flat()
    assert "vocals_semitones" in Recipe().flat()


@pytest.mark.parametrize("part", ["semitones", "drums_semitones", "vocals_semitones"])
def test_other_playback_rates_need_longer_chunks(part):
    Recipe(chunk_seconds=3.8, cut_seconds=3.0, **{part: 4})
    with pytest.raises(SepkitError, match=f"^{part}=4: needs cut_seconds.* above 3.78"):
        Recipe(chunk_seconds=3.7, cut_seconds=3.0, **{part: 4})
    with pytest.raises(SepkitError, match=f"^{part}=-1: a number from 0 to"):
        Recipe(**{part: -1})


def test_an_accompaniment_is_not_cut_stem_by_stem():
    with pytest.raises(SepkitError, match="^mix_of=accompaniment, cut_seconds=2.0: each stem"):
        Recipe(mix_of="accompaniment", cut_seconds=2.0)


@pytest.mark.parametrize(
    "changes, kind, expected",
    [
        (dict(), torch.optim.Adam, dict(weight_decay=1e-5, amsgrad=False)),
        (dict(amsgrad=True), torch.optim.Adam, dict(amsgrad=True)),
        (dict(optimiser="adamw", weight_decay=0.1), torch.optim.AdamW, dict(weight_decay=0.1)),
        (dict(optimiser="rmsprop", lr=2e-4), torch.optim.RMSprop, dict(lr=2e-4, alpha=0.99)),
    ],
)
def test_the_optimiser_is_the_one_that_is_named(changes, kind, expected):
    optimiser = optimiser_of([torch.nn.Parameter(torch.ones(2))], Recipe(**changes))
    assert type(optimiser) is kind and expected.items() <= optimiser.param_groups[0].items()


def test_the_command_line_takes_effects(tmp_path):
    more = ("--recipe", "doubling=0.4", "--recipe", "reverb_seconds=[0.1,0.3]")
    data = folder_of_songs(tmp_path / "songs")
    result = sepkit(*command(data, tmp_path / "out", *more))
    assert result.exit_code == 0, result.output
    recorded = json.loads((tmp_path / "out/run.json").read_text())["recipe"]
    assert (recorded["doubling"], recorded["reverb_seconds"]) == (0.4, [0.1, 0.3])
    result = sepkit(*command(data, tmp_path / "other", "--recipe", "doubling=4"))
    assert result.exit_code and "doubling=4: a number from 0 to 1 was expected" in result.output


def test_parts_that_do_not_exist_are_named():
    with pytest.raises(SepkitError, match="unknown part of the recipe 'learning_rate'"):
        Recipe(learning_rate=1)
    with pytest.raises(AttributeError, match="has no 'learning_rate'"):
        Recipe().learning_rate  # noqa: B018
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().lr = 1


def test_a_run_records_the_flat_form(tmp_path):
    run(tmp_path, QUICK.but(epochs=1))
    recorded = json.loads((tmp_path / "run.json").read_text())["recipe"]
    assert recorded["lr"] == QUICK.lr and recorded["gains"] == list(QUICK.gains)
    assert "epochs" not in recorded and "optimisation" not in recorded
