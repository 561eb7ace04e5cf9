"""Learning-rate schedules, as closed forms of step and epoch.

Nothing is remembered from step to step, so a resumed run has the same learning rates.
``"plateau"`` alone depends on the losses; PyTorch's `ReduceLROnPlateau` computes it.
"""

import math

import torch

from .recipe import Recipe


def lr_scale(recipe: Recipe, step: int, epoch: int, used: float = 0.0) -> float | None:
    """What the recipe's learning rate is multiplied by in a step.

    Parameters
    ----------
    recipe : Recipe
        Its `schedule`, `decay` (d), `decay_every` (n) and `warm_up` (w).
    step, epoch : int
        Steps and epochs finished: both are 0 in the first step.
    used : float
        Share of the budget used up, for ``"cosine"``.

    Returns
    -------
    float or None
        None for ``"plateau"``.

    Notes
    -----
    ``"cosine"``
        `cosine` of `used`: for short runs.
    ``"epochs"``
        d ** floor((epoch - w) / n), after a warm-up of 0.1 ** (w - epoch). Luo and Yu, "Music
        source separation with band-split RNN", 2022: d = 0.98, n = 2, no warm-up. The public
        implementation that the thesis on remixing starts from: d = 0.98, n = 1, w = 10.
    ``"steps"``
        d ** floor(step / n), after a warm-up of step / w. Kong et al., "Decoupling magnitude and
        phase estimation with deep ResUNet for music source separation", ISMIR 2021: d = 0.9,
        n = 15000, w = 1000. As in the authors' code, the first step's is 0.
    ``"constant"``
        1
    """
    if recipe.schedule == "plateau":
        return None
    if recipe.schedule == "cosine":
        return cosine(used)
    if recipe.schedule == "epochs":
        if epoch < recipe.warm_up:
            return 0.1 ** (recipe.warm_up - epoch)
        return recipe.decay ** ((epoch - recipe.warm_up) // recipe.decay_every)
    if recipe.schedule == "steps":
        if step < recipe.warm_up:
            return step / recipe.warm_up
        return recipe.decay ** (step // recipe.decay_every)
    return 1.0


def cosine(used: float, warm_up: float = 0.02) -> float:
    """Share of the full learning rate when a share `used` of the budget is used up.

    It rises over the first 2 % of the budget and falls to a thousandth at its end.
    """
    if used < warm_up:
        return (used + 0.1 * warm_up) / (1.1 * warm_up)
    return max(0.5 * (1 + math.cos(math.pi * min(1.0, (used - warm_up) / (1 - warm_up)))), 1e-3)


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give all parameters the learning rate `lr`."""
    for group in optimiser.param_groups:
        group["lr"] = lr
