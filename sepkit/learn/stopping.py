"""Trainings in a chapter: the reader may stop them, and a rerun goes on where they stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from .. import training
from ..datasets.track import Track
from ..models.base import Model
from ..training.distributed import interruptible

T = TypeVar("T")


def stoppable(steps: Iterable[T]) -> Iterator[T]:
    """Hand out the steps of a short training until the reader presses stop.

    The step at hand is finished first, so that what follows finds its results (chapters 04, 09).

    Parameters
    ----------
    steps : iterable
        Goes through a loop: ``for step in stoppable(range(300)): ...``.
    """
    with interruptible() as stopped:
        for step in steps:
            yield step
            if stopped():
                print("Stopped: the chapter goes on with what has been trained so far.")
                return


def train(
    folder: Path,
    network: Model,
    train_tracks: Sequence[Track],
    valid_tracks: Sequence[Track],
    recipe: training.Recipe,
    device: str = "auto",
    progress: bool | Callable = False,
) -> Path:
    """Train as `sepkit.training.train` does, but end with the best network so far when stopped.

    Parameters
    ----------
    folder : Path
        The run's; a run that is there already is taken up, or taken if it is finished.
    network, train_tracks, valid_tracks, recipe, device, progress
        As for `sepkit.training.train`.

    Returns
    -------
    Path
        The checkpoint with the best validation loss so far. Where no epoch had ended, the one
        that was stopped ends there, and is validated.
    """
    best, log = folder / f"{network.targets[0]}.safetensors", folder / "log.csv"
    tracks = (train_tracks, valid_tracks)
    before = log.read_bytes() if log.exists() else None
    try:
        training.train(network, *tracks, folder, recipe, device, progress=progress)
    except KeyboardInterrupt:
        if not best.exists():
            at_once = recipe.but(max_seconds=1e-3)
            training.train(network, *tracks, folder, at_once, device, progress=progress)
        print(
            "Stopped: the chapter goes on with the best network so far. Run this cell again to"
            " train on."
        )
    else:
        if before is not None and before == log.read_bytes():
            print(f"Trained before: delete {'/'.join(folder.parts[-3:])} to train again.")
    return best
