"""What a caller may set, and within which range."""

from dataclasses import asdict, dataclass, fields

from ..errors import SepkitError, unknown
from .genres import GENRES

# name: (kind, range or choices, what it does). None always means: drawn for each song.
KNOBS = {
    "genre": ("choice", tuple(GENRES), "the genre of every song; by default they take turns"),
    "tempo": ("number", (50.0, 200.0), "beats per minute; by default within the genre's range"),
    "key": ("integer", (0, 11), "tonic, 0 = C ... 11 = B"),
    "mode": ("choice", ("major", "minor"), "scale and progressions"),
    "swing": ("number", (0.0, 1.0), "0 straight eighths, 1 triplets"),
    "horn_correlation": (
        "number",
        (0.0, 1.0),
        "probability that a horn note doubles a melody note; note count and level stay; "
        "adds horns where a genre has none",
    ),
    "a_cappella": (
        "flag",
        (False, True),
        "voice and beatbox only: drums, bass and other are silent (their SDR is undefined)",
    ),
    "old_recording": (
        "number",
        (0.0, 1.0),
        "mono, narrow band, saturation, and hiss in `other`; 0 leaves the song as it is",
    ),
    "lo_fi": (
        "number",
        (0.0, 1.0),
        "tape: speed that wavers, a dull band, and crackle in `other`; 0 leaves the song as it is",
    ),
    "bleed": (
        "number",
        (0.0, 0.5),
        "share of each stem that leaks evenly into the others, as into open microphones: the "
        "mixture stays, but no reference is clean any more",
    ),
    "reverb": (
        "number",
        (0.0, 1.0),
        "0 dry, 1 the wettest, on all four stems; room, plate or hall is drawn for each",
    ),
    "voices": (
        "choice",
        ("mixed", "natural", "festival"),
        "who sings: mixed is espeak-ng's voices, from bass to soprano, in several languages; "
        "natural takes half of the singers of train from flite's four voices, festival from "
        "these and fourteen of festival in seven languages; the programs must be installed",
    ),
    "doubling": (
        "number",
        (0.0, 1.0),
        "level of the lead sung again (0 never); by default in 3 of 10 songs",
    ),
    "harmony": (
        "number",
        (0.0, 1.0),
        "level of a second voice a third or sixth away, in some phrases (0 never); by default in "
        "a third of the songs",
    ),
    "spoken": (
        "number",
        (0.0, 1.0),
        "share of the phrases that are spoken on their rhythm; by default in 1 of 7 songs",
    ),
    "breath": (
        "number",
        (0.0, 1.0),
        "level of the breaths before phrases (0 none); by default in 7 of 10 songs",
    ),
    "echo": (
        "number",
        (0.0, 1.0),
        "level of the vocals' first repeat in the tempo; by default in a third of the songs",
    ),
    "vocals_level": ("number", (-12.0, 12.0), "dB added to the vocals"),
    "other_level": ("number", (-12.0, 12.0), "dB added to the other stem"),
    "bass_level": ("number", (-12.0, 12.0), "dB added to the bass"),
    "drums_level": ("number", (-12.0, 12.0), "dB added to the drums"),
}


@dataclass(frozen=True)
class Knobs:
    """Settings of a song; None is drawn by the song's seed. Ranges: `KNOBS`.

    Raises
    ------
    SepkitError
        For a value outside its range, naming the range.
    """

    genre: str | None = None
    tempo: float | None = None
    key: int | None = None
    mode: str | None = None
    swing: float | None = None
    horn_correlation: float | None = None
    a_cappella: bool = False
    old_recording: float = 0.0
    lo_fi: float = 0.0
    bleed: float = 0.0
    reverb: float | None = None
    voices: str = "mixed"
    doubling: float | None = None
    harmony: float | None = None
    spoken: float | None = None
    breath: float | None = None
    echo: float | None = None
    vocals_level: float = 0.0
    other_level: float = 0.0
    bass_level: float = 0.0
    drums_level: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                _check(field.name, value)

    @classmethod
    def of(cls, **given) -> "Knobs":
        """Knobs from keyword arguments; an unknown name raises an error that lists them all."""
        for name in given:
            if name not in KNOBS:
                raise unknown("band knob", name, KNOBS)
        return cls(**given)

    def given(self) -> dict:
        """The knobs that differ from their defaults, as a dict."""
        return {f.name: v for f, v in zip(fields(self), asdict(self).values()) if v != f.default}


def _check(name, value):
    kind, allowed, _ = KNOBS[name]
    if kind in ("choice", "flag"):
        if value not in allowed or (kind == "flag" and not isinstance(value, bool)):
            raise SepkitError(
                f"band knob {name}={value!r}: choose from {', '.join(map(str, allowed))}"
            )
        return
    low, high = allowed
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high or (kind == "integer" and value != int(value)):
        what = "an integer" if kind == "integer" else "a number"
        raise SepkitError(f"band knob {name}={value!r}: give {what} from {low:g} to {high:g}")
