"""Signals of a song that are read part by part, so that its length does not matter.

Each has ``channels``, ``samples`` and ``read(start, frames)``: what `sepkit.metrics.signals` takes.
"""

import tempfile

import numpy as np
import torch

from ..datasets.track import Track
from ..errors import SepkitError
from ..files import free_bytes

#: Bytes of a signal that are held in memory; what is longer goes into a temporary file.
IN_MEMORY = 1 << 25


class BufferedSignal:
    """A signal that is written once, end to end, and then read in parts.

    It lies in memory, or in a file without a name that goes when this object or its process
    does, however it ends.

    Parameters
    ----------
    channels, samples : int
        Of the whole signal.
    """

    def __init__(self, channels: int, samples: int):
        self.channels, self.samples, self.written = channels, samples, 0
        need, folder = 4 * channels * samples, tempfile.gettempdir()
        if need > IN_MEMORY and need > free_bytes(folder):
            raise SepkitError(
                f"{folder}: {need / 1e9:.2f} GB are needed for a signal of {samples} samples, "
                f"{free_bytes(folder) / 1e9:.2f} GB are free; "
                "free some space, or set TMPDIR to another folder"
            )
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)

    def write(self, part: torch.Tensor) -> None:
        """Append (channels, samples), float32."""
        data = part.detach().cpu().to(torch.float32).T.contiguous().numpy()
        try:
            self._file.write(data.data)
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
        frame_bytes, available = 4 * self.channels, max(0, min(frames, self.written - start))
        self._file.seek(start * frame_bytes)
        data = np.frombuffer(self._file.read(available * frame_bytes), np.float32)
        out = torch.zeros(self.channels, frames)
        out[:, :available] = torch.from_numpy(data.reshape(available, self.channels).T.copy())
        return out


class TrackSignal:
    """One stem of a track, the sum of several, or its mixture."""

    def __init__(self, track: Track, stems: tuple[str, ...] | None = None):
        self.track, self.stems = track, stems
        self.channels, self.samples = track.channels, track.samples

    def read(self, start, frames):
        """(channels, frames) from sample `start`."""
        if self.stems is None:
            return self.track.mixture(start, frames)
        return sum(self.track.stem(stem, start, frames) for stem in self.stems)


class BufferedTrack(Track):
    """A track whose signals are each read once, from beginning to end, and buffered.

    For files of which a part costs more than its length, or differs from the same part of
    the whole: compressed ones, and those that are resampled.
    """

    def __init__(self, track: Track):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self.track, self.has_mixture, self.paths = track, track.has_mixture, track.paths
        self._buffers: dict[str, BufferedSignal] = {}

    def _read_file(self, name, start, frames):
        if name == "mixture" and not self.has_mixture:
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        if name not in self._buffers:
            self._buffers[name] = BufferedSignal(self.channels, self.samples)
            for part in self.track.parts(name):
                self._buffers[name].write(part)
        return self._buffers[name].read(start, frames)


def seekable_track(track: Track) -> Track:
    """The track itself where any part costs no more than its length, else a `BufferedTrack`."""
    return track if track.seekable else BufferedTrack(track)
