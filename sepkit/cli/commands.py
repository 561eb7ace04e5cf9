"""The command ``sepkit``: a thin layer over the package.

Nothing heavy is imported before it is needed.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..console import print_table
from .data import app as data_app
from .evaluate import EXAMPLES as EVALUATE_EXAMPLES
from .evaluate import evaluate
from .experiment import EXAMPLES as EXPERIMENT_EXAMPLES
from .experiment import experiment
from .fetch import EXAMPLES as FETCH_EXAMPLES
from .fetch import fetch
from .options import Json
from .output import errors_in_one_line, print_json
from .reproduce import EXAMPLES as REPRODUCE_EXAMPLES
from .reproduce import reproduce
from .separate import EXAMPLES as SEPARATE_EXAMPLES
from .separate import separate
from .train import EXAMPLES as TRAIN_EXAMPLES
from .train import train
from .verify import EXAMPLES as VERIFY_EXAMPLES
from .verify import verify

app = typer.Typer(
    help="Music source separation: separate, train, evaluate, and reproduce the field's tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(data_app, name="data")
app.command(epilog=REPRODUCE_EXAMPLES)(errors_in_one_line(reproduce))


def _version(given: bool) -> None:
    if given:
        typer.echo(f"sepkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="SEPKIT_DEBUG")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the name of a command."""
    if debug:
        os.environ["SEPKIT_DEBUG"] = "1"


@app.command(epilog="Example: sepkit doctor")
@errors_in_one_line
def doctor(
    root: Annotated[
        Path | None,
        typer.Option(help="Data root to look in.", show_default="$SEPKIT_DATA, or data/"),
    ] = None,
    as_json: Json = False,
) -> None:
    """What this machine has, what it lacks, and what to do about it."""
    from dataclasses import asdict

    from .doctor import examine

    checks = examine(root)
    if as_json:
        print_json([asdict(check) for check in checks])
        return
    sign = {"ok": "ok", "note": "-", "gap": "GAP"}
    rows = [(sign[check.status], check.topic, check.found, check.remedy) for check in checks]
    print_table("sepkit doctor", ("", "what", "found", "what to do"), rows)


@app.command(epilog="Example: sepkit models --json")
@errors_in_one_line
def models(as_json: Json = False) -> None:
    """The networks that can be trained, the methods that need no training, and trained weights."""
    from .listing import separators, tables

    if as_json:
        print_json(separators())
        return
    for title, columns, rows in tables():
        print_table(title, columns, rows)


app.command(epilog=SEPARATE_EXAMPLES)(separate)
app.command(epilog=EVALUATE_EXAMPLES)(errors_in_one_line(evaluate))
app.command(epilog=EXPERIMENT_EXAMPLES)(errors_in_one_line(experiment))
app.command(epilog=FETCH_EXAMPLES)(errors_in_one_line(fetch))
app.command(epilog=TRAIN_EXAMPLES)(errors_in_one_line(train))
app.command(epilog=VERIFY_EXAMPLES)(errors_in_one_line(verify))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line in this process; ``--debug`` is understood anywhere."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        given = ["--debug", *(argument for argument in given if argument != "--debug")]
    app(args=given, prog_name="sepkit")
