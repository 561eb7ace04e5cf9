"""One mixture, from its utterances and its noise: loudness, length and 16-bit samples."""

import numpy as np
import torch

from ... import audio
from ...audio.loudness import loudness
from ...errors import SepkitError

#: Of utterances and noises before they are mixed, in Hz: LibriSpeech's and WHAM!'s.
SOURCE_RATE = 16000
#: LUFS between which the loudness of a speaker, and of the noise, is drawn.
SPEECH_LEVELS = (-33.0, -25.0)
NOISE_LEVELS = (-38.0, -30.0)
#: Where a source or a sum would be louder, it is brought down to this peak.
PEAK = 0.9
_FULL_SCALE = 32767


def mix(
    voices: list[np.ndarray],
    noise: np.ndarray | None,
    levels: tuple[float, ...],
    rate: int,
    mode: str,
) -> dict[str, np.ndarray]:
    """Mix speakers and noise as LibriMix does.

    Parameters
    ----------
    voices : list of ndarray (samples,)
        Utterances at `SOURCE_RATE`, of different lengths.
    noise : ndarray (samples,), optional
        Cut, or continued by itself, to the longest utterance.
    levels : tuple of float
        The loudness (LUFS, ITU-R BS.1770) of every voice, then of the noise.
    rate : int
        Of the result, in Hz.
    mode : {"min", "max"}
        ``"min"`` ends with the shortest utterance; ``"max"`` with the longest, after which the
        others are silent.

    Returns
    -------
    dict of str to ndarray (samples,), int16
        ``s1``, ``s2``, ..., ``noise``, and their exact sums ``mix_both``, ``mix_clean`` and
        ``mix_single``; without noise only ``mix_clean``.

    Raises
    ------
    SepkitError
        If an utterance or the noise is silent.

    Notes
    -----
    Cosentino et al. 2020, section 2. Loudness is that of the mode max, so that a mixture has the
    same gains in both modes, and its types share their parts. No gain depends on which types are
    asked for: the peak is that of every sum.
    """
    longest = max(map(len, voices))
    signals = [np.pad(voice, (0, longest - len(voice))) for voice in voices]
    names = [f"s{number}" for number in range(1, len(voices) + 1)]
    if noise is not None:
        signals.append(continued(noise, longest))
        names.append("noise")
    scaled = {
        name: _resampled(_at_level(name, signal, level), rate)
        for name, signal, level in zip(names, signals, levels, strict=True)
    }
    gain = min(1.0, PEAK / max(np.abs(total).max() for total in _sums(scaled).values()))
    shortest = audio.resampled_length(min(map(len, voices)), SOURCE_RATE, rate)
    length = shortest if mode == "min" else None
    parts = {
        name: np.rint(x[:length] * (gain * _FULL_SCALE)).astype(np.int16)
        for name, x in scaled.items()
    }
    return {**parts, **_sums(parts)}


def _sums(parts):
    """The types of mixtures that the parts make up."""
    voices = [part for name, part in parts.items() if name != "noise"]
    sums = {"mix_clean": sum(voices[1:], voices[0])}
    if "noise" in parts:
        sums["mix_both"] = sums["mix_clean"] + parts["noise"]
        sums["mix_single"] = parts["s1"] + parts["noise"]
    return sums


def _at_level(name, signal, level):
    found = loudness(torch.from_numpy(signal)[None], SOURCE_RATE)
    if not np.isfinite(found):
        raise SepkitError(f"{name}: is silent; leave out its recording")
    gain, peak = 10 ** ((level - found) / 20), np.abs(signal).max()
    return signal * (PEAK / peak if gain * peak >= 1 else gain)


def _resampled(signal, rate):
    return audio.resample(torch.from_numpy(signal), SOURCE_RATE, rate).numpy()


def continued(noise: np.ndarray, samples: int) -> np.ndarray:
    """The first samples of a noise; one that is too short goes on with itself, cross-faded.

    The fade lasts a second, or half of the noise, in the shape of half a Hann window.
    """
    if len(noise) >= samples:
        return noise[:samples]
    overlap = min(SOURCE_RATE, len(noise) // 2)
    rise = np.sin(np.linspace(0, np.pi / 2, overlap)) ** 2
    result = noise
    while len(result) < samples:
        seam = result[len(result) - overlap :] * rise[::-1] + noise[:overlap] * rise
        result = np.concatenate([result[: len(result) - overlap], seam, noise[overlap:]])
    return result[:samples]
