"""Training: one loop that can be read in one sitting.

Lightning Fabric moves the model to the device and handles the precision; the
loop itself is plain PyTorch. Chapter 04 trains a network live with it.
"""

import dataclasses
import math
import time
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from .datasets.chunks import Chunks, check_alike, decoded
from .device import resolve_device
from .errors import SepkitError, unknown
from .training_run import Run, interruptible

SCHEDULES = ("plateau", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of Open-Unmix's authors.

    Parameters
    ----------
    loss : str, optional
        Another loss than the model was built with.
    batch, chunk_seconds, samples_per_track
        Examples a step, seconds an example, examples a track and epoch.
    random_tracks, gains, swap
        The augmentation, see `sepkit.datasets.remix`.
    lr, weight_decay : float
        Adam's step size and weight decay.
    schedule : {"plateau", "cosine"}
        ``"plateau"`` multiplies the step size by `lr_factor` when the
        validation loss has not improved for `lr_patience` epochs, and then
        waits `lr_cooldown`. ``"cosine"`` lets it rise over the first 2 % of
        the budget and fall to nothing at its end: for short runs.
    clip : float, optional
        Largest norm of the gradient.
    patience : int
        Stop after so many epochs without a better validation loss.
    epochs, max_steps, max_seconds
        The budget; training ends with whichever is used up first.
    seed : int
        For chunks and dropout. Initial weights are the caller's: seed before `build`.
    precision : str
        Lightning Fabric's: ``"32-true"``, ``"bf16-mixed"``, ...
    workers : int
        Processes that prepare chunks; 0 prepares them in the loop.
    cache : str, optional
        ``"memory"`` or a folder: decode the tracks once, see `datasets.chunks.decoded`.
    save_minutes : float
        Save the state of the run at least so often, besides every epoch.
    """

    loss: str | None = None
    batch: int = 16
    chunk_seconds: float = 6.0
    samples_per_track: int = 64
    random_tracks: bool = True
    gains: tuple | None = (0.25, 1.25)
    swap: float = 0.5
    lr: float = 1e-3
    weight_decay: float = 1e-5
    schedule: str = "plateau"
    lr_factor: float = 0.3
    lr_patience: int = 80
    lr_cooldown: int = 10
    clip: float | None = None
    patience: int = 140
    epochs: int = 1000
    max_steps: int | None = None
    max_seconds: float | None = None
    seed: int = 42
    precision: str = "32-true"
    workers: int = 0
    cache: str | None = None
    save_minutes: float = 5.0

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        for name in ("batch", "chunk_seconds", "samples_per_track", "lr", "epochs"):
            if not getattr(self, name) > 0:
                raise SepkitError(f"{name}={getattr(self, name)}: must be positive")

    def but(self, **changes):
        """The same recipe with some values changed."""
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise unknown("part of the recipe", name, known)
        return dataclasses.replace(self, **changes)


#: For a small network on one CPU core in a quarter of an hour: small batches of short chunks,
#: many steps, a large step size that falls to nothing, and a loss in which quiet passages count.
STUDENT = Recipe(
    loss="nmse", batch=8, chunk_seconds=3.0, samples_per_track=16, lr=5e-3, schedule="cosine", clip=1.0,
    max_steps=3000, cache="memory",
)
#: The network that goes with it: 1.2 million parameters, 2.5 MB in half precision.
STUDENT_MODEL = dict(hidden=128, layers=3, dropout=0.1)


def train(model, train_tracks, valid_tracks, out, recipe=Recipe(), device="auto", target=None, progress=True):
    """Train a model for one target; run it again to go on where it stopped.

    Parameters
    ----------
    model : Module
        With ``loss(mixture, target)``, both (B, C, T).
    train_tracks, valid_tracks : list of Track
        At the model's sample rate and number of channels.
    out : str or Path
        The run's folder. Holds ``<target>.safetensors`` (the best so far),
        ``last.pt`` (all that resuming needs), ``log.csv`` and ``run.json``.
    recipe : Recipe
    device : str
        See `sepkit.device.resolve_device`.
    target : str, optional
        By default the model's own.
    progress : bool or callable
        Show a progress bar on a terminal. A function is called instead with
        each row of the log, as a dict.

    Returns
    -------
    Path
        The checkpoint with the best validation loss. `model` itself is left
        with the last weights.

    Raises
    ------
    SepkitError
        If tracks and model do not fit, if `out` holds a run with other
        settings, or if the loss is no longer a number.
    KeyboardInterrupt
        After Ctrl-C, with the state saved.
    """
    target = target or model.targets[0]
    check_fit(model, train_tracks, valid_tracks, target)
    if recipe.loss:
        model.set_loss(recipe.loss)
    device = resolve_device(device)
    fabric = Fabric(accelerator=device.type, devices=1 if device.index is None else [device.index], precision=recipe.precision)
    run = Run(out, model, target, recipe, train_tracks, valid_tracks)

    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=recipe.lr_factor, patience=recipe.lr_patience, cooldown=recipe.lr_cooldown
    )
    if not run.resume(model, optimiser, plateau):
        torch.manual_seed(recipe.seed)
        if hasattr(model, "fit_input"):
            model.fit_input(track.mixture() for track in train_tracks)
    if run.finished():
        return run.best_path
    network, optimiser = fabric.setup(model, optimiser)
    network.mark_forward_method("loss")
    chunks = make_chunks(train_tracks, target, recipe)

    with interruptible() as interrupted, run.display(progress):
        while not run.finished():
            train_epoch(fabric, network, optimiser, chunks, run, interrupted)
            valid_loss = validate(fabric, model, valid_tracks, target, run, interrupted)
            if recipe.schedule == "plateau":
                plateau.step(valid_loss)
            run.end_epoch(valid_loss, optimiser.param_groups[0]["lr"])
    return run.best_path


def train_epoch(fabric, network, optimiser, chunks, run, interrupted):
    """The rest of the current epoch, one step after another."""
    recipe, state = run.recipe, run.state
    chunks.set_epoch(state["epoch"])
    network.train()
    clock = time.perf_counter()
    for mixture, target in loader(chunks, recipe, skip=state["batch"]):   # (B, C, T) each
        if run.out_of_budget():
            break
        mixture, target = mixture.to(fabric.device), target.to(fabric.device)
        waited = time.perf_counter() - clock
        if recipe.schedule == "cosine":
            set_lr(optimiser, recipe.lr * cosine(run.budget_used()))

        loss = network.loss(mixture, target)
        run.check_finite(loss)
        optimiser.zero_grad()
        fabric.backward(loss)
        if recipe.clip:
            fabric.clip_gradients(network, optimiser, max_norm=recipe.clip, error_if_nonfinite=False)
        optimiser.step()

        now = time.perf_counter()
        run.end_step(loss.item(), len(mixture), now - clock, waited)
        clock = now
        if interrupted():
            run.interrupt()


@torch.no_grad()
def validate(fabric, model, tracks, target, run, interrupted):
    """The mean loss over whole songs: one at a time, real mixtures, no augmentation."""
    model.eval()
    clock = time.perf_counter()
    losses = []
    for track in tracks:
        mixture, wanted = track.mixture()[None], track.stem(target)[None]    # (1, C, T)
        with fabric.autocast():
            loss = model.loss(mixture.to(fabric.device), wanted.to(fabric.device))
        run.check_finite(loss)
        losses.append(loss.item())
        if interrupted():
            run.interrupt()
    run.state["seconds"] += time.perf_counter() - clock
    return sum(losses) / len(losses)


def make_chunks(tracks, target, recipe):
    """The training examples that a recipe asks for."""
    if recipe.cache:
        tracks = decoded(tracks, None if recipe.cache == "memory" else recipe.cache)
    return Chunks(
        tracks, target, recipe.chunk_seconds, recipe.samples_per_track, recipe.seed,
        recipe.random_tracks, recipe.gains, recipe.swap,
    )


def loader(chunks, recipe, skip=0):
    """Batches of an epoch, from batch number `skip` on."""
    return DataLoader(
        chunks, recipe.batch, sampler=range(skip * recipe.batch, len(chunks)), num_workers=recipe.workers,
        generator=torch.Generator().manual_seed(0),  # or the loader would draw from the generator of dropout
    )


def cosine(used, warm_up=0.02):
    """Share of the full step size when a share `used` of the budget is used up."""
    if used < warm_up:
        return (used + 0.1 * warm_up) / (1.1 * warm_up)
    return max(0.5 * (1 + math.cos(math.pi * min(1.0, (used - warm_up) / (1 - warm_up)))), 1e-3)


def set_lr(optimiser, lr):
    for group in optimiser.param_groups:
        group["lr"] = lr


def check_fit(model, train_tracks, valid_tracks, target):
    """Raise a `SepkitError` unless the model and all tracks fit together."""
    if target not in model.targets:
        raise unknown("target of this model", target, model.targets)
    if not valid_tracks:
        raise SepkitError("no validation tracks: give at least one song that is not trained on")
    check_alike([*train_tracks, *valid_tracks] if train_tracks else [], target)
    for what in ("sample_rate", "channels"):
        have, need = getattr(train_tracks[0], what), getattr(model, what)
        if have != need:
            raise SepkitError(f"the tracks' {what.replace('_', ' ')} is {have}, the model's {need}; open them with {what}={need}")
