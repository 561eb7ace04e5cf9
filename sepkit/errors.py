"""The one exception that sepkit raises at its users, and the one warning."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class SepkitError(ValueError):
    """A mistake that the user can mend.

    The message is one line: which file or argument, what was expected, and
    what to do. The command line prints it without a traceback.
    """


def unknown(kind: str, name: object, known: Iterable[object]) -> SepkitError:
    """The error for a name that does not exist, listing those that do.

    Parameters
    ----------
    kind : str
        What the name should have been, such as ``"model"``.
    name : object
        What was given.
    known : iterable of str
        What exists.
    """
    return SepkitError(f"unknown {kind} {name!r}: choose from {', '.join(map(str, known))}")


def first_few(names: Iterable[str], at_most: int = 3) -> str:
    """The first of some names, for a message: ``a, b, c and 4 more``."""
    names = list(names)
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def naming(name: object) -> Iterator[None]:
    """Put a name, such as a song's, before the errors of a block that do not say it."""
    try:
        yield
    except SepkitError as error:
        raise SepkitError(str(error) if str(name) in str(error) else f"{name}: {error}") from None


class Notice(UserWarning):
    """Something was done to the user's data that they may want to know, such as resampling."""


def warn(message: str) -> None:
    """Issue a `Notice` as a Python warning."""
    warnings.warn(message, Notice, stacklevel=3)
