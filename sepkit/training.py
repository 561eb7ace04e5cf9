"""Training: one loop that can be read in one sitting.

Lightning Fabric moves the model to the device and handles the precision; the
loop itself is plain PyTorch. Chapter 04 trains a network live with it.
"""

import math
import time

import torch
from lightning_fabric import Fabric

from .datasets import activity, remix
from .datasets.chunks import Chunks, check_alike
from .datasets.loading import Examples, decoded, loader
from .device import resolve_device
from .errors import SepkitError, unknown
from .training_recipe import STUDENT, STUDENT_MODEL, Recipe
from .training_run import Run, interruptible

__all__ = ["STUDENT", "STUDENT_MODEL", "Recipe", "train"]

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
    mix = remix.pipeline(recipe, chunks.stems, target, model.sample_rate)

    with interruptible() as interrupted, run.display(progress):
        while not run.finished():
            train_epoch(fabric, network, optimiser, chunks, mix, run, interrupted)
            valid_loss = validate(fabric, model, valid_tracks, target, run, interrupted)
            if recipe.schedule == "plateau":
                plateau.step(valid_loss)
            run.end_epoch(valid_loss, optimiser.param_groups[0]["lr"])
    return run.best_path


def train_epoch(fabric, network, optimiser, chunks, mix, run, interrupted):
    """The rest of the current epoch, one step after another."""
    recipe, state = run.recipe, run.state
    chunks.set_epoch(state["epoch"])
    network.train()
    clock = time.perf_counter()
    for stems, indices in loader(chunks, recipe, skip=state["batch"]):      # (B, S, C, T), (B,)
        if run.out_of_budget():
            break
        mixture, target = mix(stems.to(fabric.device), indices, chunks.epoch)     # (B, C, T) each
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
    active = activity.find(tracks) if recipe.activity else None
    return Chunks(
        tracks, recipe.chunk_seconds, recipe.samples_per_track, recipe.seed, recipe.mix_prob, active, recipe.random_start, target
    )


def examples(tracks, target, recipe):
    """The examples that a recipe trains on, one by one as (mixture, target): see `datasets.loading.Examples`."""
    chunks = make_chunks(tracks, target, recipe)
    return Examples(chunks, remix.pipeline(recipe, chunks.stems, target, tracks[0].sample_rate))


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
