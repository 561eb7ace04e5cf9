"""Songs that turn out to be unreadable while a network trains on them: they are named and left out."""

from .datasets.track import Track
from .errors import SepkitError


class UnreadableSong(SepkitError):
    """A song whose file could not be read; `number` tells which of the tracks it is."""

    number = None


class WatchedTrack(Track):
    """A track whose failures say which track they are about.

    Parameters
    ----------
    track : Track
    number : int
        Its place among the tracks that were given.
    """

    def __init__(self, track, number):
        self.__dict__.update(track.__dict__)
        self.track, self.number, self.paths = track, number, track.paths

    @property
    def samples(self):
        return self.track.samples  # some tracks know only after decoding, see `musdb18.StemTrack`

    def _read(self, name, start, frames):
        try:
            return self.track._read(name, start, frames)
        except (SepkitError, OSError) as problem:
            error = UnreadableSong(f"{self.name}: {problem}")
            error.number = self.number
            raise error from None
