"""What is done to the stems of a batch: random draws, decisions, one pass over the samples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch


class Draws:
    """The random numbers of a batch.

    Every example has, for every name, a generator of its own: Philox, whose
    key is made of (seed, epoch, name) and whose counter starts at the index of
    the example. So what is drawn for one purpose changes nothing elsewhere:
    an augmentation can be switched off without disturbing the others, and
    neither the batch size nor the number of workers or processes matters.
    Chapter 07 relies on it when it changes one part of a recipe at a time.

    Parameters
    ----------
    seed, epoch : int
        Not negative.
    indices : sequence of int, or Tensor (B,)
        Which examples of the epoch the batch holds.
    mix_prob : float
        How often an example is a remix, see `remixed`.

    Notes
    -----
    Counter-based generators: Salmon, Moraes, Dror and Shaw, "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011; here numpy's.
    """

    def __init__(
        self, seed: int, epoch: int, indices: Sequence[int] | torch.Tensor, mix_prob: float = 1.0
    ):
        self.seed, self.epoch, self.mix_prob = int(seed), int(epoch), mix_prob
        self.indices = [int(index) for index in indices]

    def __len__(self):
        return len(self.indices)

    def generators(self, name: str) -> Iterator[np.random.Generator]:
        """For each example the generator of that name, at its beginning: B numpy Generators."""
        key = np.random.SeedSequence([self.seed, self.epoch, *name.encode()]).generate_state(
            2, np.uint64
        )
        for index in self.indices:
            yield np.random.Generator(
                np.random.Philox(key=key, counter=np.array([0, 0, 0, index], dtype=np.uint64))
            )

    def uniform(self, name: str, *shape: int) -> torch.Tensor:
        """Numbers in [0, 1): float64 on the CPU, (B, *shape)."""
        return torch.from_numpy(np.stack([rng.random(shape) for rng in self.generators(name)]))

    @property
    def remixed(self) -> torch.Tensor:
        """Which examples are remixes, their stems from tracks and places of their own: bool, (B,).

        `Chunks` and `Cut` both ask here, so that they agree without passing it on.
        """
        return self.uniform("remixed") < self.mix_prob


@dataclass
class MixPlan:
    """The decisions for every stem of every example of a batch.

    Writing a batch of stems to memory costs several times as much as adding
    them up. So augmentations only decide, and the stems are cut, exchanged,
    scaled and summed in one pass over them.

    Attributes
    ----------
    starts : Tensor
        int64, (B, S): first sample.
    frames : int
        Samples that are kept.
    swapped : Tensor
        bool, (B, S): left and right change places.
    gains : Tensor
        float64, (B, S): factor, negative for turned polarity, 0 for a dropped stem.
    channels : int
        Of the stems.
    rates : Tensor
        float64, (B, S): how fast a stem is played; 2 is an octave up in half the time.
    effects : dict
        What is done to the samples of some stems, in order, by (example, stem): functions of what
        is kept of a stem at its rate, (C, frames) to (C, frames), before exchange and gain.
    """

    starts: torch.Tensor
    frames: int
    swapped: torch.Tensor
    gains: torch.Tensor
    channels: int
    rates: torch.Tensor
    effects: dict[tuple[int, int], list[Callable[[torch.Tensor], torch.Tensor]]] = field(
        default_factory=dict
    )

    @classmethod
    def of(cls, stems: torch.Tensor) -> "MixPlan":
        """The plan that leaves stems (B, S, C, T) as they are."""
        batch, count, channels, frames = stems.shape
        nothing = torch.zeros(batch, count, dtype=torch.int64)
        ones = torch.ones(batch, count, dtype=torch.float64)
        return cls(nothing, frames, nothing.bool(), ones, channels, ones)

    def consumed(self, frames: int) -> torch.Tensor:
        """Samples of each stem that `frames` at its playback rate take: int64, (B, S)."""
        resampled = ((frames - 1) * self.rates).floor().long() + 2
        return resampled.where(self.rates != 1, frames)

    @torch.no_grad()
    def stems(self, stems: torch.Tensor) -> torch.Tensor:
        """Carry the plan out: new stems, (B, S, C, frames)."""
        out = stems.new_zeros(*stems.shape[:-1], self.frames)
        for example, stem, gain, parts in self._parts(stems):
            for place, part in parts:
                out[example, stem, place].add_(part, alpha=gain)
        return out

    @torch.no_grad()
    def mix(self, stems: torch.Tensor, target: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Carry the plan out and sum the stems.

        Returns the mixture and the stem number `target`, (B, C, frames) each.
        """
        mixture, wanted = stems.new_zeros(2, len(stems), self.channels, self.frames)
        for example, stem, gain, parts in self._parts(stems):
            for place, part in parts:
                mixture[example, place].add_(part, alpha=gain)
                if stem == target:
                    wanted[example, place].add_(part, alpha=gain)
        return mixture, wanted

    def _parts(self, stems):
        """(example, stem, gain, [(channel where it goes, samples)]) of all stems with a gain."""
        starts, swapped, gains = self.starts.tolist(), self.swapped.tolist(), self.gains.tolist()
        rates, consumed = self.rates.tolist(), self.consumed(self.frames).tolist()
        for example in range(len(stems)):
            for stem, gain in enumerate(gains[example]):
                if gain:
                    rate, count = rates[example][stem], consumed[example][stem]
                    start = starts[example][stem]
                    part = stems[example, stem].narrow(-1, start, count)  # (C, count)
                    part = part if rate == 1 else _played(part, rate, self.frames)
                    for effect in self.effects.get((example, stem), ()):
                        part = effect(part)  # (C, frames)
                    rows = part.unbind()
                    placed = enumerate(reversed(rows) if swapped[example][stem] else rows)
                    yield example, stem, gain, list(placed)


