"""A formant synthesiser: the voice without espeak-ng and WORLD.

Glottal pulses and noise are filtered, frame by frame, by the magnitude of
parallel formants (Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 67, 1980; vowel formants after Peterson and Barney, JASA
24, 1952). Spelling stands in for pronunciation: enough for syllables with
consonants, not for words that one understands.
"""

import re
import zlib

import numpy as np

from .phonetics import (
    FRICATIVE,
    SONORANT,
    STOP,
    VOICED_FRICATIVE,
    VOICED_STOP,
    VOWEL,
    Segment,
    Syllable,
    kind_of,
    syllabify,
)

RATE, WINDOW, STEP = 44100, 1024, 256
# Formants of a register against those of `VOWELS`.
_SIZES = {"bass": 1.0, "tenor": 1.0, "alto": 1.16, "soprano": 1.16}
_FREQUENCY = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
#: F1, F2, F3 (Hz) of men
VOWELS = {
    "i": (270, 2290, 3010),
    "ɪ": (390, 1990, 2550),
    "ɛ": (530, 1840, 2480),
    "æ": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "ɔ": (570, 840, 2410),
    "ʊ": (440, 1020, 2240),
    "u": (300, 870, 2240),
    "ʌ": (640, 1190, 2390),
    "ə": (490, 1350, 1690),
}
SONORANTS = {
    "m": (280, 1000, 2200),
    "n": (280, 1600, 2500),
    "ŋ": (280, 2000, 2600),
    "l": (360, 1100, 2700),
    "ɹ": (330, 1100, 1600),
    "w": (300, 700, 2200),
    "j": (280, 2200, 3000),
}
#: centre and width (Hz) and gain of the noise of a consonant
NOISES = {
    "s": (7500, 2500, 1.0),
    "z": (7500, 2500, 0.6),
    "ʃ": (3600, 1500, 1.0),
    "ʒ": (3600, 1500, 0.6),
    "f": (7000, 6000, 0.3),
    "v": (6000, 5000, 0.2),
    "θ": (8000, 5000, 0.3),
    "h": (1800, 2000, 0.3),
    "p": (1000, 1500, 0.8),
    "b": (700, 1000, 0.5),
    "t": (5000, 3000, 1.2),
    "d": (4000, 2500, 0.7),
    "k": (2200, 1500, 1.1),
    "g": (2000, 1500, 0.6),
    "tʃ": (3800, 1800, 1.2),
    "dʒ": (3600, 1800, 0.8),
}

# Spelling and sound, longest spellings first; nothing behind the colon is silent.
_SPELLING = [
    rule.split(":")
    for rule in """
igh:aɪ ough:ɔ tion:ʃən ee:i ea:i oo:u ou:aʊ ow:aʊ ai:eɪ ay:eɪ oi:ɔɪ oy:ɔɪ ie:i oa:ɔʊ
au:ɔ aw:ɔ ew:u ue:u ui:u ey:i ei:eɪ sh:ʃ tch:tʃ ch:tʃ th:θ ph:f ng:ŋ ck:k gh: qu:kw wh:w
kn:n er:ə a:æ e:ɛ i:ɪ o:ɔ u:ʌ c:k j:dʒ q:k r:ɹ x:ks
""".split()
]
_DIPHTHONGS = {
    "aɪ": ("a", "ɪ"),
    "aʊ": ("a", "ʊ"),
    "eɪ": ("ɛ", "ɪ"),
    "ɔɪ": ("ɔ", "ɪ"),
    "ɔʊ": ("ɔ", "ʊ"),
}
_DURATION = {
    VOWEL: 0.15,
    SONORANT: 0.07,
    VOICED_FRICATIVE: 0.07,
    FRICATIVE: 0.1,
    VOICED_STOP: 0.06,
    STOP: 0.08,
}
_SOUND = re.compile("|".join([*_DIPHTHONGS, "tʃ", "dʒ", "."]))


