"""The checks of chapter 06: stubs, right answers, and the wrong ones that readers give."""

import math

import torch

from sepkit.learn.ch06.exercises import SPLIT, check, hint
from sepkit.models import build
from sepkit.models.bands import SPLITS, band_edges
from sepkit.models.bsrnn_layers import BandSplit

from .tools import RIGHT, STUB, judged


def bands(split):
    count, lower = 1, 0
    for upper, width in split:
        count, lower = count + (upper - lower) // width, upper
    return count


def parameters(width, channels, features):
    size = 2 * channels * width
    return 2 * size + size * features + features


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
    # of one band: the second group has 5 bins
    five = [sum(p[0].numel() for p in norm.parameters()) for norm in (own, public)]
    assert build("bsrnn", **small).stft(torch.zeros(2, 6 * 44100)).shape[-1] == 517 and five == [
        40,
        10520,
    ]
    assert build("bsrnn", **small).encoder.groups[1][0] == 5


def test_every_exercise_has_hints():
    assert "41 for V7" in check.ex_06_1(bands).text
    assert all(str(hint(number, 2)) for number in range(1, 7))


ANSWERS = [
    (1, ..., STUB),
    (1, lambda *given: None, "returns nothing"),
    (1, bands, RIGHT),
    (1, lambda split: bands(split) - 1, "rest is missing"),
    (1, lambda split: 1 + sum(upper // width for upper, width in split), "not at 0 Hz"),
    (1, lambda split: 37, "there are 22 bands"),
    (1, 37, "function"),
    (2, lambda *given: None, "returns nothing"),
    (2, parameters, RIGHT),
    (2, lambda w, c, n: 2 * c * w + c * w * n + n, "complex"),
    (2, lambda w, c, n: 2 * c * w * n + n, "norm is missing"),
    (2, lambda w, c, n: 2 * c * w * n, "norm and bias are missing"),
    (2, lambda w, c, n: parameters(w, c, n) - n, "linear map has a bias"),
    (2, lambda w, c, n: parameters(w, c, n) - 2 * c * w, "two vectors"),
    (2, lambda w, c, n: 2728, "1 channel(s)"),
    (3, (..., ..., ...), STUB),
    (3, (1 + 6 * 44100 // 512, 2 * 20, 2 * 263 * 20), RIGHT),
    (3, (516, 40, 10520), "sample 0 counts"),
    (3, (513, 40, 10520), "beyond the ends"),
    (3, (263, 40, 10520), "every 512"),
    (3, (517, 20, 5260), "twice as many"),
    (3, (517, 10, 10520), "complex"),
    (3, (517, 30, 10520), "not the size"),
    (3, (517, 40, 40), "263 frames"),
    (4, (..., ..., ...), STUB),
    (4, (300, 41, 41 * 300), RIGHT),
    (4, (41, 300, 12300), "exchanged"),
    (4, (150, 41, 12300), "backwards"),
    (4, (1, 41, 12300), "over time"),
    (4, (300, 1, 12300), "over bands"),
    (4, (300, 41, 340), "row and a column"),
    (4, (300, 41, 341), "all 12300"),
    (4, (300, 41), "three numbers"),
    (5, (..., ..., ...), STUB),
    (5, ((2j) / (1 + 1j), (2j / (1 + 1j)).real, abs(2j - 1 * (1 + 1j))), RIGHT),
    (5, (1 + 1j, 1, 1.414), RIGHT),
    (5, (0.5 - 0.5j, 1, 1.414), "X / S"),
    (5, (2j, 1, 1.414), "not S"),
    (5, (1 + 1j, 1j, 1.414), "real number"),
    (5, (1 + 1j, 2**0.5, 1.082), "|S| / |X|"),
    (5, (1 + 1j, 0.5, 1.58), "can be smaller"),
    (5, (1 + 1j, 1, 2), "square"),
    (5, (1 + 1j, 1, 0), "|S - m X|"),
    (6, (..., ...), STUB),
    (6, (20 * math.log10(5 / 5.614), 20 * math.log10(6 / 5.614)), RIGHT),
    (6, (-1.01, 0.58), RIGHT),
    (6, (-0.503, 0.289), "20 log10"),
    (6, (1.006, -0.577), "upside down"),
    (6, (0.8906, 1.0688), "factor"),
    (6, (0.577, -1.006), "exchanged"),
    (6, (0.0, 0.577), "five windows"),
    (6, (-1.006, 0.0), "six windows"),
]

test_answers_are_judged = judged(check, "06", ANSWERS)
