"""``sepkit data activity``: where the stems of a data set are active."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import error_text, print_note, print_table
from ..runtime.interruption import resumes
from .options import PLACE, WORKERS, Data, refuse_preset
from .output import errors_in_one_line, print_json


@errors_in_one_line
def activity(
    context: typer.Context,
    data: Data = "band",
    split: Annotated[
        str | None, typer.Option(help="train, valid or test.", show_default="all songs")
    ] = None,
    preset: Annotated[str, typer.Option(help="Size of the band.")] = "student",
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the index.", show_default="activity/ in the data root", **PLACE
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Songs at a time.", show_default="one per core", **WORKERS)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Find the active segments of every stem, keep them in an index, and count them.

    Segments of 6 s, overlapping by half, as in the paper of the band-split RNN;
    train with --recipe activity=true to use them.
    """
    refuse_preset(context, data)
    resumes("the index of finished songs is kept, and the same command goes on")
    from ..datasets import activity, open_tracks

    def left_out(error):
        print_note(f"{error_text(error)}; this song is left out")

    rows = activity.find(
        open_tracks(data, split, preset=preset, damaged=left_out), cache, workers, left_out
    ).statistics()
    if as_json:
        return print_json(rows)
    shown = [
        (
            row["stem"],
            row["songs"],
            row["segments"],
            row["kept"],
            f"{row['share']:.0%}",
            f"{row['kept_a_song']:.1f}",
            row["songs_without"],
        )
        for row in rows
    ]
    columns = ("stem", "songs", "segments", "active", "share", "active a song", "songs without")
    print_table(f"active segments of {data}", columns, shown)
