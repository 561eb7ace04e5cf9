"""What kind of file it is, whether it is whole, and what reads its samples."""

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from ..errors import Notice, SepkitError
from . import NATIVE, READABLE, chunks, ffmpeg, flac, mpeg, ogg
from .decoded import Decoded
from .plain import Plain, id3_size, soundfile_name

#: Encodings whose parts libsndfile reads exactly.
_DIRECT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM")
#: What libsndfile needs before the last Ogg page, in samples: two of the longest Vorbis blocks.
_BEFORE_LAST = 2 * 8192
#: How far from the start an MPEG frame may be in a file of another name.
_NEAR = 4096


class AudioWarning(Notice):
    """Something about an audio file that the user may want to know."""


def warn(message: str) -> None:
    """Issue an `AudioWarning`."""
    warnings.warn(message, AudioWarning, stacklevel=4)


class Source(Protocol):
    """What reads the samples of a file: `Plain`, `Decoded` or `mpeg.Stream`."""

    @property
    def samples(self) -> int:
        """Samples per channel."""

    def read(self, start: int, frames: int) -> np.ndarray:
        """Samples as float32, (frames, channels)."""


@dataclass(frozen=True)
class Format:
    """A file's sample rate (Hz), channels, encoding, and what reads its samples."""

    sample_rate: int
    channels: int
    subtype: str
    source: Source


@functools.lru_cache(maxsize=4096)
def inspect(path: Path, state: tuple) -> Format:
    """The `Format` of a file, found out once for each state of it.

    Parameters
    ----------
    path : Path
        A regular file.
    state : tuple
        Changes when the file does.

    Raises
    ------
    SepkitError
        If the file is not audio, damaged, cut off, or needs ffmpeg and there is none.
    """
    with open(path, "rb") as file:
        mark = file.read(16)
        if tag := id3_size(mark):
            file.seek(tag)
            mark = file.read(16)
    if mark[:4] == b"OggS":
        return _ogg(path, state)
    if mark[:4] == b"fLaC":
        return _by_libsndfile(path, state, flac.length(path))
    if (found := chunks.find(path)) is not None:
        if found.mp3:
            return _mpeg(path, mpeg.find(path, found.start, found.start + found.size))
        return _by_libsndfile(
            path, state, found.size // found.frame if found.frame else None, found.floating
        )
    named = path.suffix.lower() in NATIVE["MP3"]
    if not _another_container(mark) and (
        stream := mpeg.find(path, within=None if named else _NEAR)
    ):
        return _mpeg(path, stream)
    return _through_ffmpeg(path, state)


def _another_container(mark):
    """Whether MPEG frames that are found may be those of a film or a larger file."""
    return mark[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") or mark[:4] in (
        b"\x1aE\xdf\xa3",
        b"0&\xb2u",
        b"RIFF",
        b"FLV\x01",
        b"\0\0\1\xba",
    )


def _mpeg(path, stream):
    if stream is None:
        raise SepkitError(
            f"{path}: no MPEG frames found, cut off or damaged; copy or export it again"
        )
    if stream.damaged:
        warn(
            f"{path}: {stream.damaged} bytes that are no MPEG frames were left out; "
            "the file may be damaged"
        )
    layer = {1: "III", 2: "II", 3: "I"}[stream.frame.kind[1]]
    return Format(stream.frame.rate, stream.frame.channels, f"MPEG_LAYER_{layer}", stream)


def _ogg(path, state):
    links = ogg.links(path)
    codecs = {link.codec for link in links or ()}
    if not codecs <= {"Vorbis", "Opus"} or not links or not all(link.regular for link in links):
        return _through_ffmpeg(path, state)
    header = _header(path)
    if header is None:
        return _through_ffmpeg(path, state)
    if len(links) == 1 and codecs == {"Vorbis"}:
        latest = max(0, header.frames - links[0].last - _BEFORE_LAST)
        source = Plain(path, header.frames, latest=latest)
    else:
        source = Decoded(path, state, tuple((link.start, link.stop) for link in links))
    return Format(header.samplerate, header.channels, header.subtype, source)


def _by_libsndfile(path, state, samples, floating=None):
    """`samples`: as the file itself states them; None where libsndfile has to count."""
    header = _header(path)
    if header is None or floating not in (None, header.subtype in ("FLOAT", "DOUBLE")):
        # libsndfile takes the float samples of an extensible W64 file for integers
        return _through_ffmpeg(path, state)
    counted = header.frames < 1 << 62  # libsndfile's answer for a length that is not stated
    if samples is not None and counted and header.frames != samples:
        raise SepkitError(
            f"{path}: damaged, its header contradicts itself ({header.frames} or {samples} "
            "samples); export it again"
        )
    if header.subtype.startswith(_DIRECT):
        source = Plain(path, samples or header.frames, short=header.subtype == "PCM_16")
    else:
        source = Decoded(path, state, ((0, path.stat().st_size),))
    return Format(header.samplerate, header.channels, header.subtype, source)


def _header(path):
    try:
        return soundfile.info(soundfile_name(path))
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return None


def _through_ffmpeg(path, state):
    if not ffmpeg.installed():
        raise SepkitError(
            f"{path}: not readable as audio without ffmpeg (readable: {READABLE}); {ffmpeg.REMEDY}"
        )
    about = ffmpeg.probe(path)
    return Format(
        about["sample_rate"], about["channels"], about["codec"].upper(), Decoded(path, state)
    )
