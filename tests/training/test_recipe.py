"""A recipe's parts stand in groups, and keep names of their own."""

import dataclasses
import json
import pickle

import pytest

from sepkit.errors import SepkitError
from sepkit.training import STUDENT, Recipe
from sepkit.training.recipe import PARTS

from .tools import QUICK, run


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
