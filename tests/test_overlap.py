"""Pieces that overlap add up to what they were cut from."""

import pytest
import torch

from sepkit.overlap import overlap_add, triangle


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("window", [torch.ones(40), triangle(40, torch.zeros(()))])
def test_pieces_that_are_passed_on_give_the_audio_back(window, batch):
    audio = torch.randn(2, 3, 100, generator=torch.Generator().manual_seed(0))
    out = overlap_add(lambda x: x.unsqueeze(1), audio, [0, 15, 30, 45, 60], window, batch)
    torch.testing.assert_close(out, audio.unsqueeze(1))


def test_pieces_weigh_as_the_window_says():
    number = iter((1.0, 4.0))
    window = torch.tensor([1.0, 3.0])
    out = overlap_add(lambda x: 0 * x + next(number), torch.zeros(1, 1, 3), [0, 1], window)
    assert out.flatten().tolist() == [1.0, (3 * 1.0 + 1 * 4.0) / 4, 4.0]


def test_pieces_of_a_batch_are_processed_together():
    seen = []

    def process(x):
        seen.append(len(x))
        return x

    overlap_add(process, torch.zeros(2, 1, 50), range(0, 50, 10), torch.ones(10), 3)
    assert seen == [6, 4]
