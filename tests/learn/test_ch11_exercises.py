"""The checks of chapter 11: the stub, the solution, and the wrong answers that readers give."""

import math
from statistics import mean, median

import pytest
import torch

from sepkit.learn.ch11.exercises import check, hint
from sepkit.metrics import sdr
from sepkit.metrics.statistics import Comparison, sign_flip, verdict


def test_stubs_count_as_not_attempted():
    for said in (
        check.ex_11_1(...),
        check.ex_11_2((..., ...)),
        check.ex_11_3(...),
        check.ex_11_3(None),
        check.ex_11_4((...,) * 4),
    ):
        assert said.status == "not attempted"


def test_solutions_are_right():
    values = [6.1, 5.8, 6.4, 5.9, -3.0]
    assert check.ex_11_1((True, False, False, True, False))
    assert check.ex_11_2((median(values), mean(values)))
    assert check.ex_11_3(10 * math.log10(1 / ((1 - 1 / 4) ** 2 + 3 * (1 / 4) ** 2)))


def test_a_quarter_of_the_mixture_has_the_sdr_that_is_asked_for():
    stems = torch.linalg.qr(
        torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    ).Q.T  # orthogonal, energy 1
    assert check.ex_11_3(sdr(stems[:1], stems.sum(0, keepdim=True) / 4))


@pytest.mark.parametrize(
    "answer, says",
    [
        ((True, True, False, True, False), "pair 2"),
        ((True, False, True, True, False), "pair 3"),
        ((True, False, False, False, False), "pair 4"),
        ((True, False, False, True, True), "pair 5"),
        ((False, False, False, True, False), "pair 1"),
        ((True, False), "five answers"),
    ],
)
def test_wrong_columns(answer, says):
    found = check.ex_11_1(answer)
    assert found.status == "wrong" and says in found.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((4.24, 5.9), "exchanged"),
        ((6.4, 4.24), "sort it"),
        ((5.9, 6.05), "leaves the ruined song out"),
        ((5.9, 5.44), "negative"),
        ((5.8, 4.24), "middle one"),
        ((5.9, 5.0), "21.2"),
    ],
)
def test_wrong_averages(answer, says):
    found = check.ex_11_2(answer)
    assert found.status == "wrong" and says in found.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (-4.77, "unchanged"),
        (6.02, "three quarters"),
        (2.5, "only part of the error"),
        (7.27, "only part of the error"),
        (0.75, "energy of the error"),
        (-1.25, "turn the ratio round"),
        (3.0, "stem by stem"),
        ("one", "could not be used"),
    ],
)
def test_wrong_quarters(answer, says):
    found = check.ex_11_3(answer)
    assert found.status == "wrong" and says in found.text


#: (effect, low, high, p, songs) of exercise 4, as the chapter prints them.
COMPARISONS = (
    (0.4, 0.1, 0.7, 0.02, 20),
    (0.4, -0.1, 0.9, 0.12, 20),
    (-0.6, -1.0, -0.2, 0.004, 20),
    (1.2, 0.8, 1.6, 0.0625, 5),
)


def test_verdicts_are_those_of_the_package():
    found = [
        verdict(Comparison(effect, low, high, p, n, 0, p))
        for effect, low, high, p, n in COMPARISONS
    ]
    assert found == ["holds", "undecided", "fails", "undecided"]
    assert check.ex_11_4(found)
    assert sign_flip([0.8, 0.9, 1.2, 1.5, 1.6]).p == 2 / 2**5, "five songs that agree"


@pytest.mark.parametrize(
    "answer, says",
    [
        (("holds", "holds", "fails", "undecided"), "comparison 2: the interval contains 0"),
        (("holds", "fails", "fails", "undecided"), "comparison 2: the interval contains 0"),
        (
            ("holds", "undecided", "undecided", "undecided"),
            "comparison 3: the whole interval lies below 0",
        ),
        (("holds", "undecided", "fails", "holds"), "comparison 4: five songs"),
        (("yes", "undecided", "fails", "undecided"), "'yes' is no verdict"),
        (("holds", "undecided"), "four verdicts"),
    ],
)
def test_wrong_verdicts(answer, says):
    found = check.ex_11_4(answer)
    assert found.status == "wrong" and says in found.text


def test_every_exercise_has_hints():
    assert all(str(hint(number, 2)) for number in (1, 2, 3, 4))
