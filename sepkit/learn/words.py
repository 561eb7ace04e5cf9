"""Words for numbers, as captions and printed lines need them."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """How many, with the noun in its form: ``"1 song"``, ``"4 test songs"``.

    Parameters
    ----------
    number : int
    what : str
        One of them: a noun that takes an s, with what stands before it.
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
