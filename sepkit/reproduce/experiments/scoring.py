"""The Scores of a trained network on songs, and the name of the data set they stand under."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ... import metrics, separation
from ...datasets.track import Track
from ...metrics import Score

TARGET = "vocals"


def of_songs(
    separator: separation.Separator,
    tracks: Iterable[Track],
    rate: int,
    names: Sequence[str],
    arm: str,
    dataset: str,
    provenance: dict[str, Any],
) -> list[Score]:
    """Scores of the target in songs.

    Parameters
    ----------
    separator : Separator
    tracks : list of Track
        The examples of an excerpt have one name, and count together.
    rate : int
        At which they are scored, and read.
    names : sequence of str
        From `sepkit.metrics.METRICS`; scored together with the accompaniment.
    arm, dataset, provenance
        Of the Scores.
    """
    found: dict[tuple, list[float]] = {}
    for track in tracks:
        for target, metric, value, card in _of_song(separator, track, rate, names):
            if target == TARGET:
                found.setdefault((track.name, metric, card), []).append(float(value))
    return [
        Score(track, TARGET, metric, statistics.fmean(values), arm, dataset, card, provenance)
        for (track, metric, card), values in found.items()
    ]


def _of_song(separator, track, rate, names):
    mixture, voice = track.mixture(), track.stem(TARGET)
    if rate == separator.sample_rate:
        estimate = separator.separate(mixture)[TARGET]
    else:
        estimate = separation.separate_at(separator, mixture, rate)[TARGET]
    truth = {TARGET: voice, "accompaniment": mixture - voice}
    estimates = {TARGET: estimate, "accompaniment": mixture - estimate}
    return metrics.score_track(truth, estimates, rate, names)


def data_set_label(name: str, rate: int, channels: int) -> str:
    """A data set's name; other rates and channels never share a column with the full audio."""
    if (rate, channels) == (44100, 2):
        return name
    return f"{name}, {rate / 1000:g} kHz {'mono' if channels == 1 else 'stereo'}"
