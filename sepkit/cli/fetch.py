"""``sepkit fetch``: data and weights, beforehand, for machines without a network."""

from typing import Annotated

import typer

from ..datasets import DATA_HELP
from ..errors import SepkitError
from ..runtime.interruption import resumes
from .options import several

EXAMPLES = "Examples: sepkit fetch --data band,musdb7s | sepkit fetch 04 05 --weights published"


def fetch(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(help="Numbers (01) or names.", metavar="[CHAPTER]...", show_default="all"),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="smoke, student or paper: the size of the band.", envvar="SEPKIT_PROFILE"
        ),
    ] = "student",
    data: Annotated[
        str, typer.Option(help=f"{DATA_HELP} Several with commas.", metavar="NAME|FOLDER,...")
    ] = "band",
    weights: Annotated[str, typer.Option(help="shipped, published or train.")] = "shipped",
) -> None:
    """Bring what the same `sepkit reproduce` needs, and check it; prints hash and path of each.

    For nodes of a cluster that have no network. On them, SEPKIT_OFFLINE=1 keeps chapters from
    trying it.
    """
    resumes("what is complete is kept, and the same command goes on")
    from ..reproduce import fetching
    from ..reproduce.grid import Grid

    grid = Grid(chapters or (), profile, weights, several(data))
    failed = []
    for need in fetching.needs(grid.chapters, profile, grid.data, weights):
        try:
            path = need.get()
            typer.echo(f"{fetching.hash_of(path)}  {need.name}  {path}")
        except SepkitError as error:  # others can still be brought
            failed.append(error)
            typer.echo(f"sepkit: error: {error}", err=True)
    if failed:
        raise typer.Exit(1)
