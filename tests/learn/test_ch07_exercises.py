"""The right answers of chapter 07 are what signals and the package say."""

import pytest
import torch

from sepkit.datasets.remix import Draws, SpeechRemix
from sepkit.learn.ch07 import exercises
from sepkit.learn.ch07.exercises import CASES
from sepkit.metrics import statistics, usdr

from .answers.ch07 import speech_gain


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


@pytest.mark.parametrize("seeds", [1, 5, 40])
def test_the_dice_of_exercise_6_scatter_as_the_formula_says(seeds):
    formula = (0.3**2 / 24 + 0.2**2 / seeds + 0.4**2 / (24 * seeds)) ** 0.5
    assert exercises._scatter(seeds) == pytest.approx(formula, rel=0.05)
