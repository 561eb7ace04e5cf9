"""What libsndfile writes anew at every run: taken out, so that equal audio makes equal files."""

import numpy as np

#: Pages of Ogg whose checksums are computed side by side.
_PAGES = 1024


def remove_stamps(path, kind):
    """Neutralise what says when a file was written: a time in WAV, a random number in Ogg.

    Parameters
    ----------
    path : Path
        A file that is closed.
    kind : str
        soundfile's name of its format.
    """
    if kind in ("WAV", "RF64"):
        _remove_peak_time(path)
    elif kind == "OGG":
        _remove_serial(path)


def _remove_peak_time(path):
    """Zero the time in the PEAK chunk of float WAVs: version, time, then the peaks."""
    with open(path, "r+b") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8 and head[:4] != b"data":
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"PEAK":
                file.seek(4, 1)
                file.write(bytes(4))
                return
            file.seek(size + size % 2, 1)


def _remove_serial(path):
    """Zero the stream's serial number in every page, and put its checksum right (RFC 3533)."""
    with open(path, "r+b") as file:
        while pages := [page for _ in range(_PAGES) if (page := _read_page(file))]:
            for page in pages:
                page[14:18] = page[22:26] = bytes(4)
            for page, checksum in zip(pages, _checksums(pages)):
                page[22:26] = int(checksum).to_bytes(4, "little")
            file.seek(-sum(map(len, pages)), 1)
            file.write(b"".join(pages))


def _read_page(file):
    head = file.read(27)
    if len(head) < 27:
        return None
    lengths = file.read(head[26])
    return bytearray(head + lengths + file.read(sum(lengths)))


def _checksums(pages):
    """Ogg's CRC of each page: it starts from 0, so that zeros in front do not count."""
    table = np.arange(256, dtype=np.uint32) << 24
    for _ in range(8):
        table = np.where(table >> 31, table << 1 ^ np.uint32(0x04C11DB7), table << 1)
    longest = max(map(len, pages))
    columns = np.zeros((longest, len(pages)), np.uint8)
    for k, page in enumerate(pages):
        columns[longest - len(page) :, k] = page
    checksums = np.zeros(len(pages), np.uint32)
    for column in columns:
        checksums = checksums << 8 ^ table[checksums >> 24 ^ column]
    return checksums
