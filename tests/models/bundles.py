"""Writes TensorFlow checkpoints for tests, by the formats' descriptions; and wheels around them."""

import io
import struct
import tarfile
import zipfile

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(value):
    """7 bits a byte, the lowest first; the highest bit says that more follow."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def entry(array, offset):
    """A BundleEntryProto: type, shape, offset, size; and a checksum that nobody looks at."""
    shape = b"".join(text(2, number(1, size) if size else b"") for size in array.shape)
    content = number(1, TYPES[str(array.dtype)]) + text(2, shape)
    content += number(4, offset) + number(5, array.nbytes)
    return content + varint(6 << 3 | 5) + struct.pack("<I", 0)


def block(pairs):
    """Keys without what they share with the one before; one restart point; no compression."""
    out, before = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def table(pairs, per_block=3):
    """A table of several blocks."""
    out, index = b"", []
    for first in range(0, len(pairs), per_block):
        some = pairs[first : first + per_block]
        content = block(some)
        index.append((some[-1][0], varint(len(out)) + varint(len(content))))
        out += content + b"\0" * 5
    handles = b""
    for content in (block([]), block(index)):
        handles += varint(len(out)) + varint(len(content))
        out += content + b"\0" * 5
    return out + handles.ljust(40, b"\0") + MAGIC


def bundle(arrays):
    """The bytes of the index and of the data."""
    data, pairs = b"", [(b"", number(1, 1) + text(3, number(1, 1)))]
    for name in sorted(arrays):
        pairs.append((name.encode(), entry(arrays[name], len(data))))
        data += arrays[name].tobytes()
    return table(pairs), data


def members(arrays, folder="toy/pretrained_models/2stems"):
    index, data = bundle(arrays)
    return {
        f"{folder}/model.index": index,
        f"{folder}/model.data-00000-of-00001": data,
        "toy-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0",
    }


def wheel(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
