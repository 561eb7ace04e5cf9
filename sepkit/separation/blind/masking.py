"""Separation by one mask for each target, guessed from what its spectrogram looks like.

A drum is a vertical line, a held note a horizontal one; a voice in the middle is
equal in both channels. Chapter 03 draws these masks.
"""

import torch

from ...errors import SepkitError
from ...stft import STFT
from ..base import Separator, share_remainder


def loudness(spectrogram: torch.Tensor) -> torch.Tensor:
    """The magnitude over all channels: root of the mean power.

    (channels, bins, frames) to (bins, frames).

    Masks are made from it, and are the same for all channels: the place of a sound
    between the channels is kept.
    """
    return spectrogram.abs().square().mean(0).sqrt()


def wiener_masks(magnitudes: torch.Tensor, power: float = 2.0) -> torch.Tensor:
    """Ratio masks ``m_j^power / sum_k m_k^power``; equal shares where all are zero.

    Parameters
    ----------
    magnitudes : Tensor (targets, bins, frames), zero or more
    power : float
        2 is the Wiener gain, 1 the ratio of magnitudes.

    Returns
    -------
    Tensor (targets, bins, frames)
        They sum to one everywhere.
    """
    largest = magnitudes.amax(0)
    sounds = largest > 0
    share = torch.where(sounds, magnitudes / torch.where(sounds, largest, 1.0), 1.0).pow(power)
    return share / share.sum(0)


