"""Spoken words from espeak-ng: the raw material of the singing voice and of the speakers.

espeak-ng keeps hidden state between utterances (a random generator that is
seeded from the clock, phases of flutter and intonation), so that the same call
gives different samples. Every utterance therefore runs in a fresh copy
of the shared library, with its generators seeded.
"""

import _ctypes
import ctypes
import hashlib
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import SepkitError

#: accents that espeak-ng 1.52 finds by these names and that take variants
ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc")
REMEDY = "install the voice with `pip install 'sepkit[band]'`"

_RETRIEVAL, _SYNCHRONOUS = 1, 2
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
#: longer data paths overflow a buffer inside the library
_LONGEST_PATH = 150


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Utterance:
    """What espeak-ng said.

    Attributes
    ----------
    samples : ndarray, float64, (n,)
        Full scale 1.0.
    sample_rate : int
        22050 Hz.
    words : tuple of (int, int)
        (position of the word's first character in the text, first sample).
    phonemes : tuple of (str, int)
        (name in IPA, first sample); pauses have an empty name.
    """

    samples: np.ndarray
    sample_rate: int
    words: tuple
    phonemes: tuple


@lru_cache(maxsize=1)
def _resources():
    """(library file, data folder with a path that is short enough)."""
    try:
        import espeakng_loader
    except ImportError:
        raise SepkitError(f"espeakng_loader: not installed; {REMEDY}, or use voice='dsp'") from None
    library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    if len(data) > _LONGEST_PATH:
        data = _shorter(data)
    return library, data


def _shorter(data):
    """A link to (or, where links are not allowed, a copy of) the data folder under a short path."""
    name = hashlib.sha256(data.encode()).hexdigest()[:12]
    link = Path(tempfile.gettempdir()) / f"sepkit-espeak-{name}"
    if not link.exists():
        try:
            os.symlink(data, link, target_is_directory=True)
        except FileExistsError:
            pass  # another process was first
        except OSError:
            shutil.copytree(data, link, dirs_exist_ok=True)
    return str(link)


def speak(
    text: str,
    voice: str = "en",
    rate: int = 160,
    pitch: int = 50,
    pitch_range: int = 50,
    seed: int = 0,
    fundamental: float = 0,
) -> Utterance:
    """Speak `text`; the same arguments give the same samples, in any process.

    Parameters
    ----------
    text
    voice
        One of `ACCENTS`, optionally followed by ``+variant`` (``"en-us+f3"``).
    rate
        Words per minute, 80 to 450.
    pitch, pitch_range
        0 to 100; a range of 0 is a monotone.
    seed
        Of the library's generator (flutter, roughness).
    fundamental
        Speak on this fixed fundamental (Hz) instead of with an intonation; 0 keeps the voice's own.

    Raises
    ------
    SepkitError
        If the extra is not installed, the voice does not exist or nothing was said.
    """
    library, data = _resources()
    with _fresh(library) as loaded:
        try:
            return _speak(loaded, data, text, voice, rate, pitch, pitch_range, seed, fundamental)
        except AttributeError as error:
            raise SepkitError(
                f"espeak-ng: the library is too old ({error}); {REMEDY}, or use voice='dsp'"
            ) from None


@contextmanager
def _fresh(library):
    """The library, loaded from a copy of its own without memory; removed afterwards."""
    handle, copy = tempfile.mkstemp(prefix="sepkit-espeak-", suffix=Path(library).suffix)
    os.close(handle)
    try:
        shutil.copyfile(library, copy)
        try:
            loaded = ctypes.CDLL(copy)
        except OSError:  # a temporary folder that runs no code: the library itself will do
            loaded = ctypes.CDLL(library)
        try:
            yield loaded
        finally:
            _unload(loaded)
    except OSError as error:
        raise SepkitError(
            f"espeak-ng: the library does not load ({error}); {REMEDY}, or use voice='dsp'"
        ) from None
    finally:
        Path(copy).unlink(missing_ok=True)


def _unload(loaded):
    if sys.platform == "win32":
        _ctypes.FreeLibrary(loaded._handle)
    else:
        _ctypes.dlclose(loaded._handle)


def _speak(lib, data, text, voice, rate, pitch, pitch_range, seed, fundamental):
    chunks, words, phonemes = [], [], []

    def collect(wave, count, events):
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                words.append((event.text_position - 1, event.sample))
            elif event.type == _EVENT_PHONEME:
                phonemes.append((event.id.string.decode("utf-8", "replace"), event.sample))
            index += 1
        return 0

    rate_hz = lib.espeak_Initialize(
        _SYNCHRONOUS, 0, data.encode(), _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
    )
    if rate_hz <= 0:
        raise SepkitError(
            f"espeak-ng: does not start with its data in {data}; {REMEDY}, or use voice='dsp'"
        )
    callback = _CALLBACK(collect)
    try:
        lib.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        if lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SepkitError(
                f"unknown espeak-ng voice {voice!r}: "
                f"choose from {', '.join(ACCENTS)}, with +variant"
            )
        for parameter, value in (
            (_RATE, rate),
            (_VOLUME, 80),
            (_PITCH, pitch),
            (_RANGE, pitch_range),
        ):
            lib.espeak_SetParameter(parameter, int(value), 0)
        lib.espeak_ng_SetConstF0(int(fundamental))
        lib.espeak_SetSynthCallback(callback)
        raw = text.encode("utf-8") + b"\0"
        lib.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 1, 0, 1, None, None)
        lib.espeak_Synchronize()
    finally:
        lib.espeak_Terminate()
    if not chunks:
        raise SepkitError(f"espeak-ng: said nothing for {text!r}; {REMEDY}, or use voice='dsp'")
    samples = np.concatenate(chunks).astype(np.float64) / 32768.0
    return Utterance(samples, rate_hz, tuple(words), tuple(phonemes))
