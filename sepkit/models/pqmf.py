"""A bank of filters that splits audio into bands of lower sample rate, and joins them again."""

import functools

import numpy as np
import scipy.optimize
import scipy.signal
import torch
from torch import Tensor, nn

from ..errors import SepkitError

#: Taps of every filter, for each band there is: 64 with the 4 bands of ResUNet.
TAPS_PER_BAND = 16


class PQMF(nn.Module):
    """Pseudo-quadrature mirror filters: K real bands of equal width, at 1/K of the sample rate.

    All filters are one low-pass, the prototype, shifted in frequency by cosines:

        h_k(n) = 2 p(n) cos((2k + 1) pi / (2K) (n - (L - 1) / 2) + (-1)^k pi / 4)

    and the same with the opposite sign before the last term for the synthesis;
    L = 16 K taps. Vaidyanathan, "Multirate Systems and Filter Banks", 1993,
    section 8.1. Taking every K-th sample folds the transition of each band back
    into it; with these phases neighbours fold the same with opposite signs, and the
    synthesis cancels it. Odd bands come out with their frequencies reversed.

    Parameters
    ----------
    bands : int
        K, at least 2.

    Raises
    ------
    SepkitError
        If `bands` is not a whole number of 2 or more.

    Notes
    -----
    The filters are buffers, so that a checkpoint brings its own along. Analysis
    looks back and synthesis ahead by as much: the pair has no delay.
    """

    analysis_filters: Tensor
    synthesis_filters: Tensor

    def __init__(self, bands: int = 4):
        super().__init__()
        if isinstance(bands, bool) or bands != int(bands) or bands < 2:
            raise SepkitError(f"PQMF bands={bands!r}: expected a whole number of at least 2")
        self.bands, self.taps = bands, TAPS_PER_BAND * bands
        analysis, synthesis = modulated(prototype(bands))  # (K, L) each
        # As the weights of two convolutions: a sum over x(m K + j), and one over y(m + i) for each
        # phase of the output.
        phases = synthesis.reshape(bands, TAPS_PER_BAND, bands)  # (K bands, L / K, K phases)
        phases = bands * phases.flip(1).permute(2, 0, 1)  # (K phases, K bands, L / K)
        self.register_buffer(
            "analysis_filters", analysis.flip(-1).unsqueeze(1).float()
        )  # (K, 1, L)
        self.register_buffer("synthesis_filters", phases.contiguous().float())  # (K, K, L / K)

    def analysis(self, audio: Tensor) -> Tensor:
        """Split into bands.

        Parameters
        ----------
        audio : Tensor
            (..., T), any T from 1 up.

        Returns
        -------
        Tensor
            (..., K, ceil(T / K) + L / K): the last frames hold the filters' ringing.
        """
        samples = audio.shape[-1]
        if samples == 0:
            raise SepkitError(
                f"PQMF: the audio is empty, of shape {tuple(audio.shape)}; expected (..., samples)"
            )
        x = audio.reshape(-1, 1, samples)  # (B, 1, T)
        x = nn.functional.pad(x, (self.taps - self.bands, self.taps + -samples % self.bands))
        # (B, K, ceil(T / K) + L / K), with filters (K, 1, L)
        parts = _convolved(x, self.analysis_filters, self.bands)
        return parts.reshape(*audio.shape[:-1], *parts.shape[1:])

    def synthesis(self, parts: Tensor, samples: int) -> Tensor:
        """Join what `analysis` has split.

        Parameters
        ----------
        parts : Tensor
            (..., K, n) as `analysis` returns them, changed or not.
        samples : int
            T of the audio.

        Returns
        -------
        Tensor
            (..., T)
        """
        if parts.shape[-2] != self.bands or parts.shape[-1] * self.bands < samples + self.taps:
            raise SepkitError(
                f"PQMF: parts of shape {tuple(parts.shape)} cannot make {samples} samples; "
                f"expected (..., {self.bands} bands, "
                f"{-(-samples // self.bands) + TAPS_PER_BAND})"
            )
        y = parts.reshape(-1, *parts.shape[-2:])  # (B, K, n)
        y = nn.functional.pad(y, (0, TAPS_PER_BAND - 1))
        phases = _convolved(y, self.synthesis_filters)  # (B, K phases, n)
        audio = phases.transpose(1, 2).flatten(1)[:, :samples]  # (B, T)
        return audio.reshape(*parts.shape[:-2], samples)


