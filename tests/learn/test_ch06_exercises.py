"""The right answers of chapter 06 are what the package has."""

import torch

from sepkit.learn.ch06.exercises import SPLIT
from sepkit.models import build
from sepkit.models.bands import SPLITS, band_edges
from sepkit.models.bsrnn_layers import BandSplit

from .answers.ch06 import bands, parameters


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
