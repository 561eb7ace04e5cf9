"""How far a run has come, and whether its losses are sound."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from .recipe import Recipe

#: A loss that is this many times what it was at first means that training has diverged.
RISE = 100
#: Batches between two looks at the losses on a device that computes ahead; each look waits for it.
LOSS_CHECK_BATCHES = 20
NOT_FINITE = "loss or weights are NaN or infinite"


@dataclass
class Progress:
    """The state of a run: counts, the clock, the log. It is saved, and asks nobody anything."""

    #: Epochs finished.
    epoch: int = 0
    #: Batches done in the current epoch.
    batch: int = 0
    #: Steps of the optimiser in all.
    step: int = 0
    #: Training time in all, validation included.
    seconds: float = 0.0
    #: Seconds of this epoch in which the loop waited for data.
    waiting: float = 0.0
    #: Sum of this epoch's losses over the examples, in this process.
    loss_sum: float = 0.0
    #: Examples of this epoch, in this process.
    examples: int = 0
    #: Lowest validation loss.
    best: float = math.inf
    #: The epoch of `best`.
    best_epoch: int = 0
    #: The log: a row per epoch.
    rows: list[dict] = field(default_factory=list)
    #: Mean training loss of the first batches.
    train_start: float | None = None
    #: Loss of the first validation.
    valid_start: float | None = None

    def state(self) -> dict[str, Any]:
        """All of it, as ``last.pt`` holds it."""
        return asdict(self)

    def own_state(self) -> dict[str, Any]:
        """What differs from process to process."""
        return {name: getattr(self, name) for name in ("loss_sum", "examples", "waiting")}

    def restore(self, state: dict) -> None:
        """Take over what `state` or `own_state` returned."""
        for name in self.__dataclass_fields__:
            setattr(self, name, state.get(name, getattr(self, name)))

    def budget_used(self, recipe: Recipe) -> float:
        """Share of the budget used up, 0 to 1: of epochs, steps or seconds, whichever is most."""
        used = [self.epoch / recipe.epochs]
        if recipe.max_steps:
            used.append(self.step / recipe.max_steps)
        if recipe.max_seconds:
            used.append(self.seconds / recipe.max_seconds)
        return min(1.0, max(used))

    def finished(self, recipe: Recipe) -> bool:
        """Whether the budget is used up, or early stopping ends the run."""
        waited = self.epoch - self.best_epoch
        return (self.budget_used(recipe) >= 1 or waited >= recipe.patience) and self.batch == 0

    def end_batch(self, seconds: float, waited: float, stepped: bool) -> None:
        """Count a batch, and a step of the optimiser if it was the last one of that."""
        self.batch += 1
        self.step += stepped
        self.seconds += seconds
        self.waiting += waited

    def end_epoch(self, train_loss: float, valid_loss: float, lr: float, best_lost: bool) -> None:
        """Add a row to the log; the weights are the best so far, or the best ones are lost."""
        row = dict(
            epoch=self.epoch,
            step=self.step,
            train_loss=train_loss,
            valid_loss=valid_loss,
            lr=lr,
            seconds=round(self.seconds, 3),
            waiting=round(self.waiting, 3),
        )
        self.rows.append(row)
        self.batch, self.loss_sum, self.examples, self.waiting = 0, 0.0, 0, 0.0
        if valid_loss < self.best or best_lost:
            self.best, self.best_epoch = valid_loss, self.epoch

    @property
    def is_best(self) -> bool:
        """Whether the last epoch was the best one."""
        return self.best_epoch == self.epoch


class Losses:
    """The losses of a run: summed up for the log, and watched.

    Parameters
    ----------
    progress : Progress
        Gets the sums, and the losses at the start.
    in_decibels : bool
        Whether the loss is minus an SDR.

    Attributes
    ----------
    failed_step : int or None
        The step in which training failed in this process.
    why : str
        What happened; in another process, what may have happened.
    latest : float
        The last one that was read.
    """

    def __init__(self, progress: Progress, in_decibels: bool):
        self._progress, self._in_decibels = progress, in_decibels
        self._pending: list[tuple[torch.Tensor, int, int]] = []  # loss, examples, step: not read
        self._recent: list[float] = []  # read, and not compared yet
        self.failed_step: int | None = None
        self.latest = math.nan
        self.why = f"{NOT_FINITE}, or the loss has risen a hundredfold"

    def add(self, loss: torch.Tensor, examples: int) -> None:
        """Take the mean loss (a scalar) of a batch; it is read at once where that is free."""
        self._pending.append((loss.detach(), examples, self._progress.step + 1))
        if loss.device.type == "cpu" or len(self._pending) >= LOSS_CHECK_BATCHES:
            self.read()

    def read(self) -> None:
        """Read the losses that are still on the device."""
        if not self._pending:
            return
        values = torch.stack([loss for loss, _, _ in self._pending]).tolist()
        for value, (_, examples, step) in zip(values, self._pending):
            self._must_be_finite(value, step)
            self._progress.loss_sum += value * examples
            self._progress.examples += examples
        self._recent += values
        self._pending, self.latest = [], values[-1]
        if len(self._recent) >= LOSS_CHECK_BATCHES:
            self.watch(sum(self._recent) / len(self._recent), "train_start")
            self._recent = []

    def watch(self, loss: float, start: str) -> None:
        """Note whether a loss is a number, and not a hundred times the first one, `start`."""
        progress = self._progress
        self._must_be_finite(loss, progress.step)
        if self.failed_step is not None:
            return
        first = getattr(progress, start)
        if first is None:
            setattr(progress, start, loss)
        elif has_risen(loss, first, self._in_decibels):
            self.why = f"the loss has risen from {first:.3g} to {loss:.3g}"
            self.failed_step = progress.step

    def _must_be_finite(self, loss, step):
        if self.failed_step is None and not math.isfinite(loss):
            self.failed_step, self.why = step, NOT_FINITE


def has_risen(now: float, start: float, in_decibels: bool = False) -> bool:
    """Whether a loss has risen a hundredfold; `in_decibels` for losses that are minus an SDR."""
    if in_decibels or start <= 0:
        return now - start > 10 * math.log10(RISE)
    return now > RISE * start
