"""Sounds one by one, to be handed to a network that looks for a voice: which ones does it keep?

All are made here: nothing is recorded. They come from the band's drums, horns and singers, but
for the cheering, in which many singers shout at once. Chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...band import instruments, voice
from ...band.instruments import Event, Hit
from ...band.singers import draw_singer
from ...errors import unknown

RATE = 44100
#: Root mean square of every sound.
LEVEL = 0.05
_SHOUTS = ["yeah", "hey", "whoa", "yeah"]


def sound(name: str, seconds: float, seed: int = 0) -> torch.Tensor:
    """One of `SOUNDS`.

    Parameters
    ----------
    name : str
    seconds : float
    seed : int
        Another seed, another variant.

    Returns
    -------
    Tensor (2, samples)
        44.1 kHz, the same on both sides, of root mean square `LEVEL`.

    Raises
    ------
    SepkitError
        For an unknown name.
    """
    if name not in SOUNDS:
        raise unknown("sound", name, SOUNDS)
    rng = np.random.default_rng([seed, list(SOUNDS).index(name)])
    wave = np.asarray(SOUNDS[name](rng, seconds), np.float64)[: round(seconds * RATE)]
    wave = wave * (LEVEL / np.sqrt(np.mean(wave**2)))
    return torch.from_numpy(wave).float().expand(2, -1).contiguous()


def _strokes(role: str, kit: str, per_second: float) -> Callable:
    """Strokes of one drum at random times."""

    def make(rng, seconds):
        times = np.sort(rng.uniform(0, seconds - 0.2, max(2, int(per_second * seconds))))
        hits = [Hit(float(time), role, float(rng.uniform(0.5, 1))) for time in times]
        return instruments.drum(hits, kit, round(seconds * RATE), rng, "dsp").mean(0)

    return make


def _voice(rng, seconds):
    """A singer of the test songs, four notes in two seconds."""
    singer = draw_singer(rng, "test")
    starts = np.arange(0.1, seconds - 0.5, 0.5)
    notes = [voice.Note(float(t), 0.45, float(57 + rng.integers(0, 9))) for t in starts]
    return voice.sing(notes, singer, _WORDS, seconds, rng, voice.available_engine())


_WORDS = ["silver", "station", "morning", "shadow"]


def _cheering(rng, seconds):
    """Six singers shout, and each is heard four times, a little later and at another speed."""
    samples = round(seconds * RATE)
    crowd = np.zeros(samples)
    for _ in range(6):
        starts = np.sort(rng.uniform(0, max(0.1, seconds - 1.2), 2))
        notes = [voice.Note(float(t), 1.0, float(rng.uniform(58, 76))) for t in starts]
        singer = draw_singer(rng, "test")
        shout = voice.sing(notes, singer, _SHOUTS, seconds, rng, "dsp")
        for speed in rng.uniform(0.9, 1.1, 4):
            places = (np.arange(samples) * speed + rng.integers(samples)) % len(shout)
            crowd += np.interp(places, np.arange(len(shout)), shout)
    return crowd


def _horn(rng, seconds):
    """A horn of the test songs, two notes a second."""
    program = int(rng.choice(instruments.PROGRAMS["high horn"]["test"]))
    starts = np.arange(0.05, seconds - 0.5, 0.5)
    events = [Event(float(t), 0.45, float(62 + rng.integers(0, 9)), 0.8) for t in starts]
    samples, backend = round(seconds * RATE), instruments.choose()
    return np.atleast_2d(instruments.play(events, program, samples, rng, backend)).mean(0)


#: What a network is given: name -> function of a random generator and seconds.
SOUNDS: dict[str, Callable] = {
    "voice": _voice,
    "cheering": _cheering,
    "claps": _strokes("clap", "garage", 10),
    "cymbals": _strokes("crash", "garage", 2),
    "horn": _horn,
    "beatbox: b": _strokes("mouth kick", "beatbox", 3),
    "beatbox: k": _strokes("mouth snare", "beatbox", 3),
    "beatbox: ts": _strokes("mouth hat", "beatbox", 6),
}
