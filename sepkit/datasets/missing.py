"""Songs that lack a stem which others have: refused, filled up with silence, or left out."""

from collections import Counter

import torch

from ..errors import SepkitError, unknown
from ..files import digest
from .track import WrappedTrack

WAYS = ("refuse", "silent", "skip")


class Filled(WrappedTrack):
    """A track with further stems, which are silent.

    Parameters
    ----------
    track : Track
    stems : sequence of str
        All stems, those of the track among them.
    """

    def __init__(self, track, stems):
        super().__init__(track)
        self.stems = tuple(stems)

    def identity(self):
        return digest(self.track.identity(), self.stems)

    def _read(self, name, start, frames):
        if name == "mixture" or name in self.track.stems:
            return super()._read(name, start, frames)
        like = self.track._read(self.track.stems[0], start, frames)
        return torch.zeros_like(like)


def with_the_same_stems(parts, target=None, missing="refuse"):
    """Several lists of tracks, all of one set of stems.

    Parameters
    ----------
    parts : list of list of Track
        Such as those to train on, and those to validate with.
    target : str, optional
        A stem that all must have in the end.
    missing : {"refuse", "silent", "skip"}
        What becomes of songs that lack a stem. ``"silent"``: the stem is silent there, as in an
        instrumental without vocals. ``"skip"``: of all sets of stems (with the target), the
        most frequent one is kept, and other songs are left out.

    Returns
    -------
    list of list of Track
        In the order of `parts`.

    Raises
    ------
    SepkitError
        Naming songs and what they lack; if no song is left in one of the lists.
    """
    if missing not in WAYS:
        raise unknown("way with missing stems", missing, WAYS)
    tracks = [track for part in parts for track in part]
    sets = Counter(track.stems for track in tracks)
    if len(sets) < 2:
        return [list(part) for part in parts]
    every = _all_stems(sets)
    if missing == "silent":
        return [
            [track if track.stems == every else Filled(track, every) for track in part]
            for part in parts
        ]
    usual = max(
        (stems for stems in sets if target is None or target in stems),
        key=lambda stems: (sets[stems], len(stems)),
        default=every,
    )
    if missing == "skip":
        kept = [[track for track in part if track.stems == usual] for part in parts]
        for part, left in zip(parts, kept):
            if not left:
                raise SepkitError(
                    f"--missing skip: leaves none of {_names(part)}, which all lack a stem; "
                    f"choose --missing silent, or put "
                    f"songs with {', '.join(usual)} there (train/, valid/)"
                )
        return kept
    raise SepkitError(
        f"{_lacking(tracks, usual)}; add them, or choose --missing silent (a stem that is not "
        f"there is silent) "
        "or --missing skip (leave such songs out)"
    )


def _all_stems(sets):
    """Every stem that occurs, in the order of the largest set, then by name."""
    first = max(sets, key=len)
    return (*first, *sorted({stem for stems in sets for stem in stems} - set(first)))


def _names(tracks, at_most=3):
    names = [track.name for track in tracks]
    return ", ".join(names[:at_most]) + (
        f" and {len(names) - at_most} more" if len(names) > at_most else ""
    )


def _lacking(tracks, usual, at_most=3):
    """Which songs have other stems than the usual ones, and how they differ."""
    odd = [track for track in tracks if track.stems != usual]
    told = []
    for track in odd[:at_most]:
        lacks, more = (
            [stem for stem in one if stem not in other]
            for one, other in ((usual, track.stems), (track.stems, usual))
        )
        parts = [
            f"{verb} {', '.join(stems)}"
            for verb, stems in (("lacks", lacks), ("also has", more))
            if stems
        ]
        told.append(f"{track.name} {' and '.join(parts)}")
    rest = f", and {len(odd) - at_most} more songs differ" if len(odd) > at_most else ""
    return f"not all songs have the same stems ({', '.join(usual)}): {'; '.join(told)}{rest}"
