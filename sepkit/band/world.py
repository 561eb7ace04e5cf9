"""The words of a song as WORLD spectra, and their resynthesis on a melody.

Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis
system for real-time applications", IEICE Trans. 2016: CheapTrick gives the
spectral envelope of the spoken words. The fundamental is known (espeak-ng
speaks on a fixed one) and so are the times of the sounds, so neither a pitch
tracker nor the aperiodicity estimator is needed: aperiodicity follows from
the class of the sound and the breath of the singer.
"""

from dataclasses import dataclass

import numpy as np

from . import espeak, festival, flite, phonetics
from .phonetics import (
    FRICATIVE,
    SONORANT,
    STOP,
    VOICED,
    VOICED_FRICATIVE,
    VOICED_STOP,
    VOWEL,
    Segment,
)

RATE, HOP = 44100, 0.005  # Hz, seconds
BINS = 513  # of a 1024-point FFT at 44.1 kHz: the vocoder's resolution
_SPOKEN_RATE, _SPOKEN_F0, _NOISE_F0 = 22050, 140.0, 260.0
_SPOKEN_BINS = 257  # of a 512-point FFT at 22.05 kHz: the same bin width
_FREQUENCY = np.arange(BINS) * RATE / (2 * (BINS - 1))
#: the spoken spectrum ends in holes: from here on it is continued
_TOP = 9500.0
#: mean log level of a sung vowel, to which all syllables are brought
_LEVEL = -1.0


@dataclass(frozen=True)
class Lexicon:
    """The words of a song, spoken once by one voice.

    Attributes
    ----------
    syllables : dict of str to list of Syllable
        `Segment.start` is in seconds of `spectrum`.
    spectrum : ndarray (frames, BINS)
        Log power envelopes every `HOP` seconds, formants shifted, holes filled.
    """

    syllables: dict
    spectrum: np.ndarray


def learn(words, singer) -> Lexicon:
    """Speak the words as `singer` would and analyse them."""
    unique = sorted(set(words))
    said = _spoken(unique, singer)
    syllables, stretches = {}, []
    for word, segments in zip(unique, _segments(said, unique), strict=True):
        syllables[word] = phonetics.syllabify(word, segments)
        stretches += segments
    return Lexicon(syllables, _spectrum(said, stretches, singer))


def _spoken(words, singer):
    for program in (flite, festival):
        if singer.accent in program.VOICES:
            return program.speak(words, singer.accent)
    voice = singer.accent + singer.variant
    return espeak.speak(", ".join(words), voice, rate=150, pitch_range=0, fundamental=_SPOKEN_F0)


def _segments(said, unique):
    """The sounds of each word, from the library's events."""
    ends = [sample for _, sample in said.phonemes[1:]] + [len(said.samples)]
    sounds = [
        (name, start, end)
        for (name, start), end in zip(said.phonemes, ends)
        if name and end > start and not name.startswith("(")  # "(en)": another language's rules
    ]
    position, owner = 0, {}
    for index, word in enumerate(unique):
        owner[position] = index
        position += len(word) + 2
    result, current = [[] for _ in unique], 0
    marks = sorted((sample, owner[text]) for text, sample in said.words if text in owner)
    for name, start, end in sounds:
        while marks and marks[0][0] <= start:
            current = marks.pop(0)[1]
        begin, duration = start / said.sample_rate, (end - start) / said.sample_rate
        sound = name.lstrip("ˈˌ")
        result[current].append(Segment(phonetics.kind_of(name), duration, sound, begin))
    return result


def _spectrum(said, segments, singer):
    """Log power (frames, BINS) of the whole utterance; frames in no segment stay empty."""
    frames = int(len(said.samples) / said.sample_rate / HOP) + 2
    kind = np.full(frames, "", dtype=object)
    for segment in segments:
        kind[round(segment.start / HOP) : round((segment.start + segment.duration) / HOP) + 1] = (
            segment.kind
        )
    used = np.flatnonzero(kind != "")
    voiced = np.isin(kind[used].astype(str), VOICED)
    spectrum = np.full((frames, BINS), -40.0)
    recorded = flite.VOICES.get(singer.accent) or festival.VOICES.get(singer.accent)
    if recorded:
        power, top = _natural(said, used * HOP, voiced), recorded.bandwidth
    else:
        f0 = np.where(voiced, _SPOKEN_F0, _NOISE_F0)
        power = _envelopes(said, f0, used * HOP, 135.0, 2 * (_SPOKEN_BINS - 1))
        top = _TOP
    spectrum[used] = _complete(np.log(power + 1e-12), kind[used].astype(str), singer, top)
    return spectrum


def _natural(said, times, voiced):
    """The power envelopes of recorded speech, whose fundamental has to be found first."""
    import pyworld

    f0, grid = pyworld.harvest(said.samples, said.sample_rate, 70.0, 400.0, 1000 * HOP)
    found = np.interp(times, grid, np.where(f0 > 0, f0, 0.0))
    typical = np.median(f0[f0 > 0]) if (f0 > 0).any() else _SPOKEN_F0
    pitch = np.where(voiced, np.where(found > 70.0, found, typical), _NOISE_F0)
    # Deep voices need the longer transform; every other of its bins is one of ours.
    return _envelopes(said, pitch, times, 66.0, 4 * (_SPOKEN_BINS - 1))[:, ::2]


