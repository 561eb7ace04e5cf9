"""DeepConvSep: two convolutions and a bottleneck of a patch of the spectrogram, and their inverses.

Chandna, Miron, Janer and Gómez, "Monoaural Audio Source Separation Using Deep Convolutional Neural
Networks", LVA/ICA 2017. One of the first networks of the field, half a million weights: the
baseline that later papers began with.

The layers' sizes are published. Written from descriptions alone, as the authors' code has a licence
that sepkit's does not allow: the STFT, how far patches overlap, where rectifiers stand in the
middle, and the weight of the loss's second part were not compared with it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Number
from .base import MAGNITUDE, ModelCard
from .losses import LOSSES
from .waveform import WaveformModel

#: The loss of the authors, besides those on waveforms; and the weight of what it subtracts.
DISCRIMINATIVE, ALPHA = "discriminative", 1e-3
#: Added to the sum of the magnitudes that make the masks.
LEAST = 1e-8


class DeepConvSep(WaveformModel):
    """Mixture in, all targets out, through ratio masks of patches of the magnitude.

    Parameters
    ----------
    target : str, optional
        A network for one stem only: its magnitude gets the mixture's phase, for there is nothing
        to share with.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default.
    filters : int
        Feature maps of both convolutions: the first one spans all bins of a frame.
    kernel : int
        Frames that the second one spans.
    frames : int
        Of a patch.
    step_frames : int
        From one patch to the next; where patches overlap, the estimate is their mean.
    hidden : int
        Units of the bottleneck, which all targets share.
    n_fft, hop : int
        Of the STFT.
    sample_rate, channels : int
        The audio that the network is for. Channels are separated one by one: the paper is about
        mono.
    segment : float or None
        In evaluation, longer audio is separated in overlapping pieces of this many seconds.
    loss : {"discriminative", "l1", "mse", "nmse", "sdr", "si-sdr"}
        The first is the authors', see `loss`; for the others see `sepkit.models.losses.LOSSES`.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples; F, N: bins and frames; P: patches; M: frames of
    a patch; W: filters.
    """

    name = "deep-conv-sep"
    card = ModelCard(
        paper="Chandna et al., LVA/ICA 2017",
        domain=MAGNITUDE,
        parameters=578_578,
        sizes={"student": {}},
        recipes={"student": dict(lr=1e-3)},
        lacking="AdaDelta, and a length of the training for which the kit has no source",
    )
    losses = (DISCRIMINATIVE, *LOSSES)
    kinds = {**WaveformModel.kinds, "frames": Number(1, 2**16), "step_frames": Number(1, 2**16)}
    stft: STFT

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        filters: int = 50,
        kernel: int = 15,
        frames: int = 30,
        step_frames: int = 5,
        hidden: int = 128,
        n_fft: int = 1024,
        hop: int = 512,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = None,
        loss: str = DISCRIMINATIVE,
    ):
        super().__init__(locals())
        if kernel > frames or step_frames > frames:
            raise SepkitError(
                f"kernel={kernel}, step_frames={step_frames}: at most the {frames} frames of a "
                "patch were expected"
            )
        self.stft = STFT(n_fft, hop)
        self.min_samples, self.step = n_fft, hop * step_frames
        self.frames, self.step_frames = frames, step_frames
        self.bins_conv = nn.Conv2d(1, filters, (1, self.stft.bins))
        self.frames_conv = nn.Conv2d(filters, filters, (kernel, 1))
        size = filters * (frames - kernel + 1)
        self.down = nn.Linear(size, hidden)
        self.up = nn.ModuleList(nn.Linear(hidden, size) for _ in self.targets)

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        padded = self.pad(mixture)  # (B, C, T), at least one window
        spectrum = self.stft(padded)  # (B, C, F, N), complex
        x = self.magnitudes(spectrum.abs())  # (B, J, C, F, N)
        x = torch.polar(x, spectrum.angle().unsqueeze(1).expand_as(x))  # (B, J, C, F, N), complex
        return self.stft.inverse(x, padded.shape[-1])[..., : mixture.shape[-1]]

    def magnitudes(self, magnitude: Tensor) -> Tensor:
        """Those of all targets, (B, J, C, F, N), from the mixture's, (B, C, F, N)."""
        frames = magnitude.shape[-1]
        missing = max(0, self.frames - frames)
        missing += -(frames + missing - self.frames) % self.step_frames
        x = functional.pad(magnitude, (0, missing))  # (B, C, F, N'), whole patches
        x = x.unfold(-1, self.frames, self.step_frames)  # (B, C, F, P, M)
        x = x.permute(0, 1, 3, 4, 2)  # (B, C, P, M, F)
        y = self._masked(x.flatten(0, 2)).unflatten(0, x.shape[:3])  # (B, C, P, J, M, F)
        y = y.permute(0, 3, 1, 5, 4, 2)  # (B, J, C, F, M, P)
        y = _overlapped(y, self.step_frames) / _overlapped(torch.ones_like(y), self.step_frames)
        return y[..., :frames]

    def _masked(self, x):
        """Patches (P, M, F) to those of all targets, (P, J, M, F)."""
        y = self.frames_conv(self.bins_conv(x.unsqueeze(1)))  # (P, W, M - kernel + 1, 1)
        hidden = self.down(y.flatten(1)).relu()  # (P, hidden)
        y = torch.cat([self._inverse(up(hidden).relu(), y) for up in self.up], 1)  # (P, J, M, F)
        y = y.relu().to(x.dtype)
        if len(self.targets) == 1:
            return y
        share = (y + LEAST / len(self.targets)) / (y.sum(1, keepdim=True) + LEAST)
        return share * x.unsqueeze(1)

    def _inverse(self, y, like):
        """Both convolutions backwards, with the same kernels: (P, size) to (P, 1, M, F)."""
        y = functional.conv_transpose2d(y.view_as(like), self.frames_conv.weight)  # (P, W, M, 1)
        return functional.conv_transpose2d(y, self.bins_conv.weight)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`.

        ``"discriminative"``: the mean squared error of the magnitudes, less `ALPHA` times that to
        each of the other targets: estimates are pushed away from what they shall not hold.
        """
        if self.loss_name != DISCRIMINATIVE:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        estimates = self.magnitudes(self.stft(mixture).abs())  # (B, J, C, F, N)
        wanted = self.stft(targets).abs()  # (B, J, C, F, N)
        loss = (estimates - wanted).square().mean()
        for turn in range(1, len(self.targets)):
            loss = loss - ALPHA * (estimates - wanted.roll(turn, 1)).square().mean()
        return loss


def _overlapped(patches, step):
    """Patches (..., M, P), `step` frames apart, added up: (..., N)."""
    size, count = patches.shape[-2:]
    flat = patches.flatten(0, -3)  # (K, M, P)
    whole = functional.fold(flat, (1, size + (count - 1) * step), (1, size), stride=(1, step))
    return whole.view(*patches.shape[:-2], -1)
