"""The multi-resolution STFT distance: how far two spectrograms lie apart, phases left out.

Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020, equations 3 to 6: a loss there, a
metric here. Chapter 08.
"""

import torch

from .sdr import pair
from .signals import Signals, zeros_outside

#: (window, hop, length of the transform) in samples: table 1 of the paper, as in auraloss.
RESOLUTIONS = ((600, 120, 1024), (1200, 240, 2048), (240, 50, 512))
_FLOOR = 1e-8  # of the power, so that silence has a logarithm
_SAMPLES_AT_ONCE = 1 << 15


def mr_stft(reference, estimate) -> float:
    """The mean over three resolutions of spectral convergence and log-magnitude distance.

    With the magnitudes S and S_hat, at least 1e-4, over all channels, bins and frames:

        norm(S - S_hat) / norm(S) + mean of abs(ln S - ln S_hat)

    Parameters
    ----------
    reference, estimate : (channels, samples)

    Returns
    -------
    float
        A distance: 0 for equal magnitudes, and lower is better. NaN for a silent reference.
        The second term counts quiet bins like loud ones, so the level of both signals matters.

    Raises
    ------
    SepkitError
        As for `sepkit.metrics.sdr`.
    """
    reference, estimate = pair(reference, estimate, double=False)
    return float(song_mr_stft(Signals({"": reference}, {"": estimate})).item())


def song_mr_stft(signals: Signals) -> torch.Tensor:
    """`mr_stft` of each target of a song, read part by part: float64 (sources,)."""
    sounds = torch.zeros(len(signals.names), dtype=torch.bool)
    for start in range(0, signals.samples, _SAMPLES_AT_ONCE):
        sounds |= signals.read(start, _SAMPLES_AT_ONCE)[0].flatten(1).any(1).cpu()
    distance = sum(_distance(signals, *sizes) for sizes in RESOLUTIONS) / len(RESOLUTIONS)
    return distance.masked_fill(~sounds, torch.nan)


def _distance(signals, window, hop, size):
    """Both terms at one resolution, of frames around every multiple of the hop: (J,)."""
    frames, together = signals.samples // hop + 1, _SAMPLES_AT_ONCE // hop
    shape, total = torch.hann_window(window, dtype=torch.float64), 0
    for first in range(0, frames, together):
        count = min(together, frames - first)
        part = zeros_outside(
            signals.read, first * hop - size // 2, (count - 1) * hop + size, signals.samples
        )
        spectrum = torch.stft(
            part.flatten(0, 2), size, hop, window, shape.to(part), center=False, return_complex=True
        )  # (2 J C, F, N)
        power = torch.view_as_real(spectrum).square().sum(-1).clamp_min(_FLOOR)
        power = power.unflatten(0, part.shape[:-1]).cpu()  # (2, J, C, F, N)
        reference, estimate = power.sqrt()
        logarithms = (power[0].log() - power[1].log()).abs() / 2
        sums = (reference - estimate).square(), reference.square(), logarithms
        total = total + torch.stack([x.sum((1, 2, 3)) for x in sums])  # (3, J)
    error, energy, logarithm = total
    bins = signals.channels * (size // 2 + 1) * frames
    return (error / energy).sqrt() + logarithm / bins
