"""Study 3: speech in noise at a chosen level, and two speakers at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ... import audio
from ...band import speech
from ...band.instruments import choose
from ...band.noises import render_noise
from ...band.voice import available_engine
from ...errors import SepkitError
from ...metrics import MetricCard
from ..listening import recorded
from .leakage import HOP, N_FFT

RATE = speech.RATE
PASSED_CARD = MetricCard(
    "passed",
    "energy of a speaker's part in the estimate over the speaker's; fit as for leak, STFT"
    f" {N_FFT}/{HOP}",
    silent_frames="NaN where the speaker is silent",
    unit="dB",
)
#: LibriSpeech among librosa's example recordings.
_RECORDED = ("libri1", "libri2", "libri3")


@dataclass(frozen=True)
class Example:
    """Speech with something else.

    Attributes
    ----------
    speaker, other : str
        Who speaks, and the kind of noise or the second speaker.
    snr : float
        Level of the speech against the other, in dB.
    voice, rest : Tensor (1, samples)
        The speech and the other, 16 kHz; the mixture is their sum.
    """

    speaker: str
    other: str
    snr: float
    voice: torch.Tensor
    rest: torch.Tensor

    @property
    def mixture(self) -> torch.Tensor:
        """(1, samples)"""
        return self.voice + self.rest

    @property
    def parts(self) -> dict[str, torch.Tensor]:
        """Both by name, for `leakage.split`."""
        return {"voice": self.voice, "rest": self.rest}


def speakers(count: int, seconds: float = 4.0, seed: int = 0) -> dict[str, torch.Tensor]:
    """One utterance each of several of the band's test speakers.

    Returns
    -------
    dict of str to Tensor (1, samples)
        16 kHz; they end with a whole word, after at most `seconds`.
    """
    engine, said = available_engine(), {}
    for index in range(count):
        speaker = speech.draw_speaker(seed, "test", index)
        wave, _ = speech.say(speaker, seconds, np.random.default_rng([seed, index]), engine)
        said[speaker.name] = torch.from_numpy(wave).float()[None]
    return said


def recorded_speakers(seconds: float = 4.0) -> dict[str, torch.Tensor]:
    """As `speakers`, of LibriSpeech: those of librosa's example recordings that can be had."""
    found = {}
    for name in _RECORDED:
        path = recorded(name)
        if path is not None:
            x, _ = audio.read(path, sample_rate=RATE, channels=1)
            x = x[:, RATE // 2 : RATE // 2 + int(seconds * RATE)]
            found[name] = x * (speech.LEVEL / x.square().mean().sqrt())
    return found


def at_snr(target: torch.Tensor, other: torch.Tensor, snr: float) -> torch.Tensor:
    """The other sound, scaled so that ``10 log10(|target|^2 / |other|^2)`` is `snr`, in dB.

    Raises
    ------
    SepkitError
        If one of the two is silent.
    """
    energies = [float(x.double().square().sum()) for x in (target, other)]
    if min(energies) == 0:
        raise SepkitError("at_snr: a sound is silent; an SNR has no meaning there")
    return other * (energies[0] / energies[1] * 10 ** (-snr / 10)) ** 0.5


def in_noise(
    voices: Mapping[str, torch.Tensor], kinds: Iterable[str], snrs: Iterable[float], seed: int = 0
) -> list[Example]:
    """Put every utterance into every kind of noise, at every level.

    A noise is drawn once for each utterance: from one SNR to another nothing changes but its level.

    Parameters
    ----------
    voices : dict of str to Tensor (1, samples)
        16 kHz.
    kinds : iterable of str
        Of `sepkit.band.noises.KINDS`.
    snrs : iterable of float
        In dB.
    seed : int
        Of the noises.
    """
    examples, snrs, kinds = [], tuple(snrs), tuple(kinds)
    engine, instruments = available_engine(), choose()
    for name, voice in voices.items():
        for kind in kinds:
            own, seconds = zlib.crc32(f"{seed} {name}".encode()), voice.shape[-1] / RATE
            wave = render_noise(kind, seconds, "test", own, engine, instruments)
            noise = torch.from_numpy(wave).float()[None]
            examples += [Example(name, kind, snr, voice, at_snr(voice, noise, snr)) for snr in snrs]
    return examples


def pairs(voices: Mapping[str, torch.Tensor]) -> list[Example]:
    """Neighbours who talk at once, equally loud: as many pairs as there are speakers."""
    names, found = list(voices), []
    for first, second in zip(names, [*names[1:], *names[:1]]):
        length = min(voices[first].shape[-1], voices[second].shape[-1])
        voice, other = voices[first][:, :length], voices[second][:, :length]
        found.append(Example(first, second, 0.0, voice, at_snr(voice, other, 0.0)))
    return found