def _played(audio, rate, frames):
    """(C, frames) of audio (C, T) played at another rate, by linear interpolation."""
    places = torch.arange(frames, dtype=torch.float64, device=audio.device) * rate
    before = places.long()
    share = (places - before).to(audio)  # (frames,)
    return torch.lerp(audio[:, before], audio[:, before + 1], share)


def mix_down(
    stems: torch.Tensor, target_index: int, plan: MixPlan | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mixture, as the sum of the stems, and one of them.

    Parameters
    ----------
    stems : Tensor
        (B, S, C, T); not modified.
    target_index : int
        Which stem is the target.
    plan : MixPlan, optional
        What is done to the stems first.

    Returns
    -------
    mixture, target : Tensor
        (B, C, T) each, T as planned.
    """
    return (plan or MixPlan.of(stems)).mix(stems, target_index)


@torch.no_grad()
def normalise(
    mixture: torch.Tensor, target: torch.Tensor, in_place: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide mixture and target by the larger of their absolute maxima, each example by its own.

    From the data simulation of Luo and Yu, "Music source separation with
    band-split RNN", 2022. A silent example stays silent.

    Parameters
    ----------
    mixture, target : Tensor
        (B, C, T)
    in_place : bool
        Overwrite the tensors that were given.

    Returns
    -------
    mixture, target : Tensor
        The larger of the two has the peak 1.
    """
    peak = torch.maximum(_largest(mixture), _largest(target))  # (B, 1, 1)
    peak = torch.where(peak > 0, peak, 1.0)
    divide = torch.Tensor.div_ if in_place else torch.Tensor.div
    return divide(mixture, peak), divide(target, peak)


def peaks(audio: torch.Tensor) -> torch.Tensor:
    """Absolute maximum of audio (..., C, T), and 1 where it is silent: (..., 1, 1)."""
    peak = _largest(audio)
    return torch.where(peak > 0, peak, 1.0)


def _largest(audio):
    # abs() would write a copy.
    return torch.maximum(audio.amax((-2, -1), keepdim=True), -audio.amin((-2, -1), keepdim=True))
