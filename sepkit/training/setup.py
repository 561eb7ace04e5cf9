"""What the training loop works with, put together once at its beginning."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..device import resolve_device
from ..validation import place
from . import distributed
from .batches import Batches
from .checkpoint import Checkpoint, locked
from .checks import look_at_songs
from .description import describe_run
from .distributed import World, interruptible
from .fine_tuning import take_weights
from .log import Log
from .progress import Losses, Progress
from .recipe import Recipe
from .songs import Songs, check_fit


@dataclass(frozen=True)
class Setup:
    """A run: the network, what it learns from, where it stands, and where it is kept."""

    recipe: Recipe
    target: str
    fabric: Fabric
    world: World
    #: As it was given; what is saved and averaged.
    model: Any
    #: The model's loss as Fabric runs it.
    network: Any
    optimiser: Any
    #: The schedule "plateau".
    plateau: ReduceLROnPlateau
    #: The moving average of the weights, if the recipe asks for it.
    ema: AveragedModel | None
    songs: Songs
    #: Not there in a run that is finished.
    batches: Any
    progress: Progress
    losses: Losses
    checkpoint: Checkpoint
    log: Log
    #: Whether Ctrl-C was pressed in this process.
    interrupted: Callable[[], bool]

    @property
    def eval_model(self) -> Any:
        """The weights that are validated and kept: the averaged ones, where there are any."""
        return self.ema.module if self.ema else self.model

    def synchronise(self, *flags: Any) -> list[bool]:
        """Exchange flags and clocks with the other processes.

        Returns
        -------
        list of bool
            For each flag whether any process raises it. All have the same clock afterwards.

        Raises
        ------
        SepkitError
            If the losses of any process say that training has failed.
        """
        failed = -1 if self.losses.failed_step is None else self.losses.failed_step
        *raised, self.progress.seconds, failed_step = self.world.largest(
            *(float(bool(flag)) for flag in flags), self.progress.seconds, failed
        )
        if failed_step >= 0:
            raise self.checkpoint.failure(int(failed_step), self.losses.why)
        return [bool(flag) for flag in raised]

    def mean_train_loss(self) -> float:
        """Mean loss of the epoch over the examples of all processes."""
        self.losses.read()
        self.synchronise()
        sums = self.world.gather((self.progress.loss_sum, self.progress.examples))
        total, examples = (sum(values) for values in zip(*sums))
        return total / max(1, examples)


@contextmanager
def set_up(
    model,
    train_tracks: Sequence,
    valid_tracks: Sequence,
    folder: str | Path,
    recipe: Recipe,
    device: str,
    target: str | None,
    shown: bool | Callable,
    speech,
    init: str | Path | None,
) -> Iterator[Setup]:
    """A run that is new, or resumed from its folder; see `sepkit.training.train`.

    Until the end, the folder is locked, progress is shown, and Ctrl-C waits for the end of a step.
    """
    target = str(target or model.targets[0])
    check_fit(model, train_tracks, valid_tracks, target)
    if recipe.loss:
        model.set_loss(recipe.loss)
    start = None if init is None else take_weights(model, init, target)
    fabric = distributed.fabric(resolve_device(device), recipe.precision)
    fabric.launch()
    world, out = World(fabric), place("out", folder)
    songs, log = Songs(train_tracks, valid_tracks, world, recipe.strict), Log(out, recipe)
    about = describe_run(model, target, recipe, songs, world, speech, start)
    with locked(out, world):
        if not world.from_first((out / "last.pt").exists()):
            look_at_songs(songs, target, world)
            torch.manual_seed(recipe.seed + world.rank)
            if init is None:
                fit_input(model, songs, world)
        network, optimiser, plateau, ema = prepare(fabric, model, recipe)
        progress = Progress()
        losses = Losses(progress, about["settings"].get("loss") in ("sdr", "si-sdr"))
        checkpoint = Checkpoint(
            out,
            about,
            recipe,
            progress,
            songs,
            losses,
            world,
            model,
            ema,
            optimiser=optimiser,
            plateau=plateau,
            scaler=fabric.strategy.precision,
        )
        checkpoint.resume()
        if progress.rows:  # it may have been killed before these were written
            world.by_first(checkpoint.mend)
            world.by_first(lambda: log.rewrite(progress.rows))
        with ExitStack() as stack:
            batches, interrupted = None, _never
            if not progress.finished(recipe):
                rate = model.sample_rate
                batches = Batches(songs, target, recipe, rate, fabric.device, world, speech)
                interrupted = stack.enter_context(interruptible())
                shown = shown if world.rank == 0 else False
                stack.enter_context(log.display(shown, target, progress))
            yield Setup(
                recipe=recipe,
                target=target,
                fabric=fabric,
                world=world,
                model=model,
                network=network,
                optimiser=optimiser,
                plateau=plateau,
                ema=ema,
                songs=songs,
                batches=batches,
                progress=progress,
                losses=losses,
                checkpoint=checkpoint,
                log=log,
                interrupted=interrupted,
            )


def _never():
    return False


def fit_input(model, songs: Songs, world: World) -> None:
    """Let a new model see the mixtures; in `prepare` all processes get the first one's weights."""

    def fit(tracks):
        if world.rank == 0:
            model.fit_input(track.mixture() for track in tracks)

    songs.retry("train", fit)


class ModelLoss(torch.nn.Module):
    """A model's loss as a forward pass: Fabric handles precision and processes in those alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, mixture: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, (B, C, T) each: a scalar."""
        return self.model.loss(mixture, target)


def optimiser_of(parameters, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, with its learning rate and weight decay."""
    rates = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, **rates)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, **rates, amsgrad=recipe.amsgrad)


def prepare(fabric: Fabric, model, recipe: Recipe):
    """Wrap for Fabric: (network, optimiser, scheduler for plateaus, averaged weights or None)."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # in place
    plain = optimiser_of(model.parameters(), recipe)
    plateau = ReduceLROnPlateau(
        plain, factor=recipe.lr_factor, patience=recipe.lr_patience, cooldown=recipe.lr_cooldown
    )
    network, optimiser = fabric.setup(ModelLoss(model), plain)
    ema = None
    if recipe.ema:
        ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    return network, optimiser, plateau, ema
