"""The command ``sepkit``: a thin layer over the package. Nothing heavy is imported before it is needed."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..interruption import resumes
from .data import app as data_app
from .evaluate import EXAMPLES, evaluate
from .experiment import EXAMPLES as EXPERIMENT_EXAMPLES
from .experiment import experiment
from .reproduce import EPILOG, reproduce
from .train import EXAMPLES as TRAIN_EXAMPLES
from .train import train
from .console import complain, note, plainly, print_json, print_table, progress

app = typer.Typer(
    help="Music source separation: separate, train, evaluate, and reproduce the field's tables.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip
app.add_typer(data_app, name="data")
app.command(epilog=EPILOG)(plainly(reproduce))

Device = Annotated[str, typer.Option(help="auto takes cuda, then mps, then cpu; or one of them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _version(wanted):
    if wanted:
        typer.echo(f"sepkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="SEPKIT_DEBUG")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
):
    if debug:
        os.environ["SEPKIT_DEBUG"] = "1"


@app.command(epilog="Example: sepkit doctor")
@plainly
def doctor(
    root: Annotated[Path | None, typer.Option(help="Data root to look in.", show_default="$SEPKIT_DATA, or data/")] = None,
    as_json: Json = False,
):
    """What this machine has, what it lacks, and what to do about it."""
    from dataclasses import asdict

    from .doctor import examine

    checks = examine(root)
    if as_json:
        return print_json([asdict(check) for check in checks])
    sign = {"ok": "ok", "note": "-", "gap": "GAP"}
    rows = [(sign[check.status], check.topic, check.found, check.remedy) for check in checks]
    print_table("sepkit doctor", ("", "what", "found", "what to do"), rows)


@app.command(epilog="Example: sepkit models --json")
@plainly
def models(as_json: Json = False):
    """The networks that can be trained, the methods that need no training, and trained weights."""
    from .listing import separators, tables

    if as_json:
        return print_json(separators())
    for title, columns, rows in tables():
        print_table(title, columns, rows)


@app.command(epilog="Example: sepkit separate song.mp3 --two-stems vocals --out separated")
@plainly
def separate(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Audio files: wav, flac, ogg, mp3.", metavar="IN...", show_default=False),
    ],
    model: Annotated[
        str,
        typer.Option(help="A model's name, an oracle-free method, a checkpoint or a folder of them."),
    ] = "open-unmix",
    out: Annotated[Path, typer.Option(help="Folder for the stems, one folder a song.")] = Path("separated"),
    two_stems: Annotated[
        str | None,
        typer.Option(help="Only this target and the rest, such as vocals.", show_default="all targets"),
    ] = None,
    device: Device = "auto",
    ext: Annotated[str, typer.Option(help="wav (32-bit float), flac, mp3 or ogg.")] = "wav",
    clip: Annotated[
        bool,
        typer.Option("--clip", help="Clip samples beyond full scale, where the format needs it."),
    ] = False,
    residual: Annotated[
        bool,
        typer.Option("--residual", help="Share what is left over, so that the stems sum to the mixture."),
    ] = False,
    niter: Annotated[
        int | None,
        typer.Option(help="Rounds of the Wiener filter; 0: the phase of the mixture.", min=0, show_default="1 with all targets, else 0"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Of the networks: float32, bfloat16 or int8 (CPU only).", show_default="as trained"),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the networks first, which takes a minute or more: for many songs."),
    ] = False,
):
    """Split songs into their stems."""
    resumes("finished songs are kept")
    from ..errors import SepkitError, unknown

    suffixes = ("wav", "flac", "mp3", "ogg")
    if ext.lstrip(".").lower() not in suffixes:
        raise unknown("format", ext, suffixes)
    from .. import separation
    from ..device import resolve_device

    separator = separation.get(
        model, resolve_device(device), niter=niter, residual=residual, precision=precision, compile=compiled
    )
    options = {"two_stems": two_stems, "suffix": f".{ext.lstrip('.').lower()}", "clip": clip, "notice": note}
    failed = False
    for path in separation.output_folders(inputs, out):
        try:
            with progress(path.name) as update:
                written = separation.separate_file(path, separator, out, progress=update, **options)
        except SepkitError as error:  # the other songs go on
            complain(error)
            failed = True
        else:
            typer.echo("\n".join(map(str, written.values())))
    if failed:
        raise typer.Exit(1)


app.command(epilog=EXAMPLES)(plainly(evaluate))
app.command(epilog=EXPERIMENT_EXAMPLES)(plainly(experiment))


app.command(epilog=TRAIN_EXAMPLES)(plainly(train))


def main(arguments=None):
    """The command line in this process; ``--debug`` is understood anywhere."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in arguments:
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    app(args=arguments, prog_name="sepkit")
