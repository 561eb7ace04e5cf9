"""Training: one loop that can be read in one sitting.

Lightning Fabric moves the model to the device, handles the precision and averages
gradients over processes; the loop itself is plain PyTorch. Chapter 04 trains a network
live with it, chapter 07 compares what it is trained on.
"""

import time

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..datasets.chunks import check_alike
from ..datasets.loader import loader
from ..device import denormals_as_zero, resolve_device
from ..errors import SepkitError, unknown
from . import distributed
from .batches import Batches, examples, make_chunks, readable
from .checkpoint import Run
from .checks import must_sound, tell_of_mixtures
from .distributed import Team, interruptible
from .fine_tuning import take_weights
from .memory import enough_memory, enough_memory_for
from .recipe import STUDENT, Recipe
from .schedules import cosine, factor, set_lr
from .songs import UnreadableSong

__all__ = ["STUDENT", "Recipe", "cosine", "examples", "loader", "make_chunks", "set_lr", "train"]


@denormals_as_zero()
def train(
    model,
    train_tracks,
    valid_tracks,
    out,
    recipe=Recipe(),
    device="auto",
    target=None,
    progress=True,
    speech=None,
    init=None,
):
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
    speech : Speech, optional
        For a recipe with `speech_prob`, see `sepkit.datasets.speech.open_speech`.
    init : str or Path, optional
        Fine-tune: begin with the weights of this checkpoint instead of the model's own. It is
        validated first, as epoch 0, so that what is kept is never worse.

    Returns
    -------
    Path
        The checkpoint with the best validation loss. `model` itself is left
        with the last weights, not averaged.

    Raises
    ------
    SepkitError
        If tracks and model do not fit, if `out` holds a run with other
        settings or another number of processes, if memory does not suffice, or
        if the loss is no longer a number; if `init` does not fit the model, or the run in `out`
        began with other weights.
    KeyboardInterrupt
        After Ctrl-C, with the state saved.

    Notes
    -----
    Resumed on a CPU, a run ends with the same weights, bit for bit, as if it had never
    stopped; random numbers, optimiser, averaged weights and place in the epoch are in its
    state, which is saved between two steps.

    Several processes, started by torchrun, take a step together: each computes
    `recipe.batch` examples of its own, and the gradient is that of one batch of all of them.
    This holds exactly for networks that treat examples one by one, such as BSRNN. Batch
    normalisation (Open-Unmix, ResUNet) joins the statistics of all processes on GPUs, by
    `torch.nn.SyncBatchNorm`; on CPUs each process normalises by its own examples, and the
    running statistics are the first process's.
    """
    target = target or model.targets[0]
    check_fit(model, train_tracks, valid_tracks, target)
    if recipe.loss:
        model.set_loss(recipe.loss)
    start = None if init is None else take_weights(model, init, target)
    fabric = distributed.fabric(resolve_device(device), recipe.precision)
    fabric.launch()
    team = Team(fabric)
    run = Run(out, model, target, recipe, train_tracks, valid_tracks, team, speech, start)
    if not run.begun():
        look_at_songs(run, target)
        torch.manual_seed(recipe.seed + team.rank)
        if init is None:  # the first process's weights go to the others, in `prepare`
            readable(
                run,
                "train",
                lambda songs: team.rank or model.fit_input(song.mixture() for song in songs),
            )
    network, optimiser, plateau, ema = prepare(fabric, model, recipe)
    run.attach(
        model=model, optimiser=optimiser, plateau=plateau, ema=ema, scaler=fabric.strategy.precision
    )
    if run.finished():
        return run.result()

    batches = Batches(run, model.sample_rate, fabric.device, speech)
    judged = ema.module if ema else model
    shown = run.log.display(
        progress if team.rank == 0 else False, target, run.budget_used(), run.state["step"]
    )
    with interruptible() as interrupted, shown:
        if init is not None and not run.state["rows"]:
            run.begin(validate(fabric, judged, run, interrupted), recipe.lr)
        while not run.finished():
            train_epoch(fabric, network, model, optimiser, ema, batches, run, interrupted)
            team.like_the_first(model, judged)
            valid_loss = validate(fabric, judged, run, interrupted)
            if recipe.schedule == "plateau":
                plateau.step(valid_loss)
            run.end_epoch(valid_loss, optimiser.param_groups[0]["lr"])
    return run.result()


def look_at_songs(run, target):
    """Before a run begins: there is something to learn, and mixtures that are no sums are told."""
    for part in ("train", "valid"):
        readable(run, part, lambda songs, part=part: must_sound(songs, target, part))
    readable(run, "train", lambda songs: None if run.team.rank else tell_of_mixtures(songs))


class Loss(torch.nn.Module):
    """A model's loss as a forward pass: Fabric handles precision and processes in those alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, mixture, target):
        return self.model.loss(mixture, target)


