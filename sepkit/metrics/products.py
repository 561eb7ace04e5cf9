"""One look at all signals of a song: the inner products from which energies, likenesses and song metrics follow."""

import torch

from ..errors import SepkitError
from .sdr import USDR_DELTA

#: Samples in float64 at a time.
BLOCK = 1 << 17
#: Below this share of an estimate's energy its error is summed in a pass of its own: as the
#: difference of two sums it would have lost its last digits.
_SMALL_ERROR = 1e-4


class Products:
    """Inner products between all channels of references, estimates and mixture, and what follows from them.

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
        blocks = self.gram.unflatten(0, (-1, self.channels)).unflatten(
            -1, (-1, self.channels)
        )  # (signal, channel, signal, channel)
        self.joint = torch.einsum("icjc->ij", blocks)
        self.energy = self.joint.diagonal()
        scale = self.energy.clamp_min(1e-300).sqrt()
        self.alike = self.joint / scale[:, None] / scale  # -1 to 1
        self.s, self.e, self.m = range(count), range(count, 2 * count), 2 * count
        self.cancelling = [zero and self.energy[row] > 0 for row, zero in enumerate(summed)]

    def _gram(self, rows, start):
        """Of one part: rows (2 J C, n), and the mixture, whose products with the others are sums of theirs where it is a sum."""
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

    def same(self, a, b):
        """The share of a's energy that the best multiple of b leaves."""
        return 1 - float(self.alike[a, b]) ** 2

    def sounding(self):
        """(name, reference, estimate) of the pairs in which neither is silent."""
        return [
            (n, s, e)
            for n, s, e in zip(self.names, self.s, self.e)
            if self.energy[s] > 0 and self.energy[e] > 0
        ]

    def usdr(self, index):
        """`sepkit.metrics.usdr` of a target, by its place."""
        signal = self.energy[self.s[index]]
        if signal == 0:
            return float("nan")
        return float(10 * torch.log10((signal + USDR_DELTA) / (self._errors[index] + USDR_DELTA)))

    def si_sdr(self, index):
        """`sepkit.metrics.si_sdr` of a target, in its mode "joint"."""
        s, e = self.s[index], self.e[index]
        if self.equal[index] and self.energy[s] > 0:
            return float("inf")
        scale = self.joint[s, e] / self.energy[s]
        error = self.energy[e] - scale * self.joint[s, e]
        if error < _SMALL_ERROR * self.energy[e]:
            error = self._scaled_error(self.names[index], scale)
        return float(10 * torch.log10(scale.square() * self.energy[s] / error))

    def _scaled_error(self, name, scale):
        """The energy of what an estimate is apart from `scale` times its reference."""
        total, one = (
            0,
            type(self.signals)(
                {name: self.signals.references[name]}, {name: self.signals.estimates[name]}
            ),
        )
        for start in range(0, one.samples, BLOCK):
            reference, estimate = one.read(start, BLOCK)
            total = total + (scale.to(reference) * reference - estimate).square().sum().cpu()
        return total


def sums_to_zero(audio):
    """Whether the channels (channels, samples) add up to zero at every sample: BSSEval's silence."""
    return bool((audio[:, ::64].sum(0) == 0).all()) and bool(
        (audio.sum(0) == 0).all()
    )  # most are told apart by a few samples
