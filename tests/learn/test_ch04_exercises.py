"""The checks of chapter 04: the stub, the solution, and the wrong answers that readers give."""

import pytest
import torch

from sepkit.learn.ch04.exercises import check, hint
from sepkit.models import build


def test_stubs_count_as_not_attempted():
    def stub(a, b): ...

    for verdict in (
        check.ex_04_1(...),
        check.ex_04_2((..., ...)),
        check.ex_04_3(...),
        check.ex_04_3(stub),
    ):
        assert verdict.status == "not attempted"


def test_solutions_are_right():
    i, h = 512, 256
    assert check.ex_04_1(3 * 2 * 4 * (h * i + h * h + 2 * h))
    assert check.ex_04_2((int(16000 * 4096 / 44100) + 1, 1 + (6 * 44100 - 4096) // 1024))
    assert check.ex_04_3(lambda a, b: a**2 / (a**2 + b**2))


def test_the_right_counts_are_those_of_the_published_network():
    network = build("open-unmix")
    assert check.ex_04_1(sum(p.numel() for p in network.lstm.parameters()))
    assert check.ex_04_2(
        (network.bins_seen, network.training_stft(torch.zeros(2, 6 * 44100)).shape[-1])
    )


@pytest.mark.parametrize(
    "answer, says",
    [
        (2_365_440, "backwards"),  # one direction
        (4_724_736, "two bias vectors"),
        (4_718_592, "biases are missing"),
        (788_480, "one direction of one layer"),
        (8_893_348, "is not it"),
        ("four million", "is not it"),
    ],
)
def test_wrong_counts_of_the_lstm(answer, says):
    verdict = check.ex_04_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((1486, 255), "bin 0"),
        ((2049, 255), "22.05 kHz"),
        ((1487, 259), "padded"),
        ((1487, 258), "beyond its end"),
        ((1487, 254), "first window"),
        ((1500, 255), "10.77 Hz"),
        (1487, "could not be used"),
    ],
)
def test_wrong_bins_and_frames(answer, says):
    verdict = check.ex_04_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda a, b: a / (a + b), "IRM1"),
        (lambda a, b: b**2 / (a**2 + b**2), "other source"),
        (lambda a, b: a**2 / (a + b) ** 2, "independent phases"),
        (lambda a, b: a / (a**2 + b**2) ** 0.5, "square root"),
        (lambda a, b: a, "3 and 4"),
        (lambda a, b: 0.36, "every pair"),
        (0.36, "function"),
    ],
)
def test_wrong_gains(answer, says):
    verdict = check.ex_04_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


def test_every_exercise_has_hints():
    assert "4 * (h * i" in str(hint(1))
    assert all(str(hint(number, 2)) for number in (1, 2, 3))
