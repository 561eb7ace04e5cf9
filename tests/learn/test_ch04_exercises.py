"""The checks of chapter 04: stubs, right answers, and the wrong ones that readers give."""

import torch

from sepkit.learn.ch04.exercises import check, hint
from sepkit.models import build

from .tools import RIGHT, STUB, judged


def test_the_right_counts_are_those_of_the_published_network():
    network = build("open-unmix")
    assert check.ex_04_1(sum(p.numel() for p in network.lstm.parameters()))
    assert check.ex_04_2(
        (network.bins_seen, network.training_stft(torch.zeros(2, 6 * 44100)).shape[-1])
    )


def test_every_exercise_has_hints():
    assert "4 * (h * i" in str(hint(1))
    assert all(str(hint(number, 2)) for number in (1, 2, 3))


ANSWERS = [
    (1, ..., STUB),
    (1, 3 * 2 * 4 * (256 * 512 + 256 * 256 + 2 * 256), RIGHT),
    (1, 2_365_440, "backwards"),
    (1, 4_724_736, "two bias vectors"),
    (1, 4_718_592, "biases are missing"),
    (1, 788_480, "one direction of one layer"),
    (1, 8_893_348, "is not it"),
    (1, "four million", "is not it"),
    (2, (..., ...), STUB),
    (2, (int(16000 * 4096 / 44100) + 1, 1 + (6 * 44100 - 4096) // 1024), RIGHT),
    (2, (1486, 255), "bin 0"),
    (2, (2049, 255), "22.05 kHz"),
    (2, (1487, 259), "padded"),
    (2, (1487, 258), "beyond its end"),
    (2, (1487, 254), "first window"),
    (2, (1500, 255), "10.77 Hz"),
    (2, 1487, "could not be used"),
    (3, ..., STUB),
    (3, lambda a, b: None, STUB),
    (3, lambda a, b: a**2 / (a**2 + b**2), RIGHT),
    (3, lambda a, b: a / (a + b), "IRM1"),
    (3, lambda a, b: b**2 / (a**2 + b**2), "other source"),
    (3, lambda a, b: a**2 / (a + b) ** 2, "independent phases"),
    (3, lambda a, b: a / (a**2 + b**2) ** 0.5, "square root"),
    (3, lambda a, b: a, "3 and 4"),
    (3, lambda a, b: 0.36, "every pair"),
    (3, 0.36, "function"),
]

test_answers_are_judged = judged(check, "04", ANSWERS)
