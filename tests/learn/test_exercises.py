"""The machinery of the exercises: verdicts, hints, casting, and answers that cannot be used."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.learn.exercises import (
    Exercises,
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


@pytest.mark.parametrize("stub", [..., None, (..., ...), [None, ...], {"a": ...}])
def test_stubs_are_not_attempted(exercises, stub):
    verdict = exercises.check.ex_07_1(stub)
    assert is_stub(stub) and verdict.status == "not attempted" and not verdict
    assert "hint(1)" in str(verdict)


def test_a_function_that_is_still_a_stub_is_not_attempted(exercises):
    for stub in (lambda a, b: ..., lambda a, b: (..., ...), lambda a, b: (1, ...)):
        assert exercises.check.ex_07_2(stub).status == "not attempted"
    assert "`return`" in exercises.check.ex_07_2(lambda a, b: print("3")).text


def test_wrong_says_why_and_right_says_what(exercises):
    wrong, right = exercises.check.ex_07_1(41), exercises.check.ex_07_1(42)
    assert str(wrong) == "Exercise 7.1: wrong, because that is one too few <really>"
    assert "&lt;really&gt;" in wrong._repr_html_()
    assert right and right.text == "Indeed `42`." and "<code>42</code>" in right._repr_html_()


def test_an_answer_that_raises_is_told_so_in_words_and_never_breaks_the_chapter(exercises):
    def breaks(a, b):
        raise KeyError("no\nsuch key")

    verdict = exercises.check.ex_07_2(breaks)
    assert verdict.status == "wrong" and "for a key that is not there" in verdict.text
    assert "such key" not in verdict.text and "KeyError" not in verdict.text
    assert "it divides by zero" in exercises.check.ex_07_2(lambda a, b: a / 0).text
    assert "it meets an error" in exercises.check.ex_07_2(lambda a: a).text
    assert "not a single number" in exercises.check.ex_07_2(3).text


def test_a_judge_that_stumbles_over_an_answer_gives_a_sentence_too(exercises):
    class Odd:
        def __eq__(self, other):
            raise ValueError("size mismatch")

    said = exercises.check.ex_07_1(Odd())
    assert said.status == "wrong" and "cannot be read in this form" in said.text


@pytest.mark.parametrize(
    "value",
    [3, 3.0, Fraction(3), Decimal(3), np.float32(3), np.array([[3]]), [3], 3 + 0j]
    + [torch.tensor(3), torch.tensor([3.0], requires_grad=True)],
)
def test_numbers_are_read_whatever_carries_them(value):
    assert number(value) == 3.0


@pytest.mark.parametrize(
    "value, reason",
    [("3", "quotation marks"), (True, "True or False"), (3j, "complex"), (math.nan, "NaN")]
    + [(math.inf, "infinite"), ([1, 2], "not 2"), ([], "not 0"), (math.sqrt, "not a function")]
    + [({}, "not a dictionary"), ([[1], [2, 3]], "one shape"), (object(), "one shape")],
)
def test_what_is_no_number_is_refused_in_words(value, reason):
    with pytest.raises(Wrong, match=reason):
        number(value)
    assert number(math.inf, finite=False) == math.inf
    with pytest.raises(NotAttempted):
        number(...)


def test_tensors_come_from_anything_with_channels_first_or_last():
    x = torch.arange(6.0).reshape(2, 3)
    for form in (x, x.T, x.numpy(), x.tolist(), [row for row in x], x.int(), x.half()):
        assert torch.equal(as_tensor(form, (2, 3)), x.double())
    assert as_tensor(x * 1j).dtype == torch.complex128
    with pytest.raises(Wrong, match=r"\(2, 2\), and \(2, 3\)"):
        as_tensor(x[:, :2], (2, 3))


def test_parts_are_judged_one_by_one_and_earn_their_share():
    judges = {
        "one": lambda value: need(number(value) == 1, "one is one"),
        "two": lambda value: need(number(value) == 2, "two is two", credit=0.5),
    }
    judge_parts((1, 2), judges)
    judge_parts({"two": 2, "one": 1}, judges)
    for answer, text, credit in (
        ((1, ...), "two: not attempted yet", 0.5),
        ((0, 2), "one: one is one", 0.5),
        ((0, 1), "one: one is one\ntwo: two is two", 0.25),
        ((1,), "2 answers were expected, not 1", 0),
        (1, "2 answers were expected, not a single number", 0),
        ({"one": 1}, "there is no answer for 'two'", 0),
    ):
        with pytest.raises(Wrong) as wrong:
            judge_parts(answer, judges)
        assert (str(wrong.value), wrong.value.credit) == (text, credit)
    with pytest.raises(NotAttempted):
        judge_parts((..., None), judges)


def test_a_slip_is_named_unless_it_is_right_within_the_tolerance():
    expect([1.005], 1, {1.009: "a slip"}, "not it")
    with pytest.raises(Wrong, match="a slip"):
        expect(2, 1, {2: "a slip"}, "not it")
    with pytest.raises(Wrong, match="3.5 is not it"):
        expect(3.5, 1, {2: "a slip"}, "{got:g} is not it")


def test_a_partly_right_verdict_says_how_much_and_is_not_true(exercises):
    @exercises.add("Both.")
    def ex_07_3(answer):
        """Both."""
        judge_parts(answer, {"a": lambda v: None, "b": lambda v: need(v == 2, "it is 2")})

    said = exercises.check.ex_07_3((1, 3))
    assert said.status == "partly right" and said.credit == 0.5 and not said
    assert str(said) == "Exercise 7.3: partly right (50 %), because b: it is 2"


def test_what_is_heard_stands_below_the_verdict_and_never_breaks_it(exercises):
    class Row:
        def __init__(self, answer):
            self.answer = 1 / answer

        def _repr_html_(self):
            return f"<audio>{self.answer}"

    @exercises.add("One.", hear=Row)
    def ex_07_4(answer):
        """One."""
        need(answer == 1, "one")

    assert exercises.heard == [4]
    assert "<audio>1.0" in exercises.check.ex_07_4(1)._repr_html_()
    assert "<audio>0.5" in exercises.check.ex_07_4(2)._repr_html_(), "a wrong answer is heard too"
    for silent in (0, ...):
        assert "<audio" not in exercises.check.ex_07_4(silent)._repr_html_()


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
