"""Loudness: the standard's reference tone, gates, and torchaudio where it is right."""

import math

import pytest
import torch
import torchaudio

from sepkit.audio.loudness import loudness

RATE = 44100


def tone(frequency, level, seconds=1.0, rate=RATE, channels=1):
    time = torch.arange(int(seconds * rate)) / rate
    return (level * torch.sin(2 * math.pi * frequency * time)).repeat(channels, 1)


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000, 96000])
def test_loudness_of_the_standards_reference_tone(rate):
    # ITU-R BS.1770-4: a 997 Hz sine at full scale in one channel reads -3.01 LKFS.
    assert loudness(tone(997, 1.0, 3, rate), rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness(tone(997, 0.1, 3, rate), rate) == pytest.approx(-23.01, abs=0.05)
    assert loudness(tone(997, 0.1, 3, rate, channels=2), rate) == pytest.approx(-20.0, abs=0.05)


def test_silence_between_tones_is_gated_out():
    gappy = torch.cat([tone(997, 0.5, 2), torch.zeros(1, 4 * RATE)], dim=1)
    assert loudness(gappy, RATE) == pytest.approx(loudness(tone(997, 0.5, 2), RATE), abs=0.5)
    assert loudness(torch.zeros(1, RATE), RATE) == -math.inf
    assert math.isfinite(loudness(tone(997, 0.5, 0.1), RATE))  # shorter than a block


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_torchaudio_agrees_where_its_filters_do_not_clip(rate):
    noise = torch.randn(2, 3 * rate, generator=torch.Generator().manual_seed(0))
    sounds = {
        "hum": tone(60, 0.5, 3, rate),
        "whistle": tone(3000, 0.1, 3, rate),
        "noise": 0.1 * noise[:1],
        "stereo": noise * torch.tensor([[0.1], [0.02]]),
        "with gaps": torch.cat([tone(500, 0.3, 1, rate), torch.zeros(1, rate)], dim=1),
        "fading": noise * torch.linspace(-1, -4, 3 * rate).exp() / 5,
    }
    for name, sound in sounds.items():
        theirs = float(torchaudio.functional.loudness(sound, rate))
        assert loudness(sound, rate) == pytest.approx(theirs, abs=0.1), name
