"""``sepkit verify``: whether this machine reproduces the beginning of a stored training."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_table
from ..validation import Number
from .options import DATA_SET, PLACE, SEED, Device, Json, number, refuse_unused
from .output import print_json

if TYPE_CHECKING:
    from ..reproduce.convergence import Verification

EXAMPLES = (
    "Examples: sepkit verify mixing | sepkit verify mixing --preset smoke --steps 100 | "
    "sepkit verify open-unmix-voices --data SONGS"
)
#: Options of experiments alone, and of checkpoints alone.
_OF_EXPERIMENTS, _OF_CHECKPOINTS = ("arm", "seed", "preset"), ("data", "init", "target")


def verify(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Which experiment, or checkpoint that comes with sepkit; without a name, all "
            "are listed.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            help="Train as many at least, where they are recorded.", **number(Number(1, 10**9))
        ),
    ] = 200,
    arm: Annotated[
        str | None, typer.Option(help="Which training of the experiment.", show_default="the first")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which of its seeds.", **SEED)] = 0,
    preset: Annotated[
        str, typer.Option(help="Songs: experiments (what is stored), or smoke (in seconds).")
    ] = "experiments",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Of a checkpoint: the folder of its songs.", show_default=False, **DATA_SET
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Of a checkpoint that was fine-tuned: the weights with which it began.",
            show_default=False,
            **PLACE,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Of a checkpoint with several networks: which of them.",
            show_default="the first that has a log",
        ),
    ] = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Train the beginning of a stored training again, and compare its scores step by step."""
    from .. import models
    from ..reproduce import convergence, convergence_checkpoints

    if name is None:
        refuse_unused(context, "no name", "steps", *_OF_EXPERIMENTS, *_OF_CHECKPOINTS)
        return _list(as_json)
    if name in models.shipped_sets():
        refuse_unused(context, f"the checkpoint {name}", *_OF_EXPERIMENTS)
        found = convergence_checkpoints.verify(name, steps, data, init, device, target)
    else:
        refuse_unused(context, f"the experiment {name}", *_OF_CHECKPOINTS)
        found = convergence.verify(name, steps, arm, seed, preset, device=device)
    if as_json:
        print_json({"verdict": found.verdict, "arm": found.arm, "rows": found.rows})
    else:
        _show(found)
    if found.verdict == convergence.OTHER:
        raise typer.Exit(1)


def _list(as_json):
    """All that can be verified; and which checkpoints cannot, with the reason."""
    from .. import models
    from ..reproduce import convergence, convergence_checkpoints

    rows = [*convergence.overview(), *convergence_checkpoints.overview()]
    if as_json:
        return print_json(rows)
    print_table("what can be verified", tuple(rows[0]), [tuple(row.values()) for row in rows])
    for name in models.shipped_sets():
        if reason := convergence_checkpoints.why_not(name):
            typer.echo(f"not {reason}")


def _show(found: "Verification") -> None:
    columns = (
        "steps",
        "seeds: mean ± deviation",
        f"seed {found.seed}, stored",
        "here",
        "difference",
    )
    rows = [
        (
            row["steps"],
            "one seed"
            if math.isnan(row["deviation"])
            else f"{row['mean']:.3f} ± {row['deviation']:.3f} dB",
            f"{row['stored']:.3f} dB",
            f"{row['here']:.3f} dB",
            f"{row['here'] - row['stored']:+.3f} dB",
        )
        for row in found.rows
    ]
    title = f"{found.experiment}, {found.arm}: minus the validation loss in dB"
    print_table(title, columns, rows)
    typer.echo(f"{found.experiment}: {found.verdict}")
    if found.end:
        typer.echo(f"the whole training ended at {found.end}")
