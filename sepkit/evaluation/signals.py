"""Audio of a song as evaluation reads it: part by part, so that its length does not matter."""

import tempfile

import numpy as np
import torch

from .. import audio
from ..datasets.track import Track
from ..errors import SepkitError
from ..files import free_bytes

#: Bytes of a signal that are held in memory; what is longer goes into a temporary file.
IN_MEMORY = 1 << 25


class Kept:
    """A signal that is written once, end to end, and then read in parts.

    It lies in memory, or in a file without a name that goes when this object or its process
    does, however it ends. Readable as `sepkit.metrics.signals.Signals` wants it.

    Parameters
    ----------
    channels, samples : int
        Of the whole signal.
    """

    def __init__(self, channels, samples):
        self.channels, self.samples, self.written = channels, samples, 0
        need, folder = 4 * channels * samples, tempfile.gettempdir()
        if need > IN_MEMORY and need > free_bytes(folder):
            raise SepkitError(
                f"{folder}: {need / 1e9:.2f} GB are needed for a signal of {samples} samples, "
                f"{free_bytes(folder) / 1e9:.2f} GB are free; "
                "free some space, or set TMPDIR to another folder"
            )
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)

    def write(self, part):
        """Append (channels, samples), float32."""
        data = part.detach().cpu().to(torch.float32).T.contiguous().numpy()
        try:
            self._file.write(data)
        except OSError as error:
            raise SepkitError(
                f"{tempfile.gettempdir()}: {error.strerror}; free some space, or set TMPDIR to "
                "another folder"
            ) from None
        self.written += len(data)

    def __del__(self):
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, start, frames):
        """(channels, frames); zeros where nothing was written."""
        size, there = 4 * self.channels, max(0, min(frames, self.written - start))
        self._file.seek(start * size)
        data = np.frombuffer(self._file.read(there * size), np.float32).reshape(
            there, self.channels
        )
        out = torch.zeros(self.channels, frames)
        out[:, :there] = torch.from_numpy(data.T.copy())
        return out


class Part:
    """One stem of a track, the sum of several, or its mixture, as a signal that is read in parts."""

    def __init__(self, track, stems=None):
        self.track, self.stems = track, stems
        self.channels, self.samples = track.channels, track.samples

    def read(self, start, frames):
        if self.stems is None:
            return self.track.mixture(start, frames)
        return sum(self.track.stem(stem, start, frames) for stem in self.stems)


class Fitted:
    """A signal cut to a number of samples, or continued by zeros."""

    def __init__(self, signal, samples):
        self.signal, self.samples, self.channels = signal, samples, signal.channels

    def read(self, start, frames):
        there = max(0, min(frames, self.signal.samples - start))
        part = self.signal.read(start, there) if there else torch.zeros(self.channels, 0)
        return torch.nn.functional.pad(part, (0, frames - there))


class KeptTrack(Track):
    """A track each signal of which is read once, from its beginning to its end, and kept.

    For files of which a part costs more than its length, or differs from the same part of
    the whole: compressed ones, and those that are resampled.
    """

    def __init__(self, track):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self.track, self.has_mixture, self.paths, self._kept = (
            track,
            track.has_mixture,
            track.paths,
            {},
        )

    def _read_file(self, name, start, frames):
        if name == "mixture" and not self.has_mixture:
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        if name not in self._kept:
            self._kept[name] = Kept(self.channels, self.samples)
            for part in self.track.parts(name):
                self._kept[name].write(part)
        return self._kept[name].read(start, frames)


def by_parts(track):
    """The track itself where parts are read easily, else a `KeptTrack` of it."""
    return track if track.seekable else KeptTrack(track)


class FileTrack(Track):
    """One file as a track with one stem, at any rate and number of channels."""

    def __init__(self, path, sample_rate, channels):
        self.header = audio.info(path)
        super().__init__(
            str(path),
            ("estimate",),
            self.header.sample_rate,
            self.header.samples,
            channels,
            sample_rate,
        )
        self.paths = (self.header.path,)

    @property
    def seekable(self):
        return self.sample_rate == self.file_rate and audio.seekable(self.header)

    def _read_file(self, name, start, frames):
        return audio.read(self.header.path, start, frames, header=self.header)[0]
