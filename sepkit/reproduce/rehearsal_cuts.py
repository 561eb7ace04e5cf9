"""What a rehearsal changes in a chapter: a few steps of what profile "paper" does for hours.

Called by a cell that `sepkit.reproduce.rehearsal` puts in front of the chapter.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import models, training
from ..datasets import loader
from ..files import read_json
from ..models import downloads
from ..separation import networks
from ..training import Recipe
from .experiments import running

#: Songs of each split that a chapter works with; it opens all.
SONGS = {"train": 6, "valid": 2, "test": 2}
STEPS, BATCH = 2, 2
#: Numbers that are no more than this times larger take little longer: lengths of examples.
LITTLE_MORE = 6
#: Times that a separator's network is run on audio of one length, whatever comes after.
RUNS = 2
#: Settings of networks of which a training step takes tens of GB in their authors' size.
SMALLER: dict[str, dict[str, Any]] = {"conv-tasnet": {"stacks": 1, "layers": 4}}


def apply(run: Any, weights: str | Path) -> None:
    """Cut the budgets of a chapter that has not begun yet.

    Parameters
    ----------
    run : type
        `sepkit.learn.chapter.Run`.
    weights : str or Path
        A list like ``weights.json`` of published files, with addresses that answer.
    """
    run.pick = pick
    run.tracks = few(run.tracks)
    running.open_tracks = few(running.open_tracks)
    training.train = briefly(training.train)
    models.build = smaller(models.build)
    networks.runner = seldom(networks.runner)
    loader.decoded = lambda tracks, *_, **__: tracks  # as if they were too long for the memory
    downloads.manifest = lambda: read_json(Path(weights))


def pick(run: Any, smoke: Any, student: Any, paper: Any) -> Any:
    """The paper's value where it says what is done, that of profile "smoke" where how much.

    How much is a number above `LITTLE_MORE` times the smoke's, several numbers, or None, which
    stands for all. Of a dict each entry is judged by itself. What the smoke leaves out is done
    once.
    """
    if isinstance(paper, dict) and isinstance(smoke, dict):
        return {key: pick(run, smoke.get(key, value), None, value) for key, value in paper.items()}
    if isinstance(paper, (int, float)):
        return paper if paper <= LITTLE_MORE * smoke else smoke or 1
    if isinstance(paper, tuple):
        return smoke if all(isinstance(value, (int, float)) for value in paper) else paper
    return smoke if paper is None or smoke == "smoke" else paper  # a size of the band


def few(tracks: Callable) -> Callable:
    """`Run.tracks` or `open_tracks` that opens all songs and returns the first `SONGS` of them."""

    def opened(where: Any, split: str = "test", *more: Any, **options: Any) -> list:
        return tracks(where, split, *more, **options)[: SONGS[split]]

    return opened


def smaller(build: Callable) -> Callable:
    """`sepkit.models.build` with `SMALLER` instead of the authors' values."""

    def built(name: str, **settings: Any) -> Any:
        return build(name, **{**SMALLER.get(name, {}), **settings})

    return built


def seldom(runner: Callable) -> Callable:
    """`sepkit.models.precision.runner` of networks that are run `RUNS` times on each length.

    After that, and for audio that is known already, they give again what they gave before.
    """

    def made(*given: Any, **options: Any) -> Callable:
        run = runner(*given, **options)
        seen: dict[Any, list[tuple[Tensor, Any]]] = {}  # (shape, ...) -> what was given and found

        def run_or_remember(x: Tensor) -> Any:
            known = seen.setdefault((x.shape, x.dtype, x.device), [])
            for before, estimate in known:
                if torch.equal(before, x):
                    return _copied(estimate)
            if len(known) < RUNS:
                known.append((x.clone(), run(x)))
            return _copied(known[-1][1])

        return run_or_remember

    return made


def _copied(estimate: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    if isinstance(estimate, dict):
        return {target: one.clone() for target, one in estimate.items()}
    return estimate.clone()


def briefly(train: Callable) -> Callable:
    """`sepkit.training.train` of a few small steps."""

    def trained(
        model: Any,
        train_tracks: Sequence,
        valid_tracks: Sequence,
        out: str | Path,
        recipe: Recipe = Recipe(),
        *more: Any,
        **options: Any,
    ) -> Path:
        steps = min(recipe.max_steps or STEPS, STEPS)
        cut = recipe.but(max_steps=steps, batch=min(recipe.batch, BATCH), samples_per_track=1)
        return train(model, train_tracks, valid_tracks[:2], out, cut, *more, **options)

    return trained
