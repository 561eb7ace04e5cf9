"""The right answers of chapter 12 are what the package computes."""

import torch

from sepkit.learn.ch12.exercises import check
from sepkit.metrics import sdr
from sepkit.metrics.statistics import Comparison, sign_flip, verdict


def test_a_quarter_of_the_mixture_has_the_highest_sdr():
    stems = torch.linalg.qr(
        torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    ).Q.T  # orthogonal, energy 1
    scores = {g: float(sdr(stems[:1], g * stems.sum(0, keepdim=True))) for g in (0.2, 0.25, 0.3)}
    best = max(scores, key=scores.get)
    assert check.ex_12_4((best, scores[best]))


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


#: (effect, low, high, p, songs, bar) of exercise 5 but its last row, with what is changed.
CHANGED = (
    (0.39, 0.29, 0.51, 2 / 2**8, 8, 0),
    (-1.90, -2.31, -1.55, 0.012, 12, -2),
    (-1.90, -2.31, -1.55, 0.012, 12, -1),
    (2.13, 0.72, 3.49, 0.039, 8, 0),
)


def test_changed_verdicts_are_those_of_the_package():
    found = [
        verdict(Comparison(effect, low, high, p, n, 0, p), least=bar)
        for effect, low, high, p, n, bar in CHANGED
    ]
    assert found == ["holds", "undecided", "fails", "holds"]
    assert check.ex_12_5([*found, "one network"])
