"""FLAC: the length that the last frame states, beside the one in the header (RFC 9639)."""

from pathlib import Path

from ..errors import SepkitError
from .plain import id3_size

#: A frame is shorter than this, in bytes: two channels of 65,535 samples in 24 bits.
_LONGEST = 1 << 19


def length(path: Path) -> int:
    """Samples of a FLAC file by its header, checked against its last frame.

    A header that was written into a pipe does not state them; then the last frame does.

    Raises
    ------
    SepkitError
        If the two differ, or the file does not end with a whole frame.
    """
    with open(path, "rb") as file:
        skip = id3_size(file.read(10))
        file.seek(skip)
        head = file.read(42)
        size = file.seek(0, 2)
        file.seek(max(skip + 42, size - _LONGEST))
        tail = file.read()
    if head[:4] != b"fLaC" or head[4] & 0x7F or len(head) < 42:
        raise SepkitError(
            f"{path}: damaged, its FLAC header is incomplete; copy or export it again"
        )
    block = int.from_bytes(head[8:10], "big")
    stated = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    if tail[-128:-125] == b"TAG":
        tail = tail[:-128]
    there = _end(tail, block)
    if there is None:
        raise SepkitError(
            f"{path}: cut off or damaged, its last FLAC frame is not whole; copy or export it again"
        )
    if stated and there != stated:
        raise SepkitError(
            f"{path}: cut off or damaged, {there} of {stated} samples are there; "
            "copy or export it again"
        )
    return there


def _end(tail, block):
    """The sample at which the last frame ends; None where no whole frame stands at the end."""
    at, tries = len(tail), 3  # a header may occur by chance, more than one hardly does
    while tries and (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if (end := _frame_end(tail[at : at + 16], block)) is not None:
            if _crc(tail[at:], 16, 0x8005) == 0:
                return end
            tries -= 1
    return None


def _frame_end(head, block):
    """The sample at which the frame with this header ends; None where it is no header."""
    if (
        len(head) < 6
        or head[1] & 0xFE != 0xF8
        or head[3] & 1
        or head[2] >> 4 == 0
        or head[2] & 15 == 15
    ):
        return None
    # Bytes of the number, as in UTF-8.
    more = 8 - (head[4] ^ 0xFF).bit_length() if head[4] < 0xFF else 8
    if more == 1 or more == 8:
        return None
    number = head[4] & (0x7F >> more)
    at = 4 + max(1, more)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    code = head[2] >> 4
    wide = (code == 6) + 2 * (code == 7)
    samples = int.from_bytes(head[at : at + wide], "big") + 1 if wide else _block(code)
    at += wide + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc(head[: at + 1], 8, 0x07):
        return None
    return number + samples if head[1] & 1 else number * block + samples


def _block(code):
    if code == 1:
        return 192
    return 576 << code - 2 if code < 6 else 256 << code - 8


def _crc(data, bits, polynomial):
    """The remainder of the data, its own checksum included: 0 where they agree."""
    if bits not in _TABLES:
        _TABLES[bits] = [_shifted(byte << bits - 8, bits, polynomial) for byte in range(256)]
    table, value, mask, down = _TABLES[bits], 0, (1 << bits) - 1, bits - 8
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> down ^ byte]
    return value


def _shifted(value, bits, polynomial):
    for _ in range(8):
        value = (value << 1 ^ (polynomial if value >> bits - 1 else 0)) & (1 << bits) - 1
    return value


_TABLES: dict[int, list[int]] = {}
