"""Track: a named recording with a mixture and named stems, read in parts.

MUSDB18, the band and a user's own folder all become Tracks; nothing that
trains, separates or scores knows which one it has. Chapters 02 and 04 use it.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from .. import audio, files
from ..errors import SepkitError, unknown

#: Extra context (file samples) on each side of a resampled part, so that a part equals
#: the same part of the whole track resampled at once.
CONTEXT = 4096
#: Above this level, a mixture is not the sum of its stems: dB of what the stems leave of it,
#: relative to it. A hundredth of the energy lies well above what is legitimate (MUSDB18's
#: mixtures and stems were coded one by one; AAC at its 256 kbit/s leaves about -38 dB of real
#: stems, at 128 kbit/s -21), and below a master that is 1 dB louder than the sum (-18).
NOT_THE_SUM = -20.0


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
    has_mixture : bool
        Whether the mixture is a recording of its own, and not made of the stems.
    notes : tuple of str
        What was done to make the files one track, such as padding.
    block : int
        Samples worth reading at a time, where all are read one part after another.
    seekable : bool
        Whether any part costs no more than its length, and is exactly what it is in the whole.
    """

    paths: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    has_mixture = seekable = False
    block = 1 << 18

    def __init__(
        self,
        name: str,
        stems: Iterable[str],
        file_rate: int,
        file_samples: int,
        file_channels: int,
        sample_rate: int | None = None,
        channels: int | None = None,
    ):
        self.name, self.stems = name, tuple(stems)
        self.file_rate, self.file_samples = file_rate, file_samples
        self.sample_rate = int(sample_rate or file_rate)
        self.samples = audio.resampled_length(file_samples, file_rate, self.sample_rate)
        self.channels = channels or file_channels

    def __repr__(self):
        return (
            f"Track({self.name!r}, {self.samples / self.sample_rate:.1f} s, {self.sample_rate} Hz, "
            f"stems: {', '.join(self.stems)})"
        )

    def mixture(self, start: int = 0, frames: int | None = None) -> torch.Tensor:
        """The mixture, (channels, frames) from sample `start`; it is the sum of the stems
        unless the data hold a mixture of their own.
        """
        return self._read("mixture", start, frames)

    def stem(self, name: str, start: int = 0, frames: int | None = None) -> torch.Tensor:
        """One stem, (channels, frames) from sample `start`, reading nothing else.

        Raises
        ------
        SepkitError
            If the track has no such stem, or the part lies outside the track.
        """
        if name not in self.stems:
            raise unknown(f"stem of {self.name}", name, self.stems)
        return self._read(name, start, frames)

    def references(self, start: int = 0, frames: int | None = None) -> dict[str, torch.Tensor]:
        """All stems as {name: (channels, frames)}: what estimates are scored against."""
        return {name: self.stem(name, start, frames) for name in self.stems}

    def parts(self, name: str) -> Iterator[torch.Tensor]:
        """All of a stem, or of the "mixture", one part after another: (channels, n) each.

        End to end they are what reading it at once gives, to the last bit.
        """
        reads = range(0, self.file_samples, self.block)
        found: Iterator[torch.Tensor] = (
            self._read_file(name, start, min(self.block, self.file_samples - start))
            for start in reads
        )
        if self.sample_rate != self.file_rate:
            found = audio.resampled_parts(found, self.file_rate, self.sample_rate, len(reads))
        for part in found:
            yield audio.to_channels(part, self.channels)

    def identity(self) -> str:
        """A hash of what reading the track gives: stems by name, sample rate, channels, samples.

        Made of its files' identities (`sepkit.files.identity`), or of the samples where it lies in
        memory. The track's own name and its place do not count: a copy is the same.

        Raises
        ------
        SepkitError
            If a file cannot be read.
        """
        what = (self.sample_rate, self.channels, self.stems)
        if self.paths:  # the name of a single file says nothing more than `stems`
            names = [path.stem for path in self.paths] if len(self.paths) > 1 else [""]
            return files.digest(what, *zip(names, map(files.identity, self.paths)))
        sound = hashlib.sha256()
        for part in (self.mixture(), *self.references().values()):
            sound.update(part.contiguous().numpy().data)
        return files.digest(what, self.samples, sound.hexdigest())

    def _read(self, name, start, frames):
        frames = self.samples - start if frames is None else frames
        if start < 0 or frames < 1 or start + frames > self.samples:
            raise SepkitError(
                f"{self.name}: asked for samples {start} to {start + frames}, but the track has "
                f"{self.samples}"
            )
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
        part = audio.resample(
            self._read_file(name, file_start, file_frames), self.file_rate, self.sample_rate
        )
        part = part[..., start - first * up :][..., :frames]
        # At most the last sample is missing, which is rounded up.
        return torch.nn.functional.pad(part, (0, frames - part.shape[-1]))

    def _read_file(self, name, start, frames):
        """(channels, frames) of a stem or of "mixture", at the file's rate."""
        raise NotImplementedError


