"""TensorFlow's checkpoints: read as they were written, and refused in a line when they are not."""

import struct

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models.tensor_bundle import is_archive, read_archive
from tests.models import bundles

RNG = np.random.default_rng(0)
ARRAYS = {
    "global_step": np.array(7),
    **{
        f"conv2d_{k}/{part}": RNG.standard_normal(shape).astype(np.float32)
        for k in range(12)
        for part, shape in (("kernel", (5, 5, 2, 3)), ("bias", (300,)))
    },
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("make, suffix", [(bundles.wheel, ".whl"), (bundles.tar, ".tar.gz")])
def test_what_was_written_is_read(tmp_path, make, suffix):
    path = make(tmp_path / f"toy{suffix}", bundles.members(ARRAYS))
    state = read_archive(path)
    assert is_archive(path) and set(state) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert state[name].shape == value.shape and torch.equal(
            state[name], torch.from_numpy(value.copy())
        )


def test_weights_of_pytorch_are_no_such_archive(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"PK\x03\x04 and no more")
    assert not is_archive(tmp_path / "a.pt") and not is_archive(tmp_path / "b.pt")


HEADER = bundles.number(1, 1)


def changed(arrays=None, **parts):
    """A checkpoint's files with bytes of the index or the data exchanged."""
    files = bundles.members(arrays or {"a": ARRAYS["conv2d_1/bias"]})
    index, data = list(files)[:2]
    for name, change in parts.items():
        key = index if name == "index" else data
        files[key] = change(files[key])
    return files


def entry_of(content):
    """One variable, described by these bytes."""
    return changed(index=lambda _: bundles.table([(b"", HEADER), (b"a", content)]))


def entry_with(**fields):
    """One variable of 300 numbers whose entry says something else."""
    known = {"kind": 1, "shape": (300,), "offset": 0, "size": 1200, "shard": 0, **fields}
    shape = b"".join(bundles.text(2, bundles.number(1, size)) for size in known["shape"])
    content = bundles.number(1, known["kind"]) + bundles.text(2, shape)
    content += bundles.number(3, known["shard"]) + bundles.number(4, known["offset"])
    content += bundles.number(5, known["size"])
    return entry_of(content)


def footer(offset, size):
    handles = bundles.varint(0) + bundles.varint(0) + bundles.varint(offset) + bundles.varint(size)
    return changed(index=lambda old: old[:-48] + handles.ljust(40, b"\0") + bundles.MAGIC)


@pytest.mark.parametrize(
    "files, message",
    [
        ({"x-1.dist-info/WHEEL": b"", "x.py": b""}, r"has no \*.index; a TensorFlow checkpoint"),
        ({"m.index": bundles.bundle(ARRAYS)[0]}, r"has no \*.data-00000-of-00001"),
        ({**bundles.members(ARRAYS), **bundles.members(ARRAYS, "b")}, "more than one"),
        (changed(index=lambda old: b""), "no table of TensorFlow, or truncated"),
        (changed(index=lambda old: old[:-1]), "no table of TensorFlow, or truncated"),
        (
            changed(data=lambda old: old[:-4]),
            "of shape .300,. would lie in bytes 0 to 1200 of 1196",
        ),
        (entry_with(offset=4), "would lie in bytes 4 to 1204 of 1200"),
        (entry_with(offset=2**63), "would lie in bytes 9223372036854775808"),
        (entry_with(shape=(2**40, 2**40)), "would lie in bytes 0 to 1200"),
        (entry_with(kind=7), "a has type 7; float32 or int64 was expected"),
        (entry_with(shard=1), "lies in several pieces"),
        (changed(index=lambda _: bundles.table([(b"", bundles.number(1, 2))])), "in one piece"),
        (changed(index=lambda _: bundles.table([(b"", HEADER), (b"\n", b"")])), "is called '.n'"),
        (changed(index=lambda _: bundles.table([(b"", b"\x0b")])), "unknown kind 3"),
        (changed(index=lambda _: bundles.table([(b"", b"\x12\x7f")])), "beyond its message"),
        (entry_of(bundles.number(1, 1) + bundles.number(2, 5)), "a number where a message"),
        (entry_of(bundles.text(1, b"x")), "bytes where a number"),
        (entry_with(shape=(0, 2**62), size=0), "of shape .0, 4611686018427387904. would"),
        (footer(10**6, 10), "would end at byte 1000010"),
        (footer(0, 3), "would end at byte 3"),
        (footer(2**62, 2**62), "would end at byte"),
        (changed(index=lambda old: b"\x7f" + old[1:]), "beyond its block"),
        (changed(index=lambda old: b"\xff" * 12 + old[12:]), "a number in its index does not end"),
        (changed(index=lambda old: old + b"\0" * (1 << 20)), "at most 1048576 were expected"),
    ],
)
def test_a_hostile_checkpoint_is_refused_in_a_line(tmp_path, files, message):
    path = bundles.wheel(tmp_path / "toy.whl", files)
    with pytest.raises(SepkitError, match=message) as error:
        read_archive(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_any_changed_byte_of_an_index_is_read_or_refused(tmp_path):
    """Nothing but a SepkitError, and no variable of more bytes than there are."""
    index, data = bundles.bundle({"a": ARRAYS["conv2d_1/bias"], "b": ARRAYS["conv2d_2/kernel"]})
    for place in range(len(index)):
        for value in (0, 1, 127, 128, 255):
            new = index[:place] + bytes([value]) + index[place + 1 :]
            files = {"m.index": new, "m.data-00000-of-00001": data}
            path = bundles.wheel(tmp_path / "toy.whl", files)
            try:
                state = read_archive(path)
            except SepkitError as error:
                assert "\n" not in str(error)
            else:
                assert sum(4 * part.numel() for part in state.values()) <= 2 * len(data)


@pytest.mark.parametrize("make, suffix", [(bundles.wheel, ".whl"), (bundles.tar, ".tar.gz")])
def test_a_truncated_or_changed_archive_is_refused(tmp_path, make, suffix):
    content = make(tmp_path / f"toy{suffix}", bundles.members(ARRAYS)).read_bytes()
    path = tmp_path / f"broken{suffix}"
    for broken in (content[: len(content) // 2], content[:300] + b"xxxx" + content[304:]):
        path.write_bytes(broken)
        with pytest.raises(SepkitError, match=f"{path}: "):
            read_archive(path)


def test_restart_points_beyond_the_block_are_refused(tmp_path):
    content = struct.pack("<I", 2**31)
    index = content + b"\0" * 5
    handles = b"\0\0" + bundles.varint(0) + bundles.varint(4)
    files = changed(index=lambda _: index + handles.ljust(40, b"\0") + bundles.MAGIC)
    with pytest.raises(SepkitError, match="would have 2147483648 restart points"):
        read_archive(bundles.wheel(tmp_path / "toy.whl", files))
