"""The songs of a run: unreadable ones are left out, and it goes on with none but its own."""

from collections import Counter

from ..datasets.track import WrappedTrack
from ..errors import SepkitError
from ..runtime.threads import in_threads


class OtherSongs(SepkitError):
    """A run's folder holds a run on other songs, or on other audio under their names."""


class UnreadableSong(SepkitError):
    """A song whose file could not be read; `number` tells which of the tracks it is."""

    number = None


class WatchedTrack(WrappedTrack):
    """A track whose failures say which track they are about.

    Parameters
    ----------
    track : Track
    number : int
        Its place among the tracks that were given.
    """

    def __init__(self, track, number):
        super().__init__(track)
        self.number = number

    def identity(self):
        return self._named(self.track.identity)

    def _read(self, name, start, frames):
        return self._named(lambda: super(WatchedTrack, self)._read(name, start, frames))

    def _named(self, action):
        try:
            return action()
        except (SepkitError, OSError) as problem:
            error = UnreadableSong(f"{self.name}: {problem}")
            error.number = self.number
            raise error from None


def identities(tracks):
    """What each track holds (`Track.identity`), or None for one that cannot be read."""
    return in_threads(_identity, tracks)


def _identity(track):
    try:
        return track.identity()
    except (SepkitError, OSError):
        return None


def refuse_other_songs(out, then, now, left_out):
    """Raise `OtherSongs` unless a run goes on with the songs that it was begun with.

    Parameters
    ----------
    out : Path
        The run's folder.
    then, now : dict
        What the run says of itself, see `training_run.Run`: names of tracks, and identities under
        "audio". Older runs have names alone, which are compared then; where no byte differs,
        names do not count.
    left_out : dict
        Numbers of the songs of each part that the run does without: nothing depends on them.
    """
    told = []
    for part in ("train", "valid"):
        names = [about[f"{part} tracks"] for about in (then, now)]
        sounds = [about["audio"][part] for about in (then, now)] if "audio" in then else names
        told += [f"{part}: {text}" for text in _differences(names, sounds, left_out[part])]
    if "audio" in then and then["audio"]["speech"] != now["audio"]["speech"]:
        told.append("the speech has changed")
    if told:
        remedy = "choose another folder, or bring back what it was begun with"
        raise OtherSongs(f"{out}: holds a run on other audio ({'; '.join(told)}); {remedy}")


def _differences(names, sounds, left_out):
    """What differs between two lists of songs, in words."""
    if sounds[0] == sounds[1]:
        return []
    if names[0] == names[1]:
        changed = [k for k, (a, b) in enumerate(zip(*sounds)) if a != b and None not in (a, b)]
        return _told("changed", [names[0][k] for k in changed if k not in left_out])
    before, after = (dict(zip(*both)) for both in zip(names, sounds))
    gone, new = (list((Counter(a) - Counter(b)).elements()) for a, b in (names, names[::-1]))
    changed = [name for name in after if name in before and before[name] != after[name]]
    found = [*_told("changed", changed), *_told("removed", gone), *_told("added", new)]
    return found or ["the same songs in another order"]


def _told(what, songs, at_most=3):
    more = f" and {len(songs) - at_most} more" if len(songs) > at_most else ""
    return [f"{what} {', '.join(songs[:at_most])}{more}"] if songs else []
