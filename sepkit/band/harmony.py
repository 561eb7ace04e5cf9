"""Keys, chords and scales."""

import re
from typing import NamedTuple

from ..errors import SepkitError

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_SHAPES = {
    ("major", ""): (0, 4, 7),
    ("minor", ""): (0, 3, 7),
    ("major", "7"): (0, 4, 7, 10),
    ("minor", "7"): (0, 3, 7, 10),
    ("major", "maj7"): (0, 4, 7, 11),
    ("minor", "maj7"): (0, 3, 7, 11),
}


class Chord(NamedTuple):
    """Root pitch class (0 = C) and the semitones of its tones above the root."""

    root: int
    tones: tuple

    @property
    def classes(self):
        return tuple((self.root + tone) % 12 for tone in self.tones)


def chord(numeral, key, mode):
    """A Roman numeral such as ``"vi"``, ``"bVII"`` or ``"Imaj7"`` as a `Chord` in a key."""
    match = re.fullmatch(r"(b?)([IViv]+)(maj7|7|)", numeral)
    if match is None or match[2].upper() not in _NUMERALS:
        raise SepkitError(f"{numeral!r} is not a chord numeral, such as vi, bVII or Imaj7")
    scale = _MAJOR if mode == "major" else _MINOR
    root = key + scale[_NUMERALS.index(match[2].upper())] - bool(match[1])
    return Chord(root % 12, _SHAPES["major" if match[2].isupper() else "minor", match[3]])


def scale(key, mode):
    """The pitch classes of a key."""
    return tuple((key + step) % 12 for step in (_MAJOR if mode == "major" else _MINOR))


def voicing(chord, low):
    """The chord's tones, each at its first place at or above MIDI pitch `low`, sorted."""
    return sorted(low + (pitch_class - low) % 12 for pitch_class in chord.classes)


def nearest(pitch, classes):
    """The pitch nearest to `pitch` (an int) whose class is in `classes`."""
    for distance in range(7):
        for candidate in (pitch - distance, pitch + distance):
            if candidate % 12 in classes:
                return candidate
    return pitch
