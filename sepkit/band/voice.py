"""The singers of the band: words on a melody, with vibrato and consonants.

Two engines make the sound: ``"espeak"`` (spoken words of espeak-ng, put on
the melody by the WORLD vocoder; needs the extra ``sepkit[band]``) and
``"dsp"`` (a formant synthesiser of numpy and scipy alone).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import SepkitError, unknown
from . import expression
from .expression import HOP, Text
from .singers import Singer

RATE = 44100
ENGINES = ("espeak", "dsp")
#: active RMS of every voice
LEVEL = 0.1


@dataclass(frozen=True)
class Note:
    """A note to sing: start and duration in seconds, pitch as a MIDI number (a float)."""

    start: float
    duration: float
    pitch: float
    spoken: bool = False  # on the note's start, with the fall of speech instead of its pitch


@lru_cache(maxsize=1)
def available_engine() -> str:
    """``"espeak"`` when espeakng_loader and pyworld import and espeak-ng works, else ``"dsp"``."""
    try:
        import pyworld  # noqa: F401

        from .espeak import speak

        speak("la")
    except (ImportError, OSError, SepkitError):
        return "dsp"
    return "espeak"


class Voice:
    """A singer who has learnt the words of a song.

    Parameters
    ----------
    singer, words
    engine : {"espeak", "dsp"}

    Raises
    ------
    SepkitError
        For an unknown engine, no words or none with a vowel, or when the extra is not installed.
    """

    def __init__(self, singer: Singer, words: list[str], engine: str = "espeak"):
        if engine not in ENGINES:
            raise unknown("voice engine", engine, ENGINES)
        if not words:
            raise SepkitError("sing: no words; pass at least one, or see vocabulary.draw_words")
        self.singer, self.words = singer, words
        self.mouth = (_Espeak if engine == "espeak" else _Dsp)(words, singer)
        if not any(self.mouth.syllables[word] for word in words):
            raise SepkitError(
                f"sing: no word of {words[:3]} has a vowel; pass words that can be sung"
            )

    def read(self, notes: list[Note], seconds: float, rng: np.random.Generator) -> Text:
        """Lay the words on the notes of a song of so many seconds.

        Raises
        ------
        SepkitError
            For a note that is not finite, has no length or cannot be sung.
        """
        rows = expression.tidy(_checked(notes, seconds), seconds)
        units = expression.place_words(rows, self.words, self.mouth.syllables, rng) if rows else []
        return Text(rows, units)

    def sing(self, text: Text, seconds: float, rng: np.random.Generator) -> np.ndarray:
        """One take: (round(seconds * 44100),), float64, RMS 0.1 where notes sound."""
        audio = np.zeros(round(seconds * RATE))
        if not text.rows:
            return audio
        spans = expression.schedule(text.units, self.mouth.level)
        frames = math.ceil(seconds / HOP) + 1
        f0 = expression.pitch_curve(text.rows, self.singer, frames, rng)
        gain = expression.gain_curve(text.units, frames, rng)
        for first, last, part in _phrases(spans, frames):
            wave = self.mouth.phrase(part, f0[first:last], gain[first:last], rng)
            begin = round(first * HOP * RATE)
            wave = _fade(wave[: max(0, len(audio) - begin)])
            audio[begin : begin + len(wave)] += wave
        return _normalise(_disperse(audio, text.rows), text.rows)


def sing(
    notes: list[Note],
    singer: Singer,
    words: list[str],
    seconds: float,
    rng: np.random.Generator,
    engine: str = "espeak",
) -> np.ndarray:
    """Sing `words` on `notes`, once: `Voice` in one call.

    One syllable per note (some are held over two), words again from the first
    when they run out. Vowels begin on the notes' starts; consonants stand up
    to 0.12 s before. The same arguments and generator state give the same
    samples in any process (to one unit of int16).

    Parameters
    ----------
    notes
        One voice: a note that overlaps the next one is cut.
    singer, words, rng
    seconds
        Length of the song.
    engine : {"espeak", "dsp"}

    Returns
    -------
    ndarray
        float64, mono, (round(seconds * 44100),), RMS 0.1 where notes sound,
        zero where nothing is sung.

    Raises
    ------
    SepkitError
        As `Voice` and `Voice.read`.
    """
    voice = Voice(singer, words, engine)
    return voice.sing(voice.read(notes, seconds, rng), seconds, rng)


def _checked(notes, seconds):
    if not (math.isfinite(seconds) and seconds > 0):
        raise SepkitError(f"sing: seconds is {seconds}; a song lasts longer than 0 s")
    for number, note in enumerate(notes):
        if (
            not all(map(math.isfinite, (note.start, note.duration, note.pitch)))
            or note.duration <= 0
        ):
            raise SepkitError(
                f"sing: note {number} is {note}; start, duration > 0 and pitch must be finite"
            )
        if not 24 <= note.pitch <= 96:
            raise SepkitError(
                f"sing: note {number} has pitch {note.pitch}; voices sing MIDI 24 to 96"
            )
    return notes


def _phrases(spans, frames):
    """(first frame, last frame, spans relative to it) of the phrases between rests."""
    groups = []
    for span in spans:
        if groups and span.start - groups[-1][-1].end < 0.12:
            groups[-1].append(span)
        else:
            groups.append([span])
    for group in groups:
        first = max(0, int((group[0].start - 0.02) / HOP))
        last = min(frames, math.ceil((group[-1].end + 0.03) / HOP))
        yield first, last, [_shift(span, first * HOP) for span in group]


def _shift(span, seconds):
    times, source = span.knots
    return expression.Span(
        span.segment,
        span.start - seconds,
        span.end - seconds,
        (tuple(t - seconds for t in times), source),
        span.level,
        span.syllable,
    )


def _fade(wave):
    """5 ms at both ends, so that no phrase clicks."""
    size = min(220, len(wave) // 2)
    ramp = np.linspace(0, 1, size)
    wave = wave.copy()
    wave[:size] *= ramp
    wave[len(wave) - size :] *= ramp[::-1]
    return wave


def _disperse(audio, rows):
    """Spread the vocoder's pulses in time by four all-passes, as radio stations lower crests."""
    from scipy.signal import lfilter

    angle = 2 * math.pi * 250 / RATE
    width = math.sin(angle)  # Q = 0.5
    a = np.array([1 + width, -2 * math.cos(angle), 1 - width])
    sung, end = audio, min(len(audio), round((rows[-1].end + 0.1) * RATE))
    for _ in range(4):
        sung = lfilter(a[::-1] / a[0], a / a[0], sung)
    sung[end:] = 0.0
    return sung


