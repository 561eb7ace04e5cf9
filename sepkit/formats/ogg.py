"""Ogg: the pages of a file are counted and checked, for decoders skip what is broken.

RFC 3533 (pages), RFC 7845 (Opus in Ogg). A file may hold several streams one after
another (chained, as internet radio records them); decoders often read the first only.
"""

import mmap
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SepkitError

_CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}
#: Days of audio, at several pages a second.
_MOST_PAGES = 1_000_000
#: Every byte with its bits in reverse.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
#: Samples of an Opus frame at 48 kHz, by the first five bits of a packet.
_OPUS_FRAMES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


@dataclass
class Link:
    """One stream of a file: from `start` to `stop`, in bytes.

    Attributes
    ----------
    codec : str or None
        "Vorbis", "Opus", or None for others.
    regular : bool
        Whether the positions that its pages state are those of the packets in them.
    """

    start: int
    serial: int
    codec: str | None
    stop: int = 0
    pages: int = 0
    ended: bool = False
    regular: bool = True
    positions: list = field(default_factory=lambda: [0, 0], repr=False)

    @property
    def last(self) -> int:
        """Samples of the last page."""
        return self.positions[1] - self.positions[0]


def checksum(page: bytes) -> int:
    """The checksum of a page whose own four bytes of checksum are zero.

    Its polynomial is that of zlib, which goes through the bits of a byte the other way.
    """
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def links(path: Path) -> list[Link] | None:
    """The streams of an Ogg file, in order; None where several run at the same time.

    Raises
    ------
    SepkitError
        If a page is damaged or missing, or the file ends before its last page.
    """
    found: list[Link] = []
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while at < len(data):
            if data[at : at + 4] != b"OggS":
                if not data[at:].strip(b"\0") or data[at : at + 3] == b"TAG":  # padding, or a tag
                    break
                raise SepkitError(
                    f"{path}: damaged at byte {at} of its Ogg pages; copy or export it again"
                )
            at = _page(path, data, at, found)
            if at is None:
                return None
    if not found[-1].ended:
        raise _cut_off(path)
    return found


def _cut_off(path):
    return SepkitError(
        f"{path}: cut off, the last Ogg page is missing; copy or export it again, or keep what "
        "there is: ffmpeg -i FILE -c copy NEW_FILE"
    )


def _page(path, data, at, found):
    """Read a page into the list of links and return where it ends; None among several streams."""
    header = data[at : at + 27]
    if len(header) < 27:
        raise _cut_off(path)
    flags, position, serial, number, stated, segments = struct.unpack("<5xBqIIIB", header)
    lacing = data[at + 27 : at + 27 + segments]
    end = at + 27 + segments + sum(lacing)
    if len(lacing) < segments or end > len(data):
        raise _cut_off(path)
    body = data[at + 27 + segments : end]
    if checksum(header[:22] + bytes(4) + header[26:] + lacing + body) != stated:
        raise SepkitError(
            f"{path}: damaged, the Ogg page at byte {at} has a false checksum; copy it again"
        )
    if flags & 2:  # the first page of a stream
        if found and not found[-1].ended:
            if found[-1].pages == 1:
                return None
            raise SepkitError(
                f"{path}: damaged, an Ogg stream ends without its last page at byte {at}; "
                "copy or export it again"
            )
        codec = next((name for mark, name in _CODECS.items() if body.startswith(mark)), None)
        found.append(Link(at, serial, codec))
    link = found[-1] if found else None
    strange = link is None or link.serial != serial or link.pages != number or link.ended
    if strange or number > _MOST_PAGES:
        raise SepkitError(
            f"{path}: damaged, an Ogg page is missing before byte {at}; copy it again"
        )
    if link.codec == "Opus" and number > 1 and not flags & 4:
        length = _opus_samples(lacing, body)
        link.regular &= (
            position < 0 or length is None or position - max(0, link.positions[1]) == length
        )
    if position >= 0:
        link.positions = [link.positions[1], position]
    link.pages, link.stop, link.ended = number + 1, end, bool(flags & 4)
    return end


def _opus_samples(lacing, body):
    """Samples, at 48 kHz, of the packets of a page; None where a packet crosses its end."""
    if not lacing or lacing[-1] == 255:
        return None
    total, at, size = 0, 0, 0
    for length in lacing:
        size += length
        if length == 255:
            continue
        packet = body[at : at + size]
        at, size = at + size, 0
        if packet:
            frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[packet[0] & 3]
            total += frames * _OPUS_FRAMES[packet[0] >> 3]
    return total
