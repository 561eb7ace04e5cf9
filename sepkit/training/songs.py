"""The songs of a run: unreadable ones are left out, in all processes alike."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..datasets.chunks import check_alike
from ..datasets.track import Track
from ..errors import Notice, SepkitError, unknown
from ..runtime.threads import in_threads
from .distributed import CollectiveError, World


class UnreadableSong(SepkitError):
    """A song whose file could not be read; `number` tells which of the tracks it is."""

    number = -1

    def failure(self) -> tuple[int, str]:
        """Number and message: what the other processes get."""
        return self.number, str(self)


class WatchedTrack:
    """A track whose failures say which track they are about.

    Parameters
    ----------
    track : Track
        Everything but reading is its own.
    number : int
        Its place among the tracks that were given.
    """

    def __init__(self, track, number: int):
        self.track, self.number = track, number

    def __getattr__(self, name: str) -> Any:
        """Whatever is not defined here, of the track."""
        if name == "track":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.track, name)

    def identity(self) -> str:
        """As `Track.identity`."""
        return self._watched(self.track.identity)

    def mixture(self, *part, **named):
        """As `Track.mixture`."""
        return self._watched(self.track.mixture, *part, **named)

    def stem(self, *part, **named):
        """As `Track.stem`."""
        return self._watched(self.track.stem, *part, **named)

    def _watched(self, read, *part, **named):
        try:
            return read(*part, **named)
        except (SepkitError, OSError) as problem:
            error = UnreadableSong(f"{self.name}: {problem}")
            error.number = self.number
            raise error from None


class Songs:
    """The songs to train and to validate with; those that cannot be read are left out.

    Parameters
    ----------
    train, valid : sequence of Track
    world : World
    strict : bool
        Stop at a song that cannot be read, instead of leaving it out.

    Attributes
    ----------
    tracks : dict
        What was given, by part: "train" and "valid".
    left_out : dict of list of int
        Numbers of the songs of each part that the run does without.
    """

    def __init__(
        self, train: Sequence[Track], valid: Sequence[Track], world: World, strict: bool = False
    ):
        self.tracks = {"train": train, "valid": valid}
        self.left_out: dict[str, list[int]] = {"train": [], "valid": []}
        self._world, self._strict = world, strict

    def readable(self, part: str) -> list[WatchedTrack]:
        """The songs of "train" or "valid" that can be read, as far as is known."""
        return [
            WatchedTrack(track, number)
            for number, track in enumerate(self.tracks[part])
            if number not in self.left_out[part]
        ]

    def leave_out(self, part: str, failures: Iterable[tuple[int, str] | None]) -> None:
        """Do without songs from now on.

        Parameters
        ----------
        part : {"train", "valid"}
        failures
            Number and message for each process that could not read a song, or None.

        Raises
        ------
        SepkitError
            If the run is strict, or no song is left.
        """
        for number, message in sorted({failure for failure in failures if failure}):
            if self._strict:
                raise CollectiveError(message)
            self.left_out[part].append(number)
            if self._world.rank == 0:
                warnings.warn(f"{message}; this song is left out from now on", Notice, stacklevel=2)
            if len(self.left_out[part]) == len(self.tracks[part]):
                raise CollectiveError(
                    f"no {part} song is left that can be read; the last: {message}"
                )

    def retry(self, part: str, action: Callable[[list[WatchedTrack]], Any]) -> Any:
        """``action(tracks)``, again and again until all processes can read all tracks it gets."""
        while True:
            result, failure = None, None
            try:
                result = action(self.readable(part))
            except UnreadableSong as error:
                failure = error.failure()
            failures = self._world.gather(failure)
            if not any(failures):
                return result
            self.leave_out(part, failures)


def check_fit(model, train_tracks, valid_tracks, target: str) -> None:
    """Raise a `SepkitError` unless the model and all tracks fit together."""
    if target not in model.targets:
        raise unknown("target of this model", target, model.targets)
    if not valid_tracks:
        raise SepkitError("no validation tracks: give at least one song that is not trained on")
    check_alike([*train_tracks, *valid_tracks] if train_tracks else [], target)
    for what in ("sample_rate", "channels"):
        have, need = getattr(train_tracks[0], what), getattr(model, what)
        if have != need:
            raise SepkitError(
                f"the tracks' {what.replace('_', ' ')} is {have}, the model's {need}; "
                f"open them with {what}={need}"
            )


def identities(tracks: Sequence) -> list[str | None]:
    """What each track holds (`Track.identity`), or None for one that cannot be read."""
    return in_threads(_identity, tracks)


def _identity(track):
    try:
        return track.identity()
    except (SepkitError, OSError):
        return None
