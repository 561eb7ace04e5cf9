"""The training loop, in reading order: epochs, batches, steps; then validation, log, state.

Lightning Fabric moves the model to the device, handles the precision and averages gradients over
processes; the loop itself is plain PyTorch. Chapter 04 writes a short one by hand first. Resumed
on a CPU, a run ends with the same weights, bit for bit, as if it had never stopped; what several
processes do together stands in `sepkit.training.distributed`.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..device import denormals_as_zero
from .memory import enough_memory, enough_memory_for
from .recipe import Recipe
from .schedules import lr_scale, set_lr
from .setup import Setup, set_up
from .songs import UnreadableSong


@denormals_as_zero()
def train(
    model,
    train_tracks: Sequence,
    valid_tracks: Sequence,
    out: str | Path,
    recipe: Recipe = Recipe(),
    device: str = "auto",
    target: str | None = None,
    progress: bool | Callable = True,
    speech=None,
    init: str | Path | None = None,
) -> Path:
    """Train a model for one target; run it again to resume it where it stopped.

    Parameters
    ----------
    model : Module
        With ``loss(mixture, target)``, both (B, C, T).
    train_tracks, valid_tracks : list of Track
        At the model's sample rate and number of channels.
    out : str or Path
        The run's folder. Holds ``<target>.safetensors`` (the best so far), ``last.pt`` (all that
        resuming needs), ``log.csv`` and ``run.json``.
    recipe : Recipe
    device : str
        See `sepkit.device.resolve_device`.
    target : str, optional
        By default the model's own.
    progress : bool or callable
        Show a progress bar on a terminal; or a function that gets each row of the log, a dict.
    speech : Speech, optional
        For a recipe with `speech_prob`, see `sepkit.datasets.speech.open_speech`.
    init : str or Path, optional
        Fine-tune: begin with the weights of this checkpoint instead of the model's own. It is
        validated first, as epoch 0, so that what is kept is never worse.

    Returns
    -------
    Path
        The checkpoint with the best validation loss. `model` is left with the last weights.

    Raises
    ------
    SepkitError
        If tracks, model and `init` do not fit; if `out` holds a run with other settings, songs,
        first weights or number of processes, or another training is running in it; if memory does
        not suffice, or the loss is no longer a number.
    KeyboardInterrupt
        After Ctrl-C, with the state saved.
    """
    with set_up(
        model, train_tracks, valid_tracks, out, recipe, device, target, progress, speech, init
    ) as run:
        if init is not None and not run.progress.rows:
            end_epoch(run, math.nan, validate(run))
        while not run.progress.finished(recipe):
            train_epoch(run)
            run.world.sync_buffers(model, run.eval_model)
            valid_loss = validate(run)
            if recipe.schedule == "plateau":
                run.plateau.step(valid_loss)
            train_loss = run.mean_train_loss()
            run.progress.epoch += 1
            end_epoch(run, train_loss, valid_loss)
        return run.checkpoint.result()


def train_epoch(run: Setup) -> None:
    """The rest of the current epoch, one batch after another."""
    fabric, recipe, progress = run.fabric, run.recipe, run.progress
    run.network.train()
    run.optimiser.zero_grad()
    clock = time.perf_counter()
    for batch, failure in run.batches.rest_of_epoch(progress.epoch, progress.batch):
        stop, failed, ended = run.synchronise(run.interrupted(), failure, not (batch or failure))
        if ended or progress.batch % recipe.accumulate == 0:  # between two steps
            if stop:
                run.checkpoint.save_and_interrupt()
            if run.checkpoint.due():
                run.checkpoint.save()
            if ended or progress.budget_used(recipe) >= 1:
                return
        if failed or batch is None:  # some process cannot read a song
            run.songs.leave_out("train", run.world.gather(failure))
            run.batches.reload(progress.batch)
            continue

        waited = time.perf_counter() - clock
        with enough_memory(fabric, run.model, batch.mixture, batch.target, recipe):
            with fabric.no_backward_sync(run.network, enabled=not batch.completes_step):
                loss = run.network(batch.mixture, batch.target)  # mean over the examples
                fabric.backward(loss * batch.weight)
            run.losses.add(loss, len(batch.mixture))
            if batch.completes_step:
                step(run)
        now = time.perf_counter()
        progress.end_batch(now - clock, waited, stepped=batch.completes_step)
        run.log.show(run.target, progress, run.losses.latest)
        clock = now


def step(run: Setup) -> None:
    """One step of the optimiser, by the gradients that have been accumulated."""
    recipe, progress = run.recipe, run.progress
    scale = lr_scale(recipe, progress.step, progress.epoch, progress.budget_used(recipe))
    if scale is not None:
        set_lr(run.optimiser, recipe.lr * scale)
    if recipe.clip:
        run.fabric.clip_gradients(
            run.network, run.optimiser, max_norm=recipe.clip, error_if_nonfinite=False
        )
    run.optimiser.step()
    run.optimiser.zero_grad()
    if run.ema:
        run.ema.update_parameters(run.model)


@torch.no_grad()
def validate(run: Setup) -> float:
    """Mean loss over whole songs, not remixed: one song at a time in each process."""
    run.eval_model.eval()
    losses, clock, world = [], time.perf_counter(), run.world
    songs = run.songs.readable("valid")
    for first in range(0, len(songs), world.size):
        mine = songs[first + world.rank :][:1]
        results = world.gather(loss_of(run, mine[0]) if mine else (None, None))
        losses += [loss for loss, _ in results if loss is not None]
        run.songs.leave_out("valid", [failure for _, failure in results])
        if any(run.synchronise(run.interrupted())):
            run.checkpoint.save_and_interrupt()
    run.progress.seconds += time.perf_counter() - clock
    mean = sum(losses) / len(losses)
    run.losses.watch(mean, "valid_start")
    return mean


def loss_of(run: Setup, song) -> tuple:
    """The loss of a whole song, or None; and its failure if it cannot be read, or None."""
    try:
        mixture, wanted = song.mixture()[None], song.stem(run.target)[None]  # (1, C, T)
    except UnreadableSong as error:
        return None, error.failure()
    device = run.fabric.device
    with enough_memory_for(song, device), run.fabric.autocast():
        loss = run.eval_model.loss(mixture.to(device), wanted.to(device))
    return loss.item(), None


def end_epoch(run: Setup, train_loss: float, valid_loss: float) -> None:
    """Log; save the state, and the weights that were validated if they are the best so far."""
    lr = run.optimiser.param_groups[0]["lr"]
    run.progress.end_epoch(train_loss, valid_loss, lr, run.checkpoint.best_is_lost())
    run.checkpoint.save()
    if run.progress.is_best:
        run.world.by_first(run.checkpoint.save_best)
    run.world.by_first(lambda: run.log.write(run.progress.rows))
