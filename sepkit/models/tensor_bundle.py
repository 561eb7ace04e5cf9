"""Reads the weights in a TensorFlow checkpoint, without TensorFlow.

A checkpoint, TensorFlow's "tensor bundle", is two files. ``NAME.index`` says of each variable its
type, its shape, and where its bytes lie in ``NAME.data-00000-of-00001``. It is a table in the
format of LevelDB (tensorflow/core/lib/io/format.cc, table_format.txt): blocks of sorted keys, each
with a message in the encoding of Protocol Buffers (tensorflow/core/protobuf/tensor_bundle.proto).

Nothing in either file is code. Every length and offset is compared with what is there before it
is used. Both files come in an archive, whose checksums cover them; those in the table, CRC-32C of
each block and variable, are not looked at.
"""

from __future__ import annotations

import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..errors import SepkitError

#: The end of a table: two handles in 40 bytes, and this number in eight.
_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
#: Bytes behind each block: whether it is compressed, and a checksum.
_TRAILER = 5
#: TensorFlow's numbers of types that weights have, and of the step's count.
_TYPES = {1: np.dtype("<f4"), 9: np.dtype("<i8")}
#: Most bytes of an index, and of the weights: ten times those of the largest known.
MOST_INDEX, MOST_DATA = 1 << 20, 1 << 31
_GZIP = b"\x1f\x8b"
INDEX, DATA = ".index", ".data-00000-of-00001"


class _Broken(Exception):
    """What is wrong with a bundle."""


