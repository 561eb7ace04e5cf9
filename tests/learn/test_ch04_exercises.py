"""The right answers of chapter 04 are what networks of the published size have."""

import torch

from sepkit.learn.ch04 import exercises
from sepkit.learn.ch04.exercises import check
from sepkit.models import build


def test_the_right_counts_are_those_of_networks_of_the_published_size():
    network, online = build("open-unmix"), build("open-unmix", unidirectional=True)
    assert check.ex_04_1(sum(p.numel() for p in online.lstm.parameters()))
    assert not check.ex_04_1(sum(p.numel() for p in network.lstm.parameters()))
    half = build("open-unmix", n_fft=2048, hop=512, bandwidth=15000)
    frames = half.training_stft(torch.zeros(2, 5 * 44100)).shape[-1]
    assert check.ex_04_2((half.bins_seen, frames))
    assert not check.ex_04_2((network.bins_seen, frames))  # Table 1 says it, but of another one


def test_early_stopping_stops_and_keeps_what_a_plain_count_does():
    for losses in (exercises.TRAINING, exercises.VALIDATION, (1.0, 2.0, 3.0), (3.0, 3.0, 2.0)):
        for patience in (1, 2, 3, 20):
            best, waited, kept, stopped = float("inf"), 0, 0, len(losses)
            for epoch, loss in enumerate(losses, 1):
                waited = 0 if loss < best else waited + 1
                best, kept = (loss, epoch) if loss < best else (best, kept)
                if waited == patience:
                    stopped = epoch
                    break
            assert exercises.early_stopping(losses, patience) == (stopped, kept)
    assert check.ex_04_4((10, 7, 4, 12))
