"""Decoded tracks: 16-bit samples, in memory or in files that are mapped into it.

Chapter 04 trains with them.
"""

import warnings
from pathlib import Path

import numpy as np
import torch

from ..errors import SepkitError
from ..files import atomic_path, digest, free_bytes
from ..runtime.threads import in_threads
from .track import Track

FULL_SCALE = 32768
#: Part of every cached file's name: another layout is another file.
LAYOUT = "stems, channels, samples; 2"


class DiskSpace(UserWarning):
    """Disk space is about to be taken."""


def warn(message):
    """The default way to tell: a Python warning."""
    warnings.warn(message, DiskSpace, stacklevel=3)


class DecodedTrack(Track):
    """A track whose stems lie decoded in memory or in a mapped file.

    Parameters
    ----------
    track : Track
        Gives name, rate and stems.
    identity : str
        What ``track.identity()`` was when the samples were read.
    samples : ndarray or Path
        int16 or float32, (stems, channels, samples), or the ``.npy`` file that holds
        them. A file is mapped: reading a part touches only its bytes, and a process
        that gets the track maps the file again instead of copying it.
    """

    def __init__(self, track, identity, samples):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self.seekable = True
        self.paths, self._identity = track.paths, identity
        self._file = samples if isinstance(samples, Path) else None
        self._samples = _mapped(samples) if self._file else samples

    def identity(self):
        return self._identity

    def __getstate__(self):
        return {**self.__dict__, "_samples": None} if self._file else self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self._file:
            self._samples = _mapped(self._file)

    def _read_file(self, name, start, frames):
        if name == "mixture":
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        part = self._samples[
            self.stems.index(name), :, start : start + frames
        ]  # (channels, frames)
        scale = 1 / FULL_SCALE if part.dtype == np.int16 else 1.0
        return torch.from_numpy(np.multiply(part, scale, dtype=np.float32))


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise SepkitError(
            f"{path}: a damaged file of decoded samples ({error}); delete it to have it made again"
        ) from None


def decoded(tracks, folder=None, workers=None, notice=warn):
    """Decode tracks once, so that cutting chunks costs next to nothing.

    Training a small network otherwise spends a third of its time on reading
    and resampling files.

    Parameters
    ----------
    tracks : list of Track
    folder : str or Path, optional
        Keep the samples in files there and map them into memory (for data
        sets larger than the memory, or for several runs over the same
        tracks). By default they are held in memory: 10 MB a minute a stem
        in stereo at 44.1 kHz.
    workers : int, optional
        Songs decoded at a time; by default one a core, at most 8.
    notice : callable or None
        Gets one line about the disk space needed, before it is taken.

    Returns
    -------
    list of DecodedTrack
        Samples are 16-bit, which changes nothing in data sets that are, as
        MUSDB18-HQ and the band; a track that goes beyond full scale is kept
        as float. The mixture is the sum of the stems.

    Raises
    ------
    SepkitError
        As reading the tracks; if the disk has no room for them, before anything
        is written; if a file of the cache is damaged.
    """
    if folder is None:
        return in_threads(_in_memory, tracks, workers)
    folder = Path(folder)
    identities = in_threads(lambda track: track.identity(), tracks, workers)
    paths = [folder / f"{digest(LAYOUT, identity)}.npy" for identity in identities]
    missing = {path: track for track, path in zip(tracks, paths) if not path.exists()}
    if missing:
        need = sum(in_threads(_bytes, missing.values(), workers))
        free = free_bytes(folder)
        told = f"{folder}: {len(missing)} songs to decode need {need / 1e9:.2f} GB on disk; {free / 1e9:.2f} GB are free"
        if need > free:
            raise SepkitError(f"{told}; free some space or choose another folder")
        if notice:
            notice(told)
        in_threads(lambda path: _write(missing[path], path), missing, workers)
    return [DecodedTrack(*found) for found in zip(tracks, identities, paths)]


def _in_memory(track):
    return DecodedTrack(track, track.identity(), _samples(track))


def _bytes(track):
    return 2 * len(track.stems) * track.channels * track.samples


class _BeyondFullScale(Exception):
    pass


def _stems(track, dtype):
    """The stems one after another, (channels, samples) each."""
    for name in track.stems:
        stem = track.stem(name)
        if dtype == np.int16:
            if stem.abs().max() > 1:
                raise _BeyondFullScale
            stem = stem.mul(FULL_SCALE).round_().clamp_(-FULL_SCALE, FULL_SCALE - 1).to(torch.int16)
        yield stem.numpy()


def _samples(track):
    try:
        return np.stack(list(_stems(track, np.int16)))
    except _BeyondFullScale:
        return np.stack(list(_stems(track, np.float32)))


def _write(track, path):
    """The decoded stems as a .npy file; one stem is in memory at a time."""
    for dtype in (np.int16, np.float32):
        try:
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                shape = len(track.stems), track.channels, track.samples
                header = {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                    "fortran_order": False,
                    "shape": shape,
                }
                np.lib.format.write_array_header_1_0(file, header)
                for stem in _stems(track, dtype):
                    file.write(np.ascontiguousarray(stem))
            return
        except _BeyondFullScale:
            continue