def is_archive(path: str | Path) -> bool:
    """Whether a file is a wheel or a .tar.gz by its first bytes, and no archive of PyTorch."""
    try:
        with open(path, "rb") as file:
            if file.read(2) == _GZIP:
                return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith((INDEX, ".dist-info/WHEEL")) for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read_archive(path: str | Path) -> dict[str, torch.Tensor]:
    """The variables of the one checkpoint in a wheel (.whl) or a .tar.gz.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to Tensor
        float32 and int64, by their names in TensorFlow.

    Raises
    ------
    SepkitError
        If there is not exactly one checkpoint in it, or what is there is damaged or of another
        kind.
    """
    try:
        index, data = _files(path)
        return read_bundle(index, data)
    except _Broken as error:
        raise SepkitError(f"{path}: {error}") from None
    except (
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise SepkitError(f"{path}: cannot be read ({reason}); download it again") from None


def _files(path):
    """The bytes of the index and of the data."""
    found = {}
    for name, size, file in _members(path):
        for suffix, most in ((INDEX, MOST_INDEX), (DATA, MOST_DATA)):
            if not name.endswith(suffix):
                continue
            if suffix in found:
                raise _Broken("holds more than one TensorFlow checkpoint; one was expected")
            if size > most:
                raise _Broken(f"{name[-60:]!r} has {size} bytes; at most {most} were expected")
            content = file.read(most + 1)  # checks the archive's checksum at its end
            if len(content) != size:
                raise _Broken(f"{name[-60:]!r} has {len(content)} bytes instead of {size}")
            found[suffix] = content
    for suffix in (INDEX, DATA):
        if suffix not in found:
            raise _Broken(
                f"has no *{suffix}; a TensorFlow checkpoint was expected in it: is it another "
                "version's?"
            )
    return found[INDEX], found[DATA]


def _members(path) -> Iterator[tuple]:
    """(name, size, open file) of each file in an archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    with archive.open(entry) as file:
                        yield entry.filename, entry.file_size, file
    else:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.isreg():
                    yield member.name, member.size, archive.extractfile(member)


def read_bundle(index: bytes, data: bytes) -> dict[str, torch.Tensor]:
    """The variables of a checkpoint, from the bytes of its two files.

    Raises
    ------
    _Broken
        Which `read_archive` turns into an error that names the file.
    """
    entries = dict(_table(index))
    header = _message(entries.pop(b"", b""))
    if _number(header, 1) != 1 or _number(header, 2) != 0:
        raise _Broken("a checkpoint in one piece, little-endian, was expected")
    return {
        _text(key): _variable(_text(key), _message(value), data) for key, value in entries.items()
    }


def _variable(name, entry, data):
    number, start, size = (_number(entry, field) for field in (1, 4, 5))
    kind = _TYPES.get(number)
    if kind is None:
        raise _Broken(f"{name} has type {number}; float32 or int64 was expected")
    shape = tuple(_number(_message(dim), 1) for dim in _repeated(entry.get(2, b""), 2))
    if _number(entry, 3) != 0 or 7 in entry:
        raise _Broken(f"{name} lies in several pieces; one was expected")
    count = math.prod(shape)
    if (
        count * kind.itemsize != size
        or start + size > len(data)
        or max(shape, default=0) > len(data)
    ):
        raise _Broken(
            f"{name} of shape {shape} would lie in bytes {start} to {start + size} of {len(data)}; "
            "it is damaged"
        )
    values = np.frombuffer(data, kind, count, start).reshape(shape)
    return torch.from_numpy(values.astype(kind.newbyteorder("=")))


def _table(content):
    """Pairs (key, value) of a table, in its order."""
    if len(content) < _FOOTER or struct.unpack("<Q", content[-8:])[0] != _MAGIC:
        raise _Broken("its index is no table of TensorFlow, or truncated")
    footer = content[-_FOOTER:]
    _, at = _handle(footer, 0)  # of statistics, which there are none of
    where, _ = _handle(footer, at)
    for _, handle in _block(content, *where):
        yield from _block(content, *_handle(handle, 0)[0])


def _handle(content, at):
    """(offset, size) of a block, and where the next handle starts."""
    offset, at = _varint(content, at)
    size, at = _varint(content, at)
    return (offset, size), at


def _block(content, offset, size):
    """Pairs (key, value): of each key only what differs from the one before it is stored."""
    end = offset + size
    if size < 4 or end + _TRAILER > len(content):
        raise _Broken(f"a block of its index would end at byte {end} of {len(content)}")
    if content[end] != 0:
        raise _Broken("its index is compressed, as TensorFlow's never are")
    block = content[offset:end]
    restarts = struct.unpack("<I", block[-4:])[0]
    end = size - 4 - 4 * restarts
    if end < 0:
        raise _Broken(f"a block of {size} bytes would have {restarts} restart points")
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        added, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + added + length > end:
            raise _Broken("an entry of its index reaches beyond its block")
        key = key[:shared] + block[at : at + added]
        at += added
        yield key, block[at : at + length]
        at += length


def _varint(content, at):
    """A number of 7 bits a byte, and where the next one starts."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _Broken("a number in its index does not end")


def _fields(content):
    """Pairs (field, value) of a message: an int, or bytes."""
    if not isinstance(content, bytes):
        raise _Broken("its index holds a number where a message was expected")
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(content, at)
        elif kind in (1, 2, 5):
            length, at = (8 if kind == 1 else 4, at) if kind != 2 else _varint(content, at)
            if at + length > len(content):
                raise _Broken("a field of its index reaches beyond its message")
            value, at = content[at : at + length], at + length
        else:
            raise _Broken(f"its index holds a field of unknown kind {kind}")
        yield tag >> 3, value


def _message(content):
    """{field: its last value} of a message."""
    return {field: value for field, value in _fields(content)}


def _repeated(content, field):
    return [value for number, value in _fields(content) if number == field]


def _number(message, field):
    """A number in a message; 0, which is not written, where it is missing."""
    value = message.get(field, 0)
    if not isinstance(value, int):
        raise _Broken("its index holds bytes where a number was expected")
    return value


def _text(key):
    text = key.decode("ascii", "replace")
    if not text.isprintable():
        raise _Broken(f"a variable is called {text[:60]!a}; a plain name was expected")
    return text
