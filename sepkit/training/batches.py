"""The batches of a run: chunks of the songs that can be read, remixed on the device."""

from ..datasets import activity, remix
from ..datasets.chunks import Chunks
from ..datasets.loader import Examples, decoded, loader
from ..validation import place
from .songs import UnreadableSong


class Batches:
    """What a run is trained on, epoch by epoch.

    Parameters
    ----------
    run : Run
    sample_rate : int
        The model's, in Hz.
    device : torch.device
    speech : Speech, optional
    """

    def __init__(self, run, sample_rate, device, speech=None):
        self.run, self.device = run, device
        self._make(sample_rate, speech)

    def _make(self, sample_rate, speech):
        run = self.run
        self.chunks = readable(
            run, "train", lambda songs: make_chunks(songs, run.target, run.recipe)
        )
        self.mix = remix.pipeline(run.recipe, self.chunks.stems, run.target, sample_rate, speech)
        self._again = lambda: self._make(sample_rate, speech)

    def rest_of_epoch(self, interrupted):
        """The batches of the current epoch that were not seen yet.

        All processes agree on each of them before it is used: that there is one, and that nobody
        was interrupted. Where a song cannot be read it is left out, and the epoch goes on without it.

        Parameters
        ----------
        interrupted : callable
            Whether this process was told to stop.

        Yields
        ------
        mixture, target : Tensor
            (B, C, T) each, on the device.
        share : float
            What the batch's mean loss counts in the loss of its step, so that every example counts alike.
        last : bool
            Whether it is the last one of its step.
        """
        run, state, source = self.run, self.run.state, self._source()
        while True:
            batch, failure = _next(source)
            stop, failed, ended = run.agree(
                interrupted(), failure is not None, batch is None and failure is None
            )
            between_steps = ended or state["batch"] % run.recipe.accumulate == 0
            if between_steps and stop:
                run.interrupt()
            if between_steps and run.save_due():
                run.save_last()
            if ended or (between_steps and run.out_of_budget()):
                return
            if failed:
                run.leave_out("train", run.team.gathered(failure))
                self._again()
                source = self._source()
                continue
            stems, indices = batch  # (B, S, C, T), (B,)
            stems = stems.to(self.device, non_blocking=True)
            yield *self.mix(stems, indices, state["epoch"]), *self._part_of_step(len(stems))

    def _source(self):
        run = self.run
        self.chunks.set_epoch(run.state["epoch"])
        team, pin = run.team, self.device.type == "cuda"
        return loader(self.chunks, run.recipe, run.state["batch"], team.rank, team.size, pin)

    def _part_of_step(self, examples):
        """The share of the next batch, of so many examples, in its step, and whether it completes it."""
        recipe, number, team = self.run.recipe, self.run.state["batch"], self.run.team
        at_once = recipe.batch * team.size
        epoch = len(self.chunks) if team.size == 1 else len(self.chunks) // at_once * at_once
        first = number // recipe.accumulate * recipe.accumulate * at_once
        end = min(first + recipe.accumulate * at_once, epoch)
        # Fabric takes the mean over processes, so each counts as many times as there are processes.
        return examples * team.size / (end - first), (number + 1) * at_once >= end


def _next(source):
    """The next batch, None at the end; and the (number, message) of a song that could not be read, or None."""
    try:
        return next(source, None), None
    except UnreadableSong as error:
        return None, (error.number, str(error))


def readable(run, part, action):
    """``action(songs)`` with the songs of a part that all processes can read."""
    while True:
        result, failure = None, None
        try:
            result = action(run.songs(part))
        except UnreadableSong as error:
            failure = error.number, str(error)
        failures = run.team.gathered(failure)
        if not any(failures):
            return result
        run.leave_out(part, failures)


def make_chunks(tracks, target, recipe):
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
    )


def examples(tracks, target, recipe):
    """The examples that a recipe trains on, one by one as (mixture, target): see `datasets.loading.Examples`."""
    chunks = make_chunks(tracks, target, recipe)
    return Examples(chunks, remix.pipeline(recipe, chunks.stems, target, tracks[0].sample_rate))
