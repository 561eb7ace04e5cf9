"""Who sings: accents and languages, variants, registers and schools of singing."""

from dataclasses import dataclass

import numpy as np

from ..errors import unknown
from . import festival, flite

#: espeak-ng variants and the register they suit; those of test are not in train.
VARIANTS = {
    "train": {
        "": "low",
        **dict.fromkeys("+m1 +m2 +m3 +m4 +m7 +Michael +Gene +Mike +miguel".split(), "low"),
        **dict.fromkeys("+f1 +f2 +f5 +Alicia +Annie +belinda".split(), "high"),
    },
    "test": {
        **dict.fromkeys("+m5 +m6 +norbert +Storm +grandpa +victor".split(), "low"),
        **dict.fromkeys("+f3 +f4 +linda +anika +shelby".split(), "high"),
    },
}
#: The other voices of espeak-ng that suit a song and are none of the test songs'; a singer of
#: any register has any of them.
MORE_VARIANTS = """
Alex Andrea Andy Denis Diogo Gene2 Henrique Hugo Jacky Lee Marco Mario Nguyen Reed
RicishayMax RicishayMax2 RicishayMax3 adam announcer antonio aunty benjamin boris caleb
david ed edward edward2 grandma gustave ian iven iven2 iven3 iven4 john kaukovalta klatt
klatt2 klatt3 klatt4 klatt5 klatt6 m8 marcelo max michel mike2 pablo paul pedro quincy rob
robert sandro steph steph2 steph3 travis zac
""".split()
ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc")
#: The words are English; read by the rules of another language they have its sounds.
LANGUAGES = {
    "train": "de fr it es pt-br pl sv nl fi hu ro is af".split(),
    "test": "ca nb et cs".split(),
}
#: value of the knob `voices`: the recorded voices that half of the singers of train have
RECORDED = {"mixed": {}, "natural": flite.VOICES, "festival": {**flite.VOICES, **festival.VOICES}}
#: register: (lowest and highest comfortable MIDI centre, smallest and largest formant factor)
REGISTERS = {
    "bass": ((45.0, 50.0), (0.80, 0.94)),
    "tenor": ((50.0, 58.0), (0.86, 1.06)),
    "alto": ((57.0, 63.0), (0.95, 1.15)),
    "soprano": ((63.0, 70.0), (1.05, 1.25)),
}
# Shares of the registers among the singers with a low voice, a high one, or either.
_SHARES = {
    "low": (0.3, 0.55, 0.15, 0.0),
    "high": (0.0, 0.1, 0.5, 0.4),
    "any": (0.18, 0.32, 0.28, 0.22),
}
#: school of singing: its share, then the ranges of the fields of `Singer`
SCHOOLS = {
    "straight": (
        0.25,
        {
            "vibrato_depth": (0.0, 10.0),
            "vibrato_delay": (0.2, 0.5),
            "portamento": (0.03, 0.08),
            "scoop": (0.0, 60.0),
        },
    ),
    "pop": (
        0.4,
        {
            "vibrato_depth": (15.0, 55.0),
            "vibrato_delay": (0.15, 0.5),
            "portamento": (0.04, 0.12),
            "scoop": (20.0, 160.0),
        },
    ),
    "opera": (
        0.15,
        {
            "vibrato_depth": (50.0, 110.0),
            "vibrato_delay": (0.02, 0.15),
            "portamento": (0.06, 0.15),
            "scoop": (0.0, 60.0),
        },
    ),
    "slides": (
        0.2,
        {
            "vibrato_depth": (0.0, 60.0),
            "vibrato_delay": (0.1, 0.5),
            "portamento": (0.12, 0.28),
            "scoop": (150.0, 350.0),
        },
    ),
}


@dataclass(frozen=True)
class Singer:
    """Everything that makes a voice."""

    name: str  # accent, variant, formant shift and school, for the manifest
    accent: str  # accent or language of espeak-ng, or a recorded voice of `RECORDED`
    variant: str  # of espeak-ng; "dsp" takes its formants from the two names
    register: str  # of `REGISTERS`
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


def draw_singer(rng: np.random.Generator, split: str, voices: str = "mixed") -> Singer:
    """Draw a singer; no variant and no foreign language of the test songs occurs in train.

    `voices` is explained in `sepkit.band.knobs.KNOBS`; singers of test are always espeak-ng's.
    With "festival", recorded voices of train read by the rules of Catalan and Czech, as
    espeak-ng's do in test: no person is in both, but these two languages are.

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in VARIANTS:
        raise unknown("split", split, VARIANTS)
    accent, variant, suits = _draw_voice(rng, split, voices)
    register = str(rng.choice(list(REGISTERS), p=_SHARES[suits]))
    centres, formants = REGISTERS[register]
    school = str(rng.choice(list(SCHOOLS), p=[share for share, _ in SCHOOLS.values()]))
    formant = float(np.round(np.exp(rng.uniform(*np.log(formants))), 3))
    return Singer(
        name=f"{accent}{variant} x{formant:.3f} {register}, {school}",
        accent=accent,
        variant=variant,
        register=register,
        centre=float(rng.uniform(*centres)),
        formant=formant,
        breath=float(rng.beta(1.2, 2.5)),
        brightness=float(np.clip(rng.normal(0, 3.5), -8, 8)),
        vibrato_rate=float(rng.uniform(4.2, 6.8)),
        intonation=float(rng.uniform(2, 18)),
        jitter=float(rng.uniform(2, 12)),
        **{name: float(rng.uniform(*span)) for name, span in SCHOOLS[school][1].items()},
    )


def check(voices: str) -> None:
    """Refuse a machine that lacks a program or a voice which this value of the knob needs.

    Raises
    ------
    SepkitError
        Naming what is missing, and how it is installed.
    """
    for program in (flite, festival):
        if program.VOICES.items() <= RECORDED[voices].items():
            program.check()


def _draw_voice(rng, split, voices):
    """(accent, variant, which registers it suits)."""
    natural, recorded = rng.random() < 0.5, RECORDED[voices]
    if natural and recorded and split == "train":
        accent = list(recorded)[rng.integers(len(recorded))]
        return accent, "", recorded[accent].register
    spoken = ACCENTS if rng.random() < 0.5 else LANGUAGES[split]
    accent = spoken[rng.integers(len(spoken))]
    suits = dict(VARIANTS[split])
    if split == "train":
        suits.update((f"+{name}", "any") for name in MORE_VARIANTS)
    variant = list(suits)[rng.integers(len(suits))]
    return accent, variant, suits[variant]
