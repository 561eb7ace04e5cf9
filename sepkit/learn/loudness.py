"""Gains that bring sounds to one loudness, so that comparisons are not won by level."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ..audio.loudness import loudness

#: LUFS that players aim at; quieter when a peak would otherwise exceed `PEAK`.
TARGET = -20.0
PEAK = 0.89
_QUIETEST = -36.0  # a click among tones does not drag the tones below this


def matching_gains(
    signals: Mapping[str, torch.Tensor],
    sample_rate: int,
    match: bool = True,
    together: bool = False,
) -> dict[str, float]:
    """Find the gain in dB of every signal, so that all sound equally loud and none clips.

    Parameters
    ----------
    signals : dict of str to Tensor (channels, samples)
    sample_rate : int
    match : bool
        False: one gain for all, at most 0 dB, that keeps every peak below full scale.
    together : bool
        Without `match`: keep the peak of the sum below full scale too.

    Returns
    -------
    dict of str to float
        0 for silence. A sound whose peaks do not allow the common loudness is as loud
        as they allow.
    """
    room = {label: _room(x) for label, x in signals.items()}
    if not match:
        gain = min([0.0, *room.values()])
        if together:
            longest = max(x.shape[-1] for x in signals.values())
            pad = torch.nn.functional.pad
            total = sum(pad(x, (0, longest - x.shape[-1])) for x in signals.values())
            gain = min(gain, _room(total))
        return dict.fromkeys(signals, gain)
    levels = {label: loudness(x, sample_rate) for label, x in signals.items()}
    sounding = [label for label, value in levels.items() if math.isfinite(value)]
    aim = min([TARGET, *(levels[label] + room[label] for label in sounding)])
    aim = max(aim, _QUIETEST)
    return {
        label: min(aim - levels[label], room[label]) if label in sounding else min(0.0, room[label])
        for label in signals
    }


def _room(x):
    """Decibels from the peak up to `PEAK`; 0 for silence."""
    peak = float(x.abs().max())
    return 20 * math.log10(PEAK / peak) if peak else 0.0
