"""Pitch, speed and place in time: the changes of which `augmentation` makes new versions of a song.

All functions take and return float32 audio of shape (channels, samples). What
is done to one channel is done to the other, so the stereo image stays where it
is; and what is done depends on nothing but the audio and the amount, so that
all stems of a song go through the same change of time. Chapter 07 lets one hear them.
"""

import math

import numpy as np
import scipy.fft
import torch

from ... import audio as audio_files
from ...errors import SepkitError

#: Seconds of the phase vocoder's window: resolves the partials of a bass's low E (41 Hz).
WINDOW = 0.093
OVERLAP = 4  # windows over every sample
#: A partial whose energy grows by this factor within a hop starts anew, with the input's phase.
ONSET = 4.0
_BLOCK = 256  # frames at once, which bounds the memory
_ENVELOPE = 3 / 8 * OVERLAP  # the sum of the squared Hann windows over a sample


def time_stretch(audio: torch.Tensor, speed: float, sample_rate: int) -> torch.Tensor:
    """Play `speed` times as fast, at the same pitch.

    A phase vocoder, with these choices:

    - The phase advance over a hop is measured between two frames exactly one
      output hop apart in the input, so that nothing is unwrapped (Puckette,
      "Phase-locked vocoder", WASPAA 1995).
    - The bins around a peak of the spectrum turn together (Laroche and Dolson,
      "Improved phase vocoder time-scale modification of audio", IEEE TSAP 7,
      1999, "identity phase locking"): by the angle that fits all of them best.
    - The bins of both channels turn by the same angle, fitted to both: their
      phase difference, and with it the stereo image, is untouched.
    - A peak that sets in starts with the phase of the input (after Röbel, "A
      new approach to transient processing in the phase vocoder", DAFx 2003):
      drums keep their attack.

    Parameters
    ----------
    audio : Tensor
        (channels, samples)
    speed : float
        0.5 ... 2; 1.1 makes 10 s last 9.09 s.
    sample_rate : int
        Hz.

    Returns
    -------
    Tensor
        (channels, round(samples / speed)). Tones keep their level; noise, whose
        phases are torn apart, loses up to 0.7 dB for speeds of 0.89 ... 1.12.
    """
    speed = _checked("speed", speed, 0.5, 2.0)
    samples = audio.detach().cpu().numpy().astype(np.float32, copy=False)
    length = stretched_length(samples.shape[-1], speed)
    n_fft = 2 ** round(math.log2(WINDOW * sample_rate))
    hop = n_fft // OVERLAP
    # Frames that begin before the audio and end after it.
    count = math.ceil(length / hop) + 2 * OVERLAP
    out = np.zeros((len(samples), (count - 1) * hop + n_fft), np.float32)
    turned = None  # the last frame written, which the next one continues
    for first in range(0, count, _BLOCK):
        frames = np.arange(first, min(first + _BLOCK, count)) - OVERLAP
        places = np.rint(frames * hop * speed).astype(int)  # centre of each frame, in the input
        spectra = _spectra(samples, places, n_fft)
        turned, block = _turn(spectra, _spectra(samples, places - hop, n_fft), turned)
        for frame, piece in zip(range(first, count), _windowed(block, n_fft)):
            out[:, frame * hop : frame * hop + n_fft] += piece
    start = OVERLAP * hop + n_fft // 2
    return torch.from_numpy(out[:, start : start + length] / _ENVELOPE)


def pitch_shift(audio: torch.Tensor, semitones: float, sample_rate: int) -> torch.Tensor:
    """Move the pitch by `semitones`; the length stays.

    Stretched in time, then resampled to the old length. Formants move along.
    The top of the spectrum pays for it: at 44.1 kHz, 2 semitones down leave
    little above 18 kHz and nothing above 19.6; 2 up lose what lay there.

    Parameters
    ----------
    audio : Tensor
        (channels, samples)
    semitones : float
        -12 ... 12
    sample_rate : int
        Hz.
    """
    ratio = 2 ** (_checked("pitch", semitones, -12.0, 12.0) / 12)
    return _fit(
        resample_speed(time_stretch(audio, 1 / ratio, sample_rate), ratio, sample_rate),
        audio.shape[-1],
    )


