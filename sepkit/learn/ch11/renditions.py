"""Songs of the band for one experiment: the same songs again and again, one knob turned.

Every stem has a random generator of its own, so that a knob changes what it names and nothing
else: voice, drums and bass of two renditions that differ in the horns are equal sample by sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import band
from ...band.instruments import choose
from ...band.voice import available_engine
from ...datasets import open_tracks
from ...datasets.track import Track
from ...files import data_root, digest


def songs(
    number: int,
    seconds: float,
    seed: int = 0,
    genres: Sequence[str] | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    **knobs: Any,
) -> list[Track]:
    """Test songs of the band with some knobs set; rendered once, then read from disk.

    Parameters
    ----------
    number : int
        How many songs.
    seconds : float
        Length of each.
    seed : int
        Of the songs. The same seed, number and genres give the same songs for any knobs.
    genres : list of str, optional
        Genres in turn; all of them by default.
    sample_rate, channels : int, optional
        As for `sepkit.datasets.open_tracks`.
    **knobs
        See `sepkit.band.KNOBS`.

    Returns
    -------
    list of Track
        Sorted by name.

    Raises
    ------
    SepkitError
        As `sepkit.band.render`.
    """
    settings = dict(number=number, seconds=float(seconds), seed=seed, genres=genres, knobs=knobs)
    engines = dict(version=band.VERSION, voice=available_engine(), instruments=choose())
    folder = data_root() / "band" / "studies" / digest({**settings, **engines})[:16]
    band.render(
        folder,
        train=0,
        test=number,
        seconds=seconds,
        seed=seed,
        genres=genres,
        speech=False,
        progress=False,
        **knobs,
    )
    return sorted(
        open_tracks(folder, "test", sample_rate=sample_rate, channels=channels),
        key=lambda track: track.name,
    )
