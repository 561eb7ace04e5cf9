"""Exercises that answer back: not attempted, not yet because ..., or right.

A chapter's exercises lie in ``chNN/exercises.py``::

    exercises = Exercises("01")

    @exercises.add("Count on your fingers.", "Both hands.")
    def ex_01_1(answer):
        '''Ten fingers.'''                    # said when the answer is right
        need(answer == 10, "there are thumbs too")

    check, hint = exercises.check, exercises.hint

In the notebook, ``check.ex_01_1(answer)`` and ``hint(1)``. An answer that was not
attempted never raises, so the cells after it run.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..errors import SepkitError

#: Judges an answer: raises `Wrong` or `NotAttempted`, or returns nothing.
Judge = Callable[[Any], None]

NOT_ATTEMPTED, WRONG, RIGHT = "not attempted", "wrong", "right"
_LOOKS = {NOT_ATTEMPTED: ("#6b7280", "○"), WRONG: ("#b45309", "✗"), RIGHT: ("#15803d", "✓")}


class Wrong(Exception):
    """Why an answer is wrong, in words for the reader; `need` raises it."""


class NotAttempted(Exception):
    """The answer, or what the answer's function returns, is still the stub."""


def need(condition: Any, because: str) -> None:
    """Inside a check: the answer is wrong unless `condition` holds."""
    if not condition:
        raise Wrong(because)


def attempt(function: Any, *arguments: Any) -> Any:
    """Inside a check: call the reader's function; one that returns ``...`` or None is a stub."""
    need(callable(function), f"a function was expected, not {type(function).__name__}")
    result = function(*arguments)
    if is_stub(result):
        raise NotAttempted
    return result


def as_tensor(result: Any) -> torch.Tensor:
    """Inside a check: turn what the reader's function returned into a tensor, or say it is none."""
    need(
        torch.is_tensor(result) or isinstance(result, (np.ndarray, float, int)),
        f"a tensor was expected, not {type(result).__name__}",
    )
    return torch.as_tensor(result)


def is_stub(answer: Any) -> bool:
    """Check whether an answer is still ``...`` or None, or a tuple that holds one of them."""
    if isinstance(answer, (tuple, list)):
        return any(is_stub(part) for part in answer)
    return answer is None or answer is Ellipsis


class Verdict:
    """What a check says. `status` is "not attempted", "wrong" or "right"; `text` says why."""

    def __init__(self, exercise: str, status: str, text: str):
        self.exercise, self.status, self.text = exercise, status, text

    def __bool__(self):
        return self.status == RIGHT

    def __str__(self):
        return (
            f"Exercise {self.exercise}: {self.status}{', because' if self.status == WRONG else '.'}"
            f" {self.text}"
        )

    __repr__ = __str__

    def _repr_html_(self):
        colour, sign = _LOOKS[self.status]
        because = ", because " if self.status == WRONG else ". "
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.35em'
            f' .8em;margin:.2em 0"><b style="color:{colour}">{sign} Exercise {self.exercise}:'
            f" {self.status}</b>{because}{_inline(self.text)}</div>"
        )


class Hint:
    """One hint; the next is named, not shown."""

    def __init__(self, exercise: str, level: int, of: int, text: str):
        self.exercise, self.level, self.of, self.text = exercise, level, of, text

    def __str__(self):
        number = self.exercise.split(".")[-1]
        more = (
            f" Next: hint({number}, {self.level + 1})."
            if self.level < self.of
            else " That was the last hint; the solution is below."
        )
        return f"Hint {self.level} of {self.of} for exercise {self.exercise}: {self.text}{more}"

    __repr__ = __str__

    def _repr_html_(self):
        return (
            '<div style="border-left:4px solid #1d6fa5;padding:.35em .8em;margin:.2em'
            f' 0">{_inline(str(self))}</div>'
        )


class Exercises:
    """The exercises of one chapter.

    Parameters
    ----------
    chapter : str
        Two digits, such as ``"01"``.

    Attributes
    ----------
    check : object
        With one method per exercise: ``check.ex_01_1(answer)`` returns a `Verdict`.
    """

    def __init__(self, chapter: str):
        self.chapter = chapter
        self._hints: dict[int, tuple[str, ...]] = {}
        self.check = _Check(chapter)

    def add(self, *hints: str) -> Callable[[Judge], Judge]:
        """Decorate a judging function called ``ex_NN_k``.

        It calls `need` (or raises `Wrong`) for a wrong answer; its docstring is said
        for a right one. `hints` go from a nudge to nearly the solution.
        """

        def register(judge):
            found = re.fullmatch(rf"ex_{self.chapter}_(\d+)", judge.__name__)
            if not found or not hints or not judge.__doc__:
                raise SepkitError(
                    f"{judge.__name__}: an exercise is called ex_{self.chapter}_k, and has hints"
                    " and a docstring"
                )
            number = int(found.group(1))
            self._hints[number] = hints
            setattr(self.check, judge.__name__, _checker(f"{int(self.chapter)}.{number}", judge))
            return judge

        return register

    def hint(self, exercise: int, level: int = 1) -> Hint:
        """Give hint number `level` of an exercise: ``hint(2)``, then ``hint(2, 2)``.

        Raises
        ------
        SepkitError
            If there is no such exercise or hint.
        """
        if exercise not in self._hints:
            raise SepkitError(
                f"hint({exercise!r}): this chapter has the exercises"
                f" {', '.join(map(str, sorted(self._hints)))}"
            )
        hints = self._hints[exercise]
        if level not in range(1, len(hints) + 1):
            raise SepkitError(
                f"hint({exercise}, {level!r}): this exercise has the hints 1 to {len(hints)}"
            )
        return Hint(
            f"{int(self.chapter)}.{exercise}", level, len(hints), " ".join(hints[level - 1].split())
        )


class _Check:
    def __init__(self, chapter):
        self._chapter = chapter

    def __getattr__(self, name):
        there = ", ".join(sorted(key for key in vars(self) if key.startswith("ex_")))
        raise AttributeError(
            f"chapter {self._chapter} has no exercise {name!r}: choose from {there}"
        )


def _checker(label, judge):
    praise = " ".join(judge.__doc__.split())

    def check(answer=...):
        try:
            if is_stub(answer):
                raise NotAttempted
            judge(answer)
        except NotAttempted:
            number = label.split(".")[1]
            return Verdict(label, NOT_ATTEMPTED, f"Replace the ... above. `hint({number})` helps.")
        except Wrong as reason:
            return Verdict(label, WRONG, str(reason))
        except Exception as error:  # whatever the reader wrote, the chapter goes on
            text = str(error).splitlines()[0] if str(error) else ""
            return Verdict(
                label, WRONG, f"your answer could not be used: {type(error).__name__}: {text}"
            )
        return Verdict(label, RIGHT, praise)

    check.__name__, check.__doc__ = judge.__name__, f"Check exercise {label}; returns a Verdict."
    return check


def _inline(text):
    """Escape, and set `code` between backquotes."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
