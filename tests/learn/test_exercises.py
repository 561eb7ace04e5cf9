"""The machinery of the exercises: verdicts, hints, and answers that cannot be used."""

import pytest

from sepkit.errors import SepkitError
from sepkit.learn.exercises import Exercises, attempt, is_stub, need


@pytest.fixture
def exercises():
    exercises = Exercises("07")

    @exercises.add("Count.", "It is more than `41`.")
    def ex_07_1(answer):
        """Indeed `42`."""
        need(answer != 41, "that is one too few <really>")
        need(answer == 42, "count again")

    @exercises.add("Add.")
    def ex_07_2(answer):
        """It adds."""
        need(attempt(answer, 1, 2) == 3, "1 and 2 are 3")

    return exercises


@pytest.mark.parametrize("stub", [..., None, (1, ...), [None, 2]])
def test_stubs_are_not_attempted(exercises, stub):
    verdict = exercises.check.ex_07_1(stub)
    assert is_stub(stub) and verdict.status == "not attempted" and not verdict
    assert "hint(1)" in str(verdict)


def test_a_function_that_is_still_a_stub_is_not_attempted(exercises):
    for stub in (lambda a, b: ..., lambda a, b: None):
        assert exercises.check.ex_07_2(stub).status == "not attempted"


def test_wrong_says_why_and_right_says_what(exercises):
    wrong, right = exercises.check.ex_07_1(41), exercises.check.ex_07_1(42)
    assert str(wrong) == "Exercise 7.1: wrong, because that is one too few <really>"
    assert "&lt;really&gt;" in wrong._repr_html_()
    assert right and right.text == "Indeed `42`." and "<code>42</code>" in right._repr_html_()


def test_an_answer_that_raises_is_wrong_and_never_breaks_the_chapter(exercises):
    def breaks(a, b):
        raise KeyError("no\nsuch key")

    verdict = exercises.check.ex_07_2(breaks)
    assert verdict.status == "wrong" and "KeyError" in verdict.text and "\n" not in verdict.text
    assert "function" in exercises.check.ex_07_2(3).text


def test_hints_go_from_nudge_to_solution(exercises):
    assert "Count. Next: hint(1, 2)." in str(exercises.hint(1))
    assert "more than `41`" in str(exercises.hint(1, 2)) and "last hint" in str(
        exercises.hint(1, 2)
    )
    with pytest.raises(SepkitError, match="exercises 1, 2"):
        exercises.hint(5)
    with pytest.raises(SepkitError, match="hints 1 to 1"):
        exercises.hint(2, 3)


def test_an_unknown_exercise_lists_those_there_are(exercises):
    with pytest.raises(AttributeError, match="ex_07_1, ex_07_2"):
        exercises.check.ex_07_9(1)


def test_an_exercise_needs_its_name_hints_and_praise(exercises):
    def ex_08_1(answer):
        """Praise."""

    def ex_07_3(answer): ...

    for judge, hints in ((ex_08_1, ["h"]), (ex_07_3, ["h"])):
        with pytest.raises(SepkitError, match="ex_07_k"):
            exercises.add(*hints)(judge)
