"""The checks of chapter 06: the stub, the solution, and the wrong answers that readers give."""

import math

import pytest
import torch

from sepkit.learn.ch06.exercises import SPLIT, check, hint
from sepkit.models import build
from sepkit.models.bands import SPLITS, band_edges
from sepkit.models.bsrnn_layers import BandSplit


def bands(split):
    count, lower = 1, 0
    for upper, width in split:
        count, lower = count + (upper - lower) // width, upper
    return count


def parameters(width, channels, features):
    size = 2 * channels * width
    return 2 * size + size * features + features


def test_stubs_count_as_not_attempted():
    def stub(*given): ...

    for verdict in (
        check.ex_06_1(...),
        check.ex_06_1(stub),
        check.ex_06_2(stub),
        check.ex_06_3((..., ..., ...)),
        check.ex_06_4((..., ..., ...)),
        check.ex_06_5((..., ..., ...)),
        check.ex_06_6((..., ...)),
    ):
        assert verdict.status == "not attempted"


def test_solutions_are_right():
    X, S = 1 + 1j, 2j
    assert check.ex_06_1(bands)
    assert check.ex_06_2(parameters)
    assert check.ex_06_3((1 + 6 * 44100 // 512, 2 * 20, 2 * 263 * 20))
    assert check.ex_06_4((300, 41, 41 * 300))
    assert check.ex_06_5((S / X, (S / X).real, abs(S - (S / X).real * X)))
    assert check.ex_06_5((1 + 1j, 1, 1.414))
    assert check.ex_06_6((20 * math.log10(5 / 5.614), 20 * math.log10(6 / 5.614)))
    assert check.ex_06_6((-1.01, 0.58))


def test_the_right_answers_are_what_the_package_has():
    assert bands(SPLIT) == len(band_edges(SPLIT)) - 1 == 37
    assert all(bands(split) == len(band_edges(name)) - 1 for name, split in SPLITS.items())
    encoder = BandSplit([0, 5, 98], channels=2, features=128)
    assert sum(p.numel() for p in encoder.parameters()) == parameters(5, 2, 128) + parameters(
        93, 2, 128
    )
    small = dict(features=4, hidden=4, layers=1, mlp=4)
    own, public = (
        build("bsrnn", **small, **given).encoder.norms[1] for given in ({}, {"norm_frames": 263})
    )
    five = [
        sum(p[0].numel() for p in norm.parameters()) for norm in (own, public)
    ]  # of one band: the second group has 5 bins
    assert build("bsrnn", **small).stft(torch.zeros(2, 6 * 44100)).shape[-1] == 517 and five == [
        40,
        10520,
    ]
    assert build("bsrnn", **small).encoder.groups[1][0] == 5


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda split: bands(split) - 1, "rest is missing"),
        (lambda split: 1 + sum(upper // width for upper, width in split), "not at 0 Hz"),
        (lambda split: 37, "there are 22 bands"),
        (37, "function"),
    ],
)
def test_wrong_counts_of_bands(answer, says):
    verdict = check.ex_06_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda w, c, n: 2 * c * w + c * w * n + n, "complex"),
        (lambda w, c, n: 2 * c * w * n + n, "norm is missing"),
        (lambda w, c, n: 2 * c * w * n, "norm and bias are missing"),
        (lambda w, c, n: parameters(w, c, n) - n, "linear map has a bias"),
        (lambda w, c, n: parameters(w, c, n) - 2 * c * w, "two vectors"),
        (lambda w, c, n: 2728, "1 channel(s)"),
    ],
)
def test_wrong_counts_of_parameters(answer, says):
    verdict = check.ex_06_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((516, 40, 10520), "sample 0 counts"),
        ((513, 40, 10520), "beyond the ends"),
        ((263, 40, 10520), "every 512"),
        ((517, 20, 5260), "twice as many"),
        ((517, 10, 10520), "complex"),
        ((517, 30, 10520), "not the size"),
        ((517, 40, 40), "263 frames"),
    ],
)
def test_wrong_frames_and_norms(answer, says):
    verdict = check.ex_06_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((41, 300, 12300), "exchanged"),
        ((150, 41, 12300), "backwards"),
        ((1, 41, 12300), "over time"),
        ((300, 1, 12300), "over bands"),
        ((300, 41, 340), "row and a column"),
        ((300, 41, 341), "all 12300"),
        ((300, 41), "three numbers"),
    ],
)
def test_wrong_reach(answer, says):
    verdict = check.ex_06_4(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((0.5 - 0.5j, 1, 1.414), "X / S"),
        ((2j, 1, 1.414), "not S"),
        ((1 + 1j, 1j, 1.414), "real number"),
        ((1 + 1j, 2**0.5, 1.082), "|S| / |X|"),
        ((1 + 1j, 0.5, 1.58), "can be smaller"),
        ((1 + 1j, 1, 2), "square"),
        ((1 + 1j, 1, 0), "|S - m X|"),
    ],
)
def test_wrong_masks(answer, says):
    verdict = check.ex_06_5(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((-0.503, 0.289), "20 log10"),
        ((1.006, -0.577), "upside down"),
        ((0.8906, 1.0688), "factor"),
        ((0.577, -1.006), "exchanged"),
        ((0.0, 0.577), "five windows"),
        ((-1.006, 0.0), "six windows"),
    ],
)
def test_wrong_gains(answer, says):
    verdict = check.ex_06_6(answer)
    assert verdict.status == "wrong" and says in verdict.text


def test_every_exercise_has_hints():
    assert "41 for V7" in check.ex_06_1(bands).text
    assert all(str(hint(number, 2)) for number in range(1, 7))
