"""Signals that every blind method meets: talkers, rooms, and a song in miniature."""

import math

import numpy as np
import pytest
import torch

from sepkit.band import speech, voice
from sepkit.datasets import MemoryTrack


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="session")
def independent():
    """``independent(count, samples, seed)``: Laplacian noises of unit variance, float64."""

    def make(count, samples=40000, seed=0):
        u = torch.rand(count, samples, dtype=torch.float64, generator=generator(seed)) - 0.5
        return -u.sign() * torch.log1p(-2 * u.abs()) / math.sqrt(2)

    return make


@pytest.fixture(scope="session")
def speakers():
    """Two of the band's speakers: float64 (2, samples), 8 s at 16 kHz; skipped without voices."""
    if voice.available_engine() != "espeak":
        pytest.skip("the band's voice is not installed: pip install sepkit[band]")
    said = [
        speech.say(speech.draw_speaker(0, "train", k), 8.0, np.random.default_rng(k))[0]
        for k in (0, 1)
    ]
    samples = min(map(len, said))
    return torch.stack([torch.from_numpy(x[:samples]) for x in said])


@pytest.fixture(scope="session")
def talkers():
    """Coloured noise in syllables and pauses: two like speech, (2, samples), 10 s at 16 kHz."""
    samples, signals = 160000, []
    for seed, (syllables, pole) in enumerate(((3.1, 0.9), (4.3, 0.7))):
        g = generator(seed)
        spectrum = torch.fft.rfft(torch.randn(samples, dtype=torch.float64, generator=g))
        turn = torch.exp(-1j * torch.linspace(0, math.pi, len(spectrum), dtype=torch.float64))
        coloured = torch.fft.irfft(spectrum / (1 - pole * turn), samples)
        loud = (
            torch.rand(round(samples / 16000 * syllables) + 1, dtype=torch.float64, generator=g)
            ** 3
        )
        signals.append(
            coloured
            * torch.nn.functional.interpolate(loud[None, None], samples, mode="linear")[0, 0]
        )
    signals = torch.stack(signals)
    return 0.1 * signals / signals.std(1, keepdim=True)


@pytest.fixture(scope="session")
def room(talkers):
    """Each talker as two microphones hear it with echoes of 50 ms: {name: float64 (2, samples)}."""
    images, length, size = {}, 800, 1 << 18
    for j, signal in enumerate(talkers):
        heard = []
        for microphone in range(2):
            g = generator(10 * j + microphone)
            path = (
                0.15
                * torch.randn(length, dtype=torch.float64, generator=g)
                * torch.exp(-6.9 * torch.arange(length) / length)
            )
            path[:12] = 0
            path[12 - 5 * (microphone == j)] = 1.0 if microphone == j else 0.7
            heard.append(
                torch.fft.irfft(torch.fft.rfft(signal, size) * torch.fft.rfft(path, size), size)[
                    : len(signal)
                ]
            )
        images[f"talker {j}"] = torch.stack(heard)
    return images


@pytest.fixture(scope="session")
def toy_song():
    """``toy_song(seconds, rate)``: a Track of a repeating band and a voice that never repeats."""

    def make(seconds=5.0, rate=8000):
        samples = round(seconds * rate)
        t = torch.arange(samples) / rate
        g = generator(0)
        beat = (t * 2) % 1  # two a second
        drums = torch.randn(samples, generator=g) * torch.exp(-30 * beat)
        bass = torch.sin(2 * math.pi * 60 * t)
        other = sum(
            torch.sin(2 * math.pi * f * t) * torch.exp(-2 * ((t + shift) % 1))
            for f, shift in ((330, 0), (440, 0.5))
        )
        pitch = (
            500
            + 150 * torch.sin(2 * math.pi * 0.37 * t)
            + 90 * torch.sin(2 * math.pi * 0.83 * t + t**2 / 9)
        )
        phase = 2 * math.pi * torch.cumsum(pitch, 0) / rate
        vocals = (torch.sin(phase) + 0.5 * torch.sin(2 * phase)) * (
            0.6 + 0.4 * torch.sin(2 * math.pi * 0.61 * t)
        )
        places = {
            "vocals": (0.2, 0.2),
            "drums": (0.22, 0.1),
            "bass": (0.12, 0.14),
            "other": (0.05, 0.12),
        }
        signals = {"vocals": vocals, "drums": drums, "bass": bass, "other": other}
        return MemoryTrack(
            "toy",
            {name: torch.tensor(places[name])[:, None] * signals[name] for name in places},
            rate,
        )

    return make
