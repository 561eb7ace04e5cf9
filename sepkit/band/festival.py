"""Spoken words from festival: natural voices of seven languages for training songs.

Taylor, Black, Caley, "The architecture of the Festival speech synthesis system", SSW3
1998. Its voices are built from recordings of people: fourteen in Debian, each in a package
of its own, and needed only where songs are rendered with ``voices="festival"``.

The words are English; a voice reads them by the rules of its language, for Telugu spelt
letter by letter in its script. Where two sounds follow one another in no recording of the
voice, festival joins them with silence. A word of which a voice says nothing is an error.

Not used: festvox-hi-nsk and festvox-mr-nsk (the recordings of festvox-te-nsk again),
recordings at 8 kHz, and mbrola's voices, which Debian's free section does not have.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..errors import SepkitError, unknown
from .espeak import Utterance
from .recorded import RecordedVoice

RATE = 22050  # Hz, that of espeak-ng
_FREE = "free with notice and names kept (BSD-like)"
#: The speakers of kal_diphone and cmu_us_slt_arctic_hts are those of flite's kal16 and slt.
VOICES = {
    "kal_diphone": RecordedVoice("low", "English", "festvox-kallpc16k", _FREE),
    "ked_diphone": RecordedVoice("low", "English", "festvox-kdlpc16k", _FREE),
    "cmu_us_slt_arctic_hts": RecordedVoice("high", "English", "festvox-us-slt-hts", _FREE, 32000),
    "upc_ca_ona_hts": RecordedVoice("high", "Catalan", "festvox-ca-ona-hts", "LGPL 2.1 or later"),
    "czech_dita": RecordedVoice("high", "Czech", "festvox-czech-dita", "GPL 3 or later", 32000),
    "czech_krb": RecordedVoice("high", "Czech", "festvox-czech-krb", "GPL 3 or later", 32000),
    "czech_machac": RecordedVoice("low", "Czech", "festvox-czech-machac", "GPL 3 or later", 32000),
    "czech_ph": RecordedVoice("low", "Czech", "festvox-czech-ph", "GPL 2 or later", 44100),
    "lp_diphone": RecordedVoice("high", "Italian", "festvox-italp16k", "GPL 2 or later"),
    "pc_diphone": RecordedVoice("low", "Italian", "festvox-itapc16k", "GPL 2 or later"),
    "suo_fi_lj_diphone": RecordedVoice(
        "high", "Finnish", "festvox-suopuhe-lj", "LGPL 2 or later", 22050
    ),
    "hy_fi_mv_diphone": RecordedVoice(
        "low", "Finnish", "festvox-suopuhe-mv", "LGPL 2 or later", 22050
    ),
    "msu_ru_nsh_clunits": RecordedVoice("low", "Russian", "festvox-ru", _FREE),
    "telugu_NSK_diphone": RecordedVoice("low", "Telugu", "festvox-te-nsk", "GPL 2 or later"),
}
_PAUSES = ("pau", "#", "##", "_", "h#", "brth")
#: names of sounds whose first letter is not the IPA of their consonant
_IPA = {
    "English": {
        **{"ch": "tʃ", "dh": "ð", "hh": "h", "jh": "dʒ", "ng": "ŋ", "sh": "ʃ", "th": "θ"},
        **{"y": "j", "zh": "ʒ", "dx": "ɾ", "nx": "n", "hv": "h"},
    },
    "Catalan": {"J": "ɲ", "L": "ʎ", "S": "ʃ", "Z": "ʒ"},
    "Czech": {
        **{"c": "ts", "c~": "tʃ", "ch": "x", "d~": "ɟ", "dz~": "dʒ", "n*": "ŋ", "n~": "ɲ"},
        **{"r~": "r", "r~*": "r", "s~": "ʃ", "t~": "c", "z~": "ʒ"},
    },
    "Italian": {
        **{"J": "ɲ", "L": "ʎ", "S": "ʃ", "Z": "ʒ", "dZ": "dʒ", "tS": "tʃ", "ng": "ŋ"},
        **{"nf": "ɱ"},
    },
    "Finnish": {"D": "ð", "L": "ʎ", "N": "ŋ", "S": "ʃ", "T": "θ", "Z": "ʒ"},
    "Russian": {"c": "ts", "ch": "tʃ", "sh": "ʃ", "sch": "ɕ", "zh": "ʒ", "h": "x", "hh": "x"},
    "Telugu": {
        **{"D": "d", "L": "l", "N": "n", "R": "r", "T": "t", "ch": "tʃ", "j": "dʒ", "sh": "ʃ"},
        **{"sri": "ʃ", "x": "k", "y": "j", "zh": "ʒ"},
    },
}
#: English letters in the script of Telugu; a vowel has another sign after a consonant
_CONSONANTS = {
    **dict(zip("bcdfghjkl", "బ క డ ఫ గ హ జ క ల".split())),
    **dict(zip("mnpqrstvwxyz", "మ న ప క ర స ట వ వ క్స య జ".split())),
}
_ALONE, _SIGNS = "అ ఎ ఇ ఒ ఉ".split(), ("", "ె", "ి", "ొ", "ు")
_VOWELS = {vowel: forms for vowel, *forms in zip("aeiou", _ALONE, _SIGNS)}
_NO_VOWEL = "్"
_SECONDS = 300  # a song's words take less than ten, on a busy machine too
_PROGRAM = """
(define (say number text)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt (format nil "%d.wav" number) 'riff)
    (format t "said %d" number)
    (mapcar
      (lambda (sound) (format t " %s %f" (item.name sound) (item.feat sound "end")))
      (utt.relation.items utt 'Segment))
    (format t "\\n")))
"""


def remedy() -> str:
    """How the program and its voices are installed."""
    packages = sorted({"festival-te", *(voice.package for voice in VOICES.values())})
    return f"install them (Debian: apt-get install festival {' '.join(packages)})"


def check() -> None:
    """Refuse a machine without the program or one of `VOICES`.

    Raises
    ------
    SepkitError
        Naming what is missing, and how it is installed.
    """
    if shutil.which("festival") is None:
        raise SepkitError(f"festival and its voices are not installed; {remedy()}")
    with tempfile.TemporaryDirectory(prefix="sepkit-festival-") as folder:
        there = set(_run("(print (voice.list))", folder).strip("() \n").split())
    missing = [name for name in VOICES if name not in there]
    if missing:
        raise SepkitError(f"festival: voices {', '.join(missing)} are not installed; {remedy()}")


def speak(words: list[str], voice: str) -> Utterance:
    """Speak words one by one with a voice of `VOICES`; always the same samples.

    They are at 22,050 Hz. `Utterance.words` gives positions in the words joined by ", ".

    Raises
    ------
    SepkitError
        If festival or the voice is not installed, or says nothing for a word.
    """
    import soundfile
    import soxr

    if voice not in VOICES:
        raise unknown("festival voice", voice, VOICES)
    if shutil.which("festival") is None:
        raise SepkitError(f"festival and its voices are not installed; {remedy()}")
    with tempfile.TemporaryDirectory(prefix="sepkit-festival-") as folder:
        lines = _run(_program(words, voice), folder).splitlines()
        said = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("said ")}
        waves, starts, sounds, position, begin = [], [], [], 0, 0
        for number, word in enumerate(words):
            heard = _sounds(said.get(str(number), []), VOICES[voice].language)
            if not any(symbol for symbol, _ in heard):
                raise SepkitError(
                    f"festival: {voice} says nothing for {word!r}; use other words or another voice"
                )
            wave, rate = soundfile.read(Path(folder) / f"{number}.wav")
            placed = [(symbol, begin + round(start * RATE)) for symbol, start in heard]
            starts.append((position, next(start for symbol, start in placed if symbol)))
            waves.append(soxr.resample(wave, rate, RATE))
            sounds += placed
            position, begin = position + len(word) + 2, begin + len(waves[-1])
    return Utterance(np.concatenate(waves), RATE, tuple(starts), tuple(sounds))


def _program(words, voice):
    """What festival is told: strings in Scheme are written as they are in JSON."""
    telugu = VOICES[voice].language == "Telugu"
    texts = [in_telugu(word) if telugu else word for word in words]
    said = [
        f"(say {number} {json.dumps(text, ensure_ascii=False)})"
        for number, text in enumerate(texts)
    ]
    return "\n".join([f"(voice_{voice})", _PROGRAM, *said])


def _run(program, folder):
    """What a program prints, run in a folder and without the user's own settings."""
    file = Path(folder) / "program.scm"
    file.write_text(program, encoding="utf-8")
    try:
        done = subprocess.run(
            ["festival", "--batch", str(file)],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            cwd=folder,
            env={**os.environ, "HOME": folder},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SepkitError(f"festival: does not speak ({error}); {remedy()}") from None
    return done.stdout.decode("utf-8", "replace")


def _sounds(row, language):
    """(IPA, start in seconds) of the names and ends that festival printed; "" is a pause."""
    names, ends = row[::2], [float(end) for end in row[1::2]]
    starts = [0.0, *ends]  # one more than names: the wave may go on in silence
    return [(_symbol(name, language), start) for name, start in zip([*names, "#"], starts)]


def _symbol(name, language):
    return "" if name in _PAUSES else _IPA[language].get(name.rstrip(":"), name)


def in_telugu(word: str) -> str:
    """An English word letter by letter in the script of Telugu; y is i but before a vowel."""
    text, open_consonant = "", False
    for letter in re.sub("y(?![aeiou])", "i", word.lower()):
        if letter in _VOWELS:
            text += _VOWELS[letter][open_consonant]
            open_consonant = False
        elif letter in _CONSONANTS:
            text += (_NO_VOWEL if open_consonant else "") + _CONSONANTS[letter]
            open_consonant = True
    return text + (_NO_VOWEL if open_consonant else "")
