"""Spoken words from flite: natural voices for the singers of training songs.

flite's voices are built from recordings of people (Black and Lenzo, "Flite: a small
fast run-time synthesis engine", SSW4 2001), so their spectra vary as real voices do,
which the formant synthesis of espeak-ng does not. The program is needed only where songs
are rendered with ``voices="natural"`` or ``voices="festival"``.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..errors import SepkitError, unknown
from .espeak import Utterance
from .recorded import RecordedVoice

#: Three men and a woman.
VOICES = {
    name: RecordedVoice(register, "English", "flite", "free with notice and names kept (BSD-like)")
    for name, register in (("kal16", "low"), ("awb", "low"), ("rms", "low"), ("slt", "high"))
}
RATE = 22050  # Hz, that of espeak-ng
_SECONDS = 60  # a verse takes less than one
_PAUSE = "pau"
#: flite's names of sounds (ARPAbet) that differ from the IPA of their consonant
_IPA = {
    "ch": "tʃ",
    "dh": "ð",
    "hh": "h",
    "jh": "dʒ",
    "ng": "ŋ",
    "sh": "ʃ",
    "th": "θ",
    "y": "j",
    "zh": "ʒ",
}


def available() -> bool:
    """Whether the program ``flite`` is installed."""
    return shutil.which("flite") is not None


def check() -> None:
    """Refuse a machine without the program.

    Raises
    ------
    SepkitError
        Saying how it is installed.
    """
    if not available():
        raise SepkitError(
            "flite is not installed; install it (Debian: apt-get install flite), "
            "or use voices='mixed'"
        )


def speak(words: list[str], voice: str) -> Utterance:
    """Speak words with a voice of `VOICES`, a pause after each; always the same samples.

    They are at 22,050 Hz. `Utterance.words` gives positions in the words joined by ", ".

    Raises
    ------
    SepkitError
        If flite is not installed, fails, or does not say every word.
    """
    if voice not in VOICES:
        raise unknown("flite voice", voice, VOICES)
    check()
    samples, sounds = _run(", ".join(words), voice)
    groups = _groups(sounds)
    if len(groups) != len(words):
        raise SepkitError(f"flite: said {len(groups)} of {len(words)} words; use other words")
    positions = np.cumsum([0, *(len(word) + 2 for word in words)])
    starts = tuple((int(position), group[0][1]) for position, group in zip(positions, groups))
    return Utterance(samples, RATE, starts, tuple(sounds))


def _run(text, voice):
    """Samples, and the sounds as (IPA, first sample), pauses with an empty name."""
    import soundfile
    import soxr

    with tempfile.TemporaryDirectory(prefix="sepkit-flite-") as folder:
        file = Path(folder) / "said.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(file)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=True
            )
            wave, rate = soundfile.read(file)
        except (OSError, subprocess.SubprocessError, soundfile.LibsndfileError) as error:
            raise SepkitError(f"flite: does not speak ({error}); use voices='mixed'") from None
    sounds, begin = [], 0.0
    for name, _, end in (entry.partition(":") for entry in done.stdout.split()):
        symbol = "" if name == _PAUSE else _IPA.get(name, name)
        sounds.append((symbol, round(begin * RATE)))
        begin = float(end)
    return soxr.resample(wave, rate, RATE), sounds


def _groups(sounds):
    """The sounds between pauses."""
    groups = [[]]
    for sound in sounds:
        if sound[0]:
            groups[-1].append(sound)
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]
