"""log-WMSE: the error as loud as an ear would find it, defined for silent targets too.

Jordal, "logWMSE", github.com/nomonosound/log-wmse-audio-quality, 2023 (version 0.2.0). It
is one of the few metrics that ask for the mixture: a target that is silent has no level of
its own to compare an error with. Chapter 08.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, freqz_sos, oaconvolve

from .sdr import pair
from .signals import BLOCK, Signals, zeros_outside

_DESIGN_RATE = 44100  # Hz: the weighting is defined by digital filters at this rate
_TRANSFORM = 8192  # points of the response that becomes the impulse response, at that rate
_REACH = 1999  # taps on either side of its middle, at that rate
_TOLERANCE = 10 ** (-68 / 20)  # of the weighted mixture's RMS: errors below it count as none
_EPSILON = 1e-8  # added to the mean square
_SCALE = -4.0  # of the natural logarithm, to make the numbers look like dB


def log_wmse(mixture, reference, estimate, sample_rate: int) -> float:
    """The frequency-weighted error of an estimate against the level of the mixture.

    With h the `weighting`, m the mixture and r_c the RMS of h * m in channel c,

        d_c = h * (s_hat_c - s_c) / r_c, samples with abs(d_c) < 10^(-68/20) set to 0,
        log-WMSE = mean over c of -4 ln(mean of d_c^2 + 1e-8).

    It is no number of decibels: 10 dB less error are 9.2 more. It does not change when all
    three signals are scaled alike, and does when the estimate alone is.

    Parameters
    ----------
    mixture, reference, estimate : (channels, samples)
    sample_rate : int
        In Hz. The published program resamples to 44.1 kHz; here the weighting is taken at
        the audio's own frequencies, which is the same without a resampler's rolloff. On noise
        at 22.05, 44.1 and 48 kHz the two agree within 0.01.

    Returns
    -------
    float
        Higher is better; 73.7 (-4 ln 1e-8) where no error exceeds the tolerance, and for a
        channel whose mixture is silent, as published. A silent reference has a value: it
        says how far below the mixture the rest lies.

    Raises
    ------
    SepkitError
        As for `sepkit.metrics.sdr`.
    """
    _, mixture = pair(reference, mixture, double=False)
    reference, estimate = pair(reference, estimate, double=False)
    return float(
        song_log_wmse(Signals({"": reference}, {"": estimate}, mixture), sample_rate).item()
    )


def song_log_wmse(signals: Signals, sample_rate: int) -> torch.Tensor:
    """`log_wmse` of each target of a song, read part by part: float64 (sources,)."""
    kernel = weighting(sample_rate)[None]  # (1, taps)
    levels, samples = 0, signals.samples
    for start in range(0, samples, BLOCK):
        part = _weighted(signals.mixture, kernel, start, samples)  # (C, n)
        levels = levels + np.square(part).sum(-1)
    levels = np.sqrt(levels / samples)[:, None]  # (C, 1), the RMS
    squares = 0
    for start in range(0, samples, BLOCK):
        part = _weighted(signals.errors, kernel[None], start, samples)  # (J, C, n)
        part[np.abs(part) < _TOLERANCE * levels] = 0
        squares = squares + np.square(part).sum(-1)
    relative = np.divide(
        squares / samples, levels[:, 0] ** 2, out=np.zeros_like(squares), where=levels[:, 0] > 0
    )
    return torch.from_numpy((_SCALE * np.log(relative + _EPSILON)).mean(-1))


def weighting(sample_rate: int) -> NDArray[np.float64]:
    """The zero-phase impulse response that weights frequencies roughly as hearing does.

    Returns
    -------
    float64 (taps,)
        Symmetric, 91 ms long. Above 22.05 kHz it lets nothing through.
    """
    size = 2 * round(_TRANSFORM / 2 * sample_rate / _DESIGN_RATE)
    reach = round(_REACH * sample_rate / _DESIGN_RATE)
    response = weight_at(np.fft.rfftfreq(size, 1 / sample_rate))
    middle = size // 2
    return np.fft.fftshift(np.fft.irfft(response, size))[middle - reach : middle + reach + 1]


def weight_at(frequencies: ArrayLike) -> NDArray[np.float64]:
    """The gain of the weighting at frequencies in Hz.

    A high shelf (+5 dB at 1.5 kHz, Q 0.71) and a bell (+2.5 dB at 500 Hz, Q 1.06), both from
    Bristow-Johnson's cookbook, a Butterworth highpass (120 Hz, second order) and a first-order
    Butterworth lowpass (10 kHz), run forwards and backwards; inspired by Fenton and Lee 2017.
    """
    frequencies = np.asarray(frequencies, dtype=np.float64)
    once = np.stack([_shelf(1500, 5, 0.5**0.5), _bell(500, 2.5, 1.5 * 0.5**0.5)])
    highpass = butter(2, 120, "highpass", fs=_DESIGN_RATE, output="sos")
    lowpass = butter(1, 10_000, "lowpass", fs=_DESIGN_RATE, output="sos")
    sections = np.concatenate([once, highpass, lowpass, lowpass])
    inside = np.minimum(frequencies, _DESIGN_RATE / 2)
    gain = np.abs(freqz_sos(sections, inside, fs=_DESIGN_RATE)[1])
    return np.where(frequencies < _DESIGN_RATE / 2, gain, 0.0)


def _weighted(read, kernel, start, samples):
    """(..., n) of what `read` gives from `start` on, weighted, as an array."""
    reach, frames = kernel.shape[-1] // 2, min(BLOCK, samples - start)
    audio = zeros_outside(read, start - reach, frames + 2 * reach, samples)
    return oaconvolve(audio.double().cpu().numpy(), kernel, mode="valid", axes=-1)


def _shelf(frequency, gain, q):
    """A second-order section (b0, b1, b2, a0 = 1, a1, a2): high shelf, `gain` in dB."""
    a, w = 10 ** (gain / 40), 2 * np.pi * frequency / _DESIGN_RATE
    cos, side = np.cos(w), 2 * np.sqrt(a) * np.sin(w) / (2 * q)
    plus, minus = a + 1, a - 1
    above = a * np.array([plus + minus * cos + side, -2 * (minus + plus * cos), 0])
    above[2] = a * (plus + minus * cos - side)
    below = [plus - minus * cos + side, 2 * (minus - plus * cos), plus - minus * cos - side]
    return np.concatenate([above, below]) / below[0]


def _bell(frequency, gain, q):
    """A second-order section: a peaking filter, `gain` in dB."""
    a, w = 10 ** (gain / 40), 2 * np.pi * frequency / _DESIGN_RATE
    cos, alpha = np.cos(w), np.sin(w) / (2 * q)
    section = [1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a]
    return np.array(section) / section[3]
