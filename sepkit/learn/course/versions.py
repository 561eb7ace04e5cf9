"""A chapter for students, without its solutions, and one for teachers, with them in the cells."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .cells import exercises, with_solution, without_solution


def student(notebook: Any) -> Any:
    """Make the chapter without solutions; hints and checks stay, and so do all stored outputs."""
    made = deepcopy(notebook)
    for exercise in exercises(notebook):
        below = made.cells[exercise.place + 1]
        below.source = without_solution(below.source)
    return _without_empty(made)


def solved(notebook: Any) -> Any:
    """Make the chapter with the solutions in place of the stubs, not yet run."""
    made = deepcopy(notebook)
    for exercise in exercises(notebook):
        cell, below = made.cells[exercise.place], made.cells[exercise.place + 1]
        cell.source = f"{exercise.solution}\n\n{exercise.check}"
        cell.outputs, cell.execution_count = [], None
        below.source = with_solution(below.source, exercise.remark)
    return _without_empty(made)


def _without_empty(notebook):
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    return notebook
