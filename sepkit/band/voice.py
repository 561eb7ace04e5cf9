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
from . import expression, flite
from .expression import HOP

RATE = 44100
ENGINES = ("espeak", "dsp")
#: active RMS of every voice
LEVEL = 0.1

# espeak-ng variants (register, comfortable MIDI centre); those of test are not in train.
_LOW, _HIGH = ("low", 53.0, 58.0), ("high", 61.0, 66.0)
VARIANTS = {
    "train": {
        "": _LOW,
        **dict.fromkeys("+m1 +m2 +m3 +m4 +m7 +Michael +Gene +Mike +miguel".split(), _LOW),
        **dict.fromkeys("+f1 +f2 +f5 +Alicia +Annie +belinda".split(), _HIGH),
    },
    "test": {
        **dict.fromkeys("+m5 +m6 +norbert +Storm +grandpa +victor".split(), _LOW),
        **dict.fromkeys("+f3 +f4 +linda +anika +shelby".split(), _HIGH),
    },
}
#: The other voices of espeak-ng that suit a song and are none of the test songs'; a singer of
#: either register has any.
WIDE = """
Alex Andrea Andy Denis Diogo Gene2 Henrique Hugo Jacky Lee Marco Mario Nguyen Reed
RicishayMax RicishayMax2 RicishayMax3 adam announcer antonio aunty benjamin boris caleb
david ed edward edward2 grandma gustave ian iven iven2 iven3 iven4 john kaukovalta klatt
klatt2 klatt3 klatt4 klatt5 klatt6 m8 marcelo max michel mike2 pablo paul pedro quincy rob
robert sandro steph steph2 steph3 travis zac
""".split()
ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc")


@dataclass(frozen=True)
class Note:
    """A sung note: start and duration in seconds, pitch as a MIDI number (a float)."""

    start: float
    duration: float
    pitch: float


@dataclass(frozen=True)
class Singer:
    """Everything that makes a voice."""

    name: str  # accent, variant and formant shift, for the manifest
    accent: str  # of espeak-ng, or a voice of `flite`
    variant: str  # of espeak-ng; "dsp" takes its formants from the two names
    register: str  # "low" or "high"
    centre: float  # MIDI pitch around which the voice is comfortable
    formant: float = 1.0  # factor on all formants
    breath: float = 0.2  # 0 (clear) to 1 (whispering)
    brightness: float = 0.0  # dB towards the treble
    vibrato_rate: float = 5.3  # Hz
    vibrato_depth: float = 33.0  # cents (peak)
    vibrato_delay: float = 0.25  # seconds after the note's start
    portamento: float = 0.08  # seconds from note to note
    scoop: float = 60.0  # cents from below into a phrase
    intonation: float = 5.0  # cents, spread of the notes
    jitter: float = 4.0  # cents, spread within a note


