"""The checks of chapter 11: the stub, the solution, and the wrong answers that readers give."""

import math
from statistics import mean, median

import pytest
import torch

from sepkit.learn.checks_11 import check, hint
from sepkit.metrics import sdr


def test_stubs_count_as_not_attempted():
    for verdict in (check.ex_11_1(...), check.ex_11_2((..., ...)), check.ex_11_3(...), check.ex_11_3(None)):
        assert verdict.status == "not attempted"


def test_solutions_are_right():
    values = [6.1, 5.8, 6.4, 5.9, -3.0]
    assert check.ex_11_1((True, False, False, True, False))
    assert check.ex_11_2((median(values), mean(values)))
    assert check.ex_11_3(10 * math.log10(1 / ((1 - 1 / 4) ** 2 + 3 * (1 / 4) ** 2)))


def test_a_quarter_of_the_mixture_has_the_sdr_that_is_asked_for():
    stems = torch.linalg.qr(torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))).Q.T  # orthogonal, energy 1
    assert check.ex_11_3(sdr(stems[:1], stems.sum(0, keepdim=True) / 4))


@pytest.mark.parametrize("answer, says", [
    ((True, True, False, True, False), "pair 2"),
    ((True, False, True, True, False), "pair 3"),
    ((True, False, False, False, False), "pair 4"),
    ((True, False, False, True, True), "pair 5"),
    ((False, False, False, True, False), "pair 1"),
    ((True, False), "five answers"),
])
def test_wrong_columns(answer, says):
    verdict = check.ex_11_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize("answer, says", [
    ((4.24, 5.9), "exchanged"),
    ((6.4, 4.24), "sort it"),
    ((5.9, 6.05), "leaves the ruined song out"),
    ((5.9, 5.44), "negative"),
    ((5.8, 4.24), "middle one"),
    ((5.9, 5.0), "21.2"),
])
def test_wrong_averages(answer, says):
    verdict = check.ex_11_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize("answer, says", [
    (-4.77, "unchanged"),
    (6.02, "three quarters"),
    (2.5, "only part of the error"),
    (7.27, "only part of the error"),
    (0.75, "energy of the error"),
    (-1.25, "turn the ratio round"),
    (3.0, "stem by stem"),
    ("one", "could not be used"),
])
def test_wrong_quarters(answer, says):
    verdict = check.ex_11_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


def test_every_exercise_has_hints():
    assert all(str(hint(number, 2)) for number in (1, 2, 3))