def _convolved(x, filters, stride=1):
    """`x` through filters that autocast leaves alone: 16 bits would bring errors of -45 dB."""
    kind = x.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return nn.functional.conv1d(x, filters.to(x.dtype), stride=stride)
    with torch.autocast(kind, enabled=False):
        return nn.functional.conv1d(x.to(filters.dtype), filters, stride=stride)


def modulated(prototype: Tensor) -> tuple[Tensor, Tensor]:
    """The analysis and synthesis filters of a prototype with 16 K taps, (K, L) each."""
    taps = len(prototype)
    bands = taps // TAPS_PER_BAND
    centred = torch.arange(taps, dtype=prototype.dtype, device="cpu") - (taps - 1) / 2  # (L,)
    k = torch.arange(bands, dtype=prototype.dtype, device="cpu").unsqueeze(1)  # (K, 1)
    carrier = (2 * k + 1) * torch.pi / (2 * bands) * centred  # (K, L)
    offset = (-1) ** k * torch.pi / 4  # (K, 1)
    return 2 * prototype * torch.cos(carrier + offset), 2 * prototype * torch.cos(carrier - offset)


@functools.lru_cache
def prototype(bands: int) -> Tensor:
    """A low-pass of 16 K taps with which the bank returns its input within -100 dB.

    (16 K,), in float64.

    Least squares between two wishes: no error of the bank (`_conditions`), and nothing
    beyond pi / K, where bands that are no neighbours would overlap and nothing cancels
    their aliases. The start is a Kaiser window design (Lin and Vaidyanathan, IEEE Signal
    Process. Lett. 5 (6), 1998), alone good for -60 dB.
    """
    taps = TAPS_PER_BAND * bands
    kaiser = scipy.signal.firwin(taps, 0.567 / bands, window=("kaiser", 9.0))  # (L,)
    half = kaiser[: taps // 2] / np.sqrt(2 * bands * np.square(kaiser).sum())  # (L / 2,): symmetric
    centred = (taps - 1) / 2 - np.arange(taps // 2)  # (L / 2,)
    stopband = np.linspace(np.pi / bands, np.pi, 64 * bands)[:, None]  # (frequencies, 1)
    response = 2 * np.cos(stopband * centred) / np.sqrt(len(stopband))  # (frequencies, L / 2)

    def errors(half):
        return np.concatenate([3 * _conditions(half, bands), response @ half])

    half = scipy.optimize.least_squares(errors, half, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    return torch.from_numpy(np.concatenate([half, half[::-1]]))


def _conditions(half, bands):
    """Zero for a bank without error.

    Koilpillai and Vaidyanathan, IEEE Trans. Signal Process. 40 (4), 1992.

    Every K-th tap of the prototype, from each of the first K: such a sequence must be
    orthogonal to itself shifted by 2, 4, ..., with an energy that makes the gain one.
    """
    both = np.concatenate([half, half[::-1]])  # (L,)
    phases = both.reshape(TAPS_PER_BAND, bands)  # (L / K, K): column k is p(k), p(k + K), ...
    products = [
        (phases[: TAPS_PER_BAND - lag] * phases[lag:]).sum(0) for lag in range(0, TAPS_PER_BAND, 2)
    ]
    return 2 * bands**2 * np.concatenate(products) - np.repeat(
        [1, 0], [bands, bands * (len(products) - 1)]
    )