def spell(word: str) -> list[Syllable]:
    """The syllables of an English word by simple spelling rules; none if it has no vowel."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    letters = re.sub(r"([bcdfgklmnprstvz])\1", r"\1", letters)
    if len(letters) > 3 and re.search(r"[aeiouy].*[^aeiouy]e$", letters):
        letters = letters[:-1] if not letters.endswith("le") else letters[:-2] + "əl"
    sounds, position = "", 0
    while position < len(letters):
        rule = next(
            ((old, new) for old, new in _SPELLING if letters.startswith(old, position)), None
        )
        if letters[position] == "y" and rule is None:
            rule = ("y", "j" if position == 0 else "i")
        old, new = rule or (letters[position], letters[position])
        sounds += new
        position += len(old)
    segments = [Segment(kind_of(s), _DURATION[kind_of(s)], s) for s in _SOUND.findall(sounds)]
    return syllabify(word, segments)


def synthesise(spans, f0, gain, singer, rng: np.random.Generator) -> np.ndarray:
    """Sing one phrase: arguments and result of `world.synthesise`, `rng` of the noise."""
    hop = 0.005
    samples = round(len(f0) * hop * RATE)
    time = np.arange(samples + WINDOW) / RATE - WINDOW / 2 / RATE
    grid = np.arange(len(f0)) * hop
    pulses = _pulses(np.interp(time, grid, f0))
    noise = 0.05 * rng.standard_normal(len(time))
    centres = np.arange(0, samples + 1, STEP) / RATE
    voiced, hiss = _envelopes(spans, centres, singer, np.interp(centres, grid, f0))
    loudness = np.interp(centres, grid, gain)[:, None]
    window = np.sqrt(np.hanning(WINDOW + 1)[:-1])
    audio = np.zeros(samples + 2 * WINDOW)
    for source, envelope in ((pulses, voiced), (noise, hiss)):
        frames = np.lib.stride_tricks.sliding_window_view(source, WINDOW)[: samples + 1 : STEP]
        wave = np.fft.irfft(np.fft.rfft(frames * window) * envelope * loudness) * window
        for index, part in enumerate(wave):
            audio[index * STEP : index * STEP + WINDOW] += part
    return audio[WINDOW // 2 : WINDOW // 2 + samples]


def _pulses(f0):
    """Unit pulses of a running fundamental, each a windowed sinc at its exact (fractional) time."""
    phase = np.cumsum(f0) / RATE
    crossing = np.flatnonzero(np.floor(phase[1:]) > np.floor(phase[:-1]))
    place = (
        crossing + (np.ceil(phase[crossing] + 1e-12) - phase[crossing]) * RATE / f0[crossing + 1]
    )
    first = np.floor(place).astype(int) - 7
    taps = np.arange(16)
    distance = first[:, None] + taps - place[:, None]
    kernel = np.sinc(0.9 * distance) * np.cos(np.pi * np.clip(distance / 17, -0.5, 0.5)) ** 2
    kernel *= np.sqrt(RATE / f0[crossing])[:, None]
    wave = np.zeros(len(f0) + 32)
    np.add.at(wave, first[:, None] + taps + 16, kernel)
    return wave[16:-16] * 0.1


def _envelopes(spans, centres, singer, f0):
    """Magnitude responses (frames, bins) for the pulses and for the noise."""
    size = len(centres)
    formants = np.full((size, 3), np.nan)
    amount, share = np.zeros(size), np.full(size, 0.04 + 0.25 * singer.breath)
    hiss = np.zeros((size, len(_FREQUENCY)))
    for span in spans:
        here = np.flatnonzero((centres >= span.start) & (centres < span.end))
        kind, symbol = span.segment.kind, span.segment.symbol
        progress = span.source(centres[here]) / span.segment.duration
        target = _target(symbol, progress)
        if target is not None:
            formants[here] = target
        amount[here] = {VOWEL: 1.0, SONORANT: 0.5, VOICED_FRICATIVE: 0.25, VOICED_STOP: 0.15}.get(
            kind, 0.0
        )
        if symbol in NOISES:
            centre, width, level = NOISES[symbol]
            shape = level / (1 + ((_FREQUENCY - centre * singer.formant) / width) ** 4)
            burst = (
                np.where(progress > 0.5, np.exp(-(progress - 0.5) * 4), 0.0)
                if kind in (STOP, VOICED_STOP)
                else 1.0
            )
            hiss[here] = shape * np.broadcast_to(burst, len(here))[:, None]
    return _colour(_smooth(formants), _blur(amount), share, hiss, singer, f0)


def _colour(formants, amount, share, hiss, singer, f0):
    rng = np.random.default_rng(zlib.crc32((singer.accent + singer.variant).encode()))
    own = rng.normal(1, 0.05, 5) * singer.formant * _SIZES[singer.register]
    gains = 10 ** (np.array([0, -7, -13, -17, -24]) / 20 + rng.normal(0, 0.1, 5))
    widths = np.array([90, 110, 160, 220, 300]) * rng.uniform(0.8, 1.3, 5)
    upper = np.broadcast_to([3500.0, 4500.0], (len(formants), 2))
    peaks = np.concatenate([formants, upper], axis=1) * own
    peaks[:, 0] = np.maximum(peaks[:, 0], f0)  # singers raise the first formant to the fundamental
    response = np.zeros((len(formants), len(_FREQUENCY)))
    for number in range(5):
        response += gains[number] / np.sqrt(
            1 + ((_FREQUENCY - peaks[:, number, None]) / (widths[number] / 2)) ** 2
        )
    octaves = np.log2(np.maximum(_FREQUENCY, 100.0) / 1000)
    tilt = 10 ** (
        ((singer.brightness - 4) * np.maximum(octaves, 0) * 0.7 - 6 * np.maximum(octaves - 2.5, 0))
        / 20
    )
    response *= tilt * amount[:, None]
    breath = share[:, None] * response * np.minimum(1, (_FREQUENCY / 4000) ** 0.7) * 4
    return response, breath + 0.5 * hiss


def _target(symbol, progress):
    """Formants (len(progress), 3) of a sound, or None where it has none of its own."""
    symbol = symbol.rstrip("ː")
    if symbol in _DIPHTHONGS:
        first, last = (np.array(VOWELS[v], float) for v in _DIPHTHONGS[symbol])
        weight = np.clip((progress - 0.4) / 0.5, 0, 1)[:, None]
        return first * (1 - weight) + last * weight
    formants = VOWELS.get(symbol) or SONORANTS.get(symbol)
    return (
        None if formants is None else np.broadcast_to(np.array(formants, float), (len(progress), 3))
    )


def _smooth(formants):
    """Fill what no sound defines from its neighbours, then glide over about 40 ms."""
    known = np.flatnonzero(~np.isnan(formants[:, 0]))
    if not len(known):
        return np.broadcast_to(np.array(VOWELS["ə"], float), formants.shape)
    index = np.arange(len(formants))
    return np.stack(
        [_blur(np.interp(index, known, formants[known, k]), 9) for k in range(3)], axis=1
    )


def _blur(values, width=5):
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(values, width // 2, mode="edge"), kernel / kernel.sum(), mode="valid")