def _envelopes(said, f0, times, floor, size):
    import pyworld

    return pyworld.cheaptrick(
        said.samples, f0, times, said.sample_rate, f0_floor=floor, fft_size=size
    )


def _complete(spoken, kind, singer, top):
    """Shift the formants, fill the holes at 4 to 6 kHz and continue beyond the spoken band."""
    source = np.minimum(_FREQUENCY / singer.formant, top) / (_SPOKEN_RATE / 2) * (_SPOKEN_BINS - 1)
    low = np.minimum(source.astype(int), _SPOKEN_BINS - 2)
    weight = source - low
    log = spoken[:, low] * (1 - weight) + spoken[:, low + 1] * weight
    octaves = np.log2(np.maximum(_FREQUENCY, 1.0) / 2000.0)
    decibel = np.log(10) / 10
    log -= (
        np.maximum(0, np.log2(np.maximum(_FREQUENCY, 1.0) / (top * singer.formant)))
        * 24.0
        * decibel
    )
    # The floor of what is voiced: 12 dB per octave down from 2 kHz, below the level under 1 kHz.
    base = np.log(np.mean(np.exp(log[:, 3:24]), axis=1))[:, None]
    depth = np.where(np.isin(kind, (VOWEL, SONORANT))[:, None], 22.0, 14.0) - singer.brightness
    floor = base - (depth + 12.0 * np.maximum(octaves, 0)) * decibel
    tilt = singer.brightness * 0.5 * np.clip(octaves, -1, 2) * decibel
    # Fricatives keep their hiss: 9 dB per octave down from its level at 4 to 8 kHz.
    noisy = np.isin(kind, (FRICATIVE, STOP, VOICED_FRICATIVE))
    hiss = np.log(np.mean(np.exp(log[noisy, 93:186]), axis=1))[:, None] - 3 * decibel
    high = np.where(_FREQUENCY > 5000.0, -9.0 * (octaves - np.log2(3.5)) * decibel, -40.0)
    floor[noisy] = np.maximum(np.minimum(floor, base)[noisy], hiss + np.minimum(high, 0.0))
    floor[~noisy] = np.minimum(floor, base)[~noisy]
    return np.logaddexp(log, floor) + tilt


def _noise_share(singer):
    """Amplitude aperiodicity (BINS,) of each class of sounds, between 0 and 1."""

    def rise(centre, width, least):
        return least + (1 - least) / (1 + np.exp(-(_FREQUENCY - centre) / width))

    vowel = np.clip(
        rise(6500 - 3500 * singer.breath, 1500.0, 0.01 + 0.08 * singer.breath), 0.001, 0.97
    )
    fricative = rise(1800.0, 350.0, 0.1)
    return {
        VOWEL: vowel,
        SONORANT: vowel,
        VOICED_STOP: np.maximum(vowel, rise(2500.0, 500.0, 0.05)),
        VOICED_FRICATIVE: fricative,
        FRICATIVE: np.ones(BINS),
        STOP: np.ones(BINS),
    }


def level(lexicon, syllable):
    """How far, in log power, a syllable's vowel is above the common level."""
    first = round((syllable.nucleus.start + 0.25 * syllable.nucleus.duration) / HOP)
    last = round((syllable.nucleus.start + 0.7 * syllable.nucleus.duration) / HOP) + 1
    loudness = np.log(np.mean(np.exp(lexicon.spectrum[first:last, 2:80]))) - _LEVEL
    return float(np.clip(loudness, -3.0, 3.0))


def synthesise(spans, f0, gain, lexicon, singer):
    """Sing one phrase.

    Parameters
    ----------
    spans : list of Span
        Sounds with their times (seconds from the first frame), in order.
    f0 : ndarray (frames,)
        Hz, every `HOP` seconds.
    gain : ndarray (frames,)
        Linear.

    Returns
    -------
    ndarray
        float64, about frames * HOP seconds at 44.1 kHz.
    """
    import pyworld

    frames = len(f0)
    log, share, pitch = np.full((frames, BINS), -40.0), np.ones((frames, BINS)), np.zeros(frames)
    shares = _noise_share(singer)
    for span in spans:
        first, last = max(0, round(span.start / HOP)), min(frames, round(span.end / HOP))
        if last <= first:
            continue
        at = span.source((np.arange(first, last) + 0.5) * HOP) / HOP
        low = np.clip(at.astype(int), 0, len(lexicon.spectrum) - 2)
        weight = np.clip(at - low, 0, 1)[:, None]
        envelope = lexicon.spectrum[low] * (1 - weight) + lexicon.spectrum[low + 1] * weight
        log[first:last] = envelope - span.level
        share[first:last] = shares[span.segment.kind]
        if span.segment.kind in VOICED:
            pitch[first:last] = f0[first:last]
    power = np.exp(log) * np.square(gain)[:, None] + 1e-16
    return pyworld.synthesize(pitch, power, np.clip(share, 0.001, 0.999), RATE, HOP * 1000)
