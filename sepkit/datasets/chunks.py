"""Chunks: training examples cut from tracks, at random places or fixed ones.

Chapter 04 trains with them; chapter 07 asks what each choice brings.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import SepkitError, unknown
from .activity import Activity
from .remix import Draws
from .track import Track


class Chunks(Dataset):
    """Excerpts of all stems: pairs of ((stems, channels, frames), index).

    Only which track and where is drawn here; what is done to the excerpts is
    `sepkit.datasets.remix`. What example `index` of an epoch holds depends on
    (seed, epoch, index) alone, not on what was drawn before, nor on batches,
    workers or processes.

    Parameters
    ----------
    tracks : list of Track
        Of one sample rate, channel count and set of stems.
    seconds : float
        Length of a chunk; tracks that are shorter are padded with silence.
    per_track : int
        Chunks per track in every epoch.
    seed : int
    mix_prob : float
        Probability that an example is a remix: each stem, the target included,
        comes from a track and place of its own. Otherwise all stems come
        from one track and one place, and their sum is an excerpt of a real song.
    activity : Activity, optional
        Take excerpts where there is something to hear, see `sepkit.datasets.activity`:
        in a remix each stem from one of its own active segments, in a real song
        all stems from one of the target's. Tracks in which a stem has no active segment
        do not give it to remixes; where it is the target of a real song, the place is any.
    random_start : bool
        False: the same excerpts in every epoch, `per_track` of each track from its
        beginning to its end at equal distances (or of its active segments, their
        beginnings). Remixes still combine them anew.
    target : str, optional
        The stem whose activity decides about real songs.
    accompaniment : bool
        In a remix, all stems but the target come from one track and one place, which the first of
        them decides.
    layers : int
        Excerpts that are added up to each stem of a remix ("mix-audio"), each from a track and
        place of its own.

    Attributes
    ----------
    stems : tuple of str
        The order of the stems in an example.
    frames : int
        Samples of a chunk.

    Notes
    -----
    Defaults are those of Open-Unmix: 6 s, 64 chunks per track, every stem from a
    track of its own.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        seconds: float = 6.0,
        per_track: int = 64,
        seed: int = 42,
        mix_prob: float = 1.0,
        activity: Activity | None = None,
        random_start: bool = True,
        target: str | None = None,
        accompaniment: bool = False,
        layers: int = 1,
    ):
        check_alike(tracks, target)
        self.tracks, self.stems, self.per_track = list(tracks), tracks[0].stems, per_track
        self.frames = int(seconds * tracks[0].sample_rate)
        if self.frames < 1 or per_track < 1:
            raise SepkitError(f"chunks of {seconds} s, {per_track} a track: both must be positive")
        if accompaniment and target is None:
            raise SepkitError("accompaniment of what: say by target=... which stem it accompanies")
        if activity is not None and mix_prob < 1 and target is None:
            raise SepkitError(
                "active excerpts of real songs: say by target=... which stem must be active"
            )
        self.seed, self.epoch = seed, 0
        self.mix_prob, self.activity = mix_prob, activity
        self.random_start, self.target = random_start, target
        self.accompaniment, self.layers = accompaniment, layers
        self._sources = {stem: self._tracks_with(stem) for stem in self.stems}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, which decides what every index holds."""
        self.epoch = epoch

    def __len__(self):
        return len(self.tracks) * self.per_track

    def __getitem__(self, index):
        return self.stack([index])[0], index

    def stack(
        self,
        indices: Sequence[int],
        allocate: Callable[[tuple[int, ...]], torch.Tensor] = torch.empty,
    ) -> torch.Tensor:
        """Several examples as one tensor (len(indices), stems, channels, frames).

        ``allocate(shape)`` makes the tensor.
        """
        stems = allocate((len(indices), len(self.stems), self.tracks[0].channels, self.frames))
        for layer in range(self.layers):
            for example, places in zip(stems, self.places(indices, layer)):
                for out, stem, (number, start) in zip(example, self.stems, places):  # (C, frames)
                    track = self.tracks[number]
                    frames = min(self.frames, track.samples)
                    part = track.stem(stem, start, frames)  # (C, frames)
                    if layer:
                        out[:, :frames] += part
                    else:
                        out[:, :frames] = part
                        out[:, frames:] = 0
        return stems

    def places(self, indices: Sequence[int], layer: int = 0) -> list[list[tuple[int, int]]]:
        """Where the stems come from.

        For each example a list of (track number, first sample), in the order of `stems`. Above
        `layer` 0 it is empty for real songs, to which nothing is added.
        """
        draws = Draws(self.seed, self.epoch, indices, self.mix_prob)
        own = draws.uniform("places", (layer + 1) * len(self.stems), 3).tolist()
        common = draws.uniform("place", 2).tolist()
        return [
            self._own_places(own[row][layer * len(self.stems) :])
            if remixed
            else self._common_place(index, *common[row]) * (layer == 0)
            for row, (index, remixed) in enumerate(zip(indices, draws.remixed.tolist()))
        ]

    def _own_places(self, draws):
        places = [self._own_place(stem, draw) for stem, draw in zip(self.stems, draws)]
        if self.accompaniment and (others := [s for s in self.stems if s != self.target]):
            shared = places[self.stems.index(others[0])]
            places = [
                place if stem == self.target else shared for stem, place in zip(self.stems, places)
            ]
        return places

    def _common_place(self, index, where, within):
        number, slot = divmod(self._order()[index], self.per_track)
        return [(number, self._start(number, self.target, slot, where, within))] * len(self.stems)

    def _own_place(self, stem, draws):
        which, where, within = draws
        sources = self._sources[stem]
        number = sources[int(which * len(sources))]
        return number, self._start(number, stem, int(where * self.per_track), where, within)

    def _start(self, number, stem, slot, where, within):
        """First sample of an excerpt: anywhere, or around an active segment of the stem."""
        last = max(0, self.tracks[number].samples - self.frames)
        if not self.random_start:
            where, within = slot / (self.per_track - 1) if self.per_track > 1 else 0.5, 0.0
        segments = () if self.activity is None else self.activity.starts[number].get(stem, ())
        if not len(segments):
            return min(int(where * (last + 1)), last)
        segment = segments[min(int(where * len(segments)), len(segments) - 1)]
        # A longer chunk holds the segment, a shorter one lies in it.
        spare = self.activity.frames - self.frames
        low, high = (min(max(start, 0), last) for start in sorted((segment, segment + spare)))
        return low + min(int(within * (high - low + 1)), high - low)

    def _tracks_with(self, stem):
        """Numbers of the tracks that give this stem to remixes: where it is active, if anywhere."""
        everyone = range(len(self.tracks))
        if self.activity is None:
            return everyone
        sounding = [number for number in everyone if len(self.activity.starts[number][stem])]
        if not sounding and stem == self.target:
            raise SepkitError(
                f"{stem}: no active segment in any of the {len(self.tracks)} tracks; choose "
                "another target, or train without activity"
            )
        return sounding or everyone

    def _order(self):
        # Shuffled, so that a batch of real songs does not come from one song.
        if getattr(self, "_order_of", None) != (self.epoch, len(self)):
            self._order_of = self.epoch, len(self)
            self._shuffled = (
                np.random.default_rng([self.seed, self.epoch, 0]).permutation(len(self)).tolist()
            )
        return self._shuffled


def check_alike(tracks: Sequence[Track], target: str | None = None) -> None:
    """Raise a `SepkitError` unless the tracks can be trained on together and have the target."""
    if not tracks:
        raise SepkitError("no training tracks: the data set has no songs in this split")
    first = tracks[0]
    if target is not None and target not in first.stems:
        raise unknown("target", target, first.stems)
    for track in tracks[1:]:
        for what in ("sample_rate", "channels", "stems"):
            if getattr(track, what) != getattr(first, what):
                raise SepkitError(
                    f"{track.name}: {what.replace('_', ' ')} {getattr(track, what)}, but "
                    f"{first.name} has {getattr(first, what)}; train on tracks that are alike"
                )
