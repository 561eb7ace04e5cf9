"""``sepkit train``: train a network, alone or with several processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..console import error_text, on_terminal, print_error, print_note
from ..runtime.interruption import resumes
from .options import DATA_SET, PLACE, Data, assignments, refuse_preset

EXAMPLES = (
    "Example: sepkit train --model open-unmix --target vocals --data band --size student "
    "--out runs/vocals. "
    "On two GPUs, or with two processes on a CPU: "
    "torchrun --nproc-per-node 2 -m sepkit train --out runs/vocals. "
    "On several machines, one torchrun each, such as by SLURM: "
    "srun --ntasks-per-node 1 torchrun --nnodes $SLURM_NNODES --nproc-per-node 4 "
    "--rdzv-backend c10d --rdzv-endpoint HOST:29500 --rdzv-id $SLURM_JOB_ID "
    "-m sepkit train --out runs/vocals; "
    "HOST is one of them, and the folder of the run is one that all of them see."
)
_REMIX, _LOOP, _RUN = "What it is trained on", "How it is trained", "The run"


def train(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            help="A network, see: sepkit models.", show_default="open-unmix; with --init its own"
        ),
    ] = None,
    target: Annotated[str, typer.Option(help="The stem to estimate.")] = "vocals",
    data: Data = "band",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; again on the same folder resumes.",
            show_default="runs/MODEL-TARGET",
            **PLACE,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Fine-tune: a new run that begins with the weights of this checkpoint (a file, "
            "a folder, or a name that sepkit models lists), with a fresh optimiser and its own "
            "recipe. Resuming is another thing: it needs no option, only the same command again.",
            show_default="random weights",
        ),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            help="student (minutes on a laptop) or paper (the authors' network and recipe)."
        ),
    ] = "student",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            help="Setting of the network, such as hidden=256; may be repeated.",
            show_default="the size's; with --init the checkpoint's",
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="Any other part of the recipe, NAME=VALUE, such as clip=5 or gains=null; "
            "may be repeated.",
            show_default="the size's",
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Size of the band.", rich_help_panel=_REMIX)
    ] = "student",
    chunk_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds per example.", show_default="6; student 3", rich_help_panel=_REMIX
        ),
    ] = None,
    mix_prob: Annotated[
        float | None,
        typer.Option(
            help="How often an example's stems come from different songs.",
            show_default="1",
            rich_help_panel=_REMIX,
        ),
    ] = None,
    activity: Annotated[
        bool | None,
        typer.Option(
            "--activity/--anywhere",
            help="Examples from where stems can be heard.",
            show_default="the size's",
            rich_help_panel=_REMIX,
        ),
    ] = None,
    speech: Annotated[
        str | None,
        typer.Option(
            help="Speech in place of vocals: band, or a folder, such as of LibriSpeech.",
            show_default="none",
            rich_help_panel=_REMIX,
            **DATA_SET,
        ),
    ] = None,
    speech_prob: Annotated[
        float | None,
        typer.Option(
            help="How often.", show_default="0; with --speech 0.2", rich_help_panel=_REMIX
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="Songs without one of the stems: silent (it is silent there) or skip "
            "(leave them out).",
            show_default="stop, naming them",
            rich_help_panel=_REMIX,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at a song that cannot be read, instead of leaving it out.",
            rich_help_panel=_REMIX,
        ),
    ] = False,
    loss: Annotated[
        str | None,
        typer.Option(
            help="mse, l1, dual or nmse.", show_default="the recipe's", rich_help_panel=_LOOP
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate.", show_default="1e-3; student 5e-3", rich_help_panel=_LOOP
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Batch size: examples per process.",
            show_default="16; student 8",
            rich_help_panel=_LOOP,
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            help="Gradient accumulation: batches per step.", show_default="1", rich_help_panel=_LOOP
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Average the weights over about 1 / (1 - EMA) steps.",
            show_default="none",
            rich_help_panel=_LOOP,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, bf16-mixed or 16-mixed.", show_default="32-true", rich_help_panel=_LOOP
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="For weights, examples and dropout.", show_default="0", rich_help_panel=_LOOP
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Largest number of epochs.", show_default="1000", rich_help_panel=_RUN),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            help="Largest number of steps.", show_default="none; student 3000", rich_help_panel=_RUN
        ),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="Largest number of seconds.", show_default="none", rich_help_panel=_RUN),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that prepare examples.", show_default="0", rich_help_panel=_RUN
        ),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            help="memory, or a folder: decode the songs once; 10 MB per minute and stem.",
            show_default="none; student memory",
            rich_help_panel=_RUN,
            **DATA_SET,
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="tensorboard, besides log.csv.", show_default="log.csv alone", rich_help_panel=_RUN
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto takes cuda, then mps, then cpu; or one of them.", rich_help_panel=_RUN
        ),
    ] = "auto",
):
    """Train a network for one target; Ctrl-C saves, and the same command goes on."""
    from ..errors import SepkitError
    from ..training.distributed import rank_and_size

    resumes("the same command goes on from the last save")

    given = {
        "loss": loss,
        "lr": lr,
        "batch": batch,
        "accumulate": accumulate,
        "ema": ema,
        "precision": precision,
        "workers": workers,
        "cache": cache,
        "chunk_seconds": chunk_seconds,
        "mix_prob": mix_prob,
        "activity": activity,
        "epochs": epochs,
        "max_steps": max_steps,
        "max_seconds": max_seconds,
        "log": None if log is None else ("csv", *log.split(",")),
        "strict": strict or None,
        "speech_prob": speech_prob,
        "seed": seed,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    parts = assignments(recipe, "--recipe")
    if not (
        speech or chosen.get("speech_prob") or parts.get("speech_prob")
    ):  # which may come from the band
        refuse_preset(context, data)
    if twice := sorted(chosen.keys() & parts.keys()):
        raise SepkitError(
            f"--recipe {twice[0]}: is given by an option of its own too; give it once"
        )
    chosen = {"seed": 0, **({"speech_prob": 0.2} if speech else {}), **chosen, **parts}
    with only_first_process_prints(*rank_and_size()) as first:
        settings = assignments(setting, "--setting")
        network, plan = _network(model, target, size, settings, chosen, init)
        best = _train(
            network, plan, target, data, out, preset, speech, device, missing, init, first
        )
        if first:
            typer.echo(str(best))


def _network(model, target, size, settings, chosen, init):
    """The network to train, with random weights, and the recipe."""
    import torch

    from .. import models
    from ..errors import SepkitError
    from ..training.fine_tuning import network_of
    from ..training.presets import recipe_for

    for name in ("target", "targets"):
        if name in settings:
            raise SepkitError(f"--setting {name}=...: use --target to say which stem is estimated")
    start = None if init is None else network_of(init, target)
    model = model or (start.name if start else "open-unmix")
    recipe, usual = recipe_for(model, size)
    if start is not None and start.name == model:
        usual = {
            name: value
            for name, value in start.settings.items()
            if name not in ("target", "targets")
        }
    plan = recipe.but(**chosen)
    torch.manual_seed(plan.seed)
    return models.build(model, target=target, **{**usual, **settings}), plan


def _train(network, plan, target, data, out, preset, speech, device, missing, init, first):
    """Train with these choices; returns the best checkpoint."""
    from .. import training
    from ..datasets import open_tracks
    from ..datasets.sources import with_the_same_stems
    from ..device import resolve_device
    from ..models import read_header
    from ..training.checks import judge

    device = resolve_device(device)
    damaged = (
        None
        if plan.strict
        else lambda error: (
            print_note(f"{error_text(error)}; this song is left out") if first else None
        )
    )
    opened = [
        open_tracks(
            data,
            part,
            sample_rate=network.sample_rate,
            channels=network.channels,
            preset=preset,
            damaged=damaged,
        )
        for part in ("train", "valid")
    ]
    tracks = with_the_same_stems(opened, target, missing or "refuse")
    if first and (fewer := sum(map(len, opened)) - sum(map(len, tracks))):
        print_note(f"{fewer} song(s) without all of {', '.join(tracks[0][0].stems)} are left out")
    voices = None
    if plan.speech_prob:
        from ..datasets.speech import open_speech

        voices = open_speech(speech or "band", "train", network.sample_rate, preset=preset)
    folder = out or Path("runs") / f"{network.name}-{target}"
    best = training.train(
        network, *tracks, folder, plan, device, target, on_terminal(), voices, init
    )
    if first:
        if init and read_header(best)["extra"].get("epoch") == 0:
            print_note(f"no epoch was better than {init}; {best} holds its weights")
        ratio = judge(best, tracks[1], target, device)
        if ratio is not None and ratio <= 0:
            print_note(
                f"{best}: its estimates of the validation songs are no better than silence yet "
                f"({ratio:.1f} dB); train for longer"
            )
    return best


@contextmanager
def only_first_process_prints(rank: int, world: int) -> Iterator[bool]:
    """Let the first process speak, others only of what happened to them alone.

    Yields whether this is the first.
    """
    from ..errors import SepkitError
    from ..training.distributed import CollectiveError

    try:
        yield rank == 0
    except KeyboardInterrupt:
        if rank:
            raise typer.Exit(130) from None
        raise
    except Exception as error:
        if rank == 0:
            raise
        if not isinstance(error, CollectiveError):
            print_error(SepkitError(f"process {rank} of {world}: {error_text(error)}"))
        raise typer.Exit(1) from None
