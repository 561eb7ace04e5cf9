"""What the terminal shows: one-line errors and notes, tables, and progress bars.

Only people see bars and drawn tables: in a pipe, tables are separated by tabs and nothing moves.
A function of the library that reports progress takes ``progress``, a callable, and calls it as
``progress(done, total, label)``; what it has to say goes to ``notice``, a callable of one line.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from .errors import SepkitError

if TYPE_CHECKING:
    from rich.progress import Progress


def print_error(error: Exception) -> None:
    """One line on stderr about what went wrong."""
    print_line(f"sepkit: error: {error_text(error)}", sys.stderr)


def print_note(message: object) -> None:
    """One line on stderr about something that the user may want to know."""
    print_line(f"sepkit: note: {_one_line(message)}", sys.stderr)


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Print at once, to stdout by default, so that lines of both streams keep their order."""
    print(text, file=stream, flush=True)


def printable(text: object) -> str:
    """Text of one line: what would end it, move the cursor or change colours becomes a code."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _one_line(text: object) -> str:
    return printable(" ".join(str(text).split()))


def error_text(error: BaseException) -> str:
    """One line about an exception: what is wrong, and what to do."""
    if isinstance(error, SepkitError):
        return _one_line(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        full = "; free some space or choose another folder" if error.errno == errno.ENOSPC else ""
        return _one_line(f"{where}{error.strerror}{full}")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory; use shorter chunks, a smaller batch or --device cpu"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("sepkit"):
        return f"{error.name} is not installed; run: pip install 'sepkit[all]'"
    if isinstance(error, UnicodeEncodeError):  # most often a file name whose encoding is unknown
        name = ascii(error.object if len(error.object) < 200 else f"{error.object[:200]}...")
        return (
            f"{name}: {error.encoding} has no such characters; give it another name, or run again "
            "with PYTHONUTF8=1"
        )
    text = _one_line(error)[:300]
    return f"unexpected {type(error).__name__}: {text}; run again with --debug to see where"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table: drawn on a terminal; in a pipe tab-separated, a comment line for the title."""
    if not sys.stdout.isatty():
        print_line(f"# {printable(title)}")
        for row in (columns, *rows):
            print_line("\t".join(printable(cell) for cell in row))
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


def _is_number(cell: object) -> bool:
    text = str(cell)
    digits = text.lstrip("+-\N{MINUS SIGN}").replace(".", "", 1)
    return digits.isdigit() or text in ("", "-", "nan")


def on_terminal() -> bool:
    """Whether stderr, where progress goes, is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def progress_bar(
    description: str, unit: str = "", shown: bool = True, keep: bool = False
) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal, nothing in a pipe.

    Parameters
    ----------
    description : str
        What stands before the bar.
    unit : str
        What is counted, such as ``"songs"``; without it the bar shows a percentage.
    shown : bool
        Whether a bar is wanted at all.
    keep : bool
        Whether the finished bar stays on the terminal.

    Yields
    ------
    callable
        ``update(done, total=None, label=None)``: a label takes the place of the description.
    """
    with progress_bars(unit, shown, keep) as bars:
        if bars is None:
            yield lambda done, total=None, label=None: None
            return
        task = bars.add_task(printable(description), total=None)
        yield lambda done, total=None, label=None: bars.update(
            task, completed=done, total=total, description=printable(label or description)
        )


@contextmanager
def progress_bars(
    unit: str = "", shown: bool = True, keep: bool = True
) -> Iterator[Progress | None]:
    """Several progress bars, each a task of ``rich.progress.Progress``; None in a pipe.

    The parameters are those of `progress_bar`.
    """
    if not (shown and on_terminal()):
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    counts = (MofNCompleteColumn(), TextColumn(unit, markup=False))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(counts if unit else (TaskProgressColumn(),)),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=not keep) as bars:
        yield bars
