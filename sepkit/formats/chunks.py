"""Files made of chunks (WAV, RF64, W64, AIFF, CAF, AU): how many bytes of samples they promise.

A decoder that finds fewer shortens its count without a word.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from ..errors import SepkitError

#: What programs write for the size of data that goes into a pipe: nobody knows it yet.
_UNKNOWN = {0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000}
_W64 = bytes.fromhex("2E91CF11A5D628DB04C10000")
#: A file has a few chunks; one with very many is made to waste time.
_MOST_CHUNKS = 10_000
#: Names of codecs whose samples have a fixed size.
_FIXED = {b"NONE", b"twos", b"sowt", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"lpcm"}


@dataclass(frozen=True)
class Samples:
    """Where the samples of a file lie.

    Attributes
    ----------
    start, size : int
        In bytes; `size` reaches to the end of the file where the header does not know it.
    frame : int
        Bytes of one sample of all channels; 0 for compressed ones.
    mp3 : bool
        Whether MPEG frames lie there.
    floating : bool or None
        Whether the samples are floating-point numbers; None where that does not show.
    """

    start: int
    size: int
    frame: int = 0
    mp3: bool = False
    floating: bool | None = None


def find(path: Path) -> Samples | None:
    """The `Samples` of a WAV, RF64, W64, AIFF, CAF or AU file; None for other files.

    Raises
    ------
    SepkitError
        If the file ends before the samples do, or its header contradicts itself.
    """
    with open(path, "rb") as file:
        mark = file.read(12)
        read = next((read for starts, read in _KINDS if starts(mark)), None)
        if read is None:
            return None
        try:
            there = os.fstat(file.fileno()).st_size
            found, stated = read(path, file, there)
        except (struct.error, OverflowError):
            found = None
    if found is None:
        raise SepkitError(
            f"{path}: cut off or damaged, its header names no samples; copy or export it again"
        )
    there -= found.start
    if there - found.size >= 1 << 32:
        raise SepkitError(
            f"{path}: larger than 4 GiB, which its header cannot count; "
            "export it as RF64, W64 or FLAC"
        )
    if stated is not None and stated > max(there, 0) + 1:  # one byte of padding may lack
        raise SepkitError(
            f"{path}: cut off, {max(there, 0)} of {stated} bytes of samples are there; "
            "copy or export it again"
        )
    return found


def _contradiction(path):
    return SepkitError(f"{path}: damaged, its header contradicts itself; copy or export it again")


def _riff(path, file, there):
    """WAV and RF64; big-endian as RIFX."""
    file.seek(0)
    mark = file.read(4)
    order = ">" if mark == b"RIFX" else "<"
    at, frame, tag, large = 12, 0, 0, None
    for _ in range(_MOST_CHUNKS):
        if at + 8 > there:
            break
        file.seek(at)
        name, size = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64":
            _, large = struct.unpack("<QQ", file.read(16))
        elif name == b"fmt ":
            tag, frame = _format(path, file.read(min(size, 40)), order)
        elif name == b"data":
            size = large if mark in (b"RF64", b"BW64") and size == 0xFFFFFFFF else size
            return _stated(at + 8, size, there, frame, tag)
        at += 8 + size + (size & 1)
    return None, None


def _format(path, chunk, order):
    """(format tag, bytes a frame) of a fmt chunk; 0 bytes for compressed formats."""
    tag, channels, _, _, frame, bits = struct.unpack_from(order + "HHIIHH", chunk)
    if tag == 0xFFFE and len(chunk) >= 26:
        tag = struct.unpack_from(order + "H", chunk, 24)[0]
    if tag not in (1, 3):
        return tag, 0
    if frame == 0 or frame != channels * ((bits + 7) // 8):
        raise _contradiction(path)
    return tag, frame


def _stated(start, size, there, frame, tag=None):
    kind = dict(mp3=tag == 0x55, floating=tag == 3 if frame and tag else None)
    if size is None or size in _UNKNOWN and size > there - start:
        return Samples(start, there - start, frame, **kind), None
    return Samples(start, min(size, there - start), frame, **kind), size


def _w64(path, file, there):
    at, frame, tag = 40, 0, 0
    for _ in range(_MOST_CHUNKS):
        if at + 24 > there:
            break
        file.seek(at)
        name, size = struct.unpack("<4s12xQ", file.read(24))
        if name == b"fmt ":
            tag, frame = _format(path, file.read(min(size, 40)), "<")
        elif name == b"data":
            return _stated(at + 24, size - 24, there, frame, tag)
        if size < 24:
            break
        at += size + -size % 8
    return None, None


def _aiff(path, file, there):
    file.seek(8)
    compressed = file.read(4) == b"AIFC"
    at, frames, frame, found = 12, None, 0, None
    for _ in range(_MOST_CHUNKS):
        if at + 8 > there:
            break
        file.seek(at)
        name, size = struct.unpack(">4sI", file.read(8))
        if name == b"COMM":
            chunk = file.read(min(size, 22))
            channels, frames, bits = struct.unpack_from(">HIH", chunk)
            fixed = not compressed or chunk[18:22] in _FIXED
            frame = channels * ((bits + 7) // 8) if fixed else 0
        elif name == b"SSND":
            found = at + 16 + struct.unpack(">I", file.read(4))[0], size - 8
        at += 8 + size + (size & 1)
    if frames is None or found is None:
        return None, None
    samples, stated = _stated(*found, there, frame)
    if (
        frame
        and stated is not None
        and stated // frame != frames
        and stated <= there - samples.start
    ):
        raise _contradiction(path)
    return samples, stated


def _caf(path, file, there):
    at, frame = 8, 0
    for _ in range(_MOST_CHUNKS):
        if at + 12 > there:
            break
        file.seek(at)
        name, size = struct.unpack(">4sq", file.read(12))
        if name == b"desc":
            _, kind, _, each = struct.unpack_from(">d4sII", file.read(32))
            frame = each if kind in _FIXED else 0
        elif name == b"data":
            unknown = size == -1
            return _stated(at + 16, None if unknown else size - 4, there, frame)
        if size < 0:
            break
        at += 12 + size
    return None, None


def _au(path, file, there):
    file.seek(0)
    mark = file.read(4)
    order = ">" if mark == b".snd" else "<"
    start, size, encoding, _, channels = struct.unpack(order + "IIIII", file.read(20))
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0)
    if start < 24 or start > there:
        return None, None
    return _stated(start, size, there, width * channels)


_KINDS = (
    (
        lambda mark: mark[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and mark[8:12] == b"WAVE",
        _riff,
    ),
    (lambda mark: mark == b"riff" + _W64[:8], _w64),
    (lambda mark: mark[:4] == b"FORM" and mark[8:12] in (b"AIFF", b"AIFC"), _aiff),
    (lambda mark: mark[:4] == b"caff", _caf),
    (lambda mark: mark[:4] in (b".snd", b"dns."), _au),
)
