"""What training minimises: each loss once, for waveforms and for magnitudes alike.

All take ``(estimates, targets, mixture)`` and return a scalar, the mean over examples and targets.
Estimates e and targets s are (B, J, ...), the mixture (B, ...): B examples, J targets, and any
further axes, such as channels and samples. Only `nmse` looks at the mixture. Chapters 04 and 09
compare them; `LOSSES` has them by name.
"""

import torch
from torch import Tensor
from torch.nn import functional

#: Name of `multi_resolution` among a network's losses; its windows, and its hop.
MULTI_RESOLUTION = "multi-resolution"
WINDOWS, HOP = (4096, 2048, 1024, 512, 256), 147
#: Added to energies, so that silence has a finite loss.
ENERGY_FLOOR = 1e-8
#: Share of the mixture's energy that `nmse` adds to the target's.
MIXTURE_SHARE = 0.1


def l1(estimates: Tensor, targets: Tensor, mixture: Tensor) -> Tensor:
    """Mean |e - s|: of waveforms, the loss of Défossez et al., arXiv 1911.13254, 2019."""
    return (estimates - targets).abs().mean()


def mse(estimates: Tensor, targets: Tensor, mixture: Tensor) -> Tensor:
    """Mean (e - s)^2: of magnitudes, the loss of Stöter et al., JOSS 4 (41), 2019."""
    return (estimates - targets).square().mean()


def nmse(estimates: Tensor, targets: Tensor, mixture: Tensor) -> Tensor:
    """Squared error over the target's energy plus a tenth of the mixture's; the kit's own.

    Without the division, quiet examples hardly count, and small networks tend to learn silence.
    """
    error = _energy(estimates - targets)  # (B, J)
    scale = _energy(targets) + MIXTURE_SHARE * _energy(mixture.unsqueeze(1)) + ENERGY_FLOOR
    return (error / scale).mean()


def sdr(estimates: Tensor, targets: Tensor, mixture: Tensor) -> Tensor:
    """Minus the SDR in dB, -10 log10(|s|^2 / |s - e|^2), of whole examples.

    The measure of Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal
    Processing 1, 2022.
    """
    error = _energy(estimates - targets)  # (B, J)
    return -10 * torch.log10((_energy(targets) + ENERGY_FLOOR) / (error + ENERGY_FLOOR)).mean()


def si_sdr(estimates: Tensor, targets: Tensor, mixture: Tensor) -> Tensor:
    """Minus the scale-invariant SDR in dB, jointly over channels and time.

    -10 log10(|a s|^2 / |a s - e|^2) with a = <e, s> / |s|^2: Le Roux, Wisdom, Erdogan and
    Hershey, "SDR, half-baked or well done?", ICASSP 2019. It does not fix the level of e.
    """
    axes = tuple(range(2, targets.ndim))
    gain = (estimates * targets).mean(axes, keepdim=True)  # (B, J, 1, ...)
    gain = gain / (targets.square().mean(axes, keepdim=True) + ENERGY_FLOOR)
    part = gain * targets  # what the estimate has of the target, (B, J, ...)
    error = _energy(part - estimates)  # (B, J)
    return -10 * torch.log10((_energy(part) + ENERGY_FLOOR) / (error + ENERGY_FLOOR)).mean()


def multi_resolution(error: Tensor, n_fft: int = 2048) -> Tensor:
    """The mean absolute error of waveforms, and of their complex spectrograms with `WINDOWS`.

    All six summed; of complex numbers |a - b|. Lu et al., arXiv 2309.02612, section 3.

    Parameters
    ----------
    error : Tensor
        Estimates less targets, (..., T).
    n_fft : int
        The least length of a transform: shorter windows get zeros on both sides.
    """
    error = error.flatten(0, -2)  # (all the rest, T)
    total = error.abs().mean()
    for size in WINDOWS:
        length = max(size, n_fft)
        if error.shape[-1] <= length // 2:  # for which there is no reflection
            error = functional.pad(error, (0, length // 2 + 1 - error.shape[-1]))
        window = torch.hann_window(size, device=error.device)
        z = torch.stft(error, length, HOP, size, window, return_complex=True)
        total = total + z.abs().mean()
    return total


def _energy(x: Tensor) -> Tensor:
    """Mean square of each example and target: (B, J, ...) to (B, J)."""
    return x.square().mean(tuple(range(2, x.ndim)))


#: name -> loss
LOSSES = {"l1": l1, "mse": mse, "nmse": nmse, "sdr": sdr, "si-sdr": si_sdr}
