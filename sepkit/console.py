"""How the command line talks: one-line errors, tables, JSON, progress on terminals only."""

import errno
import functools
import json
import os
import sys
import warnings
from contextlib import contextmanager

import typer

from .errors import SepkitError
from .runtime import interruption
from .validation import parsed


def plainly(function):
    """Turn what a command raises into one line on stderr and an exit code.

    1 for errors, 130 for Ctrl-C. With ``--debug`` (or ``SEPKIT_DEBUG=1``) the
    exception goes through, with its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            with interruption.work(), warnings.catch_warnings():
                warnings.showwarning = _as_note
                return function(*args, **kwargs)
        except KeyboardInterrupt as stop:
            interruption.tell(str(stop))
            raise typer.Exit(130) from None
        except typer.Exit:
            raise
        except BrokenPipeError:  # the reader, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            if os.environ.get("SEPKIT_DEBUG", "0") not in ("", "0") or type(
                error
            ).__module__.startswith("typer"):
                raise
            complain(error)
            raise typer.Exit(1) from None

    return wrapped


def _as_note(message, category, filename, lineno, file=None, line=None):
    """A warning of ours in one line; those of others as Python shows them."""
    if category.__module__.startswith("sepkit"):
        note(message)
    else:
        typer.echo(
            warnings.formatwarning(message, category, filename, lineno, line), err=True, nl=False
        )


def complain(error):
    """One line on stderr about what went wrong."""
    typer.echo(f"sepkit: error: {describe(error)}", err=True)


def note(message):
    """One line on stderr about something that the user may want to know."""
    typer.echo(f"sepkit: note: {_one_line(message)}", err=True)


def printable(text):
    """Text of one line: what would end it, move the cursor or change colours becomes a code."""
    text = str(text)
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    )


def _one_line(text):
    return printable(" ".join(str(text).split()))


def describe(error):
    """One line about an exception."""
    if isinstance(error, SepkitError):
        return _one_line(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        full = "; free some space or choose another folder" if error.errno == errno.ENOSPC else ""
        return _one_line(f"{where}{error.strerror}{full}")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory; use shorter chunks, a smaller batch or --device cpu"
    if isinstance(error, ModuleNotFoundError) and not error.name.startswith("sepkit"):
        return f"{error.name} is not installed; run: pip install 'sepkit[all]'"
    if isinstance(
        error, UnicodeEncodeError
    ):  # most often the name of a file, of bytes in no known order
        name = ascii(error.object if len(error.object) < 200 else f"{error.object[:200]}...")
        return f"{name}: {error.encoding} has no such characters; give it another name, or run again with PYTHONUTF8=1"
    text = _one_line(error)[:300]
    return f"unexpected {type(error).__name__}: {text}; run again with --debug to see where"


def print_json(value):
    """JSON on stdout, NaN as null, for other programs to read."""
    from .files import _finite

    typer.echo(json.dumps(_finite(value), indent=1, ensure_ascii=False))


def print_table(title, columns, rows):
    """A table: drawn on a terminal; in a pipe tab-separated, a comment line for the title."""
    if not sys.stdout.isatty():
        typer.echo(f"# {printable(title)}")
        for row in (columns, *rows):
            typer.echo("\t".join(printable(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title)), title_justify="left")
    for index, column in enumerate(columns):
        numeric = index and all(_is_number(row[index]) for row in rows)
        table.add_column(
            Text(printable(column)), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)


def _is_number(cell):
    return str(cell).lstrip("+-\N{MINUS SIGN}").replace(".", "", 1).isdigit() or str(cell) in (
        "",
        "-",
        "nan",
    )


def on_terminal():
    """Whether somebody watches stderr, where progress goes."""
    return sys.stderr.isatty()


@contextmanager
def progress(description):
    """A progress bar on a terminal, nothing in a pipe.

    Yields ``update(done, total, label=None)``; `total` may be None.
    """
    if not on_terminal():
        yield lambda done, total=None, label=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total=None, label=None: bars.update(
            task, completed=done, total=total, description=printable(label or description)
        )


def assignments(pairs, option):
    """``["a=1", "b=x"]`` as ``{"a": 1, "b": "x"}``: values are read as JSON where they are JSON."""
    result = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SepkitError(f"{option} {pair}: expected NAME=VALUE")
        name = name.replace("-", "_")
        if name in result:
            raise SepkitError(f"{option} {name}: is given twice; give it once")
        result[name] = parsed(text)
    return result
