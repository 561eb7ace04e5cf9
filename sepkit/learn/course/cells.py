"""The exercises of a chapter's notebook: question, stub, check, solution."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from ...errors import SepkitError

_CHECK = re.compile(r"check\.ex_(\d\d)_(\d+)\((.*)\)\s*$", re.DOTALL)
_SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```(.*?)</details>\s*", re.DOTALL)
_QUESTION = re.compile(r"### Exercise \d+\n.*", re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    """One exercise, as it stands in the notebook.

    Attributes
    ----------
    chapter : str
        Two digits.
    number : int
    place : int
        Index of the stub's cell; the solution is in the cell below.
    question, stub, check, solution, remark : str
        Text; code without its last line; that line; code that replaces the stub; text that
        follows the solution's code, maybe empty.
    """

    chapter: str
    number: int
    place: int
    question: str
    stub: str
    check: str
    solution: str
    remark: str

    @property
    def name(self) -> str:
        """Such as ``"ex_01_4"``."""
        return f"ex_{self.chapter}_{self.number}"


def read(path: Path) -> Any:
    """Read a notebook of the course."""
    return nbformat.read(path, as_version=4)


def exercises(notebook: Any) -> list[Exercise]:
    """Find the exercises of a notebook, in order.

    Raises
    ------
    SepkitError
        For one without a question above or a solution below its stub.
    """
    return list(_found(notebook))


def _found(notebook: Any) -> Iterator[Exercise]:
    cells = notebook.cells
    for place, cell in enumerate(cells):
        found = _CHECK.search(cell.source) if cell.cell_type == "code" else None
        if not found:
            continue
        chapter, number = found.group(1), int(found.group(2))
        texts = [_QUESTION.search(other.source) for other in cells[max(0, place - 3) : place]]
        solution = _SOLUTION.search(cells[place + 1].source)
        if not any(texts) or not solution:
            raise SepkitError(
                f"exercise {int(chapter)}.{number}: a question '### Exercise {number}' above its"
                " cell and a solution in <details> below were expected"
            )
        yield Exercise(
            chapter,
            number,
            place,
            [text for text in texts if text][-1].group(0).strip(),
            cell.source[: found.start()].rstrip(),
            found.group(0).strip(),
            solution.group(1).rstrip(),
            solution.group(2).strip(),
        )


def without_solution(text: str) -> str:
    """A cell's text without its collapsed solution."""
    return _SOLUTION.sub("", text, count=1)


def with_solution(text: str, remark: str) -> str:
    """A cell's text with the solution's remark in the open, its code being in the cell above."""
    said = f"**Solution.** {remark}\n\n" if remark else ""
    return _SOLUTION.sub(lambda _: said, text, count=1)


def imports(notebook: Any) -> str:
    """All that a notebook imports, without its magic commands: what its exercises need."""
    lines: dict[str, None] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        code = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
        for node in ast.parse(code).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                lines[ast.unparse(node)] = None
    return "\n".join(lines)
