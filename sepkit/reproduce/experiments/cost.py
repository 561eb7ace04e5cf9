"""What a training step costs: variants of Open-Unmix side by side, in turns.

Not a training with songs to score, but one of the experiments: ``sepkit experiment cost``.
The variants take turns, so that whatever else the machine does falls on all of them alike;
a "song" of the Scores is one such turn. Chapter 12.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ... import models
from ...device import denormals_as_zero, resolve_device
from ...files import provenance
from ...metrics import MetricCard, Score, save_scores

#: name -> (network, settings, loss); the first is what the others are compared with.
VARIANTS: dict[str, tuple[str, dict, str]] = {
    "loss mse": ("open-unmix", {}, "mse"),
    "loss l1": ("open-unmix", {}, "l1"),
    "loss dual": ("open-unmix", {}, "dual"),
    "transformer": ("open-unmix-transformer", {}, "mse"),
}
#: Profile -> batch size, seconds, changes to the network (otherwise of the authors' size), turns.
BUDGETS: dict[str, tuple[int, float, dict[str, Any], int]] = {
    "smoke": (1, 0.5, dict(hidden=8, layers=1), 2),
    "student": (4, 6.0, dict(hidden=128), 8),
    "paper": (16, 6.0, {}, 12),
}
CARD = MetricCard(
    "step_time",
    "seconds of a training step / the median of the first variant's",
    aggregation="fastest of two steps in a turn",
)


@denormals_as_zero()
def run(
    out: str | Path = "runs/experiments",
    profile: str = "student",
    device: str = "auto",
    seed: int = 0,
    notice: Callable[[str], object] = print,
) -> list[Score]:
    """Time forward pass, backward pass and Adam's step of every variant.

    Parameters
    ----------
    out : str or Path
        Receives ``cost.json``.
    profile : {"smoke", "student", "paper"}
    device : str
    seed : int
        For weights and noise: the songs do not matter.
    notice : callable
        Called with one line of text per turn.

    Returns
    -------
    list of Score
        Metric ``step_time``, relative to the first variant; the provenance has the seconds.
    """
    batch, seconds, changes, turns = BUDGETS[profile]
    where = resolve_device(device)
    torch.manual_seed(seed)
    steppers = {
        name: _stepper(*variant, changes, batch, seconds, where)
        for name, variant in VARIANTS.items()
    }
    taken = _take_turns(steppers, turns, notice)
    scores = []
    unit = _median(taken[next(iter(VARIANTS))])
    for name, values in taken.items():
        own = provenance(
            f"sepkit experiment cost --profile {profile}",
            device=str(where),
            seed=seed,
            profile=profile,
            experiment="cost",
            turns=turns,
            derived="seconds of a step",
            batch=batch,
            chunk_seconds=seconds,
            seconds=round(_median(values), 4),
            steps=2 * turns,
            hours=0.0,
        )
        scores += [
            Score(f"turn {turn}", "vocals", "step_time", value / unit, name, "noise", CARD, own)
            for turn, value in enumerate(values)
        ]
    about = {"experiment": "cost", "seeds": 1, "arms": list(VARIANTS)}
    save_scores(Path(out) / "cost.json", scores, extra=about, indent=None)
    return scores


def _take_turns(steppers, turns, notice):
    """{name: seconds of a step in each turn}."""
    for step in steppers.values():
        step()  # buffers are made and kernels chosen
    taken = {name: [] for name in steppers}
    for turn in range(turns):
        for name, step in steppers.items():
            taken[name].append(min(step(), step()))
        times = ", ".join(f"{name} {values[-1]:.3f} s" for name, values in taken.items())
        notice(f"turn {turn + 1} of {turns}: {times}")
    return taken


def _median(values):
    return sorted(values)[len(values) // 2]


def _stepper(model, settings, loss, changes, batch, seconds, device):
    """A function that takes one training step and returns its seconds."""
    heads = {"heads": 4} if "transformer" in model else {}
    network = models.build(model, target="vocals", **{**settings, **changes, **heads})
    network.to(device).train().set_loss(loss)
    optimizer = torch.optim.Adam(network.parameters())
    samples = int(seconds * network.sample_rate)
    mixture = 0.1 * torch.randn(batch, network.channels, samples, device=device)
    target = 0.5 * mixture

    def step():
        clock = time.perf_counter()
        optimizer.zero_grad()
        network.loss(mixture, target).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - clock

    return step
