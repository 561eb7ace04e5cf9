"""What a run remembers, and when its losses are read and found wanting."""

import math
from types import SimpleNamespace

import pytest
import torch

from sepkit.training import Recipe
from sepkit.training.progress import LOSS_CHECK_BATCHES, Losses, Progress


@pytest.mark.parametrize(
    "limits, used",
    [
        (dict(epochs=10), 0.2),
        (dict(epochs=10, max_steps=20), 0.25),
        (dict(epochs=10, max_steps=20, max_seconds=12.0), 0.5),
        (dict(epochs=10, max_seconds=3.0), 1.0),
    ],
)
def test_the_budget_is_what_is_used_most(limits, used):
    progress = Progress(epoch=2, step=5, seconds=6.0)
    assert progress.budget_used(Recipe(**limits)) == used
    assert progress.finished(Recipe(**limits)) is (used == 1)


def test_early_stopping_counts_epochs_since_the_best():
    progress = Progress()
    for progress.epoch, loss in enumerate((3.0, 2.0, 2.5, 2.0), start=1):
        progress.end_epoch(math.nan, loss, 1e-3, best_lost=False)
    assert progress.best_epoch == 2 and [row["valid_loss"] for row in progress.rows][1] == 2.0
    assert progress.finished(Recipe(patience=2)) and not progress.finished(Recipe(patience=3))


def test_a_state_is_restored_with_what_is_the_processes_own():
    first, other = Progress(epoch=3, loss_sum=5.0, rows=[{"epoch": 1}]), Progress(loss_sum=7.0)
    restored = Progress()
    restored.restore({**first.state(), **other.own_state()})
    assert restored == Progress(epoch=3, loss_sum=7.0, rows=[{"epoch": 1}])


def on_gpu(value):
    """A loss that lies on another device."""
    return SimpleNamespace(detach=lambda: torch.tensor(value), device=SimpleNamespace(type="cuda"))


def test_losses_on_a_device_that_computes_ahead_are_read_now_and_then():
    progress = Progress()
    losses = Losses(progress, in_decibels=False)
    for _ in range(LOSS_CHECK_BATCHES - 1):
        losses.add(on_gpu(1.0), examples=2)
        progress.end_batch(0.1, 0.0, stepped=True)
    assert progress.examples == 0 and losses.failed_step is None
    losses.add(on_gpu(1.0), examples=2)
    assert progress.examples == progress.loss_sum == 2 * LOSS_CHECK_BATCHES
    assert progress.train_start == 1.0 and losses.latest == 1.0


def test_a_loss_that_is_no_number_is_told_with_its_step_when_it_is_read():
    progress = Progress()
    losses = Losses(progress, in_decibels=False)
    for value in (1.0, math.nan, math.inf):
        losses.add(on_gpu(value), examples=1)
        progress.end_batch(0.1, 0.0, stepped=True)
    assert losses.failed_step is None
    losses.read()
    assert losses.failed_step == 2 and losses.why == "loss or weights are NaN or infinite"
