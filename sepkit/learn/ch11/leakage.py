"""What is in an estimate: how much of it each true source explains, and what is kept by band.

In every bin f of the STFT, the estimate is fitted by the true sources, each with one complex gain:

    minimise over g   sum_n | E(f, n) - sum_j g_j(f) S_j(f, n) |^2

The part of source j is g_j S_j. Chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ...errors import SepkitError
from ...metrics import MetricCard
from ...stft import STFT

N_FFT, HOP = 2048, 1024
#: Nothing is reported below: it is inaudible, and would decide a mean of decibels.
FLOOR = -80.0
LEAK_CARD = MetricCard(
    "leak",
    f"energy of the other stem's part over the estimate's; one complex gain per source and bin of"
    f" an STFT {N_FFT}/{HOP}, channels averaged",
    silent_frames="NaN for a silent estimate",
    unit="dB",
)
PASSED_CARD = MetricCard(
    "passed",
    f"energy of the drums' part over the drums', in the band that the separator's name says; fit as"
    f" for leak, STFT {N_FFT}/{HOP}, channels averaged",
    silent_frames="NaN where the drums are silent",
    unit="dB",
)
KEPT_CARD = MetricCard(
    "kept",
    "energy of the vocal estimate over the mixture's, of the sound or band that the separator's"
    " name says",
    silent_frames=f"at least {FLOOR:g} dB",
    unit="dB",
)


@dataclass(frozen=True)
class Split:
    """Energies per bin of an STFT, summed over frames and channels.

    Attributes
    ----------
    frequencies : Tensor (bins,)
        In Hz.
    estimate : Tensor (bins,)
        Of the estimate.
    sources, parts : dict of str to Tensor (bins,)
        Of each true source, and of its part in the estimate.
    """

    frequencies: torch.Tensor
    estimate: torch.Tensor
    sources: dict[str, torch.Tensor]
    parts: dict[str, torch.Tensor]

    def leak(self, name: str) -> float:
        """Energy of a source's part relative to the whole estimate, in dB."""
        return decibels(float(self.parts[name].sum()), float(self.estimate.sum()))

    def passed(self, name: str, low: float = 0.0, high: float = math.inf) -> float:
        """Energy of a source's part relative to the source, from `low` to `high` Hz, in dB."""
        inside = (self.frequencies >= low) & (self.frequencies < high)
        return decibels(
            float(self.parts[name][inside].sum()), float(self.sources[name][inside].sum())
        )


def split(estimate: torch.Tensor, sources: Mapping[str, torch.Tensor], sample_rate: int) -> Split:
    """Fit an estimate by the true sources, bin by bin.

    Parameters
    ----------
    estimate : Tensor (channels, samples)
    sources : dict of str to Tensor (channels, samples)
        All that the mixture is the sum of.
    sample_rate : int
        In Hz.

    Returns
    -------
    Split

    Raises
    ------
    SepkitError
        If a source has another shape than the estimate.
    """
    for name, source in sources.items():
        if source.shape != estimate.shape:
            raise SepkitError(
                f"source {name!r} has shape {tuple(source.shape)}, the estimate"
                f" {tuple(estimate.shape)}; cut them to one length"
            )
    stft = STFT(N_FFT, HOP)
    signals = torch.stack([estimate, *sources.values()]).double()  # (1 + J, C, T)
    spectra = stft(signals).permute(2, 0, 1, 3).flatten(2)  # (F, 1 + J, C N)
    target, matrix = spectra[:, :1], spectra[:, 1:]  # (F, 1, C N), (F, J, C N)
    gram = matrix @ matrix.mH  # (F, J, J)
    # A source that is silent in a bin, or a multiple of another, gets the smallest gain that fits.
    gains = target @ matrix.mH @ torch.linalg.pinv(gram, rtol=1e-9, hermitian=True)  # (F, 1, J)
    energies = gram.diagonal(dim1=1, dim2=2).real  # (F, J)
    parts = gains[:, 0].abs().square() * energies  # (F, J)
    return Split(
        torch.linspace(0, sample_rate / 2, len(energies), dtype=torch.float64),
        target.abs().square().sum((1, 2)),
        dict(zip(sources, energies.T)),
        dict(zip(sources, parts.T)),
    )


def kept(
    mixture: torch.Tensor,
    estimate: torch.Tensor,
    sample_rate: int,
    low: float = 0.0,
    high: float = math.inf,
) -> float:
    """Energy of an estimate relative to its mixture, from `low` to `high` Hz, in dB.

    Parameters
    ----------
    mixture, estimate : Tensor (channels, samples)
    sample_rate : int
    low, high : float
        In Hz.

    Returns
    -------
    float
        At least `FLOOR`; NaN where the mixture has nothing in the band.
    """
    energy = [band_energy(x, sample_rate, low, high) for x in (estimate, mixture)]
    return decibels(*energy)


def band_energy(
    audio: torch.Tensor, sample_rate: int, low: float = 0.0, high: float = math.inf
) -> float:
    """Sum of squares of what audio (..., samples) holds from `low` to below `high` Hz."""
    samples = audio.shape[-1]
    power = torch.fft.rfft(audio.double()).abs().square()  # (..., bins)
    power[..., 1 : (samples + 1) // 2] *= 2  # each stands for its negative frequency too
    frequency = torch.arange(power.shape[-1]) * sample_rate / samples
    return float(power[..., (frequency >= low) & (frequency < high)].sum() / samples)


def decibels(energy: float, reference: float) -> float:
    """10 log10(energy / reference), at least `FLOOR`; NaN where the reference is 0."""
    if reference <= 0:
        return math.nan
    return max(FLOOR, 10 * math.log10(max(energy, 1e-300) / reference))
