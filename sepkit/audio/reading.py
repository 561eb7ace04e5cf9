"""Audio files to tensors and back.

Audio is a float32 tensor of shape (channels, samples), full scale 1.0. It is
never clipped silently: what lies beyond full scale is kept in float files and
refused elsewhere, unless the caller asks for clipping.
Chapter 01 listens to what the sample rate does.
"""

import functools
import math
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch

from ..errors import SepkitError
from ..formats.inspection import inspect, warn

MAX_CHANNELS = 2
#: A peak this far beyond full scale (40 dB) is warned of: sound recordings have none.
FAR_BEYOND = 100.0
#: Above it a file is damaged for certain, and powers of its spectrogram leave float32.
LARGEST = 1e12


@dataclass(frozen=True)
class AudioInfo:
    """What is known about a file: path, sample rate (Hz), samples per channel, channels, subtype.

    `source` is what reads its samples, see `sepkit.formats`.
    """

    path: Path
    sample_rate: int
    samples: int
    channels: int
    subtype: str
    source: Any = field(repr=False, compare=False)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


def info(path: str | Path) -> AudioInfo:
    """Look at a file and check that it is whole, as far as that can be seen, and usable.

    All its frames are counted where its header does not state its length or may be wrong
    (MP3, Ogg); Opus, files joined from several, and what only ffmpeg can read are decoded.
    The answer is remembered for as long as the file stays as it is.

    Raises
    ------
    SepkitError
        Naming the file, when it is missing, no regular file, empty, not audio,
        cut off, visibly damaged, of zero length, or has more than two channels.
    """
    path = Path(path)
    try:
        return _info(path, file_state(path))
    except OSError as error:
        raise SepkitError(f"{path}: cannot be read ({error.strerror or error})") from None


def file_state(path: Path) -> tuple[int, int, int, int]:
    """What changes when a file does (size, time, inode); refuses what is no regular file."""
    if path.is_symlink() and not path.exists():
        link = os.readlink(path)
        raise SepkitError(f"{path}: is a broken link to {link}; an audio file was expected")
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise SepkitError(f"{path}: is {kind}; an audio file was expected")
    if status.st_size == 0:
        raise SepkitError(f"{path}: the file is empty; an audio file was expected")
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@functools.lru_cache(maxsize=4096)
def _info(path, state):
    found = inspect(path, state)
    if found.channels > MAX_CHANNELS:
        raise SepkitError(f"{path}: has {found.channels} channels; mix it down to 1 or 2 first")
    samples = found.source.samples
    if samples <= 0:
        raise SepkitError(f"{path}: holds no samples (zero length); export it again")
    return AudioInfo(path, found.sample_rate, samples, found.channels, found.subtype, found.source)


def read(
    path: str | Path,
    start: int = 0,
    frames: int | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    header: AudioInfo | None = None,
) -> tuple[torch.Tensor, int]:
    """Read a file, or a part of it, without loading the rest.

    Parameters
    ----------
    path : str or Path
        In any of the formats of `READABLE`. Of MP3 files that state the encoder's delay and
        padding (LAME, ffmpeg), these are left out; of others every frame is kept. Of joined
        ones, only the delay of the first is left out.
    start, frames : int
        First sample and number of samples, counted at the file's own rate.
    sample_rate : int, optional
        Resample to this rate (Hz).
    channels : int, optional
        1 averages a stereo file, 2 duplicates a mono one.
    header : AudioInfo, optional
        What `info` said about the file, where it is known: spares opening it twice.

    Returns
    -------
    audio : Tensor
        float32, (channels, samples). Values beyond +-1 are kept.
    sample_rate : int
        The rate of `audio`.

    Raises
    ------
    SepkitError
        As `info`; also when the part lies outside the file, when the file
        ends before its header says, and when it holds NaN, infinity or more than `LARGEST`.

    Warns
    -----
    AudioWarning
        When samples lie more than 40 dB beyond full scale.
    """
    header = header or info(path)
    frames = header.samples - start if frames is None else frames
    if start < 0 or frames < 1 or start + frames > header.samples:
        raise SepkitError(
            f"{path}: asked for samples {start} to {start + frames}, but the file has "
            f"{header.samples}"
        )
    try:
        data = header.source.read(start, frames)  # (samples, channels)
    except (soundfile.LibsndfileError, RuntimeError, OSError, MemoryError) as error:
        reason = "out of memory" if isinstance(error, MemoryError) else error
        raise SepkitError(
            f"{path}: broken off or damaged ({reason}); copy or export it again"
        ) from None
    if len(data) < frames:
        raise SepkitError(
            f"{path}: truncated, {len(data)} of {frames} samples could be read from sample "
            f"{start}; copy it again"
        )
    if not header.subtype.startswith("PCM_"):
        _check_level(path, data)
    audio = torch.from_numpy(np.ascontiguousarray(data.T))  # (channels, samples)
    if channels is not None:
        audio = to_channels(audio, channels)
    if sample_rate is not None:
        audio = resample(audio, header.sample_rate, sample_rate)
    return audio, sample_rate or header.sample_rate


