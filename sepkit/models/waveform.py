"""What the networks from waveform to waveform have in common: targets, losses, long audio.

Wave-U-Net, Conv-TasNet and Hybrid Demucs differ only in how they turn a mixture into
estimates; chapter 09 compares them. Each gives `estimate`, the rest is here.
"""

import torch
from torch import nn

from ..errors import SepkitError, unknown
from ..stems import STEMS_OF_DEMUCS

LOSSES = ("l1", "mse", "nmse", "sdr", "si-sdr")
FAINT = 1e-8  # added to energies, so that silence has a loss


class WaveformModel(nn.Module):
    """Mixture in, the waveforms of one or several targets out.

    Parameters
    ----------
    target : str or None
        One stem, in short for ``targets=[target]``.
    targets : sequence of str or None
        The stems that the network estimates, in this order; `STEMS_OF_DEMUCS` by default.
    sample_rate, channels : int
        The audio that the network is for.
    loss : {"l1", "mse", "nmse", "si-sdr"}
        See `waveform_loss`.
    segment : float, optional
        In evaluation, audio longer than this many seconds is separated in segments that
        overlap by a quarter, see `in_segments`.
    **settings
        What else rebuilds the network.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples.
    """

    def __init__(self, target, targets, sample_rate, channels, loss, segment=None, **settings):
        super().__init__()
        targets = _targets(target, targets)
        for name, value in dict(sample_rate=sample_rate, channels=channels).items():
            positive(name, value)
        if segment is not None and not segment > 0:
            raise SepkitError(f"segment={segment}: seconds above 0 were expected, or None")
        self.settings = dict(
            targets=list(targets),
            sample_rate=sample_rate,
            channels=channels,
            segment=segment,
            **settings,
        )
        self.sample_rate, self.channels, self.targets = sample_rate, channels, targets
        self.set_loss(loss)

    def set_loss(self, kind):
        """Choose what training minimises, one of `LOSSES`."""
        if kind not in LOSSES:
            raise unknown("loss", kind, LOSSES)
        self.settings["loss"] = kind

    def estimate(self, mixture):
        """The estimates of all targets, (B, J, C, T), from the mixture, (B, C, T)."""
        raise NotImplementedError

    def forward(self, mixture):
        """Separate.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), any T from 1 up.

        Returns
        -------
        Tensor (B, C, T), or dict of str to Tensor (B, C, T)
            The estimate of the one target; with several targets, one each by its name.

        Raises
        ------
        SepkitError
            If the mixture is empty, or has another number of channels.
        """
        self._check(mixture)
        segment = self.settings["segment"]
        if segment and not self.training:
            estimates = in_segments(
                self.estimate, mixture, max(4, round(segment * self.sample_rate))
            )
        else:
            estimates = self.estimate(mixture)  # (B, J, C, T)
        return (
            estimates[:, 0]
            if len(self.targets) == 1
            else dict(zip(self.targets, estimates.unbind(1)))
        )

    def loss(self, mixture, target):
        """What training minimises, a scalar; see `waveform_loss`.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T)
        target : Tensor
            (B, C, T) for a network with one target; (B, J, C, T) for one with several,
            in the order of ``targets``.
        """
        target = self._wanted(mixture, target)  # (B, J, C, T)
        return waveform_loss(self.settings["loss"], self.estimate(mixture), target, mixture)

    def _wanted(self, mixture, target):
        """The target as (B, J, C, T), after a look at both."""
        self._check(mixture)
        batch, channels, samples = mixture.shape
        one = len(self.targets) == 1
        expected = (
            (batch, channels, samples) if one else (batch, len(self.targets), channels, samples)
        )
        if target.shape != expected:
            raise SepkitError(
                f"{self.name} for {', '.join(self.targets)}: the loss takes a target of shape {expected} with a mixture of "
                f"shape {tuple(mixture.shape)}, not {tuple(target.shape)}"
            )
        return target.unsqueeze(1) if one else target

    def _check(self, mixture):
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or mixture.numel() == 0:
            raise SepkitError(
                f"{self.name} was built for {self.channels} channel(s): got a mixture of shape {tuple(mixture.shape)}, "
                f"expected (batch, {self.channels}, samples)"
            )


