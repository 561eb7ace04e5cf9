"""A reader's own study: the songs of study 1 with one more knob turned, and the leak before and
after. Chapter 11, exercise 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import SepkitError, unknown
from ...metrics import statistics
from ...separation import Separator, separate_at
from ..judging import is_stub
from . import leakage, renditions

#: Knobs that may be turned: they leave the songs' names, notes and words as they are.
KNOBS = (
    "reverb",
    "echo",
    "doubling",
    "harmony",
    "spoken",
    "lo_fi",
    "vocals_level",
    "other_level",
    "bass_level",
    "drums_level",
)
PREDICTIONS = ("rises", "falls")


@dataclass(frozen=True)
class Study:
    """What came out.

    Attributes
    ----------
    knob : str
        Such as ``"reverb = 1"``.
    prediction : str
        One of `PREDICTIONS`.
    comparison : Comparison
        Leak of `other` with the knob turned, less without, song by song, in dB.
    heard : dict of str to Tensor
        The first song's mixtures and vocal estimates, before and after.
    """

    knob: str
    prediction: str
    comparison: statistics.Comparison
    heard: dict[str, torch.Tensor]

    @property
    def seen(self) -> tuple[str, float, float, float, int]:
        """(prediction, low, high, p, songs), to be read in the exercise."""
        found = self.comparison
        return (
            self.prediction,
            round(found.low, 2),
            round(found.high, 2),
            round(found.p, 3) or float(f"{found.p:.1g}"),  # a p is never 0
            found.n,
        )

    def __str__(self):
        _, low, high, p, songs = self.seen
        return (
            f"{self.knob}: over {songs} songs the leak of other changes by"
            f" {self.comparison.effect:+.2f} dB (95 % interval {low:+.2f} to {high:+.2f} dB), p ="
            f" {p:g}\nfor the next cell: seen = {self.seen}"
        )


def study(
    changed: Any, prediction: Any, separator: Separator, songs: Mapping[str, Any], seed: int = 0
) -> Study | None:
    """Render the same songs with one knob more, separate both, and compare the leaks.

    Parameters
    ----------
    changed : dict of str to value
        One of `KNOBS` and its value; ``...`` while there is none.
    prediction : str
        One of `PREDICTIONS`; ``...`` while there is none.
    separator : Separator
        With a target ``"vocals"``.
    songs : dict
        What `renditions.songs` gets for the songs as they are.
    seed : int
        Of the interval.

    Returns
    -------
    Study or None
        None while there is nothing to study.

    Raises
    ------
    SepkitError
        For another knob than `KNOBS`, more than one of them, or another prediction.
    """
    if is_stub(changed) or is_stub(prediction):
        return None
    if not isinstance(changed, Mapping) or len(changed) != 1:
        raise SepkitError("a study changes one thing: give one knob, such as dict(reverb=1.0)")
    ((knob, value),) = changed.items()
    if knob not in KNOBS:
        raise unknown("knob for this study", knob, KNOBS)
    if prediction not in PREDICTIONS:
        raise unknown("prediction", prediction, PREDICTIONS)
    leaks: list[dict[str, float]] = []
    heard: dict[str, torch.Tensor] = {}
    label = f"{knob} = {value:g}"
    for state, tracks in (
        ("as rendered", renditions.songs(**songs)),
        (label, renditions.songs(**songs, **changed)),
    ):
        estimates = [
            separate_at(separator, track.mixture(), track.sample_rate, notice=None)["vocals"]
            for track in tracks
        ]
        leaks.append({t.name: _leak(e, t) for e, t in zip(estimates, tracks)})
        heard |= {f"mixture, {state}": tracks[0].mixture(), f"estimate, {state}": estimates[0]}
    before, after = leaks
    return Study(label, prediction, statistics.compare(after, before, seed), heard)


def _leak(estimate, track):
    """Leak of `other`, channels averaged as in study 1."""
    truth = {name: stem.mean(0, keepdim=True) for name, stem in track.references().items()}
    found = leakage.split(estimate.mean(0, keepdim=True), truth, track.sample_rate)
    return found.leak("other")