def _check_level(path, data):
    peak = max(data.max(), -data.min())  # NaN stays NaN
    if not np.isfinite(peak):
        raise SepkitError(f"{path}: holds NaN or infinite samples; export it again")
    if peak > LARGEST:
        raise SepkitError(
            f"{path}: holds a sample of {peak:.0e}, where 1 is full scale; export it again"
        )
    if peak > FAR_BEYOND:
        warn(f"{path}: samples more than 40 dB beyond full scale; the file may be damaged")


def resampled_length(samples: int, from_rate: float, to_rate: float) -> int:
    """The number of samples after resampling: samples * to / from, rounded up."""
    return math.ceil(samples * to_rate / from_rate)


def resample(audio: torch.Tensor, from_rate: float, to_rate: float) -> torch.Tensor:
    """Resample audio of shape (..., samples), by the SoX resampler.

    Returns a tensor of the same dtype with ``resampled_length`` samples.
    """
    if from_rate == to_rate:
        return audio
    if from_rate <= 0 or to_rate <= 0:
        raise SepkitError(
            f"cannot resample from {from_rate} Hz to {to_rate} Hz: rates must be positive"
        )
    length = resampled_length(audio.shape[-1], from_rate, to_rate)
    if audio.shape[-1] < 2:  # soxr does not take a single sample of two channels
        audio = torch.nn.functional.pad(audio, (0, 2 - audio.shape[-1]))
    flat = audio.detach().cpu().reshape(-1, audio.shape[-1])
    # soxr wants (samples, channels)
    out = soxr.resample(flat.T.numpy(), from_rate, to_rate)
    out = torch.from_numpy(np.ascontiguousarray(out.T))  # (channels, about `length`)
    out = torch.nn.functional.pad(out, (0, max(0, length - out.shape[-1])))[..., :length]
    return out.reshape(*audio.shape[:-1], length).to(audio)


def resampled_parts(
    parts: Iterable[torch.Tensor], from_rate: float, to_rate: float, count: int
) -> Iterator[torch.Tensor]:
    """`resample` for a signal that comes in `count` parts of shape (channels, n).

    The samples are those of the whole signal resampled at once, bit for bit.
    """
    stream = None
    for number, part in enumerate(parts, 1):
        stream = stream or soxr.ResampleStream(from_rate, to_rate, part.shape[0], dtype="float32")
        out = stream.resample_chunk(np.ascontiguousarray(part.T.numpy()), last=number == count)
        yield torch.from_numpy(np.ascontiguousarray(out.T))


def seekable(header: AudioInfo) -> bool:
    """Whether any part of a file is read quickly and exactly: PCM, floating point and FLAC."""
    return header.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))


def to_channels(audio: torch.Tensor, channels: int) -> torch.Tensor:
    """Make audio of shape (channels, samples) mono or stereo.

    Mono becomes stereo by duplication, stereo becomes mono by averaging.
    """
    have = audio.shape[-2]
    if have == channels:
        return audio
    if have == 1 and channels == 2:
        return audio.repeat_interleave(2, dim=-2)
    if have == 2 and channels == 1:
        return audio.mean(dim=-2, keepdim=True)
    raise SepkitError(
        f"cannot turn {have} channels into {channels}: only mono and stereo are known"
    )
