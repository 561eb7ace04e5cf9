"""What a training step costs: variants of Open-Unmix side by side, in turns.

Not a training with songs to score, but one of the experiments: ``sepkit experiment cost``.
The variants take turns, so that whatever else the machine does falls on all of them alike;
a "song" of the Scores is one such turn. Chapter 11.
"""

import time
from pathlib import Path

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
#: Batch, seconds and changes to the network (the authors' sizes otherwise), and how many turns, by profile.
SIZES = {
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
def run(out="runs/experiments", profile="student", device="auto", seed=0, notice=print):
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
        Told what is done, a line each.

    Returns
    -------
    list of Score
        Metric ``step_time``, relative to the first variant; the provenance has the seconds.
    """
    device = resolve_device(device)
    batch, seconds, changes, turns = SIZES[profile]
    torch.manual_seed(seed)
    steppers = {
        name: _stepper(*VARIANTS[name], changes, batch, seconds, device) for name in VARIANTS
    }
    for step in steppers.values():
        step()  # buffers are made and kernels chosen
    taken = {name: [] for name in VARIANTS}
    for turn in range(turns):
        for name, step in steppers.items():
            taken[name].append(min(step(), step()))
        notice(
            f"turn {turn + 1} of {turns}: "
            + ", ".join(f"{name} {values[-1]:.3f} s" for name, values in taken.items())
        )
    unit = sorted(taken[next(iter(VARIANTS))])[turns // 2]
    scores = []
    for name, values in taken.items():
        facts = {
            "batch": batch,
            "chunk_seconds": seconds,
            "seconds": round(sorted(values)[turns // 2], 4),
            "steps": 2 * turns,
            "hours": 0.0,
        }
        own = provenance(
            f"sepkit experiment cost --profile {profile}",
            device=str(device),
            seed=seed,
            profile=profile,
            experiment="cost",
            turns=turns,
            derived="seconds of a step",
            **facts,
        )
        scores += [
            Score(f"turn {k}", "vocals", "step_time", v / unit, name, "noise", CARD, own)
            for k, v in enumerate(values)
        ]
    save_scores(
        Path(out) / "cost.json",
        scores,
        extra={"experiment": "cost", "seeds": 1, "arms": list(VARIANTS)},
        indent=None,
    )
    return scores


def _stepper(model, settings, loss, changes, batch, seconds, device):
    """A function that takes one training step and returns its seconds."""
    network = (
        models.build(
            model,
            target="vocals",
            **{**settings, **changes, **({"heads": 4} if "transformer" in model else {})},
        )
        .to(device)
        .train()
    )
    network.set_loss(loss)
    optimiser = torch.optim.Adam(network.parameters())
    mixture = 0.1 * torch.randn(
        batch, network.channels, int(seconds * network.sample_rate), device=device
    )
    target = 0.5 * mixture

    def step():
        clock = time.perf_counter()
        optimiser.zero_grad()
        network.loss(mixture, target).backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - clock

    return step
