"""MUSDB18's excerpts: a whole archive becomes the data set, anything else leaves nothing."""

import zipfile

import pytest

from sepkit.datasets import musdb18
from sepkit.errors import SepkitError

SONGS = {"train/A - One's Song.stem.mp4": b"1" * 1000, "test/B (live) - Two.stem.mp4": b"2" * 1000}


def archive(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def test_songs_are_unpacked_and_the_archive_goes(tmp_path):
    more = {
        "README.md": b"",
        "__MACOSX/train/._A.stem.mp4": b"",
        "train/._A.stem.mp4": b"",
        "train/cover.jpg": b"",
    }
    source = archive(tmp_path / "source.zip", {**SONGS, **more})
    musdb18.download_excerpts(tmp_path / "data" / "musdb7s", source.as_uri())
    files = {
        str(path.relative_to(tmp_path / "data")): path
        for path in (tmp_path / "data").rglob("*")
        if path.is_file()
    }
    assert {name: path.read_bytes() for name, path in files.items()} == {
        f"musdb7s/{name}": content for name, content in SONGS.items()
    }


@pytest.mark.parametrize(
    "members, message",
    [
        ({"../../evil.stem.mp4": b"x"}, "holds no songs"),
        ({"/etc/evil.stem.mp4": b"x"}, "holds no songs"),
        ({"train/../../evil.stem.mp4": b"x"}, "holds no songs"),
        ({"train/x\\..\\evil.stem.mp4": b"x", **SONGS}, r"holds \\"),
        ({"train/a\nb.stem.mp4": b"x", **SONGS}, "holds characters that are not printed"),
        ({"valid/a.stem.mp4": b"x"}, "holds no songs"),
        ({}, "holds no songs"),
        ({"train/zeros.stem.mp4": bytes(600_000)}, "or too much"),
    ],
)
def test_archives_that_are_not_the_excerpts_leave_nothing(tmp_path, members, message, monkeypatch):
    monkeypatch.setattr(musdb18, "MOST", 500_000)
    source = archive(tmp_path / "source.zip", members)
    with pytest.raises(SepkitError, match=message) as error:
        musdb18.download_excerpts(tmp_path / "data" / "musdb7s", source.as_uri())
    assert "\n" not in str(error.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [source]


@pytest.mark.parametrize("harm", ["cut", "flipped", "a web page"])
def test_damaged_archives_leave_nothing(tmp_path, harm):
    source = archive(tmp_path / "source.zip", SONGS, zipfile.ZIP_STORED)
    content = bytearray(source.read_bytes())
    content[100] ^= 1
    source.write_bytes({"cut": content[:900], "flipped": content, "a web page": b"<html>"}[harm])
    with pytest.raises(
        SepkitError, match="is damaged; try again" if harm == "flipped" else "not a whole archive"
    ):
        musdb18.download_excerpts(tmp_path / "data" / "musdb7s", source.as_uri())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [source]


def test_without_a_network_another_way_is_named(tmp_path):
    with pytest.raises(
        SepkitError,
        match="could not be downloaded .http://127.0.0.1:9/x.zip: .*; check the network, or use",
    ):
        musdb18.download_excerpts(tmp_path / "musdb7s", "http://127.0.0.1:9/x.zip")
    assert list(tmp_path.iterdir()) == []
