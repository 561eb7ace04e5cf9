"""The batches of a run: chunks of the songs that can be read, remixed on the device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..datasets import activity, remix
from ..datasets.chunks import Chunks
from ..datasets.loader import Examples, decoded, loader
from ..validation import place
from .distributed import World
from .recipe import Recipe
from .songs import Songs, UnreadableSong


@dataclass(frozen=True)
class Batch:
    """Examples that a process takes at once."""

    #: (B, C, T), on the device.
    mixture: torch.Tensor
    #: (B, C, T), on the device.
    target: torch.Tensor
    #: Weight of the batch's mean loss within the accumulated step: every example counts alike.
    weight: float
    #: Whether it is the last one of its step.
    completes_step: bool


class Batches:
    """What a run is trained on, epoch by epoch.

    Parameters
    ----------
    songs : Songs
    target : str
    recipe : Recipe
    sample_rate : int
        The model's, in Hz.
    device : torch.device
    world : World
    speech : Speech, optional
    """

    def __init__(
        self,
        songs: Songs,
        target: str,
        recipe: Recipe,
        sample_rate: int,
        device: torch.device,
        world: World,
        speech=None,
    ):
        self._songs, self._target, self._recipe = songs, target, recipe
        self._device, self._world = device, world
        self._cut_chunks()
        self._remix = remix.pipeline(recipe, self._chunks.stems, target, sample_rate, speech)

    def rest_of_epoch(
        self, epoch: int, first: int
    ) -> Iterator[tuple[Batch | None, tuple[int, str] | None]]:
        """The batches of an epoch from number `first` on.

        Yields
        ------
        Batch or None
            None at the end of the epoch, and in place of a batch that cannot be read.
        failure : (int, str) or None
            Number and message of the song that cannot be read. After `reload` the epoch goes on
            without it.
        """
        self._epoch = epoch
        self._open(first)
        while True:
            yield self._next()

    def reload(self, first: int) -> None:
        """Go on with batch number `first` of the songs that are left."""
        self._cut_chunks()
        self._open(first)

    def _cut_chunks(self):
        self._chunks = self._songs.retry(
            "train", lambda tracks: make_chunks(tracks, self._target, self._recipe)
        )

    def _open(self, first):
        self._number = first
        self._chunks.set_epoch(self._epoch)
        world, pin = self._world, self._device.type == "cuda"
        self._loader = loader(self._chunks, self._recipe, first, world.rank, world.size, pin)

    def _next(self):
        try:
            loaded = next(self._loader, None)
        except UnreadableSong as error:
            return None, error.failure()
        if loaded is None:
            return None, None
        stems, indices = loaded  # (B, S, C, T), (B,)
        stems = stems.to(self._device, non_blocking=True)
        mixture, target = self._remix(stems, indices, self._epoch)  # (B, C, T) each
        weight, completes_step = part_of_step(
            self._recipe, self._number, len(stems), len(self._chunks), self._world.size
        )
        self._number += 1
        return Batch(mixture, target, weight, completes_step), None


def part_of_step(
    recipe: Recipe, number: int, examples: int, total: int, processes: int
) -> tuple[float, bool]:
    """Weight of a batch within the accumulated step, and whether it is the last one of it.

    Parameters
    ----------
    recipe : Recipe
        Its `batch` and `accumulate` are used.
    number : int
        Of the batch in its epoch.
    examples : int
        Of the batch.
    total : int
        Examples per epoch.
    processes : int
    """
    at_once = recipe.batch * processes
    total = total if processes == 1 else total // at_once * at_once
    first = number // recipe.accumulate * recipe.accumulate * at_once  # example of the step
    end = min(first + recipe.accumulate * at_once, total)
    # Fabric takes the mean over processes, so each counts as many times as there are processes.
    return examples * processes / (end - first), (number + 1) * at_once >= end


def make_chunks(tracks: Sequence, target: str, recipe: Recipe) -> Chunks:
    """The training examples that a recipe asks for."""
    if recipe.cache:
        tracks = decoded(tracks, None if recipe.cache == "memory" else place("cache", recipe.cache))
    active = activity.find(tracks) if recipe.activity else None
    return Chunks(
        tracks,
        recipe.chunk_seconds,
        recipe.samples_per_track,
        recipe.seed,
        recipe.mix_prob,
        active,
        recipe.random_start,
        target,
        recipe.mix_of == "accompaniment",
        recipe.mix_audio,
    )


def examples(tracks: Sequence, target: str, recipe: Recipe) -> Examples:
    """The examples that a recipe trains on, one by one as (mixture, target): see `Examples`."""
    chunks = make_chunks(tracks, target, recipe)
    return Examples(chunks, remix.pipeline(recipe, chunks.stems, target, tracks[0].sample_rate))
