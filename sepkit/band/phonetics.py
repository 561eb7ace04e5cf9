"""Sounds and syllables: what both voice engines sing."""

from dataclasses import dataclass

VOWEL, SONORANT = "vowel", "sonorant"
VOICED_FRICATIVE, VOICED_STOP = "voiced fricative", "voiced stop"
FRICATIVE, STOP = "fricative", "stop"
VOICED = (VOWEL, SONORANT, VOICED_FRICATIVE, VOICED_STOP)
_CLASSES = (
    (SONORANT, "mnŋɲɱlɫʎɭɹɾrʁɻjʲwʍʋ"),
    (VOICED_FRICATIVE, "vzðʒɣβʝ"),
    (FRICATIVE, "fsʃθhʰçxɕʂχ"),
    (VOICED_STOP, "bdɡgɟ"),
    (STOP, "ptkʔcq"),
)
#: longest time, in seconds, that a consonant of a class takes when sung
LONGEST = {SONORANT: 0.07, VOICED_FRICATIVE: 0.075, FRICATIVE: 0.1, VOICED_STOP: 0.06, STOP: 0.075}


@dataclass(frozen=True)
class Segment:
    """One sound.

    Attributes
    ----------
    kind : str
        One of the six classes above.
    duration : float
        As spoken, in seconds.
    symbol : str
        IPA.
    start : float
        Where it begins in its engine's source (seconds); engines without a source ignore it.
    """

    kind: str
    duration: float
    symbol: str
    start: float = 0.0


@dataclass(frozen=True)
class Syllable:
    """Consonants, a vowel, consonants; `word` says which word it comes from."""

    word: str
    onset: tuple
    nucleus: Segment
    coda: tuple


def kind_of(symbol: str) -> str:
    """The class of an IPA symbol; what is in no list of consonants is a vowel."""
    bare = symbol.lstrip("ˈˌ'")
    for kind, letters in _CLASSES:
        if bare[:1] and bare[0] in letters:
            return kind
    return VOWEL


def syllabify(word: str, segments: list[Segment]) -> list[Syllable]:
    """Cut the sounds of a word into syllables; none when it has no vowel.

    Between two vowels the last consonant opens the next syllable, with a
    plosive or fricative before it when it is a liquid or glide ("a-pple",
    "se-cret"); ŋ always closes.
    """
    nuclei = [i for i, segment in enumerate(segments) if segment.kind == VOWEL]
    syllables, begin = [], 0
    for number, nucleus in enumerate(nuclei):
        following = nuclei[number + 1] if number + 1 < len(nuclei) else None
        end = len(segments) if following is None else _cut(segments, nucleus + 1, following)
        syllables.append(
            Syllable(
                word,
                tuple(segments[begin:nucleus]),
                segments[nucleus],
                tuple(segments[nucleus + 1 : end]),
            )
        )
        begin = end
    return syllables


def _cut(segments, first, nucleus):
    """Where the consonants [first, nucleus) are split between two syllables."""
    if first == nucleus or segments[nucleus - 1].symbol == "ŋ":
        return nucleus
    glide = segments[nucleus - 1].symbol in ("l", "ɹ", "r", "j", "w")
    if (
        glide
        and nucleus - 2 >= first
        and segments[nucleus - 2].kind in (STOP, VOICED_STOP, FRICATIVE)
    ):
        return nucleus - 2
    return nucleus - 1
