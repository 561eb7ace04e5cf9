"""What the checks of exercises are made of: `need`, and the casting of answers.

An answer is judged by its numbers, whatever carries them: Python, numpy or torch, float32 or
float64, a list, channels first or last. What stops with an error, or is of another kind, is
wrong, with one plain sentence for a reason; no exception's text reaches the reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

#: Judges an answer: raises `Wrong` or `NotAttempted`, or returns nothing.
Judge = Callable[[Any], None]
#: What a reader's function may stop with, in words; the narrower kinds first.
_STOPS = (
    (NameError, "it uses a name that is not defined"),
    (ZeroDivisionError, "it divides by zero"),
    (RecursionError, "it calls itself without end"),
    (IndexError, "it asks for a place or an axis that is not there"),
    (KeyError, "it asks a dictionary for a key that is not there"),
    (AttributeError, "it asks a value for an attribute or method that it does not have"),
)


class Wrong(Exception):
    """Why an answer is wrong, in words for the reader; `need` raises it.

    Parameters
    ----------
    because : str
    credit : float
        The share that is right all the same, from 0 to 1.
    """

    def __init__(self, because: str, credit: float = 0.0):
        super().__init__(because)
        self.credit = credit


class NotAttempted(Exception):
    """The answer, or what the answer's function returns, is still the stub."""


def need(condition: Any, because: str, credit: float = 0.0) -> None:
    """Inside a check: the answer is wrong unless `condition` holds; `credit` as for `Wrong`."""
    if not condition:
        raise Wrong(because, credit)


def attempt(function: Any, *arguments: Any) -> Any:
    """Inside a check: call the reader's function; one that returns ``...`` is a stub.

    Raises
    ------
    NotAttempted
        If the result is ``...``, or holds it.
    Wrong
        If it is no function, stops with an error or returns nothing.
    """
    need(callable(function), f"a function was expected, not {kind(function)}")
    try:
        with np.errstate(all="ignore"):  # the check says what is wrong
            result = function(*arguments)
    except Exception as error:  # whatever the reader wrote
        why = next((words for of, words in _STOPS if isinstance(error, of)), "it meets an error")
        raise Wrong(
            f"your function stops before it returns a value: {why}. Call it in a new cell to see"
            " the line"
        ) from None
    need(result is not None, "your function returns nothing; its last line needs a `return`")
    if is_stub(result) or isinstance(result, (tuple, list)) and any(map(is_stub, result)):
        raise NotAttempted
    return result


def number(value: Any, finite: bool = True) -> float:
    """Inside a check: cast a number of any kind (numpy, torch, one in a list) to a float.

    Parameters
    ----------
    value : object
    finite : bool
        Whether an infinite number is refused.

    Raises
    ------
    NotAttempted
        For ``...`` or None.
    Wrong
        For all that is not one real number.
    """
    if is_stub(value):
        raise NotAttempted
    found = as_tensor(value)
    need(found.numel() == 1, f"one number was expected, not {found.numel()}")
    need(not found.is_complex() or found.imag == 0, "a real number was expected, not a complex one")
    result = float(found.real)
    need(result == result, "that is not a number (NaN)")
    need(
        not finite or abs(result) != float("inf"), "that is infinite; a finite number was expected"
    )
    return result


def expect(
    value: Any,
    right: float,
    slips: Mapping[Any, str],
    otherwise: str,
    rel: float = 0.01,
    tolerance: float = 0.0,
) -> None:
    """Inside a check: the answer is one number, and close enough to the right one.

    Parameters
    ----------
    value : object
        As for `number`.
    right : float
    slips : dict of float to str
        What slips lead to, and what is told to those who made them.
    otherwise : str
        What is told to all others; ``{got:g}`` becomes the answer.
    rel, tolerance : float
        How far from the right number is right enough, relatively and absolutely; one suffices.
    """
    got = number(value)

    def is_(wanted):
        return math.isclose(got, wanted, rel_tol=rel, abs_tol=tolerance)

    for slip, because in slips.items():
        need(is_(right) or not is_(slip), because)
    need(is_(right), otherwise.format(got=got))


def as_tensor(result: Any, shape: Sequence[int] | None = None) -> torch.Tensor:
    """Inside a check: cast numbers of any kind to a tensor, float64 or complex128.

    Parameters
    ----------
    result : object
        Tensor, array, list or number.
    shape : sequence of int, optional
        What is expected. (samples, channels) is turned where (channels, samples) is.

    Raises
    ------
    Wrong
        For what are no numbers, and for another shape.
    """
    need(not isinstance(result, (bool, np.bool_)), "a number was expected, not True or False")
    need(
        not isinstance(result, (str, bytes, Mapping)) and not callable(result),
        f"a number or tensor was expected, not {kind(result)}"
        + ("; leave out the quotation marks" if isinstance(result, str) else ""),
    )
    try:
        if isinstance(result, (list, tuple)):
            result = [part.tolist() if torch.is_tensor(part) else part for part in result]
        if not torch.is_tensor(result):
            array = np.asarray(result)
            result = torch.from_numpy(
                array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
            )
    except (TypeError, ValueError):
        raise Wrong("a number or tensor was expected; these are no numbers of one shape") from None
    found = result.detach().cpu()
    found = found.to(torch.complex128 if found.is_complex() else torch.float64)
    if shape is not None and found.shape != tuple(shape):
        if found.ndim == 2 and found.T.shape == tuple(shape):
            return found.T
        raise Wrong(f"the shape is {tuple(found.shape)}, and {tuple(shape)} was expected")
    return found


def judge_parts(answer: Any, judges: Mapping[str, Judge]) -> None:
    """Inside a check: judge an answer of several parts, each by itself.

    Parameters
    ----------
    answer : tuple, list, array, or dict with the parts' names
    judges : dict of str to function
        The part's name -> its judge, in the order of the answer.

    Raises
    ------
    NotAttempted
        If no part was attempted.
    Wrong
        With the reason for every part that is not right, and the share of those that are.
    """
    if isinstance(answer, Mapping):
        missing = [name for name in judges if name not in answer]
        need(not missing, f"there is no answer for {missing[0]!r}" if missing else "")
        given = [answer[name] for name in judges]
    else:
        several = isinstance(answer, (tuple, list)) or getattr(answer, "ndim", 0) > 0
        need(several, f"{len(judges)} answers were expected, not {kind(answer)}")
        given = list(answer)
        need(len(given) == len(judges), f"{len(judges)} answers were expected, not {len(given)}")
    if all(map(is_stub, given)):
        raise NotAttempted
    reasons, right = [], 0.0
    for (name, judge), value in zip(judges.items(), given):
        try:
            if is_stub(value):
                raise NotAttempted
            judge(value)
            right += 1
        except NotAttempted:
            reasons.append(f"{name}: not attempted yet")
        except Wrong as reason:
            reasons.append(f"{name}: {reason}")
            right += reason.credit
    if reasons:
        raise Wrong("\n".join(reasons), right / len(judges))


def kind(value: Any) -> str:
    """Inside a check: what kind of thing an answer is, in plain words."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, (tuple, list)):
        return "a list"
    if torch.is_tensor(value) or isinstance(value, np.ndarray):
        return "a tensor" if np.ndim(value) else "a single number"
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return "a single number"
    return "a function" if callable(value) else "something else"


def is_stub(answer: Any) -> bool:
    """Check whether an answer is still ``...`` or None, or holds nothing else."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, (tuple, list)):
        return bool(answer) and all(map(is_stub, answer))
    return answer is None or answer is Ellipsis
