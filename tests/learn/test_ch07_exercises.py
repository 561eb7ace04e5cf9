"""The checks of chapter 07: stubs, right answers, and the wrong ones that readers give."""

import math

import pytest
import torch

from sepkit.datasets.remix import Draws, SpeechRemix
from sepkit.learn.ch07.exercises import CASES, check, hint
from sepkit.metrics import statistics, usdr

from .tools import RIGHT, STUB, judged


def remix(stems, orders):
    return torch.stack([stems[orders[s], s] for s in range(stems.shape[1])], dim=1)


def speech_gain(speech, music, snr):
    return torch.sqrt(music.square().sum() / speech.square().sum()) * 10 ** (snr / 20)


def test_the_right_answers_are_what_the_package_has():
    for name, said in zip(CASES, ("holds", "undecided", "undecided")):
        scores = {str(song): value for song, value in enumerate(CASES[name])}
        assert statistics.verdict(statistics.compare(scores, dict.fromkeys(scores, 0.0))) == said
    sound = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    assert float(usdr(sound, 0.5 * sound)) == pytest.approx(6.02, abs=0.01)
    assert float(usdr(sound, 0.9 * sound)) == pytest.approx(20, abs=0.01)


def test_the_gain_of_exercise_3_makes_the_mixture_of_the_package():
    class Speech:
        def __len__(self):
            return 1

        def utterance(self, index):
            return torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))

    music = torch.randn(1, 1, 4000, generator=torch.Generator().manual_seed(2))
    mixture, target = SpeechRemix(Speech(), 1.0, snr=(5, 5))(
        music, torch.zeros_like(music), Draws(0, 0, [0])
    )
    speech = Speech().utterance(0)
    ours = speech_gain(speech, music[0], 5.0) * speech + music[0]
    torch.testing.assert_close(mixture[0], ours / ours.abs().max(), atol=1e-5, rtol=1e-4)


def test_every_exercise_has_hints():
    assert all(str(hint(number, 3)) for number in range(1, 6))


ANSWERS = [
    (1, (..., ...), STUB),
    (1, (24**4, (1 / 24) ** 3), RIGHT),
    (1, (96, 1 / 13824), "multiply"),
    (1, (24 * 23 * 22 * 21, 1 / 13824), "several stems"),
    (1, (4**24, 1 / 13824), "made four times"),
    (1, (1000, 1 / 13824), "not 1000"),
    (1, (24**4, 1 / 24**4), "any of the 24"),
    (1, (24**4, 1 / 24), "three"),
    (1, (24**4, 13824), "between 0 and 1"),
    (1, (24**4, 0.5), "not 0.5"),
    (2, lambda *given: ..., STUB),
    (2, remix, RIGHT),
    (2, lambda stems, orders: 5, "not int"),
    (2, lambda stems, orders: stems[0], "shape must stay"),
    (2, lambda stems, orders: stems, "nothing has changed"),
    (2, lambda stems, orders: stems[orders[1]], "one order"),
    (2, lambda stems, orders: stems.roll(1, dims=1), "within an example"),
    (
        2,
        lambda stems, orders: torch.stack([stems[orders[s].argsort(), s] for s in range(4)], dim=1),
        "backwards",
    ),
    (
        2,
        lambda stems, orders: torch.stack(
            [stems[orders[s] if s else orders[2], s] for s in range(4)], dim=1
        ),
        "not so for all",
    ),
    (3, lambda *given: ..., STUB),
    (3, speech_gain, RIGHT),
    (3, lambda s, m, snr: 10 ** (snr / 20), "equally loud"),
    (
        3,
        lambda s, m, snr: torch.sqrt(m.square().sum() / s.square().sum()) * 10 ** (snr / 10),
        "ratio of energies",
    ),
    (3, lambda s, m, snr: m.square().sum() / s.square().sum() * 10 ** (snr / 10), "square root"),
    (3, lambda s, m, snr: speech_gain(s, m, -snr), "sign is turned"),
    (3, lambda s, m, snr: 1 / speech_gain(s, m, snr), "belongs to the music"),
    (3, lambda s, m, snr: 100 * speech_gain(s, m, snr), "45.0 dB instead of 5 dB"),
    (3, lambda s, m, snr: -1.0, "above 0"),
    (3, 5.0, "function"),
    (4, (..., ...), STUB),
    (4, (-20 * math.log10(1 - 0.5), 1 - 10 ** (-20 / 20)), RIGHT),
    (4, (6.02, 1.1), RIGHT),
    (4, (3.01, 0.9), "20 log10"),
    (4, (-6.02, 0.9), "sign is turned"),
    (4, (math.inf, 0.9), "one gain for both"),
    (4, (0.5, 0.9), "not 0.5 dB"),
    (4, (6.02, 0.1), "missing"),
    (4, (6.02, 0.99), "100 in energy"),
    (4, (6.02, 1.0), "infinite"),
    (4, (6.02, 0.8), "14.0 dB"),
    (5, (..., ..., ...), STUB),
    (5, ("holds", "undecided", "undecided"), RIGHT),
    (5, {"A": "Holds", "B": "undecided", "C": "undecided"}, RIGHT),
    (5, ("undecided", "undecided", "undecided"), "every song points the same way"),
    (5, ("holds", "holds", "undecided"), "one single song"),
    (5, ("holds", "fails", "undecided"), "does harm"),
    (5, ("holds", "undecided", "holds"), "2/32"),
    (5, ("holds", "undecided", "fails"), "all five"),
    (5, ("yes", "undecided", "undecided"), "'yes' is none"),
    (5, ("holds", "undecided"), "in this form"),
]

test_answers_are_judged = judged(check, "07", ANSWERS)
