"""Options: a check for each kind of value, and the refusal of options that would be ignored."""

from typing import Annotated

import typer

from .. import validation
from ..datasets import DATA_HELP
from ..errors import SepkitError


def number(kind):
    """For ``typer.Option(**...)``: a number of this kind, or a usage error."""
    return {
        "parser": lambda text: _told(validation.number, text, kind),
        "metavar": "INTEGER" if kind.whole else "FLOAT",
    }


def _place(text):
    return _told(validation.place, text)


def _data_set(text):
    return str(_told(validation.place, text))


#: For ``typer.Option(**...)``: the path of a file or folder, ``~`` spelled out.
PLACE = {"parser": _place, "metavar": "PATH"}
#: A data set's name or a folder; whether it exists is seen when it is opened.
DATA_SET = {"parser": _data_set, "metavar": "NAME|FOLDER"}
#: The type of ``data: Data = "band"``: the option --data of a command.
Data = Annotated[str, typer.Option(help=DATA_HELP, **DATA_SET)]
SEED, WORKERS = number(validation.SEED), number(validation.WORKERS)


def _told(check, text, *more):
    try:
        return check("", text, *more)
    except SepkitError as error:
        raise typer.BadParameter(str(error).removeprefix("=")) from None


def assignments(pairs, option):
    """``["a=1", "b=x"]`` as ``{"a": 1, "b": "x"}``: values are read as JSON where they are JSON.

    Raises
    ------
    SepkitError
        For a pair without ``=``, or a name given twice; names the option.
    """
    result = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SepkitError(f"{option} {pair}: expected NAME=VALUE")
        name = name.replace("-", "_")
        if name in result:
            raise SepkitError(f"{option} {name}: is given twice; give it once")
        result[name] = validation.parsed(text)
    return result


def refuse_unused(context, form, *names):
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
            parameter = next(
                parameter for parameter in context.command.params if parameter.name == name
            )
            raise SepkitError(f"{parameter.opts[0]}: has no effect with {form}; leave it out")


def refuse_preset(context, data):
    """Refuse ``--preset`` where it would say nothing: only the band comes in sizes."""
    if data != "band":
        refuse_unused(context, f"--data {data}: only the band has sizes", "preset")
