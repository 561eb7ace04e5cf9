"""The design of an experiment: arms that differ in one thing, trained for equal steps."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ... import models
from ...training import Recipe
from ...training.pretraining import Pretraining
from .scoring import TARGET

#: Values of a further separator, computed from those of the arms:
#: {arm: {(track, metric): value}} -> {(track, metric): value}.
Derived = Callable[[dict[str, dict[tuple[str, str], float]]], dict[tuple[str, str], float]]


@dataclass(frozen=True)
class Arm:
    """One of the trainings that an experiment compares.

    Attributes
    ----------
    name : str
        The separator's name in the Scores and tables.
    model : str, optional
        Another network than the experiment's.
    settings, recipe : dict
        Changes to the experiment's network and recipe.
    songs : int, optional
        Train with this many songs, the first ones; by default with all.
    with_valid : bool
        The validation songs are trained on too (and still choose the best epoch).
    augmented : bool
        Train on the statically augmented data set.
    natural : bool
        Train on the songs with natural voices; validation and test songs stay the experiment's.
    pretrained : bool
        Begin with weights that have learnt from the mixtures of all training songs, by the
        design's `pretraining`.
    excerpt : (int, float), optional
        (number of the test song, seconds): train, validate and test on that excerpt, as three
        examples of half its length, each overlapping the next by half.
    score_rate : int, optional
        Score at this sample rate instead of the network's.
    """

    name: str
    model: str | None = None
    settings: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    songs: int | None = None
    with_valid: bool = False
    augmented: bool = False
    natural: bool = False
    pretrained: bool = False
    excerpt: tuple[int, float] | None = None
    score_rate: int | None = None


@dataclass(frozen=True)
class Design:
    """An experiment in one profile: a network, a recipe, and the arms that change them.

    `derived` maps the name of a further separator to the function that computes its values, such
    as differences of differences, from those of the arms. With `init`, the arms are fine-tuned:
    that arm is trained and scored first with each seed, and the others begin with its weights.
    With `speed`, a training has a Score more, of the metric ``best_steps``: the steps up to the
    best validation loss, or all of them where none was better than before the first. With
    `real`, what was trained is scored on `sepkit.datasets.real_mixes` too, where these recordings
    are at hand: Scores of a data set of their own, which choose nothing. `pretraining` is for the
    arms that are `pretrained`; each seed has one of its own.
    """

    model: str
    settings: dict
    recipe: Recipe
    arms: tuple[Arm, ...]
    metrics: tuple[str, ...] = ("usdr", "si_sdr", "csdr")
    derived: dict[str, Derived] = field(default_factory=dict)
    preset: str = "experiments"
    init: Arm | None = None
    speed: bool = False
    real: bool = False
    pretraining: Pretraining = Pretraining()

    def network(self, arm: Arm, seed: int) -> models.base.Model:
        """The network that an arm trains, with the first weights of a seed."""
        other = arm.model not in (None, self.model)
        settings = arm.settings if other else {**self.settings, **arm.settings}
        torch.manual_seed(seed)
        return models.build(arm.model or self.model, target=TARGET, **settings)
