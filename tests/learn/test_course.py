"""`make course`: what teachers get comes from the notebooks, and grades as the checks do."""

import ast
import re
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest

from sepkit.errors import SepkitError
from sepkit.learn.course import assignments, build, cells, slides, versions

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHAPTER = NOTEBOOKS / "01_stft.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return cells.read(CHAPTER)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    out = tmp_path_factory.mktemp("course")
    written = build.build([CHAPTER], out, Path(__file__).parent / "answers")
    assert all(path.is_file() for path in written)
    return out


def run(code_cells, space=None):
    """Run cells one after the other as a kernel would; the last expression of the last of them."""
    space = {} if space is None else space
    for source in code_cells:
        *body, last = ast.parse(source).body
        exec(compile(ast.Module(body, []), "cell", "exec"), space)
        if isinstance(last, ast.Expr):
            found = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), space)
            found = None
    return found


def graded(source, student):
    """An nbgrader test cell's points after a student's cell: None where the test fails."""
    space = {}
    opening = [cell.source for cell in source.cells if cell.cell_type == "code"][0]
    test = [cell for cell in source.cells if cell.metadata.nbgrader.grade][4]
    try:
        return run([opening, student, test.source], space)
    except AssertionError:
        return None


def test_every_chapter_has_exercises_that_are_found_whole():
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        found = cells.exercises(cells.read(path))
        assert [exercise.number for exercise in found] == list(range(1, len(found) + 1))
        assert len(found) >= 3 or path.stem == "00_start"
        for exercise in found:
            assert "..." in exercise.stub and "..." not in exercise.solution.replace("...]", "")
            assert exercise.check.startswith(f"check.{exercise.name}(")


def test_an_exercise_without_a_solution_is_refused(notebook):
    broken = deepcopy(notebook)
    place = cells.exercises(notebook)[0].place
    broken.cells[place + 1].source = "no solution"
    with pytest.raises(SepkitError, match="exercise 1.1: a question"):
        cells.exercises(broken)


def test_the_student_version_has_all_but_the_solutions(notebook):
    made = versions.student(notebook)
    text = "\n".join(cell.source for cell in made.cells)
    assert "Solution" not in text and "fold down" not in text.split("### Exercise 1")[1][:900]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in made.cells if cell.cell_type == "code"] == code, "outputs stay"


def test_the_solution_version_solves_every_exercise(notebook):
    made = versions.solved(notebook)
    imports = cells.imports(notebook)
    solved = [cell for cell in made.cells if "check.ex_01_" in cell.source]
    assert len(solved) == len(cells.exercises(notebook))
    assert not [cell for cell in made.cells if "<details>" in cell.source]
    for cell in solved:
        assert run([imports, cell.source]).status == "right" and cell.outputs == []


def test_nbgrader_gives_the_points_of_the_check(course):
    """Cell metadata as nbgrader's documentation has it, schema 3, and its rule for partial credit:
    the last value of a test cell is the number of points, an error is none."""
    source = nbformat.read(course / "nbgrader" / "source" / "01_stft" / "01_stft.ipynb", 4)
    ids = [cell.metadata.nbgrader.grade_id for cell in source.cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
    for cell in source.cells:
        meta = cell.metadata.nbgrader
        assert meta.schema_version == 3 and meta.task is False
        assert meta.locked != meta.solution and ("points" in meta) == meta.grade
        if meta.solution:
            assert cell.source.index("...") < cell.source.index("### BEGIN SOLUTION")
        if meta.grade:
            assert cell.source.startswith("### BEGIN HIDDEN TESTS")
            assert cell.source.endswith("### END HIDDEN TESTS")
    answers = "times_smaller_amplitude, times_smaller_power = {}, {}"
    assert graded(source, answers.format(4, 16)) == 4
    assert graded(source, answers.format(4, 144)) == 2
    assert graded(source, answers.format(12, 144)) is None
    assert graded(source, answers.format("...", "...")) is None


def test_otter_tests_are_doctests_that_ask_the_check(course):
    """OK's format as Otter-Grader reads it: suites of hidden cases with points."""
    folder = course / "otter" / "01_stft"
    space = {}
    exec((folder / "tests" / "ex_01_5.py").read_text(), space)
    assert space["OK_FORMAT"] is True and space["test"]["name"] == "ex_01_5"
    suite = space["test"]["suites"][0]
    assert suite["type"] == "doctest" and all(case["hidden"] for case in suite["cases"])
    student = nbformat.read(folder / "01_stft.ipynb", 4)
    code = [cell.source for cell in student.cells if cell.cell_type == "code"]
    assert code[0].endswith('grader = otter.Notebook("01_stft.ipynb")')
    assert 'grader.check("ex_01_5")' in code and "SOLUTION" not in "".join(code)

    def points(amplitude, power):
        space = dict(times_smaller_amplitude=amplitude, times_smaller_power=power)
        run([code[1]], space)
        total = 0
        for case in suite["cases"]:
            question, wanted = case["code"].split("\n")
            passed = str(eval(question.removeprefix(">>> "), space)) == wanted
            total += case["points"] if passed else 0
        return total

    assert [points(4, 16), points(4, 144), points(12, 144), points(..., ...)] == [4, 2, 0, 0]


def test_the_guide_has_aims_time_sounds_and_what_students_are_told(course):
    text = (course / "guide.md").read_text(encoding="utf-8")
    assert "## 01 · Sound as numbers" in text and "**Aims**\n\n- say what a sample rate" in text
    assert "**Time.** reading about 60 minutes" in text and "profile student" in text
    assert "The same music at four levels" in text, "what to hear"
    assert "- `(12, 15.85)`: amplitude: decibels are logarithms, not ratios: 12 dB" in text
    assert "times_smaller_power = 10 ** (12 / 10)" in text


def test_slides_show_each_stored_figure_with_its_caption(course, notebook):
    page = (course / "slides" / "01_stft.html").read_text(encoding="utf-8")
    found = slides.figures(notebook)
    assert page.count('src="data:image/png;base64,') == len(found) >= 3
    assert all(caption[:40] in page for _, caption in found if caption[:40].isascii())
    assert slides.REVEAL in page


def test_what_is_made_is_the_same_every_time(notebook):
    assert nbformat.writes(assignments.for_nbgrader(notebook)) == nbformat.writes(
        assignments.for_nbgrader(notebook)
    )


def test_a_folder_without_chapters_is_refused(tmp_path):
    with pytest.raises(SepkitError, match="is notebooks/ there"):
        build.build([], tmp_path)