def prepare(fabric, model, recipe):
    """The network as it is trained, its optimiser, the scheduler for plateaus, and the averaged weights or None."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(
            model
        )  # in place: no network of ours is a batch norm itself
    optimiser = torch.optim.Adam(
        model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, amsgrad=recipe.amsgrad
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=recipe.lr_factor, patience=recipe.lr_patience, cooldown=recipe.lr_cooldown
    )
    network, fabric_optimiser = fabric.setup(Loss(model), optimiser)
    ema = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)) if recipe.ema else None
    )
    return network, fabric_optimiser, plateau, ema


def train_epoch(fabric, network, model, optimiser, ema, batches, run, interrupted):
    """The rest of the current epoch, one batch after another."""
    network.train()
    optimiser.zero_grad()
    clock = time.perf_counter()
    for mixture, target, share, last in batches.rest_of_epoch(interrupted):  # (B, C, T) each
        waited = time.perf_counter() - clock
        with enough_memory(fabric, model, mixture, target, run.recipe):
            with fabric.no_backward_sync(network, enabled=not last):
                loss = network(mixture, target)
                run.note_loss(loss, len(mixture))
                fabric.backward(loss * share)
            if last:
                step(fabric, network, model, optimiser, ema, run)
        now = time.perf_counter()
        run.end_batch(now - clock, waited, stepped=last)
        clock = now


def step(fabric, network, model, optimiser, ema, run):
    """One step of the optimiser, by the gradients that have been accumulated."""
    recipe, state = run.recipe, run.state
    size = factor(recipe, state["step"], state["epoch"], run.budget_used())
    if size is not None:
        set_lr(optimiser, recipe.lr * size)
    if recipe.clip:
        fabric.clip_gradients(network, optimiser, max_norm=recipe.clip, error_if_nonfinite=False)
    optimiser.step()
    optimiser.zero_grad()
    if ema:
        ema.update_parameters(model)


@torch.no_grad()
def validate(fabric, model, run, interrupted):
    """The mean loss over whole songs: real mixtures, no augmentation, one song at a time in each process."""
    model.eval()
    team, losses, clock = run.team, [], time.perf_counter()
    songs = run.songs("valid")
    for first in range(0, len(songs), team.size):
        mine = songs[first + team.rank :][:1]
        results = team.gathered(loss_of(fabric, model, mine[0], run) if mine else (None, None))
        losses += [loss for loss, _ in results if loss is not None]
        run.leave_out("valid", [failure for _, failure in results])
        if any(run.agree(interrupted())):
            run.interrupt()
    run.state["seconds"] += time.perf_counter() - clock
    mean = sum(losses) / len(losses)
    run.must_be_sound(mean, "valid_start")
    return mean


def loss_of(fabric, model, song, run):
    """The loss of a whole song, or None; and its (number, message) if it cannot be read, or None."""
    try:
        mixture, wanted = song.mixture()[None], song.stem(run.target)[None]  # (1, C, T)
    except UnreadableSong as error:
        return None, (error.number, str(error))
    with enough_memory_for(song, fabric.device), fabric.autocast():
        loss = model.loss(mixture.to(fabric.device), wanted.to(fabric.device))
    return loss.item(), None


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
            raise SepkitError(
                f"the tracks' {what.replace('_', ' ')} is {have}, the model's {need}; open them with {what}={need}"
            )
