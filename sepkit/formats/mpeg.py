"""MPEG audio (MP3, MP2): every frame is found, so that every sample is decoded.

A player guesses the length of an MP3 file from its first frames unless a Xing or
VBRI header states it, and libsndfile never reads beyond that guess. Here the frame
headers are counted, and the decoder gets only the frames that it shall decode, followed
by enough zeros that its guess covers them. Whatever lies between the frames (tags,
damage) is left out.

ISO/IEC 11172-3 and 13818-3 (frame headers); the LAME tag's specification (the
encoder's delay and padding in the Xing header).
"""

import functools
import io
import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..errors import SepkitError
from .plain import id3_size

_LAYER_3 = 1
_KBITS = {  # (MPEG-1, layer bits): kbit/s by index; 0 stands for the free format
    (True, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
#: The first bytes of a frame header.
_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]")
#: Frames per entry of the index. A decoder's filter bank is back in the
#: same phase after 8 frames: parts then have the very bits of the whole.
STEP = 32
#: Frames decoded before a part: more than the bit reservoir can reach back.
PREROLL = 64
#: What a decoder adds to the delay of the encoder, in samples.
_DECODER_DELAY = 529
#: How far the first frame is looked for, and how many bytes may be no frames, in all.
_SEARCH, _JUNK = 1 << 20, 1 << 22
#: Days of audio, at one frame in 26 ms.
_MOST_FRAMES = 10_000_000


@dataclass(frozen=True)
class Frame:
    """What a frame header says."""

    bytes: int
    samples: int
    rate: int
    channels: int
    kind: tuple  # version and layer

    @property
    def fixed(self) -> tuple:
        """What may not change within a file."""
        return self.kind, self.rate, self.channels


def frame_at(data: bytes | mmap.mmap, at: int) -> Frame | None:
    """The `Frame` whose header stands at `at`, or None."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    return _parsed(data[at + 1], data[at + 2], data[at + 3] >> 6 == 3)


@functools.cache
def _parsed(second, third, mono):
    version, layer = second >> 3 & 3, second >> 1 & 3
    bits, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if version == 1 or layer == 0 or bits in (0, 15) or rate == 3:
        return None
    rate = _RATES[version][rate]
    kbits = _KBITS[version == 3, layer][bits]
    if layer == 3:
        size, samples = (12000 * kbits // rate + padding) * 4, 384
    else:
        samples = 576 if layer == _LAYER_3 and version != 3 else 1152
        size = samples * 125 * kbits // rate + padding
    return Frame(size, samples, rate, 1 if mono else 2, (version, layer))


@dataclass(frozen=True)
class Stream:
    """The MPEG frames of a file, or of a stretch of it.

    Attributes
    ----------
    path : Path
    frame : Frame
        The first one; all have its rate and channels.
    count : int
        Frames that hold audio.
    index : ndarray
        The position of every `STEP`-th frame, and of the end.
    holes : ndarray
        (k, 2): stretches without frames, from the first byte to the last.
    skip, samples : int
        Samples that are only the encoder's delay, and samples that are audio.
    damaged : int
        Bytes that are neither frames nor tags.
    """

    path: Path
    frame: Frame
    count: int
    index: np.ndarray
    holes: np.ndarray
    skip: int
    samples: int
    damaged: int

    def read(self, start: int, frames: int) -> np.ndarray:
        """Samples as float32, (frames, channels)."""
        each = self.frame.samples
        first, last = (start + self.skip) // each, -(-(start + self.skip + frames) // each)
        entry = max(0, first - PREROLL) // STEP
        end = min(-(-last // STEP), len(self.index) - 1)
        with open(self.path, "rb") as file:
            data = self._frames(file, int(self.index[entry]), int(self.index[end]))
        count = min(end * STEP, self.count) - entry * STEP
        at = start + self.skip - entry * STEP * each
        with soundfile.SoundFile(io.BytesIO(_long_enough(_primed(data), count))) as file:
            # in one go: soundfile seeks after each reading, which costs the decoder its past
            return file.read(at + frames, dtype="float32", always_2d=True)[at:]

    def _frames(self, file, first, last):
        parts, at = [], first
        for start, stop in self.holes[
            (self.holes[:, 1] > first) & (self.holes[:, 0] < last)
        ].tolist():
            file.seek(at)
            parts.append(file.read(max(0, start - at)))
            at = max(at, stop)
        file.seek(at)
        return b"".join([*parts, file.read(max(0, last - at))])


def _primed(data):
    """The frames; those that need bytes of frames which are not there are silenced.

    Layer III keeps part of a frame's data in the frames before it (the bit reservoir). A
    decoder that lacks them leaves the frame out, and all that follows is shifted.
    """
    data, at, reservoir = bytearray(data), 0, 0
    while (frame := frame_at(data, at)) and frame.kind[1] == _LAYER_3:
        side = at + (4 if data[at + 1] & 1 else 6)  # a checksum may come first
        end = side + _side_information(frame)
        bits = 9 if frame.kind[0] == 3 else 8  # how far back the data of this frame begin
        back = int.from_bytes(data[side : side + 2], "big") >> (16 - bits)
        if back > reservoir:
            back = reservoir
            data[side:end] = (back << (16 - bits)).to_bytes(2, "big").ljust(end - side, b"\0")
        at += frame.bytes
        reservoir = min(max(0, at - end) + back, (1 << bits) - 1)
    return data


def _long_enough(data, count):
    """The frames, and zeros after them until a decoder's guess of the length covers them all:
    it takes the mean size of the first frames for that of all.
    """
    size, at = 0, 0
    for _ in range(4):
        if (frame := frame_at(data, at)) is None:
            break
        size, at = max(size, frame.bytes), at + frame.bytes
    return data.ljust((count + 4) * size, b"\0")


def _side_information(frame):
    if frame.kind[0] == 3:
        return 17 if frame.channels == 1 else 32
    return 9 if frame.channels == 1 else 17


def find(
    path: Path, start: int = 0, stop: int | None = None, within: int | None = None
) -> Stream | None:
    """The `Stream` of MPEG frames in a file, or None where there is none.

    Parameters
    ----------
    path : Path
    start, stop : int
        Where to look, in bytes.
    within : int, optional
        How far from the start, or from its tags, the first frame may be.

    Raises
    ------
    SepkitError
        If the file has fewer frames than its header counts, or its format changes on the way.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        stop = len(data) if stop is None else min(stop, len(data))
        first = _first(data, start, stop, within or _SEARCH)
        if first is None:
            return None
        return _scan(path, data, start, first, stop)


def _first(data, start, stop, within):
    """Where the frames begin: at a header that three more like it follow, or all that there are."""
    at = _after_tag(data, start, stop)
    limit = min(stop, at + within)
    while match := _HEADER.search(data, at, limit):
        at = match.start()
        if _frames_follow(data, at, stop, 3):
            return at
        at += 1
    return None


def _frames_follow(data, at, stop, count):
    """Whether `count` frames follow on the one at `at`, or fewer and then the end."""
    first = frame_at(data, at)
    if first is None:
        return False
    frame = first
    for _ in range(count):
        at += frame.bytes
        if at >= stop:
            return at == stop
        frame = frame_at(data, at)
        if frame is None or frame.fixed != first.fixed:
            return _after_tag(data, at, stop) > at
    return True


def _after_tag(data, at, stop):
    """The position after the ID3, APE or Lyrics tags that begin at `at`."""
    while at < stop:
        mark = data[at : at + 32]
        if tag := id3_size(mark):
            at += tag + (10 if mark[5] & 0x10 else 0)  # a footer
        elif mark[:3] == b"TAG":
            at += 128
        elif mark[:8] == b"APETAGEX" and len(mark) == 32:
            size, flags = struct.unpack("<I4xI", mark[12:24])
            at += 32 + (
                size if flags & 0x20000000 else 0
            )  # a footer's size is that of what precedes
        elif mark[:11] == b"LYRICSBEGIN":
            end = data.find(b"LYRICS200", at, stop)
            at = end + 9 if end >= 0 else at + 11
        else:
            break
    return min(at, stop)


def _scan(path, data, start, first, stop):
    frame = frame_at(data, first)
    header = _information(data, first, frame)
    at = first + frame.bytes if header else first
    joined = False
    entries, holes, count = [], [], 0
    damaged = _lost(data, _after_tag(data, start, stop), first)
    damaged = damaged if damaged > frame.bytes else 0  # less is the rest of a frame
    while at < stop:
        here = frame_at(data, at)
        if here is None or here.fixed != frame.fixed or at + here.bytes > stop:
            gap, lost = _gap(data, at, frame, stop, path)
            damaged += lost
            if damaged > _JUNK or count > _MOST_FRAMES:
                raise _unlike_mpeg(path)
        elif _information(data, at, here):  # of another file, joined to this one
            gap, joined = at + here.bytes, True
        else:
            gap = None
        if gap is not None:
            holes.append((at, gap))
            at = gap
            continue
        if count % STEP == 0:
            entries.append(at)
        count += 1
        end = at = at + here.bytes
    if count == 0:
        return None
    skip, samples = _trimmed(path, header, joined, count, frame.samples)
    index, holes = np.array([*entries, end]), np.array(holes, dtype=np.int64).reshape(-1, 2)
    return Stream(path, frame, count, index, holes[holes[:, 1] <= end], skip, samples, damaged)


def _trimmed(path, header, joined, count, each):
    """(samples of delay at the start, samples of audio)."""
    if not header:
        return 0, count * each
    stated, delay, padding = header
    if stated and count < stated - (delay is None) and not joined:  # some count the header too
        raise SepkitError(
            f"{path}: cut off or damaged, {count} of {stated} MPEG frames are there; "
            "copy or export it again"
        )
    if delay is None:
        return 0, count * each
    skip = delay + _DECODER_DELAY
    padding = max(0, padding - _DECODER_DELAY) if count == stated and not joined else 0
    return skip, max(0, count * each - skip - padding)


def _information(data, at, frame):
    """(frames, delay, padding) as a Xing, Info or VBRI header states them, which takes the
    place of a frame; None for a frame of audio. Delay and padding may be None.
    """
    if frame.kind[1] != _LAYER_3:
        return None
    body = data[at : at + frame.bytes]
    if body[36:40] == b"VBRI":
        return struct.unpack_from(">I", body, 50)[0], None, None
    for mark in (4 + _side_information(frame), 6 + _side_information(frame)):  # 6: with a checksum
        if body[mark : mark + 4] in (b"Xing", b"Info"):
            break
    else:
        return None
    (flags,), mark = struct.unpack_from(">I", body, mark + 4), mark + 8
    count = struct.unpack_from(">I", body, mark)[0] if flags & 1 else 0
    lame = body[
        mark + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit) :
    ][:24]
    if lame[:4] not in (b"LAME", b"Lavf", b"Lavc") or len(lame) < 24:
        return count, None, None
    both = int.from_bytes(lame[21:24], "big")
    return count, both >> 12, both & 0xFFF