def waveform_loss(kind, estimates, targets, mixture):
    """A loss between waveforms.

    Parameters
    ----------
    kind : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        ``"l1"`` and ``"mse"``: mean absolute and mean squared difference of the samples.
        ``"nmse"``: the squared error of each example and target over its energy, plus a
        tenth of the mixture's: without it, quiet examples hardly count, and small networks
        tend to learn silence. ``"sdr"``: minus the SDR in dB. ``"si-sdr"``: minus the scale-invariant SDR in dB, jointly over
        channels and time; it does not fix the level of the estimates.
    estimates, targets : Tensor
        (B, J, C, T)
    mixture : Tensor
        (B, C, T)

    Returns
    -------
    Tensor
        A scalar, the mean over examples and targets.
    """
    error = estimates - targets
    if kind == "l1":
        return error.abs().mean()
    if kind == "mse":
        return error.square().mean()
    energy = targets.square().mean((2, 3))  # (B, J)
    if kind == "nmse":
        scale = energy + 0.1 * mixture.square().mean((1, 2)).unsqueeze(1) + FAINT
        return (error.square().mean((2, 3)) / scale).mean()
    if kind == "sdr":
        return -10 * torch.log10((energy + FAINT) / (error.square().mean((2, 3)) + FAINT)).mean()
    gain = (estimates * targets).mean((2, 3)) / (energy + FAINT)  # (B, J)
    part = gain[..., None, None] * targets  # what the estimate has of the target
    ratio = (part.square().mean((2, 3)) + FAINT) / (
        (part - estimates).square().mean((2, 3)) + FAINT
    )
    return -10 * torch.log10(ratio).mean()


def in_segments(separate, mixture, size, overlap=0.25):
    """Separate long audio piece by piece, weighted by triangles where the pieces overlap.

    That is how Demucs does it, with the same overlap. The last piece ends with the audio
    and has the same size as the others.

    Parameters
    ----------
    separate : callable
        (B, C, n) to (B, J, C, n).
    mixture : Tensor
        (B, C, T)
    size : int
        Samples of a piece, at least 2.
    overlap : float
        Share of a piece that the next one repeats.

    Returns
    -------
    Tensor
        (B, J, C, T)
    """
    samples = mixture.shape[-1]
    if samples <= size:
        return separate(mixture)
    starts = [*range(0, samples - size, max(1, round(size * (1 - overlap)))), samples - size]
    rise = torch.arange(1, size + 1, device=mixture.device, dtype=mixture.dtype)
    weight = torch.minimum(rise, rise.flip(0))  # (size,)
    total, weights = 0, mixture.new_zeros(samples)
    for start in starts:
        piece = separate(mixture[..., start : start + size])  # (B, J, C, size)
        if start == 0:
            total = piece.new_zeros(*piece.shape[:-1], samples)  # (B, J, C, T)
        total[..., start : start + size] += weight * piece
        weights[start : start + size] += weight
    return total / weights


def positive(name, value):
    """Raise a `SepkitError` unless a setting is a whole number of 1 or more."""
    if isinstance(value, bool) or value != int(value) or value < 1:
        raise SepkitError(f"{name}={value}: a whole number of 1 or more was expected")


def _targets(target, targets):
    if target is not None and targets is not None:
        raise SepkitError(f"target={target!r} and targets={targets!r}: give one of them")
    targets = (target,) if target is not None else STEMS_OF_DEMUCS if targets is None else targets
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    if not targets or len(set(targets)) < len(targets):
        raise SepkitError(f"targets={list(targets)}: expected at least one, each of them once")
    return targets
