"""A chapter's exercises as an assignment, for nbgrader and for Otter-Grader.

Both hold the questions and nothing of the lesson, so that one is graded in seconds. The hidden
tests are the course's own checks; a partly right answer gets part of the points.
nbgrader: metadata of schema 3, `BEGIN SOLUTION` and `BEGIN HIDDEN TESTS` in the cells, as its
documentation says. Otter: one file a test, in the format of OK (`OK_FORMAT`).
"""

from __future__ import annotations

from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .cells import Exercise, exercises, imports

POINTS = 4  # for each exercise
#: What nbgrader leaves of a solution in the student's notebook.
CONFIG = """c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "sepkit"
c.ClearSolutions.code_stub = {"python": "# Replace the ... above."}
c.ExecutePreprocessor.timeout = 600
"""


def for_nbgrader(notebook: Any) -> Any:
    """Make a source notebook, from which ``nbgrader generate_assignment`` makes the release."""
    found = exercises(notebook)
    cells = _opening(notebook, found)
    for index, cell in enumerate(cells):
        cell.metadata["nbgrader"] = _grading(f"opening_{index}", locked=True)
    for exercise in found:
        question = new_markdown_cell(exercise.question)
        question.metadata["nbgrader"] = _grading(f"question_{exercise.number}", locked=True)
        answer = new_code_cell(
            f"{exercise.stub}\n\n### BEGIN SOLUTION\n{exercise.solution}\n### END SOLUTION\n\n"
            f"{exercise.check}"
        )
        answer.metadata["nbgrader"] = _grading(exercise.name, solution=True)
        test = new_code_cell(
            f"### BEGIN HIDDEN TESTS\nverdict = {exercise.check}\n"
            f"assert verdict.credit > 0, str(verdict)\n{POINTS} * verdict.credit\n"
            "### END HIDDEN TESTS"
        )
        test.metadata["nbgrader"] = {
            **_grading(f"test_{exercise.number}", locked=True, grade=True),
            "points": POINTS,
        }
        cells += [question, answer, test]
    return _named(cells)


def for_otter(notebook: Any, name: str) -> tuple[Any, dict[str, str]]:
    """Make a student's notebook and its hidden tests.

    Parameters
    ----------
    notebook : NotebookNode
    name : str
        The notebook's file name, which Otter asks for.

    Returns
    -------
    notebook : NotebookNode
    tests : dict of str to str
        File name in ``tests/`` -> its content.
    """
    found = exercises(notebook)
    start = new_code_cell(f'import otter\n\ngrader = otter.Notebook("{name}")')
    cells = [start, *_opening(notebook, found)]
    for exercise in found:
        cells += [
            new_markdown_cell(exercise.question),
            new_code_cell(f"{exercise.stub}\n\n{exercise.check}"),
            new_code_cell(f'grader.check("{exercise.name}")'),
        ]
    return _named(cells), {f"{exercise.name}.py": _otter_test(exercise) for exercise in found}


def _otter_test(exercise: Exercise) -> str:
    # half of the points from half of the credit on, the rest for a right answer
    cases = [
        {
            "code": f">>> {_one_line(exercise.check)}.credit >= {least}\nTrue",
            "hidden": True,
            "locked": False,
            "points": POINTS / 2,
        }
        for least in (0.5, 1)
    ]
    test = {
        "name": exercise.name,
        "points": None,
        "suites": [
            {"cases": cases, "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        ],
    }
    return f"OK_FORMAT = True\n\ntest = {test!r}\n"


def _one_line(code):
    return " ".join(code.split())


def _opening(notebook, found):
    title = notebook.cells[0].source.splitlines()[0]
    return [
        new_markdown_cell(
            f"{title}: exercises\n\n{len(found)} exercises of {POINTS} points. Replace the `...`"
            " and run the cell: it says whether the answer is right. `hint(1)` helps with the"
            " first."
        ),
        new_code_cell(imports(notebook)),
    ]


def _grading(grade_id, *, locked=False, grade=False, solution=False):
    return {
        "grade": grade,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }


def _named(cells):
    for index, cell in enumerate(cells):
        cell["id"] = f"c{index}"  # not at random: the same notebook every time
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(made)
    return made
