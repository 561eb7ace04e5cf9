"""Files that are decoded once, as a whole, into a temporary file that is mapped into memory.

For what cannot be read from any sample on: Opus, whose decoder remembers, several streams
one after another, and whatever goes through ffmpeg.
"""

import functools
import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SepkitError
from . import ffmpeg
from .plain import Forwards

#: Decoded files kept at a time: the stems of a song, and some.
KEPT = 8
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Decoded:
    """A file of which a decoded copy is read; the copy is made when it is first needed.

    Attributes
    ----------
    path : Path
    state : tuple
        Changes when the file does.
    links : tuple of (int, int) or None
        The stretches of the file that libsndfile decodes one after another; None for ffmpeg.
    stream : int
        Which of the audio streams, for ffmpeg.
    """

    path: Path
    state: tuple
    links: tuple | None = None
    stream: int = 0

    @property
    def samples(self) -> int:
        """Samples per channel."""
        return len(self._copy())

    def read(self, start: int, frames: int) -> np.ndarray:
        """Samples as float32, (frames, channels)."""
        return np.array(self._copy()[start : start + frames])

    def _copy(self):
        return _copy(self.path, self.state, self.links, self.stream)


@functools.lru_cache(maxsize=KEPT)
def _copy(path, state, links, stream):
    with tempfile.TemporaryFile(prefix="sepkit-") as file:
        room = shutil.disk_usage(tempfile.gettempdir()).free * 9 // 10
        if links is None:
            channels = ffmpeg.decode(path, file, room, stream)["channels"]
        else:
            channels = _by_libsndfile(path, links, file, room)
        size = file.seek(0, 2)
        if size >= room - 4096:
            raise SepkitError(
                f"{path}: decoded it does not fit into {tempfile.gettempdir()}; "
                "free some space or set TMPDIR to another disk"
            )
        if size < 4 * channels:
            raise SepkitError(f"{path}: holds no samples (zero length); export it again")
        data = np.memmap(file, dtype="<f4", mode="r", shape=(size // (4 * channels), channels))
    return data if sys.byteorder == "little" else data.astype(np.float32)


def _by_libsndfile(path, links, file, room):
    formats = set()
    for start, stop in links:
        with open(path, "rb") as whole:
            whole.seek(start)
            link = io.BytesIO(whole.read(stop - start))
        with Forwards(link) as audio:
            formats.add((audio.samplerate, audio.channels))
            if len(formats) > 1:
                raise SepkitError(
                    f"{path}: changes its sample rate or channels at byte {start}; "
                    "convert its parts to one format first"
                )
            room -= 4 * audio.frames * audio.channels
            done = 0
            while room > 0 and len(block := audio.read(_BLOCK, dtype="float32", always_2d=True)):
                file.write(block.astype("<f4", copy=False))
                done += len(block)
            if room > 0 and done < audio.frames:
                raise SepkitError(
                    f"{path}: damaged, {done} of {audio.frames} samples could be decoded; "
                    "copy or export it again"
                )
    return formats.pop()[1]
