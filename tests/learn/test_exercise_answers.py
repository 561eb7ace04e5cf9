"""Every exercise accepts right answers in other forms and refuses wrong ones, each with its own
reason; the answers are tables, `tests/learn/answers`."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from sepkit.learn import marks
from sepkit.learn.course import cells

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHAPTERS = marks.chapters()
#: What a reader must never meet: an exception's name or text.
RAW = ("Error", "Exception", "Traceback", "object at 0x", "NoneType", "size mismatch")


def exercises(chapter):
    return import_module(f"sepkit.learn.ch{chapter}.exercises").exercises


def answers(chapter):
    return import_module(f"tests.learn.answers.ch{chapter}").ANSWERS


def judged(chapter, exercise, answer):
    return getattr(exercises(chapter).check, f"ex_{chapter}_{exercise}")(answer)


def rows(kind):
    return [
        pytest.param(chapter, exercise, row, id=f"{int(chapter)}.{exercise}-{kind}-{index}")
        for chapter in CHAPTERS
        for exercise, table in answers(chapter).items()
        for index, row in enumerate(table[kind])
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_has_a_table_with_distinct_reasons(chapter):
    tables = answers(chapter)
    assert list(tables) == exercises(chapter).numbers and 3 <= len(tables) <= 6
    for exercise, table in tables.items():
        assert len(table["right"]) >= 4 and len(table["wrong"]) >= 8, exercise
        reasons = [row[1] for row in table["wrong"]]
        assert len(set(reasons)) == len(reasons), f"{exercise}: one reason for two answers"


@pytest.mark.parametrize("chapter, exercise, answer", rows("right"))
def test_right_answers_are_accepted_in_every_form(chapter, exercise, answer):
    said = judged(chapter, exercise, answer)
    assert said.status == "right" and said.credit == 1, said


@pytest.mark.parametrize("chapter, exercise, row", rows("wrong"))
def test_wrong_answers_are_refused_with_their_own_reason(chapter, exercise, row):
    answer, reason, *credit = row
    said = judged(chapter, exercise, answer)
    assert said.status in ("wrong", "partly right") and reason in f"{said.text}\n", said
    assert 0 <= said.credit < 1 and (said.credit > 0) == (said.status == "partly right")
    assert not credit or said.credit == pytest.approx(credit[0]), said.credit
    assert not [raw for raw in RAW if raw in said.text], said
    others = {other[1] for other in answers(chapter)[exercise]["wrong"]} - {reason}
    if "\n" not in said.text:  # several parts may share a reason with another answer
        assert not [other for other in others if other in f"{said.text}\n"], "another's reason"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_answers_of_any_kind_get_a_plain_sentence(chapter):
    def breaks(*given):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    odd = ("text", 5, True, 1j, float("nan"), [], {}, object(), breaks, lambda *given: object())
    for exercise in exercises(chapter).numbers:
        for answer in odd:
            said = judged(chapter, exercise, answer)
            assert said.status == "wrong" and "\n" not in said.text, (answer, said)
            assert not [raw for raw in (*RAW, "mat1") if raw in said.text], said
        assert judged(chapter, exercise, ...).status == "not attempted"
        assert judged(chapter, exercise, lambda *given: ...).status in ("not attempted", "wrong")


def numbers(answer):
    """The numbers of an answer of plain values, flat; none of a function."""
    if isinstance(answer, (tuple, list)):
        return [number for part in answer for number in numbers(part)]
    return [answer] if isinstance(answer, (int, float)) else []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_reason_gives_the_right_number_away(chapter):
    for exercise, table in answers(chapter).items():
        right = [f"{number:.4g}" for number in numbers(table["right"][0])]
        for answer, *_ in table["wrong"]:
            own = {f"{number:.4g}" for number in numbers(answer)}
            text = judged(chapter, exercise, answer).text
            told = [n for n in right if len(n) > 3 and n not in own and n in text]
            assert not told, f"{exercise}: {told} in {text!r}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_asks_once_for_a_prediction(chapter):
    (path,) = NOTEBOOKS.glob(f"{chapter}_*.ipynb")
    questions = [exercise.question for exercise in cells.exercises(cells.read(path))]
    assert [text for text in questions if "\n\n**Predict, then check.** " in text]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_has_an_exercise_that_is_heard(chapter):
    heard = exercises(chapter).heard
    assert heard, "no exercise whose answer changes a sound"
    for exercise in heard:
        for answer in answers(chapter)[exercise]["right"][:1]:
            shown = judged(chapter, exercise, answer)._repr_html_()
            assert "<audio" in shown, exercise
        assert "<audio" not in judged(chapter, exercise, ...)._repr_html_()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_hints_go_from_a_nudge_to_the_formula(chapter):
    for exercise in exercises(chapter).numbers:
        first = exercises(chapter).hint(exercise)
        assert first.of >= 2 and not re.search(r"`[^`]*[*/+=(][^`]*`", first.text), first
