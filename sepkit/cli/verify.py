"""``sepkit verify``: whether this machine reproduces the beginning of a stored experiment."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_table
from ..validation import Number
from .options import SEED, Device, Json, number, refuse_unused
from .output import print_json

if TYPE_CHECKING:
    from ..reproduce.convergence import Verification

EXAMPLES = "Examples: sepkit verify mixing | sepkit verify mixing --preset smoke --steps 100"


def verify(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Which experiment; without a name, all are listed.", show_default=False
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
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Train the beginning of a stored experiment again, and compare its scores step by step."""
    from ..reproduce import convergence

    if name is None:
        refuse_unused(context, "no name of an experiment", "steps", "arm", "seed", "preset")
        rows = convergence.overview()
        if as_json:
            print_json(rows)
        else:
            print_table("what can be verified", tuple(rows[0]), [tuple(r.values()) for r in rows])
        return
    found = convergence.verify(name, steps, arm, seed, preset, device=device)
    if as_json:
        print_json({"verdict": found.verdict, "arm": found.arm, "rows": found.rows})
    else:
        _show(found)
    if found.verdict == convergence.OTHER:
        raise typer.Exit(1)


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
            f"{row['mean']:.3f} ± {row['deviation']:.3f} dB",
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
