"""What a training step costs: variants of Open-Unmix, measured in processes of their own.

Not a training with songs to score, but one of the experiments: ``sepkit experiment cost``.
A block measures every variant once, each in a fresh process, so that none inherits the memory,
caches or kernels of another; the order changes from block to block, so that whatever else the
machine does falls on all of them alike. On a CPU the seconds are those of one thread's work, which
other programs hardly change. A "song" of the Scores is such a block. Chapter 12.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ... import models
from ...device import denormals_as_zero, resolve_device
from ...files import provenance
from ...metrics import MetricCard, Score, save_scores
from ...runtime.processes import run_jobs

#: name -> (network, settings, loss); the first is what the others are compared with.
VARIANTS: dict[str, tuple[str, dict, str]] = {
    "loss mse": ("open-unmix", {}, "mse"),
    "loss l1": ("open-unmix", {}, "l1"),
    "loss dual": ("open-unmix", {}, "dual"),
    "transformer": ("open-unmix-transformer", {}, "mse"),
}
#: Profile -> batch size, seconds, changes to the network (otherwise of the authors' size), blocks.
BUDGETS: dict[str, tuple[int, float, dict[str, Any], int]] = {
    "smoke": (1, 0.5, dict(hidden=8, layers=1), 2),
    "student": (4, 6.0, dict(hidden=128), 8),
    "paper": (16, 6.0, {}, 12),
}
#: Steps of a process: the first ones make buffers and choose kernels, the others are timed.
WARM_UP, TIMED = 2, 5
CARD = MetricCard(
    "step_time",
    "seconds of a training step / those of the first variant in the same block",
    aggregation=f"fastest of {TIMED} steps of a process; on a CPU, processor time of one thread",
)


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
        Called with one line of text per block.

    Returns
    -------
    list of Score
        Metric ``step_time``, relative to the first variant; the provenance has the seconds.
    """
    batch, seconds, changes, blocks = BUDGETS[profile]
    where = resolve_device(device)
    jobs = {
        name: partial(seconds_of_a_step, *variant, changes, batch, seconds, str(where), seed)
        for name, variant in VARIANTS.items()
    }
    taken = _measure(jobs, blocks, notice)
    scores = []
    unit = taken[next(iter(VARIANTS))]
    for name, values in taken.items():
        own = provenance(
            f"sepkit experiment cost --profile {profile}",
            device=str(where),
            seed=seed,
            profile=profile,
            experiment="cost",
            blocks=blocks,
            derived="seconds of a step",
            batch=batch,
            chunk_seconds=seconds,
            seconds=round(statistics.median(values), 4),
            steps=TIMED * blocks,
            hours=0.0,
        )
        scores += [
            Score(f"block {k}", "vocals", "step_time", value / first, name, "noise", CARD, own)
            for k, (value, first) in enumerate(zip(values, unit, strict=True))
        ]
    about = {"experiment": "cost", "seeds": 1, "arms": list(VARIANTS)}
    save_scores(Path(out) / "cost.json", scores, extra=about, indent=None)
    return scores


def _measure(jobs, blocks, notice):
    """{name: seconds of a step in each block}."""
    taken = {name: [] for name in jobs}
    names = list(jobs)
    for block in range(blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(in_fresh_process(jobs[name]))
        times = ", ".join(f"{name} {values[-1]:.3f} s" for name, values in taken.items())
        notice(f"block {block + 1} of {blocks}: {times}")
    return taken


def in_fresh_process(job: Callable[[], float]) -> float:
    """What a job returns in a process that has done nothing else."""
    ((_, result),) = run_jobs([job], workers=1)
    return result


@denormals_as_zero()
def seconds_of_a_step(
    model: str,
    settings: dict[str, Any],
    loss: str,
    changes: dict[str, Any],
    batch: int,
    seconds: float,
    device: str,
    seed: int,
) -> float:
    """The fastest of `TIMED` training steps on noise, after `WARM_UP` others, in seconds.

    On a CPU, processor time with one thread; elsewhere the time on the clock.
    """
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu:
        torch.set_num_threads(1)
    now = time.process_time if on_cpu else time.perf_counter
    torch.manual_seed(seed)
    heads = {"heads": 4} if "transformer" in model else {}
    network = models.build(model, target="vocals", **{**settings, **changes, **heads})
    network.to(device).train().set_loss(loss)
    optimizer = torch.optim.Adam(network.parameters())
    samples = int(seconds * network.sample_rate)
    mixture = 0.1 * torch.randn(batch, network.channels, samples, device=device)
    target = 0.5 * mixture

    def step():
        clock = now()
        optimizer.zero_grad()
        network.loss(mixture, target).backward()
        optimizer.step()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        return now() - clock

    return min([step() for _ in range(WARM_UP + TIMED)][WARM_UP:])