def hpss_masks(
    magnitude: torch.Tensor, kernel: int | tuple[int, int] = 31, power: float = 2.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Harmonic and percussive masks by median filters, `librosa.decompose.hpss`.

    A median over time keeps horizontal lines, a median over frequency vertical ones:
    Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010.

    Parameters
    ----------
    magnitude : Tensor (bins, frames)
    kernel : int or (int, int)
        Length of the medians: frames (harmonic) and bins (percussive).
    power : float

    Returns
    -------
    harmonic, percussive : Tensor (bins, frames)
        They sum to one.
    """
    from librosa.decompose import hpss

    harmonic, percussive = hpss(magnitude.cpu().numpy(), kernel_size=kernel, power=power, mask=True)
    return torch.from_numpy(harmonic).to(magnitude), torch.from_numpy(percussive).to(magnitude)


def centre_mask(spectrogram: torch.Tensor, sharpness: float = 8.0) -> torch.Tensor:
    """How equal the two channels are: 1 in the centre, 0 for one channel alone or opposed ones.

    ``max(0, 2 Re(L R*) / (|L|^2 + |R|^2))^sharpness``: the panning similarity of
    Avendano, "Frequency-domain source identification and manipulation in stereo
    mixes", WASPAA 2003, with the real part in place of the magnitude, so that what is
    out of phase does not count as centred. A source panned to ``(cos a, sin a)`` alone
    in its bins has ``sin(2 a)^sharpness``.

    Parameters
    ----------
    spectrogram : complex tensor (2, bins, frames)
    sharpness : float
        The larger, the narrower the centre.

    Returns
    -------
    Tensor (bins, frames)
        0 where both channels are silent.
    """
    if spectrogram.ndim != 3 or spectrogram.shape[0] != 2:
        raise SepkitError(
            "centre_mask: expected a stereo spectrogram (2, bins, frames), not "
            f"{tuple(spectrogram.shape)}"
        )
    left, right = spectrogram
    power = left.abs().square() + right.abs().square()
    equal = 2 * (left * right.conj()).real / torch.where(power > 0, power, 1.0)
    return equal.clamp(0, 1).pow(sharpness)


class MaskSeparator(Separator):
    """The base of separators that mask the mixture; a method fills in `masks`.

    The last target is the mixture less the others, so that the estimates sum to the
    mixture exactly. All are silent where the mixture is.

    Parameters
    ----------
    name, targets, sample_rate, channels, residual
        As for `sepkit.separation.Separator`.
    n_fft, hop : int
        Hann window and hop.
    """

    def __init__(
        self,
        name: str,
        targets,
        n_fft: int,
        hop: int,
        sample_rate: int | None = None,
        channels: int | None = None,
        residual: str | None = None,
    ):
        super().__init__(name, targets, sample_rate, channels, residual)
        self.stft, self.steps = STFT(n_fft, hop), (hop,)

    def masks(self, spectrogram, references=None):
        """{target: mask (bins, frames)} for all targets but the last.

        The spectrogram is (channels, bins, frames).
        """
        raise NotImplementedError

    @torch.no_grad()
    def separate(self, mixture, references=None):
        """The masked mixture for all targets but the last, which gets the rest."""
        self._check(mixture)
        spectrogram = self.stft(mixture)
        masks = self.masks(spectrogram, references)
        estimates = {
            target: self.stft.inverse(mask * spectrogram, mixture.shape[-1])
            for target, mask in masks.items()
        }
        rest = mixture - sum(estimates.values())
        names = self.targets or tuple(references)
        return share_remainder(mixture, {**estimates, names[-1]: rest}, self.residual)

    def describe(self):
        """STFT and rate, beside what every separator says."""
        return {
            **super().describe(),
            "n_fft": self.stft.n_fft,
            "hop": self.stft.hop,
            "sample_rate": self.sample_rate,
        }

    def _below(self, hertz):
        """The bins (F,) below a frequency, as a bool tensor."""
        frequencies = torch.arange(self.stft.bins) * self.sample_rate / self.stft.n_fft
        return frequencies < hertz


class HPSSSeparator(MaskSeparator):
    """Drums and the harmonic rest, `hpss_masks`.

    Targets: ``drums`` (whatever is percussive: consonants and plucked attacks too) and
    ``harmonic``.

    Parameters
    ----------
    n_fft, hop : int
    kernel : int or (int, int)
    power : float
    name : str
    residual : None, "spread" or "residual"
    """

    def __init__(
        self,
        n_fft: int = 4096,
        hop: int = 1024,
        kernel: int | tuple[int, int] = 31,
        power: float = 2.0,
        name: str = "hpss",
        residual: str | None = None,
    ):
        super().__init__(name, ("drums", "harmonic"), n_fft, hop, residual=residual)
        self.kernel, self.power = kernel, power

    def masks(self, spectrogram, references=None):
        """The percussive mask."""
        _, percussive = hpss_masks(loudness(spectrogram), self.kernel, self.power)
        return {"drums": percussive}

    def describe(self):
        """Medians and power, beside the STFT."""
        return {**super().describe(), "kernel": self.kernel, "power": self.power}


class CentreSeparator(MaskSeparator):
    """Vocals as whatever lies in the centre of a stereo mixture, `centre_mask`.

    Bass and kick drum are in the centre too: what lies below `lowest` is left to the
    accompaniment. Targets: ``vocals`` and ``accompaniment``.

    Parameters
    ----------
    sharpness : float
    lowest : float
        In Hz.
    n_fft, hop, sample_rate : int
    name : str
    residual : None, "spread" or "residual"

    Raises
    ------
    SepkitError
        When separating a mixture with two equal channels: all of it is centre.
    """

    def __init__(
        self,
        sharpness: float = 8.0,
        lowest: float = 150.0,
        n_fft: int = 4096,
        hop: int = 1024,
        sample_rate: int = 44100,
        name: str = "centre",
        residual: str | None = None,
    ):
        super().__init__(name, ("vocals", "accompaniment"), n_fft, hop, sample_rate, 2, residual)
        self.sharpness, self.lowest = sharpness, lowest

    def separate(self, mixture, references=None):
        """Vocals from the centre; a mixture of two equal channels is refused."""
        self._check(mixture)
        if mixture.any() and torch.equal(mixture[0], mixture[1]):
            raise SepkitError(
                f"{self.name}: both channels are equal, so all of the mixture is centre; use a "
                "stereo recording, or repet-sim for mono"
            )
        return super().separate(mixture, references)

    def masks(self, spectrogram, references=None):
        """The centre's mask, without what lies below `lowest`."""
        mask = centre_mask(spectrogram, self.sharpness)
        mask[self._below(self.lowest)] = 0
        return {"vocals": mask}

    def describe(self):
        """Sharpness and lowest frequency, beside the STFT."""
        return {**super().describe(), "sharpness": self.sharpness, "lowest": self.lowest}
