"""Decoding through the program ffmpeg, for what libsndfile cannot read (M4A, WMA, WebM, ...)."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SepkitError
from . import READABLE

#: Only these are opened: a playlist under the name of a song could name any other file.
_DEMUXERS = tuple(
    """
    mov asf matroska webm aac mp3 ogg flac wav w64 aiff caf au ac3 eac3 dts amr wv ape tta
    mpc mpc8 dsf avi flv mpegts mpeg nistsphere voc
    """.split()
)
#: Containers that state how long they last, others are guessed.
_TELL_THEIR_LENGTH = set("mov asf matroska webm wav w64 aiff caf wv ape tta".split())
#: A decoder may be short of the stated length by this (s): padding, and rounded time stamps.
_SHORT = 0.1
#: Seconds that ffmpeg may take: some, and some for every MB.
_PATIENCE, _PATIENCE_PER_MB = 45, 0.5
#: ffmpeg decodes on after damage; these are its messages about it.
_DAMAGE = re.compile(
    r"invalid data|corrupt|prematurely|partial file|truncat|error (while )?(decoding|submitting)"
    r"|exceeds|invalid (frame|packet)|could not read|end of file",
    re.IGNORECASE,
)
REMEDY = "install ffmpeg (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg)"


def installed() -> bool:
    """Whether ffmpeg and ffprobe are there."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def probe(path: str | Path, stream: int = 0) -> dict[str, Any]:
    """{"sample_rate", "channels", "codec", "seconds"} of an audio stream; seconds may be None.

    Raises
    ------
    SepkitError
        If ffmpeg cannot read the file, or it has no such stream.
    """
    command = ["ffprobe", *_input(path), *f"-select_streams a:{stream} -of json".split()]
    entries = "stream=sample_rate,channels,codec_name,duration:format=duration,format_name"
    done = _run(path, [*command, "-show_entries", entries], _PATIENCE, capture_output=True)
    try:
        answer = json.loads(done.stdout or b"{}")
        found, container = answer["streams"][0], answer["format"]
        rate, channels = int(found["sample_rate"]), int(found["channels"])
        if rate < 1 or channels < 1:
            raise ValueError
    except (KeyError, IndexError, ValueError):
        said = _complaint(path, done.stderr) or "there is no audio in it"
        raise SepkitError(
            f"{path}: not readable as audio (readable: {READABLE}); ffmpeg says: {said}"
        ) from None
    tells = _TELL_THEIR_LENGTH & set(container.get("format_name", "").split(","))
    seconds = found.get("duration", container.get("duration")) if tells else None
    return {
        "sample_rate": rate,
        "channels": channels,
        "codec": found.get("codec_name", "?"),
        "seconds": float(seconds) if seconds else None,
    }


def tags(path: str | Path) -> dict[str, str]:
    """{"title", "artist", "tracknumber", ...} of a file; empty without ffmpeg or tags."""
    if not installed():
        return {}
    command = ["ffprobe", *_input(path), "-of", "json", "-show_entries", "format_tags:stream_tags"]
    try:
        done = _run(path, command, _PATIENCE, capture_output=True)
        answer = json.loads(done.stdout or b"{}")
    except (SepkitError, ValueError):  # what is wrong with the file, reading it will say
        return {}
    parts = [*answer.get("streams", []), answer.get("format", {})]
    found = {name.lower(): text for part in parts for name, text in part.get("tags", {}).items()}
    return {"tracknumber" if name == "track" else name: text for name, text in found.items()}


def decode(path: str | Path, file: BinaryIO, room: int, stream: int = 0) -> dict[str, Any]:
    """Write all samples of an audio stream into an open file, and return what `probe` says.

    Parameters
    ----------
    path : str or Path
    file : binary file
        Gets little-endian float32 samples, the channels of a sample side by side.
    room : int
        Bytes that may be written.
    stream : int

    Raises
    ------
    SepkitError
        If ffmpeg cannot decode the file, finds it damaged, decodes less than the file's own
        length, takes too long, or there is no room for the samples.
    """
    about = probe(path, stream)
    rate, channels = about["sample_rate"], about["channels"]
    output = f"-f f32le -c:a pcm_f32le -ar {rate} -ac {channels} -fs {room} pipe:1"
    only = f"-map 0:a:{stream} -vn -sn -dn"
    command = ["ffmpeg", "-nostdin", "-xerror", *_input(path), *only.split(), *output.split()]
    patience = _PATIENCE + _PATIENCE_PER_MB * Path(path).stat().st_size / 1e6
    done = _run(path, command, patience, stdout=file, stderr=subprocess.PIPE)
    seconds = file.seek(0, 2) / (4 * channels * rate)
    if done.returncode or _DAMAGE.search(done.stderr.decode(errors="replace")):
        said = _complaint(path, done.stderr)
        raise SepkitError(f"{path}: damaged or not decodable, ffmpeg says: {said}; export it again")
    if about["seconds"] and seconds < about["seconds"] - _SHORT:
        raise SepkitError(
            f"{path}: cut off or damaged, {seconds:.2f} of {about['seconds']:.2f} s could be "
            "decoded; copy or export it again"
        )
    return about


def _input(path):
    return ["-v", "error", "-format_whitelist", ",".join(_DEMUXERS), "-i", f"file:{path}"]


def _run(path, command, seconds, **options):
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, timeout=seconds, check=False, **options
        )
    except subprocess.TimeoutExpired:
        raise SepkitError(
            f"{path}: ffmpeg took more than {seconds:.0f} s; convert it to WAV or FLAC first"
        ) from None
    except OSError as error:
        raise SepkitError(f"{path}: ffmpeg cannot be run ({error.strerror}); {REMEDY}") from None


def _complaint(path, stderr):
    """The first line of ffmpeg's complaint, without the name of its part."""
    text = stderr.decode(errors="replace").replace(f"file:{path}: ", "")
    lines = text.strip().splitlines()
    return re.sub(r"^\[[^]]*\] *", "", lines[0])[:200] if lines else ""