class WrappedTrack(Track):
    """Another track, of which something is changed; what is not changed here is as there.

    Parameters
    ----------
    track : Track
    """

    def __init__(self, track: Track):
        self.__dict__.update(
            {name: value for name, value in track.__dict__.items() if name != "samples"}
        )
        self.track = track
        for name in ("paths", "notes", "has_mixture", "block", "seekable"):
            setattr(self, name, getattr(track, name))

    @property
    def samples(self) -> int:  # type: ignore[override]
        """Samples at `sample_rate`; `musdb18.StemTrack` knows them only after decoding."""
        return self.track.samples

    def identity(self) -> str:
        """The identity of the track that is wrapped."""
        return self.track.identity()

    def _read(self, name, start, frames):
        return self.track._read(name, start, frames)

    def parts(self, name: str) -> Iterator[torch.Tensor]:
        """All of a stem, or of the "mixture", one part after another: (channels, n) each."""
        for start in range(0, self.samples, self.block):
            yield self._read(name, start, min(self.block, self.samples - start))


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

    def __init__(
        self,
        name: str,
        stems: dict[str, torch.Tensor],
        sample_rate: int,
        mixture: torch.Tensor | None = None,
    ):
        shapes = {stem: tuple(x.shape) for stem, x in stems.items()}
        if not stems or len(set(shapes.values())) != 1:
            raise SepkitError(
                f"{name}: stems of one shape (channels, samples) were expected, not {shapes}"
            )
        channels, samples = next(iter(shapes.values()))
        super().__init__(name, stems, sample_rate, samples, channels)
        self.has_mixture, self.seekable = mixture is not None, True
        self._audio = {**stems, "mixture": sum(stems.values()) if mixture is None else mixture}

    def _read_file(self, name, start, frames):
        return self._audio[name][..., start : start + frames].clone()


def left_of_mixture(track: Track, seconds: float | None = None) -> float:
    """What the stems leave of a track's mixture, relative to it, in dB.

    Parameters
    ----------
    track : Track
    seconds : float, optional
        Look at this much from the middle only; by default at all of it.

    Returns
    -------
    float
        -inf where nothing is left, or the mixture is made of the stems anyway.
    """
    if not track.has_mixture:
        return -math.inf
    frames = track.samples
    if seconds is not None:
        frames = min(frames, max(1, int(seconds * track.sample_rate)))
    first = (track.samples - frames) // 2
    whole = rest = 0.0
    for start in range(first, first + frames, track.block):
        part = start, min(track.block, first + frames - start)
        energies = _energies(
            track.mixture(*part), (track.stem(stem, *part) for stem in track.stems)
        )
        whole, rest = whole + energies[0], rest + energies[1]
    return _decibels(rest, whole)


def rest_level(mixture: torch.Tensor, stems: Iterable[torch.Tensor]) -> float:
    """`left_of_mixture` of signals: (channels, samples), and several of the same shape."""
    whole, rest = _energies(mixture, stems)
    return _decibels(rest, whole)


def _energies(mixture, stems):
    """Of the mixture, and of what the stems leave of it."""
    mixture = mixture.double()
    rest = mixture - sum(stem.to(mixture) for stem in stems)
    return float(mixture.square().sum()), float(rest.square().sum())


def _decibels(rest, whole):
    if not rest:
        return -math.inf
    return 10 * math.log10(rest / whole) if whole else math.inf


def not_the_sum(tracks: Iterable[Track], seconds: float | None = None) -> str | None:
    """One line about tracks whose mixture is not the sum of their stems, or None.

    See `NOT_THE_SUM`. Evaluation, oracles and training warn of it: masks from the stems, remixes
    and references that are sums all take the mixture for the sum.

    Parameters
    ----------
    tracks : list of Track
    seconds : float, optional
        As for `left_of_mixture`.
    """
    levels = {track.name: left_of_mixture(track, seconds) for track in tracks}
    found = [f"{name}: {left_over(level)}" for name, level in levels.items() if level > NOT_THE_SUM]
    if not found:
        return None
    return found[0] + (f" (and {len(found) - 1} more like this)" if found[1:] else "")


def left_over(level: float) -> str:
    """The sentence about a mixture of which the stems leave `level` dB."""
    return (
        f"the mixture is not the sum of its stems: what they leave of it lies at {level:.1f} dB of "
        f"the mixture (up to {NOT_THE_SUM:g} dB is taken for coding noise); is a stem missing, or "
        "was the mixture mastered? In a folder of stems without mixture.* the sum is used"
    )
