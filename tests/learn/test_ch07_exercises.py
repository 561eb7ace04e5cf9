"""The checks of chapter 07: the stub, the solution, and the wrong answers that readers give."""

import math

import pytest
import torch

from sepkit.datasets.remix import Draws, SpeechRemix
from sepkit.learn.ch07.exercises import CASES, check, hint
from sepkit.metrics import statistics, usdr


def remix(stems, orders):
    return torch.stack([stems[orders[s], s] for s in range(stems.shape[1])], dim=1)


def speech_gain(speech, music, snr):
    return torch.sqrt(music.square().sum() / speech.square().sum()) * 10 ** (snr / 20)


def test_stubs_count_as_not_attempted():
    def stub(*given):
        return ...

    for verdict in (
        check.ex_07_1((..., ...)),
        check.ex_07_2(stub),
        check.ex_07_3(stub),
        check.ex_07_4((..., ...)),
        check.ex_07_5((..., ..., ...)),
    ):
        assert verdict.status == "not attempted"


def test_solutions_are_right():
    assert check.ex_07_1((24**4, (1 / 24) ** 3))
    assert check.ex_07_2(remix)
    assert check.ex_07_3(speech_gain)
    assert check.ex_07_4((-20 * math.log10(1 - 0.5), 1 - 10 ** (-20 / 20)))
    assert check.ex_07_4((6.02, 1.1))
    assert check.ex_07_5(("holds", "undecided", "undecided"))
    assert check.ex_07_5({"A": "Holds", "B": "undecided", "C": "undecided"})


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


@pytest.mark.parametrize(
    "answer, says",
    [
        ((96, 1 / 13824), "multiply"),
        ((24 * 23 * 22 * 21, 1 / 13824), "several stems"),
        ((4**24, 1 / 13824), "made four times"),
        ((1000, 1 / 13824), "not 1000"),
        ((24**4, 1 / 24**4), "any of the 24"),
        ((24**4, 1 / 24), "three"),
        ((24**4, 13824), "between 0 and 1"),
        ((24**4, 0.5), "not 0.5"),
    ],
)
def test_wrong_counts(answer, says):
    verdict = check.ex_07_1(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda stems, orders: 5, "not int"),
        (lambda stems, orders: stems[0], "shape must stay"),
        (lambda stems, orders: stems, "nothing has changed"),
        (lambda stems, orders: stems[orders[1]], "one order"),
        (lambda stems, orders: stems.roll(1, dims=1), "within an example"),
        (
            lambda stems, orders: torch.stack(
                [stems[orders[s].argsort(), s] for s in range(4)], dim=1
            ),
            "backwards",
        ),
        (
            lambda stems, orders: torch.stack(
                [stems[orders[s] if s else orders[2], s] for s in range(4)], dim=1
            ),
            "not so for all",
        ),
    ],
)
def test_wrong_remixes(answer, says):
    verdict = check.ex_07_2(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda s, m, snr: 10 ** (snr / 20), "equally loud"),
        (
            lambda s, m, snr: torch.sqrt(m.square().sum() / s.square().sum()) * 10 ** (snr / 10),
            "ratio of energies",
        ),
        (lambda s, m, snr: m.square().sum() / s.square().sum() * 10 ** (snr / 10), "square root"),
        (lambda s, m, snr: speech_gain(s, m, -snr), "sign is turned"),
        (lambda s, m, snr: 1 / speech_gain(s, m, snr), "belongs to the music"),
        (lambda s, m, snr: 100 * speech_gain(s, m, snr), "45.0 dB instead of 5 dB"),
        (lambda s, m, snr: -1.0, "above 0"),
        (5.0, "function"),
    ],
)
def test_wrong_gains(answer, says):
    verdict = check.ex_07_3(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        ((3.01, 0.9), "20 log10"),
        ((-6.02, 0.9), "sign is turned"),
        ((math.inf, 0.9), "one gain for both"),
        ((0.5, 0.9), "not 0.5 dB"),
        ((6.02, 0.1), "missing"),
        ((6.02, 0.99), "100 in energy"),
        ((6.02, 1.0), "infinite"),
        ((6.02, 0.8), "14.0 dB"),
    ],
)
def test_wrong_scores_of_a_perfect_separator(answer, says):
    verdict = check.ex_07_4(answer)
    assert verdict.status == "wrong" and says in verdict.text


@pytest.mark.parametrize(
    "answer, says",
    [
        (("undecided", "undecided", "undecided"), "every song points the same way"),
        (("holds", "holds", "undecided"), "one single song"),
        (("holds", "fails", "undecided"), "does harm"),
        (("holds", "undecided", "holds"), "2/32"),
        (("holds", "undecided", "fails"), "all five"),
        (("yes", "undecided", "undecided"), "'yes' is none"),
        (("holds", "undecided"), "could not be used"),
    ],
)
def test_wrong_decisions(answer, says):
    verdict = check.ex_07_5(answer)
    assert verdict.status == "wrong" and says in verdict.text


def test_every_exercise_has_hints():
    assert all(str(hint(number, 3)) for number in range(1, 6))
