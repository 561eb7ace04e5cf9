"""An IPython extension: a name that is missing is explained by the cell that makes it.

After a restart of the kernel nothing is defined, and the first cell that is run stops with a bare
NameError. The kernel of ``make lab`` loads this extension, so that the first line of the error
says which cell is to be run. Elsewhere: ``%load_ext sepkit.learn.missing_names``.
"""

import os
import re
import symtable
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import SepkitError
from ..files import read_json

_WIDTH = 60


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext`` calls."""
    shell.set_custom_exc((NameError,), _explain)


def _explain(
    shell: Any, kind: type, error: NameError, traceback: TracebackType, tb_offset: int | None = None
) -> None:
    path = os.environ.get("JPY_SESSION_NAME", "")  # set by the Jupyter server, for a notebook
    said = where_it_is_made(error.name, Path(path)) if kind is NameError and error.name else ""
    if said:
        print(said, file=sys.stderr)
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)


def where_it_is_made(name: str, notebook: Path) -> str:
    """Say which cell of a notebook makes a name.

    Parameters
    ----------
    name : str
    notebook : Path

    Returns
    -------
    str
        A sentence; empty if no cell makes the name, or the notebook cannot be read.
    """
    try:
        cells = read_json(notebook)["cells"]
    except (SepkitError, OSError, KeyError, TypeError):
        return ""
    section, number = "", 0
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"(?m)^#+ (.*)", source)
            section = f', section "{headings[-1]}"' if headings else section
        elif cell["cell_type"] == "code":
            number += 1
            if name in _made(source):
                first = source.strip().splitlines()[0]
                first = first if len(first) <= _WIDTH else f"{first[: _WIDTH - 3]}..."
                return (
                    f"{name} is made in code cell {number} ({first}){section}, which has not run"
                    " since the kernel was started: choose Run > Run All Above Selected Cell."
                )
    return ""


def _made(source):
    """The names that a cell's code binds at its top level."""
    plain = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)  # lines that only IPython understands
    try:
        table = symtable.symtable(plain, "cell", "exec")
    except SyntaxError:
        return set()
    found = table.get_symbols()
    return {symbol.get_name() for symbol in found if symbol.is_assigned() or symbol.is_imported()}
