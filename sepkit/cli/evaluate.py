"""``sepkit evaluate``: score two folders, or a separator on a data set, or show kept scores."""

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import print_note, print_table, progress_bar
from ..errors import SepkitError
from ..runtime.interruption import resumes
from ..validation import Number
from .options import (
    DATA_SET,
    PLACE,
    WORKERS,
    Array,
    Data,
    Scheduler,
    number,
    refuse_preset,
    refuse_unused,
)
from .output import print_json

EXAMPLES = (
    "Examples: sepkit evaluate --reference songs --estimate separated --out scores.json | "
    "sepkit evaluate --separator open-unmix --data band --workers 2 --out build/open-unmix | "
    "sepkit evaluate --scores build/open-unmix"
)
_METRICS = ["csdr,usdr,si_sdr"]
_FRAME = number(Number(0.001, 86400, whole=False))
_WAYS = "give --reference and --estimate, or --separator, or --scores"


def evaluate(
    context: typer.Context,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Folder of songs with their true stems (or of one song), or a data set's name.",
            show_default=False,
            **DATA_SET,
        ),
    ] = None,
    estimate: Annotated[
        Path | None,
        typer.Option(
            help="Folder of songs with estimated stems, named alike.", show_default=False, **PLACE
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(help="Or: separate --data with this, and score that.", show_default=False),
    ] = None,
    data: Data = "band",
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    preset: Annotated[str, typer.Option(help="Size of the band.")] = "student",
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="Or: show these; files of sepkit or museval, or folders of them. May be repeated.",
            show_default=False,
            **PLACE,
        ),
    ] = None,
    metrics: Annotated[
        list[str],
        typer.Option(
            "--metrics",
            "--metric",
            help="csdr, usdr, si_sdr, si_sar, log_wmse, mr_stft (lower is better), isr, sir, "
            "sar: with commas, or repeated.",
        ),
    ] = _METRICS,
    window: Annotated[
        float, typer.Option(help="Frames of csdr, isr, sir and sar, in seconds.", **_FRAME)
    ] = 1.0,
    hop: Annotated[float, typer.Option(help="From frame to frame, in seconds.", **_FRAME)] = 1.0,
    songs: Annotated[bool, typer.Option("--songs", help="Show every song.")] = False,
    interval: Annotated[
        bool, typer.Option("--interval", help="Show 95 % intervals, by resampling songs.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Keep the scores: a folder, or a .json file. The same call goes on after a stop.",
            show_default="printed only",
            **PLACE,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto takes cuda, then mps, then cpu; or one of them.")
    ] = "auto",
    workers: Annotated[
        int, typer.Option(help="Songs at a time, each in a process of its own.", **WORKERS)
    ] = 1,
    array: Array = None,
    scheduler: Scheduler = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help='Print JSON: infinite scores as "inf" or "-inf", undefined ones as null.'
        ),
    ] = False,
):
    """Score estimated stems against the true ones, or a separator on a data set.

    Songs and stems are paired by name. What is unusual about them (silent or
    collinear stems, estimates that are the mixture, too short, too late, ...) is told.
    """
    folders = reference is not None or estimate is not None
    whole = reference is not None and estimate is not None
    if sum((folders, separator is not None, bool(scores))) != 1 or folders != whole:
        raise typer.BadParameter(_WAYS)
    _refuse_unused(context, data, folders, scores)
    if array and out is None:
        raise SepkitError(f"--array {array}: keeps nothing without --out; give one")
    if not scores:
        kept = "scores of finished songs are kept, and the same command goes on"
        resumes(kept if out else "nothing is kept without --out")
    from .. import evaluation

    if scores:
        found = [score for path in scores for score in evaluation.load(path)]
    else:
        options: dict[str, Any] = {
            "out": out,
            "metrics": _chosen_metrics(metrics),
            "workers": workers,
            "window": window,
            "hop": hop,
            "share": array,
            "scheduler": scheduler,
        }
        if folders:
            found = _with_progress(evaluation.evaluate_folders, reference, estimate, **options)
        else:
            found = _score_separator(separator, data, split, preset, device, **options)
    if as_json:
        print_json([_json_row(score) for score in found])
    else:
        _print_tables(evaluation.tables(found, songs, interval))


def _chosen_metrics(texts):
    """Names from ``--metrics a,b --metric c``, each once; unknown ones are refused early."""
    from ..metrics.scoring import check_metrics

    names = [name for text in texts for name in text.replace(" ", "").split(",") if name]
    chosen = tuple(dict.fromkeys(names))
    check_metrics(chosen)  # before a data set is rendered or decoded for nothing
    return chosen


def _score_separator(name, data, split, preset, device, **options):
    from .. import datasets, evaluation, separation

    if options["scheduler"]:  # whose workers move it to the device
        options["device"] = device
        device = "cpu"
    separator = separation.get(name, device=device)
    tracks = datasets.open_tracks(data, split, preset=preset)
    options["dataset"] = datasets.data_set_name(data)
    if data == "band":
        options["preset"] = preset
    return _with_progress(evaluation.evaluate, separator, tracks, **options)


def _with_progress(evaluate, *arguments, **options):
    """Call a function of `sepkit.evaluation`; its notes are printed once the bar has gone."""
    notes = []
    with progress_bar("scoring") as update:
        found = evaluate(*arguments, progress=update, notice=notes.append, **options)
    for text in notes:
        print_note(text)
    return found


def _print_tables(tables):
    """On a terminal with the metric's card below each table, else with the card in its title."""
    drawn = sys.stdout.isatty()
    for table in tables:
        title = table.title if drawn else f"{table.title}: {table.card}"
        print_table(title, table.columns, table.rows)
        if drawn:
            typer.echo(f"{table.card}\n")


def _json_row(score):
    """A score for JSON, which has no infinity: its name instead, as in files of scores."""
    value = str(score.value) if math.isinf(score.value) else score.value
    return {**asdict(score), "value": value}


def _refuse_unused(context, data, folders, scores):
    separating = ("data", "split", "preset", "device")
    if scores:
        refuse_unused(
            context,
            "--scores",
            *separating,
            *("metrics", "window", "hop", "out", "workers", "array", "scheduler"),
        )
        return
    if context.params["scheduler"]:
        refuse_unused(context, "--scheduler", "workers")
    if folders:
        refuse_unused(context, "--reference and --estimate", *separating)
    else:
        refuse_preset(context, data)
