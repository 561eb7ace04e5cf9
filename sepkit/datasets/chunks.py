"""Chunks: training examples cut at random from tracks."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import SepkitError, unknown
from ..files import atomic_path, free_bytes
from . import remix
from .track import Track

FULL_SCALE = 32768


class Chunks(Dataset):
    """Random excerpts: pairs of (mixture, target), each (channels, samples).

    What example `index` of an epoch holds depends on (seed, epoch, index)
    alone, not on what was drawn before nor on the number of workers.

    Parameters
    ----------
    tracks : list of Track
        Of one sample rate, channel count and set of stems.
    target : str
        The stem to estimate.
    seconds : float
        Length of a chunk; tracks that are shorter are padded with silence.
    per_track : int
        Chunks a track in every epoch.
    seed : int
    random_tracks, gains, swap
        See `remix.pick` and `remix.augment`. With none of them, an example
        is an excerpt of a real song.

    Notes
    -----
    Defaults are those of Open-Unmix: 6 s, 64 chunks a track, every stem from
    a track of its own, gains U(0.25, 1.25), channels exchanged half the time.
    The mixture is the sum of the stems.
    """

    def __init__(self, tracks, target, seconds=6.0, per_track=64, seed=42, random_tracks=True,
                 gains=(0.25, 1.25), swap=0.5):
        check_alike(tracks, target)
        self.tracks, self.target, self.per_track = list(tracks), target, per_track
        self.stems = tracks[0].stems
        self.frames = int(seconds * tracks[0].sample_rate)
        if self.frames < 1 or per_track < 1:
            raise SepkitError(f"chunks of {seconds} s, {per_track} a track: both must be positive")
        self.random_tracks, self.gains, self.swap = random_tracks, gains, swap
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch):
        """Choose the epoch, which decides what every index holds."""
        self.epoch = epoch

    def __len__(self):
        return len(self.tracks) * self.per_track

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        chosen = remix.pick(rng, self._order()[index] // self.per_track, len(self.tracks), self.stems, self.random_tracks)
        start = rng.uniform()  # one place for all stems of a real song
        mixture = target = 0
        for stem, track in chosen.items():
            own = rng.uniform()
            excerpt = self._excerpt(self.tracks[track], stem, own if self.random_tracks else start)
            excerpt = remix.augment(excerpt, rng, self.gains, self.swap)
            mixture = mixture + excerpt
            if stem == self.target:
                target = excerpt
        return mixture, target

    def _order(self):
        # Shuffled, so that a batch of real songs does not come from one song.
        if getattr(self, "_order_of", None) != self.epoch:
            self._order_of = self.epoch
            self._shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(len(self)).tolist()
        return self._shuffled

    def _excerpt(self, track, stem, position):
        frames = min(self.frames, track.samples)
        start = int(position * (track.samples - frames + 1))
        return torch.nn.functional.pad(track.stem(stem, start, frames), (0, self.frames - frames))


def check_alike(tracks, target):
    """Raise a `SepkitError` unless the tracks can be trained on together and have the target."""
    if not tracks:
        raise SepkitError("no training tracks: the data set has no songs in this split")
    first = tracks[0]
    if target not in first.stems:
        raise unknown("target", target, first.stems)
    for track in tracks[1:]:
        for what in ("sample_rate", "channels", "stems"):
            if getattr(track, what) != getattr(first, what):
                raise SepkitError(
                    f"{track.name}: {what.replace('_', ' ')} {getattr(track, what)}, but {first.name} has "
                    f"{getattr(first, what)}; train on tracks that are alike"
                )


class DecodedTrack(Track):
    """A track whose stems lie decoded in memory or in a mapped file.

    Parameters
    ----------
    track : Track
        Gives name, rate and stems.
    samples : ndarray
        int16 or float32, (stems, samples, channels).
    """

    def __init__(self, track, samples):
        super().__init__(track.name, track.stems, track.sample_rate, track.samples, track.channels)
        self._samples = samples
        self._scale = 1 / FULL_SCALE if samples.dtype == np.int16 else 1.0

    def _read_file(self, name, start, frames):
        if name == "mixture":
            return sum(self._read_file(stem, start, frames) for stem in self.stems)
        part = self._samples[self.stems.index(name), start : start + frames]  # (frames, channels)
        return torch.from_numpy(np.multiply(part.T, self._scale, dtype=np.float32))


def decoded(tracks, folder=None):
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

    Returns
    -------
    list of DecodedTrack
        Samples are 16-bit, which changes nothing in data sets that are, as
        MUSDB18-HQ and the band; a track that goes beyond full scale is kept
        as float. The mixture is the sum of the stems.
    """
    return [_decode(track, None if folder is None else Path(folder)) for track in tracks]


def _decode(track, folder):
    if folder is None:
        return DecodedTrack(track, _samples(track))
    path = folder / f"{_fingerprint(track)}.npy"
    if not path.exists():
        samples = _samples(track)
        if samples.nbytes > free_bytes(folder):
            raise SepkitError(f"{folder}: {samples.nbytes >> 20} MB are needed for {track.name}; free some space")
        with atomic_path(path) as temporary:
            np.save(temporary, samples)
    return DecodedTrack(track, np.load(path, mmap_mode="r"))


def _samples(track):
    stems = np.stack([track.stem(name).T.numpy() for name in track.stems])  # (stems, samples, channels)
    if np.abs(stems).max() > 1:
        return stems.astype(np.float32)
    return np.clip(np.rint(stems * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _fingerprint(track):
    """A name that changes with the track's content: a few excerpts of every stem are read for it."""
    digest = hashlib.sha256(repr((track.name, track.sample_rate, track.samples, track.channels, track.stems)).encode())
    for stem in track.stems:
        for part in (0, 1, 2):
            frames = min(1024, track.samples)
            digest.update(track.stem(stem, part * (track.samples - frames) // 2, frames).numpy().tobytes())
    return digest.hexdigest()[:20]
