"""Exercises that answer back: not attempted, not yet because ..., partly right, or right.

A chapter's exercises lie in ``chNN/exercises.py``::

    exercises = Exercises("01")

    @exercises.add("Count on your fingers.", "Both hands.")
    def ex_01_1(answer):
        '''Ten fingers.'''                    # said when the answer is right
        need(number(answer) == 10, "there are thumbs too")

    check, hint = exercises.check, exercises.hint

In the notebook, ``check.ex_01_1(answer)`` and ``hint(1)``. An answer that was not attempted, or
that stops with an error, never raises, so the cells after it run. `sepkit.learn.judging` has what
the judging functions call.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from ..errors import SepkitError
from . import marks
from .judging import (
    Judge,
    NotAttempted,
    Wrong,
    as_tensor,
    attempt,
    expect,
    is_stub,
    judge_parts,
    need,
    number,
)

__all__ = [
    "Exercises",
    "NotAttempted",
    "Wrong",
    "as_tensor",
    "attempt",
    "expect",
    "is_stub",
    "judge_parts",
    "need",
    "number",
]

#: Makes what is heard below a verdict: the answer's own sound beside the one that is wanted.
Hear = Callable[[Any], Any]

NOT_ATTEMPTED, WRONG, PARTLY, RIGHT = marks.STATUSES
_LOOKS = {
    NOT_ATTEMPTED: ("#6b7280", "○"),
    WRONG: ("#b45309", "✗"),
    PARTLY: ("#8a6d00", "◐"),
    RIGHT: ("#15803d", "✓"),
}
_FORM = "it cannot be read in this form; compare it with the lines that stood there at first"


class Verdict:
    """What a check says.

    Attributes
    ----------
    exercise : str
        Such as ``"1.4"``.
    status : {"not attempted", "wrong", "partly right", "right"}
    text : str
        Why.
    credit : float
        From 0 to 1.
    """

    def __init__(
        self,
        exercise: str,
        status: str,
        text: str,
        credit: float = 0.0,
        hear: Callable[[], Any] | None = None,
    ):
        self.exercise, self.status, self.text, self.credit = exercise, status, text, credit
        self._hear = hear

    def __bool__(self):
        return self.status == RIGHT

    def _said(self):
        share = f" ({100 * self.credit:.0f} %)" if self.status == PARTLY else ""
        return f"Exercise {self.exercise}: {self.status}{share}"

    def __str__(self):
        because = ", because " if self.status in (WRONG, PARTLY) else ". "
        return f"{self._said()}{because}{self.text}"

    __repr__ = __str__

    def _repr_html_(self):
        colour, sign = _LOOKS[self.status]
        because = ", because " if self.status in (WRONG, PARTLY) else ". "
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.35em'
            f' .8em;margin:.2em 0"><b style="color:{colour}">{sign} {self._said()}</b>'
            f"{because}{_inline(self.text)}</div>{self._sound()}"
        )

    def _sound(self):
        if self._hear is None or self.status == NOT_ATTEMPTED:
            return ""
        try:
            return self._hear()._repr_html_()
        except Exception:  # an answer that gives no sound has been told why already
            return ""


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
    heard : list of int
        Exercises whose answer is heard below the verdict.
    """

    def __init__(self, chapter: str):
        self.chapter = chapter
        self._hints: dict[int, tuple[str, ...]] = {}
        self.heard: list[int] = []
        self.check = _Check(chapter)

    @property
    def numbers(self) -> list[int]:
        """The exercises' numbers, in order."""
        return sorted(self._hints)

    def add(self, *hints: str, hear: Hear | None = None) -> Callable[[Judge], Judge]:
        """Decorate a judging function called ``ex_NN_k``.

        It calls `need` (or raises `Wrong`) for a wrong answer; its docstring is said
        for a right one. `hints` go from a nudge to nearly the solution. `hear` makes players of
        an answer, which are shown below the verdict, also of a wrong one.
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
            self.heard += [number] if hear else []
            label = f"{int(self.chapter)}.{number}"
            setattr(self.check, judge.__name__, _checker(label, judge, hear))
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
        label = f"{int(self.chapter)}.{exercise}"
        marks.note_hint(label)
        return Hint(label, level, len(hints), " ".join(hints[level - 1].split()))


class _Check:
    def __init__(self, chapter):
        self._chapter = chapter

    def __getattr__(self, name):
        there = ", ".join(sorted(key for key in vars(self) if key.startswith("ex_")))
        raise AttributeError(
            f"chapter {self._chapter} has no exercise {name!r}: choose from {there}"
        )


def _checker(label, judge, hear):
    praise = " ".join(judge.__doc__.split())

    def verdict(answer):
        try:
            if is_stub(answer):
                raise NotAttempted
            judge(answer)
        except NotAttempted:
            number = label.split(".")[1]
            return Verdict(label, NOT_ATTEMPTED, f"Replace the ... above. `hint({number})` helps.")
        except Wrong as reason:
            status = PARTLY if reason.credit > 0 else WRONG
            return Verdict(label, status, str(reason), reason.credit, hearing(answer))
        except Exception:  # whatever the reader wrote, the chapter goes on
            return Verdict(label, WRONG, _FORM)
        return Verdict(label, RIGHT, praise, 1.0, hearing(answer))

    def hearing(answer):
        return None if hear is None else lambda: hear(answer)

    def check(answer=...):
        found = verdict(answer)
        marks.note(label, found.status, found.credit)
        return found

    check.__name__, check.__doc__ = judge.__name__, f"Check exercise {label}; returns a Verdict."
    return check


def _inline(text):
    """Escape, set `code` between backquotes, and break lines."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)).replace("\n", "<br>")