def draw_singer(rng: np.random.Generator, split: str, voices: str = "classic") -> Singer:
    """Draw a singer; no espeak-ng variant of the test songs occurs in train.

    `voices` is explained in `sepkit.band.knobs.KNOBS`; songs of test are always classic.

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in VARIANTS:
        raise unknown("split", split, VARIANTS)
    if voices != "classic" and split == "train":
        return _draw_widely(rng, voices == "natural")
    variant = list(VARIANTS[split])[rng.integers(len(VARIANTS[split]))]
    accent = ACCENTS[rng.integers(len(ACCENTS))]
    register, lowest, highest = VARIANTS[split][variant]
    formant = float(
        np.round(rng.uniform(0.93, 1.10) if register == "low" else rng.uniform(0.95, 1.08), 3)
    )
    return Singer(
        name=f"{accent}{variant} x{formant:.3f}",
        accent=accent,
        variant=variant,
        register=register,
        centre=float(rng.uniform(lowest, highest)),
        formant=formant,
        breath=float(rng.beta(1.5, 4)),
        brightness=float(np.clip(rng.normal(0, 2.5), -5, 5)),
        vibrato_rate=float(np.clip(rng.normal(5.3, 0.35), 4.5, 6.2)),
        vibrato_depth=float(np.clip(rng.normal(33, 9), 12, 60)),
        vibrato_delay=float(rng.uniform(0.12, 0.35)),
        portamento=float(rng.uniform(0.05, 0.11)),
        scoop=float(rng.uniform(0, 120)),
        intonation=float(rng.uniform(2, 6)),
        jitter=float(rng.uniform(2, 5)),
    )


def _draw_widely(rng, natural):
    """A singer of any size and school: variety of voices helps on real songs."""
    if natural and rng.random() < 0.5:
        accent = list(flite.VOICES)[rng.integers(len(flite.VOICES))]
        variant, low = "", rng.random() < (0.7 if flite.VOICES[accent] == "low" else 0.2)
    else:
        known = (*VARIANTS["train"], *(f"+{name}" for name in WIDE))
        accent, variant = ACCENTS[rng.integers(len(ACCENTS))], known[rng.integers(len(known))]
        low = rng.random() < 0.5
    formant = float(
        np.round(
            np.exp(rng.uniform(np.log(0.8), np.log(1.1)))
            if low
            else np.exp(rng.uniform(np.log(0.9), np.log(1.25))),
            3,
        )
    )
    return Singer(
        name=f"{accent}{variant} x{formant:.3f}",
        accent=accent,
        variant=variant,
        register="low" if low else "high",
        centre=float(rng.uniform(46, 59) if low else rng.uniform(57, 71)),
        formant=formant,
        breath=float(rng.beta(1.2, 2.5)),
        brightness=float(np.clip(rng.normal(0, 3.5), -8, 8)),
        vibrato_rate=float(rng.uniform(4.2, 6.8)),
        vibrato_depth=float(rng.choice([0.0, 1.0], p=[0.2, 0.8]) * rng.uniform(10, 110)),
        vibrato_delay=float(rng.uniform(0.05, 0.5)),
        portamento=float(rng.uniform(0.03, 0.2)),
        scoop=float(rng.uniform(0, 250)),
        intonation=float(rng.uniform(2, 18)),
        jitter=float(rng.uniform(2, 12)),
    )


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


def sing(
    notes: list[Note],
    singer: Singer,
    words: list[str],
    seconds: float,
    rng: np.random.Generator,
    engine: str = "espeak",
) -> np.ndarray:
    """Sing `words` on `notes`.

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
        For an unknown engine, no words, a note that is not finite or has no
        length, or when the extra is not installed.
    """
    if engine not in ENGINES:
        raise unknown("voice engine", engine, ENGINES)
    rows = expression.tidy(_checked(notes, seconds), seconds)
    audio = np.zeros(round(seconds * RATE))
    if not rows:
        return audio
    if not words:
        raise SepkitError("sing: no words; pass at least one, or see vocabulary.draw_words")
    make = _Espeak if engine == "espeak" else _Dsp
    mouth = make(words, singer, rng)
    if not any(mouth.syllables[word] for word in words):
        raise SepkitError(f"sing: no word of {words[:3]} has a vowel; pass words that can be sung")
    units = expression.place_words(rows, words, mouth.syllables, rng)
    spans = expression.schedule(units, mouth.level)
    frames = math.ceil(seconds / HOP) + 1
    f0 = expression.pitch_curve(rows, singer, frames, rng)
    gain = expression.gain_curve(units, frames, rng)
    for first, last, part in _phrases(spans, frames):
        wave = mouth.phrase(part, f0[first:last], gain[first:last])
        begin = round(first * HOP * RATE)
        wave = _fade(wave[: max(0, len(audio) - begin)])
        audio[begin : begin + len(wave)] += wave
    return _normalise(_disperse(audio, rows), rows)


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
    sung, end = audio, min(len(audio), round((rows[-1][1] + 0.1) * RATE))
    for _ in range(4):
        sung = lfilter(a[::-1] / a[0], a / a[0], sung)
    sung[end:] = 0.0
    return sung


def _normalise(audio, rows):
    """RMS `LEVEL` over the times of the notes."""
    active = np.zeros(len(audio), bool)
    for start, end, _ in rows:
        active[round(start * RATE) : round(end * RATE)] = True
    rms = math.sqrt(np.mean(np.square(audio[active]))) if active.any() else 0.0
    return audio * (LEVEL / rms) if rms > 1e-9 else audio


class _Espeak:
    """Spoken words on a melody; needs the extra."""

    def __init__(self, words, singer, rng):
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

    def phrase(self, spans, f0, gain):
        return self.world.synthesise(spans, f0, gain, self.lexicon, self.singer)


class _Dsp:
    """A formant synthesiser; needs nothing."""

    def __init__(self, words, singer, rng):
        from . import dsp_voice

        self.engine, self.singer, self.rng = dsp_voice, singer, rng
        self.syllables = {word: dsp_voice.spell(word) for word in words}

    def level(self, syllable):
        return 0.0

    def phrase(self, spans, f0, gain):
        return self.engine.synthesise(spans, f0, gain, self.singer, self.rng)