def resample_speed(audio: torch.Tensor, speed: float, sample_rate: int) -> torch.Tensor:
    """Play `speed` times as fast as a tape would: the pitch moves by 12 log2(speed) semitones.

    The speed perturbation of Ko et al., "Audio augmentation for speech
    recognition", Interspeech 2015. Returns (channels, round(samples / speed)).
    """
    speed = _checked("speed", speed, 0.5, 2.0)
    return _fit(
        audio_files.resample(audio, sample_rate * speed, sample_rate),
        stretched_length(audio.shape[-1], speed),
    )


def time_shift(audio: torch.Tensor, seconds: float, sample_rate: int) -> torch.Tensor:
    """Move audio later (or earlier, for negative `seconds`), by whole samples.

    The length stays. The gap is silence, and what is moved over the end is lost: nothing is
    repeated, and no splice clicks.
    """
    shift, samples = round(seconds * sample_rate), audio.shape[-1]
    if abs(shift) >= samples:
        raise SepkitError(
            f"shift {seconds:g} s: the song lasts {samples / sample_rate:.1f} s; give a shorter "
            "shift"
        )
    return torch.nn.functional.pad(audio, (shift, -shift))


def stretched_length(samples: int, speed: float) -> int:
    """Length of `samples` samples that are played at `speed`."""
    return round(samples / speed)


def _checked(what, value, low, high):
    if not low <= value <= high:  # NaN too
        raise SepkitError(f"{what} {value}: give a number from {low:g} to {high:g}")
    return float(value)


def _fit(audio, length):
    return torch.nn.functional.pad(audio, (0, max(0, length - audio.shape[-1])))[..., :length]


def _hann(n_fft):
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)


def _spectra(samples, places, n_fft):
    """Windowed spectra centred on `places`: (frames, channels, bins); silence around the audio."""
    first, last = places[0] - n_fft // 2, places[-1] + n_fft // 2
    inside = samples[:, max(first, 0) : max(last, 0)]
    before = min(max(-first, 0), last - first)
    padded = np.pad(inside, ((0, 0), (before, last - first - before - inside.shape[-1])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[
        :, places - places[0]
    ]
    return scipy.fft.rfft(windows.swapaxes(0, 1) * _hann(n_fft))


def _windowed(spectra, n_fft):
    return scipy.fft.irfft(spectra, n_fft) * _hann(n_fft)


def _turn(spectra, earlier, turned):
    """Turn the phases of `spectra` so that every frame continues the one before.

    `earlier` holds the frames one output hop before each of `spectra`: what the
    input looked like where the frame before now lies. Returns the last frame and all.
    """
    energy, energy_before = _energy(spectra), _energy(earlier)
    peaks = _peaks(energy)
    for k in range(len(spectra)):
        if turned is not None:
            at = np.flatnonzero(peaks[k])
            # A region reaches half-way to the next peak.
            starts = np.concatenate([[0], (at[1:] + at[:-1] + 1) // 2])
            angle = np.add.reduceat((turned * earlier[k].conj()).sum(0), starts)
            size = np.abs(angle)
            sets_in = np.add.reduceat(energy[k], starts) > ONSET * np.add.reduceat(
                energy_before[k], starts
            )
            free = sets_in | (size == 0)
            angle = np.where(free, 1, angle / np.where(free, 1, size)).astype(np.complex64)
            spectra[k] *= np.repeat(angle, np.diff(starts, append=spectra.shape[-1]))
        turned = spectra[k]
    return turned, spectra


def _energy(spectra):
    return (spectra.real**2 + spectra.imag**2).sum(1)  # (frames, bins), of all channels


def _peaks(energy):
    """Bins above their two neighbours on either side; the lowest bin where there are none."""
    peaks = np.zeros(energy.shape, bool)
    middle = energy[:, 2:-2]
    peaks[:, 2:-2] = np.logical_and.reduce(
        [middle > energy[:, k : k + middle.shape[1]] for k in (0, 1, 3, 4)]
    )
    peaks[~peaks.any(1), 0] = True
    return peaks
