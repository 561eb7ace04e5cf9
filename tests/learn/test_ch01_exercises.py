"""The checks of chapter 01: stubs, solutions, and the wrong answers that readers give."""

import pytest
import torch

from sepkit.learn.ch01.exercises import check
from sepkit.stft import STFT


def test_stubs_count_as_not_attempted():
    verdicts = (
        check.ex_01_1(lambda f, r: ...),
        check.ex_01_2((..., ..., ...)),
        check.ex_01_3((..., ...)),
        check.ex_01_4((..., 3)),
    )
    assert all(verdict.status == "not attempted" for verdict in verdicts)


def test_solutions_are_right():
    assert check.ex_01_1(lambda f, r: min(f % r, r - f % r))
    assert check.ex_01_2(((2, 1025, 259), 21.53, 11.61))
    assert check.ex_01_3((16384, 1024))
    assert check.ex_01_4((10 ** (12 / 20), 10 ** (12 / 10)))


def test_the_right_shape_is_that_of_the_transform():
    assert check.ex_01_2(
        (tuple(STFT(2048, 512)(torch.zeros(2, 3 * 44100)).shape), 44100 / 2048, 512 / 44.1)
    )


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda f, r: f % r, "folds further"),  # forgets the mirror
        (lambda f, r: min(f, r / 2), "turns back"),  # clips at Nyquist
        (lambda f, r: f - r if f > r / 2 else f, "positive frequency"),
        (lambda f, r: abs(r - f) if f > r / 2 else f, "folds further"),  # folds once only
        (lambda f, r: 0.0, "is heard at 1000 Hz, not at 0"),
        (440, "function"),
    ],
)
def test_wrong_folds(answer, says):
    verdict = check.ex_01_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (((2, 2048, 259), 21.53, 11.61), "negative frequencies"),
        (((2, 1024, 259), 21.53, 11.61), "leaves one end out"),
        (((2, 1025, 258), 21.53, 11.61), "frame at sample 0"),
        (((1, 1025, 259), 21.53, 11.61), "stereo"),
        (((2, 1025, 259), 43.02, 11.61), "share 22050 Hz"),
        (((2, 1025, 259), 21.53, 0.01161), "milliseconds"),
        (((2, 1025, 259), 21.53, 46.4), "windows overlap"),
        (((1025, 259), 21.53, 11.61), "three numbers"),
    ],
)
def test_wrong_shapes(answer, says):
    verdict = check.ex_01_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((1024, 16384), "exchanged"),
        ((4096, 1024), "four bins wide"),
        ((8192, 1024), "run into each other"),
        ((32768, 1024), "shorter window"),
        ((16384, 2048), "46 ms"),
        ((16384, 512), "a longer window still is"),
        ((13096, 1024), "power of two"),
    ],
)
def test_wrong_windows(answer, says):
    verdict = check.ex_01_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((15.85, 3.98), "exchanged"),
        ((0.25, 0.063), "above 1"),
        ((12, 144), "not ratios"),
        ((15.85, 251), "ratio of powers"),
        ((3.98, 7.9), "9.0 dB, not 12"),
    ],
)
def test_wrong_decibels(answer, says):
    verdict = check.ex_01_4(answer)
    assert verdict.status == "wrong" and says in verdict.text