def _normalise(audio, rows):
    """RMS `LEVEL` over the times of the notes."""
    active = np.zeros(len(audio), bool)
    for row in rows:
        active[round(row.start * RATE) : round(row.end * RATE)] = True
    rms = math.sqrt(np.mean(np.square(audio[active]))) if active.any() else 0.0
    return audio * (LEVEL / rms) if rms > 1e-9 else audio


class _Espeak:
    """Spoken words on a melody; needs the extra."""

    def __init__(self, words, singer):
        try:
            import pyworld  # noqa: F401
        except ImportError:
            raise SepkitError(
                "pyworld: not installed; pip install 'sepkit[band]', or use voice='dsp'"
            ) from None
        from . import world

        self.world, self.singer = world, singer
        self.lexicon = world.learn(words, singer)
        self.syllables = self.lexicon.syllables

    def level(self, syllable):
        return self.world.level(self.lexicon, syllable)

    def phrase(self, spans, f0, gain, rng):
        return self.world.synthesise(spans, f0, gain, self.lexicon, self.singer)


class _Dsp:
    """A formant synthesiser; needs nothing."""

    def __init__(self, words, singer):
        from . import dsp_voice

        self.engine, self.singer = dsp_voice, singer
        self.syllables = {word: dsp_voice.spell(word) for word in words}

    def level(self, syllable):
        return 0.0

    def phrase(self, spans, f0, gain, rng):
        return self.engine.synthesise(spans, f0, gain, self.singer, rng)
