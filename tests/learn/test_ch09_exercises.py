"""The right answers of chapter 09 are what signals and the package say."""

import math

import torch

from sepkit.learn.ch09.exercises import check
from sepkit.models import build
from sepkit.models.waveform import in_segments
from sepkit.stft import STFT


def test_what_is_called_right_is_what_the_package_does():
    def lost(levels, kernel, merge_kernel):
        net = build("wave-u-net", levels=levels, kernel=kernel, merge_kernel=merge_kernel)
        out, given = net.fitting(16384)
        return (given - out) / 2

    assert check.ex_09_3(lost) and lost(12, 15, 5) == 65527

    # the blocks of the paper's network, narrow
    network = build("conv-tasnet", filters=2, width=2, hidden=2)
    dilations = [
        layer.dilation[0]
        for layer in network.masks.modules()
        if isinstance(layer, torch.nn.Conv1d) and layer.groups > 1
    ]
    assert check.ex_09_4((1 + 2 * sum(dilations)) * network.step / network.sample_rate)

    def by_in_segments(pieces, starts, samples):
        whole, given = torch.zeros(samples), iter(pieces)
        return in_segments(
            lambda x: next(given)[None, None, None], whole[None, None], len(pieces[0]), 0.3
        )[0, 0, 0]

    assert check.ex_09_5(by_in_segments)

    noise = torch.randn(1, 20 * 44100, generator=torch.Generator().manual_seed(0))
    assert check.ex_09_6(
        float(STFT(1024, 256)(noise).abs().square().mean() / noise.square().mean())
    )


def test_linear_upsampling_leaves_the_images_that_exercise_2_predicts():
    from sepkit.models.wave_u_net import Double

    def measured(frequency, new_rate):
        n = torch.arange(4096, dtype=torch.float64)
        tone = torch.cos(2 * math.pi * frequency / (new_rate / 2) * n)[None, None]
        y = Double(1, "linear", 5)(tone)[0, 0]
        y = y * torch.hann_window(len(y), dtype=y.dtype)
        at = torch.arange(len(y), dtype=torch.float64)
        level = [
            abs(torch.sum(y * torch.exp(-2j * math.pi * f / new_rate * at)))
            for f in (new_rate / 2 - frequency, frequency)
        ]
        return 20 * float(torch.log10(level[0] / level[1]))

    assert check.ex_09_2(measured)
