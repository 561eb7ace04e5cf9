"""Kinds of values, such as a whole number from 1 to 8, and errors that say what was expected.

Settings of networks, parts of a recipe, options and the chapters' parameters are checked by them;
they come from users and from files. The limits are far beyond anything of use: a slip is an error
at once, before it costs memory or hours.
"""

import json
import math
import os
import pathlib
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, Protocol

from .errors import SepkitError
from .names import fault


class Kind(Protocol):
    """A kind of values; its text says in an error what was expected."""

    def fits(self, value: Any) -> bool:
        """Whether a value is of this kind."""


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    whole: bool = True

    def fits(self, value: Any) -> bool:
        """Whether a value is a number in this range."""
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        return bool(self.low <= value <= self.high)  # type: ignore[operator]

    def __str__(self) -> str:
        return f"a {'whole ' if self.whole else ''}number from {self.low:.10g} to {self.high:.10g}"


class Switch:
    """True or false."""

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


class Text:
    """Printable text of at most 100 characters."""

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        return isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()

    def __str__(self) -> str:
        return "a name of at most 100 characters"


class Name:
    """What may become the name of a file, such as a target's."""

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        return fault(value) is None

    def __str__(self) -> str:
        return "a plain name, without folders"


class Path:
    """What may be the path of a file or folder."""

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        return (
            isinstance(value, (str, PurePath))
            and 0 < len(str(value)) <= 4096
            and "\0" not in str(value)
        )

    def __str__(self) -> str:
        return "a path"


@dataclass(frozen=True)
class Several:
    """A sequence of 1 to `most` values of a kind."""

    kind: Kind
    most: int = 64

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        listed = isinstance(value, (list, tuple)) and 1 <= len(value) <= self.most
        return listed and all(self.kind.fits(one) for one in value)

    def __str__(self) -> str:
        return (
            f"a list of {self.kind}"
            if self.kind.__class__ is not Number
            else f"a list, each {self.kind}"
        )


@dataclass(frozen=True)
class Either:
    """A value of one of several kinds; None stands for null."""

    kinds: tuple

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        return any(value is None if kind is None else kind.fits(value) for kind in self.kinds)

    def __str__(self) -> str:
        return " or ".join("null" if kind is None else str(kind) for kind in self.kinds)


@dataclass(frozen=True)
class Pair:
    """A range (low, high) of numbers of a kind."""

    kind: Number

    def fits(self, value: Any) -> bool:
        """Whether it is of this kind."""
        listed = isinstance(value, (list, tuple)) and len(value) == 2
        return listed and all(self.kind.fits(one) for one in value) and value[0] <= value[1]

    def __str__(self) -> str:
        return f"a pair (low, high), each {self.kind}"


def optional(*kinds: Kind) -> Either:
    """A value of one of these kinds, or None."""
    return Either((*kinds, None))


def checked(name: str, value: Any, kind: Kind) -> Any:
    """A value if it is of a kind; a float such as 512.0 as an integer where one belongs.

    Raises
    ------
    SepkitError
        Naming it, and what was expected.
    """
    if (
        isinstance(value, float)
        and math.isfinite(value)
        and value == int(value)
        and not kind.fits(value)
    ):
        value = int(value)
    if not kind.fits(value):
        text = repr(value)
        raise SepkitError(
            f"{name}={text if len(text) <= 60 else f'{text[:57]}...'}: {kind} was expected"
        )
    return value


#: What numpy and torch both take.
SEED = Number(0, 2**32 - 1)
#: Seeds of one call; beyond that a number was mistyped.
MOST_SEEDS = 10_000
#: Processes or threads of one call.
WORKERS = Number(1, 1024)


def number(name: str, text: Any, kind: Number) -> Any:
    """The number that a text holds, or a number itself, of this kind; errors as `checked`."""
    value = text
    for read in (int, float) if isinstance(text, str) else ():
        try:
            value = read(text)
            break
        except ValueError:
            continue
    value = checked(name, value, kind)
    return value if kind.whole else float(value)


def seeds(name: str, text: str) -> tuple[int, ...]:
    """``"0..7"``, ``"3"`` or ``"0,2,5..9"`` as numbers, each once.

    Raises
    ------
    SepkitError
        For anything else, and for more than `MOST_SEEDS`.
    """
    found: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        first, dots, last = part.partition("..")
        try:
            low = number(name, first, SEED)
            high = number(name, last, SEED) if dots else low
            if not low <= high < low + MOST_SEEDS:
                raise SepkitError(part)
        except SepkitError:
            raise SepkitError(
                f"{name}={text[:60]!r}: numbers such as 0, 0..7 or 0,2,5 were expected, at most "
                f"{MOST_SEEDS}"
            ) from None
        found |= dict.fromkeys(range(low, high + 1))
    return tuple(found)


def place(name: str, value: object) -> pathlib.Path:
    """The path that was given for a file or folder, with ``~`` spelled out.

    Raises
    ------
    SepkitError
        If it is empty, or no path on any system.
    """
    text = str(value)
    if not text.strip() or not Path().fits(text):
        raise SepkitError(f"{name}={text[:60]!r}: a file or folder was expected")
    spelled = os.path.expanduser(text)
    user = text.split(os.sep)[0]
    if user.startswith("~") and spelled.startswith("~"):
        raise SepkitError(
            f"{name}={text[:60]!r}: there is no user {user[1:]!r} here; a folder of that name is "
            f"./{user}"
        )
    return pathlib.Path(spelled)


def parsed(text: str) -> Any:
    """The value behind NAME= on the command line: parsed where it is JSON, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # also a number of more than 4300 digits
        return text
