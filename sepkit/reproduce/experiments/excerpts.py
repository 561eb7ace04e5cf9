"""Excerpts that are learnt by heart: the loudest seconds of a song, as overlapping examples."""

import torch

from ...datasets import MemoryTrack
from ...datasets.track import Track


def loudest(track: Track, seconds: float, target: str) -> MemoryTrack:
    """The excerpt in which the target is strongest, as a track of its own."""
    frames = min(track.samples, round(seconds * track.sample_rate))
    power = track.stem(target).square().sum(0).double().cumsum(0)
    power = torch.cat([power.new_zeros(1), power])
    energies = (power[frames:] - power[:-frames])[:: track.sample_rate // 4]
    start = int(energies.argmax()) * (track.sample_rate // 4)
    return MemoryTrack(
        track.name,
        {stem: track.stem(stem, start, frames) for stem in track.stems},
        track.sample_rate,
    )


def thirds(track: Track) -> list[MemoryTrack]:
    """Three examples of half the length, each overlapping the next by half, as tracks."""
    half, quarter = track.samples // 2, track.samples // 4
    return [
        MemoryTrack(
            track.name,
            {stem: track.stem(stem, k * quarter, half) for stem in track.stems},
            track.sample_rate,
        )
        for k in range(3)
    ]
