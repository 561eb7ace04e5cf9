"""The checks of chapter 12: stubs, right answers, and the wrong ones that readers give."""

import math
from statistics import mean, median

import numpy as np
import torch

from sepkit.learn.ch12.exercises import check, hint
from sepkit.metrics import sdr
from sepkit.metrics.statistics import Comparison, sign_flip, verdict

from .tools import RIGHT, STUB, judged


def test_a_quarter_of_the_mixture_has_the_sdr_that_is_asked_for():
    stems = torch.linalg.qr(
        torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    ).Q.T  # orthogonal, energy 1
    assert check.ex_12_4(sdr(stems[:1], stems.sum(0, keepdim=True) / 4))


#: (effect, low, high, p, songs) of exercise 1, as the chapter prints them.
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
    assert check.ex_12_1([*found, "one network"])
    assert sign_flip([0.8, 0.9, 1.2, 1.5, 1.6]).p == 2 / 2**5, "five songs that agree"


def test_every_exercise_has_hints():
    assert all(str(hint(number, 2)) for number in (1, 2, 3, 4))


ANSWERS = [
    (1, (...,) * 5, STUB),
    (1, ("holds", "undecided", "fails", "undecided", "one network"), RIGHT),
    (1, np.array(["holds", "undecided", "fails", "undecided", "one network"]), RIGHT),
    (1, ("holds", "undecided", "fails", "undecided", "holds"), "comparison 5: one training"),
    (1, ("undecided", "undecided", "fails", "undecided", "one network"), "comparison 1: the whole"),
    (
        1,
        ("holds", "holds", "fails", "undecided", "one network"),
        "comparison 2: the interval contains 0",
    ),
    (
        1,
        ("holds", "fails", "fails", "undecided", "one network"),
        "comparison 2: the interval contains 0",
    ),
    (
        1,
        ("holds", "undecided", "undecided", "undecided", "one network"),
        "comparison 3: the whole interval lies below 0",
    ),
    (1, ("holds", "undecided", "fails", "holds", "one network"), "comparison 4: five songs"),
    (1, ("yes", "undecided", "fails", "undecided", "one network"), "'yes' is no verdict"),
    (1, ("holds", "undecided"), "five verdicts"),
    (2, ..., STUB),
    (2, (True, False, False, True, False), RIGHT),
    (2, (True, True, False, True, False), "pair 2"),
    (2, (True, False, True, True, False), "pair 3"),
    (2, (True, False, False, False, False), "pair 4"),
    (2, (True, False, False, True, True), "pair 5"),
    (2, (False, False, False, True, False), "pair 1"),
    (2, (True, False), "five answers"),
    (3, (..., ...), STUB),
    (3, (median([6.1, 5.8, 6.4, 5.9, -3.0]), mean([6.1, 5.8, 6.4, 5.9, -3.0])), RIGHT),
    (3, (4.24, 5.9), "exchanged"),
    (3, (6.4, 4.24), "sort it"),
    (3, (5.9, 6.05), "leaves the ruined song out"),
    (3, (5.9, 5.44), "negative"),
    (3, (5.8, 4.24), "middle one"),
    (3, (5.9, 5.0), "21.2"),
    (4, ..., STUB),
    (4, None, STUB),
    (4, 10 * math.log10(1 / ((1 - 1 / 4) ** 2 + 3 * (1 / 4) ** 2)), RIGHT),
    (4, -4.77, "unchanged"),
    (4, 6.02, "three quarters"),
    (4, 2.5, "only part of the error"),
    (4, 7.27, "only part of the error"),
    (4, 0.75, "energy of the error"),
    (4, -1.25, "turn the ratio round"),
    (4, 3.0, "stem by stem"),
    (4, "one", "in this form"),
    (4, np.float32(1.2494), RIGHT),
    (4, torch.tensor(1.2494), RIGHT),
]

test_answers_are_judged = judged(check, "12", ANSWERS)
