"""``sepkit experiment``: trainings that differ in one thing, with equal steps and several seeds."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import print_table
from ..runtime.interruption import resumes
from ..validation import Number
from .options import (
    DATA_SET,
    PLACE,
    Array,
    Data,
    Device,
    Json,
    Scheduler,
    number,
    refuse_preset,
    refuse_unused,
)
from .output import print_json

EXAMPLES = (
    "Examples: sepkit experiment | sepkit experiment songs --seeds 5 | "
    "sepkit experiment mixing --profile paper --data musdb18hq --device cuda"
)


def experiment(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="Which; without a name, all are listed.", show_default=False),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="smoke (does it run?), student (small networks, hours of a laptop) or paper.",
            envvar="SEPKIT_PROFILE",
        ),
    ] = "student",
    data: Data = "band",
    preset: Annotated[
        str | None, typer.Option(help="Size of the band.", show_default="the experiment's")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Trainings of every arm, with seeds 0, 1, ...",
            show_default="the experiment's",
            **number(Number(1, 1000)),
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Folder for trainings and results; the same again goes on.", **PLACE),
    ] = Path("runs/experiments"),
    augmented: Annotated[
        Path | None,
        typer.Option(
            help="Augmented data set, from: sepkit data augment.", show_default=False, **PLACE
        ),
    ] = None,
    natural: Annotated[
        Path | None,
        typer.Option(
            help="Songs with natural voices, from: sepkit data band --knob voices=natural.",
            show_default=False,
            **PLACE,
        ),
    ] = None,
    speech: Annotated[
        str | None,
        typer.Option(
            help="Speech to mix in: band, or a folder such as LibriSpeech/dev-clean.",
            show_default="the band's",
            **DATA_SET,
        ),
    ] = None,
    device: Device = "auto",
    array: Array = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Train and score the arms of an experiment; stopped and called again, it goes on."""
    resumes("what was trained and scored is kept, and the same command goes on from the last save")
    from ..reproduce import experiments
    from ..reproduce.experiments import catalogue, cost

    def notice(line):
        typer.echo(line, err=True)

    songs = ("data", "preset", "seeds", "augmented", "natural", "speech", "array", "scheduler")
    if name is None:
        refuse_unused(context, "no name of an experiment", *songs, "profile", "out", "device")
        _list(catalogue.EXPERIMENTS, as_json)
        return
    design = catalogue.design(name, profile)
    if design is None:
        refuse_unused(context, name, *songs)
        scores = cost.run(out, profile, device, notice=notice)
    else:
        if speech is None:  # which may come from the band
            refuse_preset(context, data)
        scores = experiments.run(
            name,
            design,
            data,
            preset,
            seeds or catalogue.EXPERIMENTS[name].seeds,
            out,
            profile,
            device,
            augmented=str(augmented) if augmented else None,
            natural=str(natural) if natural else None,
            speech=speech,
            notice=notice,
            share=array,
            scheduler=scheduler,
        )
    rows = experiments.summary(scores)
    if as_json:
        print_json(rows)
        return
    question = catalogue.EXPERIMENTS[name].question
    print_table(question, tuple(rows[0]), [tuple(row.values()) for row in rows])
    if array:
        typer.echo(f"share {array}; when all are done, the same without --array gathers them")
    else:
        typer.echo(str(out / f"{name}.json"))


def _list(known, as_json):
    if as_json:
        rows = [
            {"name": name, "question": entry.question, "claims": entry.claims}
            for name, entry in known.items()
        ]
        print_json(rows)
        return
    cells = [(name, entry.question, " ".join(entry.claims)) for name, entry in known.items()]
    print_table("experiments, the most important first", ("name", "question", "claims"), cells)
