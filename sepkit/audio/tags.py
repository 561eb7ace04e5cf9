"""Title, artist, album and the like: read from one file, to be written into others."""

from pathlib import Path

import soundfile

from ..formats import ffmpeg
from ..formats.plain import soundfile_name

#: libsndfile's names and ID3's of what is carried over. Comments are not: they hold what was
#: true of one file only, such as iTunes' loudness; nor are pictures, which libsndfile drops.
FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "date": "TYER",
    "tracknumber": "TRCK",
    "genre": "TCON",
    "copyright": "TCOP",
}
TAGS = (*FRAMES, "license")
#: A longer text is no title.
LONGEST = 1000


def read_tags(path: str | Path) -> dict[str, str]:
    """{tag: text} of a file; empty where there are none."""
    try:
        with soundfile.SoundFile(soundfile_name(path)) as file:
            found = file.copy_metadata()
    except (soundfile.LibsndfileError, OSError):  # not one of libsndfile's formats
        found = ffmpeg.tags(path)
    texts = {tag: found.get(tag, "").strip() for tag in TAGS}
    return {tag: text for tag, text in texts.items() if 0 < len(text) <= LONGEST}


def id3(tags: dict[str, str]) -> bytes:
    """An ID3v2.3 tag for the start of an MP3 file, in UTF-16; empty where there are no tags."""
    frames = b"".join(_frame(FRAMES[tag], text) for tag, text in tags.items() if tag in FRAMES)
    if not frames:
        return b""
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))  # seven bits per byte
    return b"ID3\x03\x00\x00" + size + frames


def _frame(name, text):
    text = text[:4] if name == "TYER" else text  # a year
    data = b"\x01" + text.encode("utf-16", "replace")  # with a byte order mark
    return name.encode() + len(data).to_bytes(4, "big") + bytes(2) + data
