"""The right answers of chapter 04 are what networks of the published size have."""

import torch

from sepkit.learn.ch04.exercises import check
from sepkit.models import build


def test_the_right_counts_are_those_of_networks_of_the_published_size():
    network, online = build("open-unmix"), build("open-unmix", unidirectional=True)
    assert check.ex_04_1(sum(p.numel() for p in online.lstm.parameters()))
    assert not check.ex_04_1(sum(p.numel() for p in network.lstm.parameters()))
    assert check.ex_04_2(
        (network.bins_seen, network.training_stft(torch.zeros(2, 6 * 44100)).shape[-1])
    )
