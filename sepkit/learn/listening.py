"""Music to listen to where no stems are needed: a recorded song, or one of the band's."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .. import audio
from ..datasets import open_tracks
from ..errors import SepkitError

if TYPE_CHECKING:
    from ..datasets import Track
    from .chapter import Run

_SONG = "fishin"
_DESCRIPTION = (
    "Karissa Hobbs, \"Let's Go Fishin'\", recorded; licence CC BY 3.0, from librosa's example audio"
)
_START = 28.0  # seconds: instruments, then the voice comes in
_TIMEOUT = 3.0  # seconds to wait for the server


@dataclass(frozen=True)
class Excerpt:
    """A few seconds of music.

    Attributes
    ----------
    audio : Tensor
        (channels, samples); of `example_music` (1, samples), with a peak of at most 0.9.
    sample_rate : int
    name : str
        Of the song.
    dataset : str
        Where a score of it belongs.
    description : str
        What is heard, in a sentence for the reader.
    stems : dict of str to Tensor
        Of `example_music`, where they are known: as long as `audio`, at their level in it.
    """

    audio: torch.Tensor
    sample_rate: int
    name: str
    dataset: str
    description: str
    stems: Mapping[str, torch.Tensor] = field(default_factory=dict)


def example_music(
    run: Run, seconds: float, sample_rate: int, network: bool, song: int = 0
) -> Excerpt:
    """See `chapter.Run.example_music`."""
    path = recorded(_SONG) if network else None
    if path is not None:
        whole = audio.info(path)
        start = min(
            int(_START * whole.sample_rate),
            max(0, whole.samples - int(seconds * whole.sample_rate)),
        )
        frames = min(int(seconds * whole.sample_rate), whole.samples - start)
        x, _ = audio.read(path, start, frames, sample_rate, channels=1)
        return Excerpt(
            _level(x),
            sample_rate,
            "Let's Go Fishin'",
            "librosa-example",
            f"You hear {_DESCRIPTION}.",
        )
    track = run.tracks("test", sample_rate=sample_rate, channels=1)[song]
    frames = min(int(seconds * sample_rate), track.samples)
    first = (track.samples - frames) // 2
    x = track.mixture(first, frames)
    level = _level(x)
    gain = float(level.abs().max() / x.abs().max())
    stems = {name: gain * track.stem(name, first, frames) for name in track.stems}
    origin = (
        "rendered on this machine, no licence needed"
        if run.data == "band"
        else f"from {run.dataset}, under its licence"
    )
    return Excerpt(
        level,
        sample_rate,
        track.name,
        run.dataset,
        f"You hear the song {track.name!r} of the data set {run.dataset}, {origin}.",
        stems,
    )


def own_song(path: str, first: float, seconds: float) -> Excerpt:
    """A part of the reader's own file; of a rendered song where no file is named (chapter 00).

    Parameters
    ----------
    path : str
        Any format in `sepkit.audio.READABLE`; ``""`` for the band.
    first, seconds : float
        Where the part begins, and its length; a song that ends before is heard to its end.

    Returns
    -------
    Excerpt
        With the file's channels, at its own level.
    """
    if not path:
        track = open_tracks("band", "test", preset="smoke")[0]
        about = "composed and rendered on this machine"
        return Excerpt(track.mixture(), track.sample_rate, track.name, "band", about)
    file = Path(path).expanduser()
    whole = audio.info(file)
    frames = min(round(seconds * whole.sample_rate), whole.samples)
    start = max(0, min(round(first * whole.sample_rate), whole.samples - frames))
    sound, rate = audio.read(file, start, frames)
    about = f"{frames / rate:.0f} s of your file, from second {start / rate:.0f}"
    return Excerpt(sound, rate, file.stem, "own file", about)


def sounding_middle(track: Track, stem: str, frames: int) -> int:
    """First sample of the middle `frames` of a song, or of others if `stem` is silent there.

    Then they are those in which the stem has the most energy (chapter 02).
    """
    first = (track.samples - frames) // 2
    if track.stem(stem, first, frames).any():
        return first
    energy = track.stem(stem).double().square().sum(0).cumsum(0)  # (samples,)
    energy = torch.nn.functional.pad(energy, (1, 0))
    return int((energy[frames:] - energy[:-frames]).argmax())


def recorded(name: str) -> Path | None:
    """Find the path of one of librosa's example recordings, downloaded once; None if that fails."""
    import librosa

    logging.getLogger("pooch").setLevel(logging.WARNING)  # its lines name folders of this machine
    try:
        if not _cached(name) and not _reachable("https://librosa.org/data/audio/"):
            return None
        return Path(librosa.ex(name, hq=True))
    except Exception:  # a download may fail in any way; the band plays instead
        return None


def _cached(name):
    import pooch

    return bool(list(Path(pooch.os_cache("librosa")).glob(f"*{name.capitalize()}.hq.ogg")))


def _reachable(url):
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT)
    except urllib.error.HTTPError:
        return True  # it answered
    except OSError:
        return False
    return True


def _level(x):
    peak = float(x.abs().max())
    if peak == 0:
        raise SepkitError("example_music: the excerpt is silent; choose another data set")
    return x * min(1.0, 0.9 / peak)


def sweep(low: float, high: float, seconds: float, sample_rate: int) -> torch.Tensor:
    """Make a tone that rises from `low` to `high` Hz: (1, samples), peak 0.5 (chapter 01)."""
    time = torch.arange(int(seconds * sample_rate), dtype=torch.float64) / sample_rate
    phase = 2 * torch.pi * (low * time + (high - low) / (2 * seconds) * time**2)
    return 0.5 * torch.sin(phase).float()[None]
