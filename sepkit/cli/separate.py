"""``sepkit separate``: songs into their stems."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import DEFAULT_MODEL
from ..console import print_error, print_note, progress_bar
from ..formats import READABLE
from ..runtime.interruption import resumes
from ..validation import Number
from .options import PLACE, number
from .output import errors_in_one_line

EXAMPLES = (
    "Examples: sepkit separate song.mp3 --two-stems vocals --out separated | "
    "sepkit separate album --ext mp3 --bitrate 192 | "
    "sepkit separate 'artist/*/*.flac' --name '{parent}/{stem}'"
)


@errors_in_one_line
def separate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help=f"Audio files ({READABLE}); folders, for all audio in them and below, but of a "
            "song's folder only its mixture, and nothing hidden; patterns such as '*.flac'.",
            metavar="IN...",
            show_default=False,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="A model's name, an oracle-free method, a checkpoint or a folder of them. The "
            "default has vocals and accompaniment; open-unmix-four-stems has four stems."
        ),
    ] = DEFAULT_MODEL,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The yaml file of the RoFormer whose weights --model is.",
            show_default="none",
            **PLACE,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the stems, one folder per song.", **PLACE)
    ] = Path("separated"),
    name: Annotated[
        str,
        typer.Option(
            help="What a song's folder is called, from {stem}, {parent}, {ext}, {model}, {index}."
        ),
    ] = "{stem}",
    two_stems: Annotated[
        str | None,
        typer.Option(
            help="Only this target and the rest, such as vocals.", show_default="all targets"
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto takes cuda, then mps, then cpu; or one of them.")
    ] = "auto",
    ext: Annotated[
        str, typer.Option(help="wav (32-bit float), flac (24 bit), mp3 or ogg.")
    ] = "wav",
    subtype: Annotated[
        str | None,
        typer.Option(
            help="wav: FLOAT, PCM_16, PCM_24, PCM_32, DOUBLE; flac: PCM_24, PCM_16; "
            "ogg: VORBIS, OPUS.",
            show_default="the first",
        ),
    ] = None,
    bitrate: Annotated[
        int | None,
        typer.Option(help="Of mp3, constant, in kbit/s, 64 to 320.", show_default="variable"),
    ] = None,
    clip: Annotated[
        bool,
        typer.Option("--clip", help="Clip samples beyond full scale, where the format needs it."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace stems that another separation has made.")
    ] = False,
    residual: Annotated[
        bool,
        typer.Option(
            "--residual", help="Share what is left over, so that the stems sum to the mixture."
        ),
    ] = False,
    niter: Annotated[
        int | None,
        typer.Option(
            help="Rounds of the Wiener filter; 0: the phase of the mixture.",
            **number(Number(0, 100)),
            show_default="as the model needs: 1 or 0",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of the networks: float32, bfloat16 or int8 (CPU only).", show_default="as trained"
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the networks first, which takes a minute or more: for many songs.",
        ),
    ] = False,
):
    """Split songs into their stems.

    A folder of stems belongs to one separation, recorded in the separation.json
    in it: the recording (a hash of its bytes), the model and its weights, the
    options. The same call leaves finished songs as they are and goes on with
    the others. Another recording of that name, another model or other options
    are refused; --overwrite replaces the stems.

    Title, artist, album, date, track, genre and copyright are carried over;
    comments and pictures are not.
    """
    resumes("finished songs are kept, and the same command goes on")
    from ..errors import unknown

    suffix, suffixes = f".{ext.lstrip('.').lower()}", ("wav", "flac", "mp3", "ogg")
    if suffix[1:] not in suffixes:
        raise unknown("format", ext, suffixes)
    from .. import separation
    from ..audio.writer import output_format
    from ..device import resolve_device

    output_format(f"stem{suffix}", subtype, bitrate)
    separator = separation.get(
        model,
        resolve_device(device),
        config=config,
        niter=niter,
        residual=residual,
        precision=precision,
        compile=compiled,
    )
    folders = separation.output_folders(
        separation.find_recordings(inputs), out, name, separator.name
    )
    options: dict[str, Any] = {
        "two_stems": two_stems,
        "suffix": suffix,
        "subtype": subtype,
        "bitrate": bitrate,
        "clip": clip,
        "overwrite": overwrite,
    }
    if not _separate_all(folders, separator, out, options):
        raise typer.Exit(1)


def _separate_all(folders, separator, out, options):
    """Separate {path: folder}, printing the stems' paths; whether all songs went well."""
    from ..errors import SepkitError
    from ..separation import separate_file

    well = True
    for position, (path, folder) in enumerate(folders.items(), 1):
        title = f"{position}/{len(folders)} {path.name}" if len(folders) > 1 else path.name
        try:
            with progress_bar(title) as update:
                written = separate_file(
                    path,
                    separator,
                    out,
                    folder=folder,
                    progress=update,
                    reuse=True,
                    notice=print_note,
                    **options,
                )
        except (SepkitError, OSError, UnicodeEncodeError) as error:  # the other songs go on
            print_error(error)
            well = False
        else:
            for stem in written.values():
                typer.echo(str(stem) if os.name == "nt" else os.fsencode(stem))
    return well
