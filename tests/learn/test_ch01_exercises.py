"""The checks of chapter 01: stubs, right answers, and the wrong ones that readers give."""

import math

import torch

from sepkit.learn.ch01.exercises import check
from sepkit.stft import STFT

from .tools import RIGHT, STUB, judged


def test_the_right_shape_is_that_of_the_transform():
    assert check.ex_01_2(
        (tuple(STFT(2048, 512)(torch.zeros(2, 3 * 44100)).shape), 44100 / 2048, 512 / 44.1)
    )


ANSWERS = [
    (1, lambda f, r: ..., STUB),
    (1, lambda f, r: min(f % r, r - f % r), RIGHT),
    (1, lambda f, r: r * math.acos(math.cos(2 * math.pi * f / r)) / (2 * math.pi), RIGHT),
    (1, lambda f, r: f % r, "folds further"),
    (1, lambda f, r: min(f, r / 2), "turns back"),
    (1, lambda f, r: f - r if f > r / 2 else f, "positive frequency"),
    (1, lambda f, r: abs(r - f) if f > r / 2 else f, "folds further"),
    (1, lambda f, r: 0.0, "is heard at 1000 Hz, not at 0"),
    (1, 440, "function"),
    (2, (..., ..., ...), STUB),
    (2, ((2, 1025, 259), 21.53, 11.61), RIGHT),
    (2, ((2, 1025, 259), 22, 12), RIGHT),
    (2, ((2, 1025, 259), 23, 11.61), "not 23 Hz apart"),
    (2, ((2, 2048, 259), 21.53, 11.61), "negative frequencies"),
    (2, ((2, 1024, 259), 21.53, 11.61), "leaves one end out"),
    (2, ((2, 1025, 258), 21.53, 11.61), "frame at sample 0"),
    (2, ((1, 1025, 259), 21.53, 11.61), "stereo"),
    (2, ((2, 1025, 259), 43.02, 11.61), "share 22050 Hz"),
    (2, ((2, 1025, 259), 21.53, 0.01161), "milliseconds"),
    (2, ((2, 1025, 259), 21.53, 46.4), "windows overlap"),
    (2, ((1025, 259), 21.53, 11.61), "three numbers"),
    (3, (..., ...), STUB),
    (3, (16384, 1024), RIGHT),
    (3, (1024, 16384), "exchanged"),
    (3, (4096, 1024), "four bins wide"),
    (3, (8192, 1024), "run into each other"),
    (3, (32768, 1024), "shorter window"),
    (3, (16384, 2048), "46 ms"),
    (3, (16384, 512), "a longer window still is"),
    (3, (13096, 1024), "power of two"),
    (4, (..., 3), STUB),
    (4, (10 ** (12 / 20), 10 ** (12 / 10)), RIGHT),
    (4, (15.85, 3.98), "exchanged"),
    (4, (0.25, 0.063), "above 1"),
    (4, (12, 144), "not ratios"),
    (4, (15.85, 251), "ratio of powers"),
    (4, (3.98, 7.9), "9.0 dB, not 12"),
]

test_answers_are_judged = judged(check, "01", ANSWERS)
