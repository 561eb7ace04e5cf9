"""The right answers of chapter 06 are what the package has."""

import pytest
import torch

from sepkit.learn import tones
from sepkit.learn.ch06.exercises import SPLIT, every_second_band
from sepkit.models import build
from sepkit.models.bands import SPLITS, band_edges

from .answers.ch06 import ANSWERS, bands


def test_the_right_answers_are_what_the_package_has():
    assert bands(SPLIT) == len(band_edges(SPLIT)) - 1 == 37
    assert all(bands(split) == len(band_edges(name)) - 1 for name, split in SPLITS.items())
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


def test_the_split_of_a_bass_is_one_that_the_network_takes():
    for split in ANSWERS[2]["right"]:
        edges = band_edges([tuple(map(float, pair)) for pair in split])
        below = edges[:-1]  # the rest may be the last bin alone
        assert len(edges) - 1 <= 16
        assert min(high - low for low, high in zip(below, below[1:])) >= 2


@pytest.mark.parametrize("hertz, left", [(50, 1), (150, 0), (250, 1), (5000, 0)])
def test_what_is_heard_of_a_split_has_every_second_band_alone(hertz, left):
    """Bands of 100 Hz up to 300, and the rest: the first and the third are left."""
    tone = tones.tone(hertz, 1.0)
    heard = every_second_band(tone, [0, 100, 200, 300, 22050])
    assert torch.allclose(heard, left * tone, atol=1e-6)
