"""What the cards of the networks say is so."""

import re

import pytest

from sepkit.models import MODELS, card
from sepkit.models.registry import known_settings, model_class, outline
from sepkit.training import STUDENT, Recipe

#: Their outlines take seconds each.
LARGE = ("resunet-ismir2021", "resunet-subbandtime", "hybrid-demucs")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in MODELS]
)
def test_parameters_are_counted(name):
    assert sum(p.numel() for p in outline(name).parameters()) == card(name).parameters


@pytest.mark.parametrize("name", MODELS)
def test_a_card_names_its_paper_and_has_recipes_that_are_recipes(name):
    described = card(name)
    assert re.search(r"\b(19|20)\d\d|arXiv|report", described.paper) and described.domain
    assert set(described.recipes) <= {"student", "paper"}
    assert STUDENT.but(**described.recipes.get("student", {}))
    assert Recipe().but(**described.recipes.get("paper", {}))
    assert not ("paper" in described.recipes and described.lacking)
    for settings in described.sizes.values():
        assert known_settings(name, settings) == settings


@pytest.mark.parametrize("name", MODELS)
def test_a_network_has_the_name_that_it_is_registered_under(name):
    network = model_class(name)
    assert network.name == name and network.__doc__.strip()