def _gap(data, at, frame, stop, path):
    """From a position without a frame: (where they go on, how many bytes before are no tag)."""
    after = _after_tag(data, at, stop)
    if after == stop or after > at and frame_at(data, after) is not None:
        return after, 0
    begin, at = at, after if after > at else at + 1
    limit = min(stop, at + _JUNK)
    while match := _HEADER.search(data, at, limit):
        at = match.start()
        here = frame_at(data, at)
        if here is not None and _frames_follow(data, at, stop, 2):
            if here.fixed == frame.fixed:
                return at, _lost(data, begin, at)
            if _frames_follow(data, at, stop, 10):
                raise SepkitError(
                    f"{path}: changes at byte {at} from {_spoken(frame)} to {_spoken(here)}; "
                    "it was joined from different files, convert it to one format first"
                )
        at += 1
    lost = _lost(data, begin, stop)
    if lost > _JUNK:
        raise _unlike_mpeg(path)
    return stop, lost if lost > frame.bytes else 0


def _unlike_mpeg(path):
    return SepkitError(f"{path}: damaged, little of it is MPEG frames; copy or export it again")


def _lost(data, begin, end):
    """The bytes between two positions that belong to no tag."""
    foot = data.rfind(b"APETAGEX", begin, end)
    if foot >= 0 and foot + 32 <= end:
        size = struct.unpack("<I", data[foot + 12 : foot + 16])[0]
        rest = _after_tag(data, foot + 32, end)
        return max(0, foot + 32 - size - begin) + end - rest
    return end - begin if data[begin:end].strip(b"\0") else 0  # zeros are padding


def _spoken(frame):
    return f"{frame.rate} Hz, {frame.channels} channel(s)"
