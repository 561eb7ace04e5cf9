"""Every learning rate against its closed form, alone and as the optimiser gets it."""

import math

import pytest
import torch

from sepkit import training
from sepkit.training import Recipe
from sepkit.training.schedules import cosine, lr_scale

from .tools import QUICK, run, watch_steps


def test_decay_by_epochs_as_bsrnn_and_with_the_warm_up_of_its_public_implementation():
    paper = Recipe(schedule="epochs", decay=0.98, decay_every=2)
    assert [lr_scale(paper, 0, epoch) for epoch in range(7)] == pytest.approx(
        [1, 1, 0.98, 0.98, 0.98**2, 0.98**2, 0.98**3]
    )
    public = Recipe(schedule="epochs", decay=0.98, warm_up=10)
    for epoch in range(40):
        wanted = 0.1 ** (10 - epoch) if epoch < 10 else 0.98 ** (epoch - 10)
        assert lr_scale(public, 12345, epoch) == pytest.approx(wanted, rel=1e-12)


def test_decay_by_steps_as_pytorch_computes_it():
    """A `LambdaLR` with the authors' rule, step by step; thousandths of their numbers."""
    recipe = Recipe(schedule="steps", decay=0.9, decay_every=15, warm_up=5)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: step / 5 if step <= 5 else 0.9 ** (step // 15)
    )
    for step in range(100):
        assert lr_scale(recipe, step, 0) == pytest.approx(reference.get_last_lr()[0], rel=1e-12), (
            step
        )
        optimiser.step()
        reference.step()


def test_constant_stays_and_plateau_is_left_to_the_scheduler():
    assert {lr_scale(Recipe(schedule="constant"), step, step) for step in range(5)} == {1.0}
    assert lr_scale(Recipe(schedule="plateau"), 3, 3) is None


def test_cosine_rises_over_two_percent_and_falls_to_a_thousandth():
    assert (
        cosine(0.02) == pytest.approx(1)
        and cosine(0.0) == pytest.approx(1 / 11)
        and cosine(1.0) == 1e-3
    )
    for used in (0.1, 0.3, 0.51, 0.9):
        assert cosine(used) == pytest.approx(
            math.cos(math.pi / 2 * (used - 0.02) / 0.98) ** 2, rel=1e-9
        )
    assert training.cosine is cosine  # chapters use it by this name


@pytest.mark.parametrize(
    "changes, wanted",
    [
        (dict(schedule="steps", warm_up=2, decay=0.5, decay_every=3), [0, 0.5, 1, 0.5, 0.5, 0.5]),
        (dict(schedule="epochs", warm_up=1, decay=0.5), [0.1, 0.1, 1, 1, 0.5, 0.5]),
        (dict(schedule="constant"), [1] * 6),
        (
            dict(schedule="cosine", max_steps=6),
            [cosine(max(step / 6, step // 2 / 3)) for step in range(6)],
        ),
    ],
)
def test_the_optimiser_gets_the_learning_rates(tmp_path, monkeypatch, changes, wanted):
    """12 examples in batches of 4, two per step: two steps per epoch, the second of one batch."""
    steps = watch_steps(monkeypatch, lambda optimiser: optimiser.param_groups[0]["lr"])
    run(tmp_path, QUICK.but(accumulate=2, epochs=3, **changes))
    assert steps == pytest.approx([1e-2 * size for size in wanted])
