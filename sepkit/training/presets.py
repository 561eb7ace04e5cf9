"""Which recipe and which network belong to a size: ``student`` or ``paper``.

A student's network trains on one CPU core while its chapter is read; a paper's has
the authors' settings and recipe, or there is none: a recipe that the training loop cannot
follow is refused, not replaced. Both stand with the network, as `sepkit.models.base.Model.card`.
"""

from typing import Any

from .. import models
from ..errors import SepkitError, unknown
from . import STUDENT, Recipe

SIZES = ("student", "paper")


def recipe_for(model: str, size: str = "student") -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a network and size, and the network's settings.

    Parameters
    ----------
    model : str
        A key of `sepkit.models.MODELS`.
    size : {"student", "paper"}

    Raises
    ------
    SepkitError
        For an unknown model or size, a model without a student's size, or one whose authors'
        recipe the training loop cannot follow, naming what is missing.
    """
    card = models.card(model)
    if size not in SIZES:
        raise unknown("size", size, SIZES)
    if size == "paper":
        if "paper" not in card.recipes:
            raise SepkitError(
                f"{model} has no --size paper, which is the authors' own recipe: training lacks "
                f"{card.lacking or 'one to follow'}; choose --size student and change it "
                "(--setting, --recipe)"
            )
        return Recipe().but(**card.recipes["paper"]), {}
    if "student" not in card.sizes:
        raise SepkitError(
            f"{model} has no student size; choose --size paper, or one of {', '.join(students())}"
        )
    return STUDENT.but(**card.recipes.get("student", {})), dict(card.sizes["student"])


def students() -> list[str]:
    """The networks that have a student's size."""
    return [name for name in models.MODELS if "student" in models.card(name).sizes]
