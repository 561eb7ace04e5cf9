"""Sounds of our own mathematics for exercises: a tone, a sung note, a drum. Mono, float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from .players import PlayerRows, players

RATE = 22050  # Hz


def tone(frequency: float, seconds: float = 1.5, rate: int = RATE) -> torch.Tensor:
    """Make a cosine of amplitude 0.3, (samples,); above `rate` / 2 it folds."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return 0.3 * torch.cos(2 * math.pi * frequency * time)


def voice(seconds: float = 3.0, rate: int = RATE) -> torch.Tensor:
    """Sing one note in syllables: twelve overtones of 220 Hz with vibrato, (samples,)."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * math.pi * 220 * time + 0.9 * torch.sin(2 * math.pi * 5.5 * time)
    overtones = sum(torch.sin(k * phase) / k for k in range(1, 13))
    return 0.15 * overtones * torch.sin(math.pi * 1.5 * time).abs()


def drum(seconds: float = 3.0, rate: int = RATE) -> torch.Tensor:
    """Beat three times a second: bursts of noise that die away, (samples,)."""
    samples = round(seconds * rate)
    time = torch.arange(samples, dtype=torch.float64) / rate
    noise = torch.randn(samples, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return 0.2 * noise * torch.exp(-12 * (time * 3 % 1) / 3)


def row(sounds: Mapping[str, torch.Tensor], listen: str) -> PlayerRows:
    """Make a player for each sound, at their own levels; `listen` says what to listen for."""
    return players(sounds, RATE, match=False, listen=listen, synthetic=True)
