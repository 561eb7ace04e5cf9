"""Gains that bring sounds to one loudness."""

import math

import torch

from sepkit.audio.loudness import loudness
from sepkit.learn.loudness import PEAK, matching_gains

RATE = 44100


def tone(frequency, level, seconds=1.0, rate=RATE, channels=1):
    time = torch.arange(int(seconds * rate)) / rate
    return (level * torch.sin(2 * math.pi * frequency * time)).repeat(channels, 1)


def test_matched_sounds_are_equally_loud_and_never_clip():
    signals = {"loud": tone(440, 0.9, 2), "quiet": tone(440, 0.001, 2), "high": tone(3000, 0.2, 2)}
    gains = matching_gains(signals, RATE)
    heard = [loudness(x * 10 ** (gains[label] / 20), RATE) for label, x in signals.items()]
    assert max(heard) - min(heard) < 0.01
    click = torch.zeros(1, 2 * RATE)
    click[0, 100] = 3.0
    for gains in (
        matching_gains({**signals, "click": click}, RATE),
        matching_gains({**signals, "click": click}, RATE, match=False),
    ):
        peaks = [
            float(x.abs().max()) * 10 ** (gains[label] / 20)
            for label, x in {**signals, "click": click}.items()
        ]
        assert max(peaks) <= PEAK + 1e-6
    assert matching_gains({"silence": torch.zeros(1, RATE), **signals}, RATE)["silence"] == 0
