"""Files that libsndfile reads from any sample on."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile


def soundfile_name(path: str | Path) -> str | bytes:
    """A path as soundfile takes it, also where its bytes are no UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def id3_size(start: bytes) -> int:
    """Bytes of the ID3v2 tag that a file starts with, its header included; 0 without one."""
    if start[:3] != b"ID3" or len(start) < 10:
        return 0
    # Seven bits per byte.
    return 10 + sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0)))


class Forwards(soundfile.SoundFile):
    """A file that is read onwards only.

    soundfile seeks after each reading, which costs time, and decoders their past.
    """

    def seekable(self) -> bool:
        """No: soundfile then leaves its place alone."""
        return False


@dataclass(frozen=True)
class Plain:
    """A file whose parts libsndfile reads directly.

    Attributes
    ----------
    path : Path
    samples : int
    short : bool
        Whether the samples are integers of 16 bits.
    latest : int or None
        The last sample that may be sought: libsndfile misses those in the last page of an Ogg
        Vorbis file.
    """

    path: Path
    samples: int
    short: bool = False
    latest: int | None = None

    def read(self, start: int, frames: int) -> np.ndarray:
        """Samples as float32, (frames, channels)."""
        begin = start if self.latest is None else min(start, self.latest)
        # Integers are converted here: the same numbers in a third of the time.
        dtype = "int16" if self.short else "float32"
        with Forwards(soundfile_name(self.path)) as file:
            if begin:
                file.seek(begin)
            data = file.read(frames + start - begin, dtype=dtype, always_2d=True)[start - begin :]
        return np.multiply(data, np.float32(1 / 32768), dtype=np.float32) if self.short else data
