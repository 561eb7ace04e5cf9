"""What is typed behind an option.

A check for each kind of value, and one for options that would be ignored.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .. import validation
from ..datasets import DATA_HELP
from ..errors import SepkitError


def number(kind: validation.Number) -> dict[str, Any]:
    """For ``typer.Option(**...)``: a number of this kind.

    Anything else is a usage error that says what was expected.
    """
    return {
        "parser": lambda text: _or_usage_error(validation.number, text, kind),
        "metavar": "INTEGER" if kind.whole else "FLOAT",
    }


def _place(text):
    return _or_usage_error(validation.place, text)


def _seeds(text):
    return _or_usage_error(validation.seeds, text) if isinstance(text, str) else text


def _data_set(text):
    return str(_or_usage_error(validation.place, text))


#: For ``typer.Option(**...)``: the path of a file or folder, ``~`` spelled out.
PLACE: dict[str, Any] = {"parser": _place, "metavar": "PATH"}
#: A data set's name or a folder; whether it exists is seen when it is opened.
DATA_SET: dict[str, Any] = {"parser": _data_set, "metavar": "NAME|FOLDER"}
#: For ``typer.Option(**...)``: one seed or several.
SEEDS: dict[str, Any] = {"parser": _seeds, "metavar": "SEEDS"}
#: The type of ``data: Data = "band"``: the option --data of a command.
Data = Annotated[str, typer.Option(help=DATA_HELP, **DATA_SET)]
#: The types of ``device: Device = "auto"`` and ``as_json: Json = False``.
Device = Annotated[str, typer.Option(help="auto takes cuda, then mps, then cpu; or one of them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: The types of ``array: Array = None`` and ``scheduler: Scheduler = None``.
Array = Annotated[
    str | None,
    typer.Option(help="Do one of M shares of the work, from 1.", metavar="N/M", show_default=False),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Do the work on the workers of this Dask scheduler.",
        metavar="ADDRESS",
        show_default=False,
    ),
]
SEED, WORKERS = number(validation.SEED), number(validation.WORKERS)


def _or_usage_error(check, text, *more):
    try:
        return check("", text, *more)
    except SepkitError as error:
        raise typer.BadParameter(str(error).removeprefix("=")) from None


def assignments(pairs: Sequence[str] | None, option: str) -> dict[str, Any]:
    """``["a=1", "b=x"]`` as ``{"a": 1, "b": "x"}``: values are read as JSON where they are JSON.

    Raises
    ------
    SepkitError
        For a pair without ``=``, or a name given twice; names the option.
    """
    result: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SepkitError(f"{option} {pair}: expected NAME=VALUE")
        name = name.replace("-", "_")
        if name in result:
            raise SepkitError(f"{option} {name}: is given twice; give it once")
        result[name] = validation.parsed(text)
    return result


def several(text: str) -> list[str]:
    """``"band,~/songs"`` as its parts, ``~`` spelled out; a folder may have a comma in its name.

    Raises
    ------
    SepkitError
        For a part that is empty, or no path.
    """
    parts = [text] if validation.place("--data", text).is_dir() else text.split(",")
    return [str(validation.place("--data", part.strip())) for part in parts]


def refuse_unused(context: typer.Context, form: str, *names: str) -> None:
    """Refuse options that were typed although this form of the command does nothing with them.

    Parameters
    ----------
    context : typer.Context
    form : str
        What they have no effect with, such as ``"--scores"``.
    *names : str
        Parameters of the command's function.

    Raises
    ------
    SepkitError
        Naming the option.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
            raise SepkitError(f"{options[name]}: has no effect with {form}; leave it out")


def refuse_preset(context: typer.Context, data: str) -> None:
    """Refuse ``--preset`` where it would say nothing: only the band comes in sizes."""
    if data != "band":
        refuse_unused(context, f"--data {data}: only the band has sizes", "preset")
