"""References and estimates of a song, read part by part, and their inner products.

No song is too long to be scored. From the inner products of all signals follow energies,
likenesses, and the metrics of whole songs.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from ..errors import SepkitError
from .sdr import USDR_DELTA, fitted_gains

#: Samples in float64 at a time.
BLOCK = 1 << 17
#: Below this share of an estimate's energy its error is summed in a pass of its own: as the
#: difference of two sums it would have lost its last digits.
_SMALL_ERROR = 1e-4


class Signal(Protocol):
    """Audio that is read part by part, from memory or from a file."""

    channels: int
    samples: int

    def read(self, start: int, frames: int) -> torch.Tensor:
        """(channels, frames) from sample `start`."""


class Held:
    """A signal in memory: a tensor (channels, samples)."""

    def __init__(self, audio: torch.Tensor):
        self.audio = audio
        self.channels, self.samples = audio.shape

    def read(self, start: int, frames: int) -> torch.Tensor:
        """(channels, frames) from sample `start`."""
        return self.audio[..., start : start + frames]


class Signals:
    """The references and estimates of one song, of one length and number of channels.

    Parameters
    ----------
    references, estimates
        By the same names.
    mixture
        By default the sum of the references.
    """

    def __init__(
        self,
        references: Mapping[str, Signal | torch.Tensor],
        estimates: Mapping[str, Signal | torch.Tensor],
        mixture: Signal | torch.Tensor | None = None,
    ):
        self.names = list(references)
        self.references = {name: _signal(x) for name, x in references.items()}
        self.estimates = {name: _signal(estimates[name]) for name in self.names}
        self.own_mixture = None if mixture is None else _signal(mixture)
        first, *others = [*self.references.values(), *self.estimates.values()]
        if any((x.channels, x.samples) != (first.channels, first.samples) for x in others):
            raise SepkitError(
                "references and estimates of one song need one length and channel count"
            )
        self.channels, self.samples = first.channels, first.samples

    def read(self, start: int, frames: int) -> torch.Tensor:
        """References and estimates, (2, sources, channels, frames), float64; fewer at the end."""
        frames = min(frames, self.samples - start)
        parts = [
            x.read(start, frames).detach()
            for x in (*self.references.values(), *self.estimates.values())
        ]
        # MPS knows no float64.
        device = "cpu" if parts[0].device.type == "mps" else parts[0].device
        whole = torch.empty(len(parts), *parts[0].shape, dtype=torch.float64, device=device)
        for row, part in zip(whole, parts):
            row.copy_(part)
        return whole.unflatten(0, (2, -1))

    def errors(self, start: int, frames: int) -> torch.Tensor:
        """Estimates minus references, (sources, channels, frames), float64."""
        references, estimates = self.read(start, frames)
        return estimates - references

    def mixture(self, start: int, frames: int) -> torch.Tensor:
        """(channels, frames) of the mixture from sample `start`."""
        parts = self.references.values() if self.own_mixture is None else [self.own_mixture]
        frames = min(frames, self.samples - start)
        return sum(x.read(start, frames) for x in parts)  # type: ignore[return-value]


def zeros_outside(
    read: Callable[[int, int], torch.Tensor], start: int, frames: int, samples: int
) -> torch.Tensor:
    """(..., frames) from sample `start`, which may be negative: a song is silent around itself.

    Parameters
    ----------
    read : callable
        Gives (..., frames) from a sample on, within the song.
    start, frames : int
        What is asked for; it overlaps the song.
    samples : int
        The song's length.
    """
    first, end = max(start, 0), min(start + frames, samples)
    audio = read(first, end - first)
    return torch.nn.functional.pad(audio, (first - start, start + frames - end))


def _signal(x: Signal | torch.Tensor) -> Signal:
    return Held(x) if isinstance(x, torch.Tensor) else x


class Products:
    """Inner products between all channels of references, estimates and mixture.

    Parameters
    ----------
    signals : Signals
    correlations : Correlations, optional
        Gets the same parts, to read them once.

    Attributes
    ----------
    gram : (2 J C + C) square
        Of references, estimates, mixture.
    energy, joint, alike
        Over channels and time: energies (2 J + 1,), products and correlations of pairs.
    equal : list of bool
        Whether an estimate is its reference, sample for sample.
    cancelling : list of bool
        Whether the channels of a signal add up to zero throughout, though it sounds.

    Raises
    ------
    SepkitError
        If a signal holds NaN or infinity, naming it.
    """

    def __init__(self, signals, correlations=None):
        self.names, self.channels, self.signals = signals.names, signals.channels, signals
        count = len(self.names)
        self.equal, summed = [True] * count, [True] * (2 * count)
        self.gram, self._errors = 0, 0
        block, ahead = (correlations.block, correlations.ahead) if correlations else (BLOCK, 0)
        for start in range(0, signals.samples, block):
            whole = signals.read(start, block + ahead)
            if correlations:
                correlations.add(whole)
            references, estimates = whole[..., :block]
            self.gram = self.gram + self._gram(whole[..., :block].flatten(0, 2), start)
            self._errors = self._errors + (references - estimates).square().sum((1, 2)).cpu()
            self.equal = [
                so_far and torch.equal(s, e)
                for so_far, s, e in zip(self.equal, references, estimates)
            ]
            summed = [
                so_far and sums_to_zero(x) for so_far, x in zip(summed, (*references, *estimates))
            ]
        # (signal, channel, signal, channel)
        blocks = self.gram.unflatten(0, (-1, self.channels)).unflatten(-1, (-1, self.channels))
        self.joint = torch.einsum("icjc->ij", blocks)
        self.energy = self.joint.diagonal()
        scale = self.energy.clamp_min(1e-300).sqrt()
        self.alike = self.joint / scale[:, None] / scale  # -1 to 1
        self.s, self.e, self.m = range(count), range(count, 2 * count), 2 * count
        self.cancelling = [zero and self.energy[row] > 0 for row, zero in enumerate(summed)]

    def _gram(self, rows, start):
        """Of one part: rows (2 J C, n) and the mixture.

        Where the mixture is the sum of the references, its products are sums of theirs.
        """
        own = self.signals.own_mixture
        if own is not None:
            rows = torch.cat([rows, self.signals.mixture(start, rows.shape[-1]).to(rows)])
        gram = (rows @ rows.T).cpu()
        self._check(gram.diagonal())
        if own is not None:
            return gram
        add = torch.cat(
            [torch.eye(len(gram)), torch.eye(self.channels).repeat(1, 2 * len(self.names))]
        ).to(gram)
        add[len(gram) :, len(gram) // 2 :] = 0  # the references alone
        return add @ gram @ add.T

    def _check(self, energies):
        finite = energies.isfinite().unflatten(0, (-1, self.channels)).all(1).tolist()
        for row, fine in enumerate(finite[: 2 * len(self.names)]):
            if not fine:
                what, name = (
                    ("reference", "estimate")[row // len(self.names)],
                    self.names[row % len(self.names)],
                )
                raise SepkitError(
                    f"{name}: the {what} holds NaN or infinity; mend the audio before scoring it"
                )

    def same(self, a: int, b: int) -> float:
        """The share of a's energy that the best multiple of b leaves."""
        return 1 - float(self.alike[a, b]) ** 2

    def sounding(self) -> list[tuple[str, int, int]]:
        """(name, reference, estimate) of the pairs in which neither is silent."""
        return [
            (n, s, e)
            for n, s, e in zip(self.names, self.s, self.e)
            if self.energy[s] > 0 and self.energy[e] > 0
        ]

    def usdr(self, index: int) -> float:
        """`sepkit.metrics.usdr` of a target, by its place."""
        signal = self.energy[self.s[index]]
        if signal == 0:
            return float("nan")
        return float(10 * torch.log10((signal + USDR_DELTA) / (self._errors[index] + USDR_DELTA)))

    def si_sdr(self, index: int) -> float:
        """`sepkit.metrics.si_sdr` of a target, in its mode "joint"."""
        s, e = self.s[index], self.e[index]
        if self.equal[index] and self.energy[s] > 0:
            return float("inf")
        scale = self.joint[s, e] / self.energy[s]
        error = self.energy[e] - scale * self.joint[s, e]
        if error < _SMALL_ERROR * self.energy[e]:
            weights = torch.zeros(len(self.names) + 1, dtype=torch.float64)
            weights[index] = scale
            error = self._remainder(index, weights)
        return float(10 * torch.log10(scale.square() * self.energy[s] / error))

    def si_sar(self, index: int) -> float:
        """`sepkit.metrics.si_sar` of a target; the mixture counts among the stems."""
        s, e = self.s[index], self.e[index]
        if self.energy[s] == 0 or self.energy[e] == 0:
            return float("nan")
        stems = [*self.s, self.m]
        weights = fitted_gains(self.joint[stems][:, stems], self.joint[stems, e])
        error = self.energy[e] - weights @ self.joint[stems, e]
        if error < _SMALL_ERROR * self.energy[e]:
            error = self._remainder(index, weights)
        scale = self.joint[s, e] / self.energy[s]
        return float(10 * torch.log10(scale.square() * self.energy[s] / error))

    def _remainder(self, index, weights):
        """The energy of an estimate without the weighted sum of references and mixture."""
        total = 0
        for start in range(0, self.signals.samples, BLOCK):
            references, estimates = self.signals.read(start, BLOCK)
            mixture = self.signals.mixture(start, BLOCK).to(references)
            fitted = torch.tensordot(weights.to(mixture), torch.cat([references, mixture[None]]), 1)
            total = total + (estimates[index] - fitted).square().sum().cpu()
        return total


def sums_to_zero(audio: torch.Tensor) -> bool:
    """Whether channels (channels, samples) add up to zero at every sample: BSSEval's silence."""
    few = audio[:, ::64]  # most signals are told apart by a few samples
    return bool((few.sum(0) == 0).all()) and bool((audio.sum(0) == 0).all())
