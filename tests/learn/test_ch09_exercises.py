"""The checks of chapter 09: stubs, right answers, and the wrong ones that readers give."""

import math

import numpy as np
import torch

from sepkit.learn.ch09.exercises import check, hint
from sepkit.models import build
from sepkit.models.waveform import in_segments
from sepkit.stft import STFT, make_window

from .tools import RIGHT, STUB, judged


def image(frequency, new_rate, factor=20):
    w = 2 * np.pi * frequency / new_rate
    return factor * np.log10((1 - np.cos(w)) / (1 + np.cos(w)))


def joined(
    pieces,
    starts,
    samples,
    weight=lambda n: torch.minimum(torch.arange(1, n + 1), torch.arange(n, 0, -1)),
    divide=True,
):
    total, weights = torch.zeros(samples), torch.zeros(samples)
    for piece, start in zip(pieces, starts):
        total[start : start + len(piece)] += weight(len(piece)) * piece
        weights[start : start + len(piece)] += weight(len(piece))
    return total / weights if divide else total


def test_what_is_called_right_is_what_the_package_does():
    m6 = build("wave-u-net")
    out, given = m6.fitting(16384)
    assert check.ex_09_3(((given - out) / 2 / m6.sample_rate, given / out))

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
    assert check.ex_09_6(float(STFT()(noise).abs().square().mean() / noise.square().mean()))


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


def test_every_exercise_has_three_hints():
    assert all(str(hint(number, 3)) for number in range(1, 7))


ANSWERS = [
    (1, (..., ...), STUB),
    (1, (2 * 2049 / 1024, 256 / 10), RIGHT),
    (1, "nonsense", ""),
    (2, ..., STUB),
    (2, image, RIGHT),
    (2, "nonsense", ""),
    (2, lambda *given: ..., STUB),
    (3, (..., ...), STUB),
    (3, ((147443 - 16389) / 2 / 22050, 147443 / 16389), RIGHT),
    (3, "nonsense", ""),
    (4, ..., STUB),
    (4, (1 + 4 * 2 * (2**10 - 1)) * 10 / 44100, RIGHT),
    (4, "nonsense", ""),
    (5, ..., STUB),
    (5, joined, RIGHT),
    (5, "nonsense", ""),
    (5, lambda *given: ..., STUB),
    (6, ..., STUB),
    (6, float((make_window("hann", 4096) ** 2).sum()), RIGHT),
    (6, "nonsense", ""),
    (1, (2049 / 1024, 25.6), "two real ones"),
    (1, (1.0005, 25.6), "every 1024 samples"),
    (1, (7, 25.6), "2049 complex numbers"),
    (1, (4.0, 12.8), "overlap by half"),
    (1, (4.0, 51.2), "real numbers, one for each filter"),
    (1, (4.0, 3), "256 real numbers"),
    (2, lambda f, rate: image(f, rate, 10), "20 log10"),
    (2, lambda f, rate: -image(f, rate), "tone against the image"),
    (2, lambda f, rate: image(f, 2 * rate), "whole new rate"),
    (2, lambda f, rate: image(f, rate / 2) if f / rate < 0.2 else 0, "old rate"),
    (2, lambda f, rate: 20 * math.log10((1 - math.cos(2 * math.pi * f / rate)) / 2), "image alone"),
    (2, lambda f, rate: -20.0, "-36.0 dB"),
    (3, (5.943, 9), "both sides"),
    (3, (1.486, 9), "22 050 Hz"),
    (3, (65527, 9), "seconds were asked"),
    (3, (1, 9), "at two ends"),
    (3, (2.972, 0.111), "inverse"),
    (3, (2.972, 7.997), "had to go in"),
    (3, (2.972, 4), "147 443 samples go in"),
    (4, 8185, "that is frames"),
    (4, 3.712, "not 20"),
    (4, 0.464, "one stack"),
    (4, 0.928, "look"),
    (4, 81 * 10 / 44100, "without dilations"),
    (4, 1.0, "twice its dilation"),
    (5, lambda p, s, n: joined(p, s, n, divide=False), "sum of the weights"),
    (5, lambda p, s, n: joined(p, s, n, weight=torch.ones), "plain mean"),
    (5, lambda p, s, n: joined(p, s, n, weight=lambda m: torch.hann_window(m)), "not a number"),
    (5, lambda p, s, n: joined(p, s, n, weight=lambda m: torch.arange(1, m + 1)), "triangles 1, 2"),
    (5, lambda p, s, n: torch.cat(p), "26 samples"),
    (6, 4096, "window of ones"),
    (6, 2048, "sum of w²"),
    (6, 39.19, "amplitudes"),
    (6, 0.375, "mean of w²"),
    (6, 1.5, "overlapping"),
    (6, 1000, "4096 values"),
]

test_answers_are_judged = judged(check, "09", ANSWERS)
