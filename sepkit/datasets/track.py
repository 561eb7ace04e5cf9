"""Track: a named recording with a mixture and named stems, read in parts.

MUSDB18, the band and a user's own folder all become Tracks; nothing that
trains, separates or scores knows which one it has. Chapters 02 and 04 use it.
"""

import math

import torch

from .. import audio
from ..errors import SepkitError, unknown

#: Extra context (file samples) on each side of a resampled part, so that a part equals
#: the same part of the whole track resampled at once.
CONTEXT = 4096


class Track:
    """The base of every track; a kind of track fills in `_read_file`.

    Parameters
    ----------
    name : str
    stems : iterable of str
        In the order in which tables show them.
    file_rate, file_samples, file_channels : int
        What the files hold.
    sample_rate : int, optional
        Read at this rate instead (Hz).
    channels : int, optional
        2 duplicates mono files, 1 averages stereo ones.

    Attributes
    ----------
    sample_rate, samples, channels : int
        What `mixture` and `stem` return, after any resampling.
    paths : tuple of Path
        The files that the track is read from; none when it lies in memory.
    """

    paths = ()

    def __init__(self, name, stems, file_rate, file_samples, file_channels, sample_rate=None, channels=None):
        self.name, self.stems = name, tuple(stems)
        self.file_rate, self.file_samples = file_rate, file_samples
        self.sample_rate = int(sample_rate or file_rate)
        self.samples = audio.resampled_length(file_samples, file_rate, self.sample_rate)
        self.channels = channels or file_channels

    def __repr__(self):
        return f"Track({self.name!r}, {self.samples / self.sample_rate:.1f} s, {self.sample_rate} Hz, stems: {', '.join(self.stems)})"

    def mixture(self, start=0, frames=None):
        """The mixture, (channels, frames) from sample `start`; it is the sum of the stems
        unless the data hold a mixture of their own."""
        return self._read("mixture", start, frames)

    def stem(self, name, start=0, frames=None):
        """One stem, (channels, frames) from sample `start`, reading nothing else.

        Raises
        ------
        SepkitError
            If the track has no such stem, or the part lies outside the track.
        """
        if name not in self.stems:
            raise unknown(f"stem of {self.name}", name, self.stems)
        return self._read(name, start, frames)

    def references(self, start=0, frames=None):
        """All stems as {name: (channels, frames)}: what estimates are scored against."""
        return {name: self.stem(name, start, frames) for name in self.stems}

    def _read(self, name, start, frames):
        frames = self.samples - start if frames is None else frames
        if start < 0 or frames < 1 or start + frames > self.samples:
            raise SepkitError(f"{self.name}: asked for samples {start} to {start + frames}, but the track has {self.samples}")
        if self.sample_rate == self.file_rate:
            part = self._read_file(name, start, frames)
        else:
            part = self._read_resampled(name, start, frames)
        return audio.to_channels(part, self.channels)

    def _read_resampled(self, name, start, frames):
        # In lowest terms, `up` samples at our rate last exactly as long as `down` samples of the
        # file. Reading from a multiple of `down` keeps both clocks in step.
        common = math.gcd(self.sample_rate, self.file_rate)
        up, down = self.sample_rate // common, self.file_rate // common
        margin = math.ceil(CONTEXT / down)
        first = max(0, start // up - margin)
        last = math.ceil((start + frames) / up) + margin
        file_start = first * down
        file_frames = min(last * down, self.file_samples) - file_start
        part = audio.resample(self._read_file(name, file_start, file_frames), self.file_rate, self.sample_rate)
        part = part[..., start - first * up :][..., :frames]
        return torch.nn.functional.pad(part, (0, frames - part.shape[-1]))  # at most the rounded-up last sample

    def _read_file(self, name, start, frames):
        """(channels, frames) of a stem or of "mixture", at the file's rate."""
        raise NotImplementedError


class MemoryTrack(Track):
    """A track made of tensors, for tests, figures and generated sounds.

    Parameters
    ----------
    name : str
    stems : dict of str to Tensor
        (channels, samples), all of one shape; the mixture is their sum unless given.
    sample_rate : int
    mixture : Tensor, optional
    """

    def __init__(self, name, stems, sample_rate, mixture=None):
        shapes = {stem: tuple(x.shape) for stem, x in stems.items()}
        if not stems or len(set(shapes.values())) != 1:
            raise SepkitError(f"{name}: stems of one shape (channels, samples) were expected, not {shapes}")
        channels, samples = next(iter(shapes.values()))
        super().__init__(name, stems, sample_rate, samples, channels)
        self._audio = {**stems, "mixture": sum(stems.values()) if mixture is None else mixture}

    def _read_file(self, name, start, frames):
        return self._audio[name][..., start : start + frames].clone()
