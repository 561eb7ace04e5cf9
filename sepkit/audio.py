"""Audio files to tensors and back.

Audio is a float32 tensor of shape (channels, samples), full scale 1.0. It is
never clipped silently: what lies beyond full scale is kept in float files and
refused elsewhere, unless the caller asks for clipping.
Chapter 01 listens to what the sample rate does.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from .audio_writer import BLOCK, FORMATS, MP3_RATES, Writer, write
from .errors import SepkitError

MAX_CHANNELS = 2


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says: path, sample rate (Hz), samples a channel, channels, subtype."""

    path: Path
    sample_rate: int
    samples: int
    channels: int
    subtype: str

    @property
    def seconds(self):
        return self.samples / self.sample_rate


def info(path):
    """Read a file's header and check that sepkit can use the file.

    Raises
    ------
    SepkitError
        Naming the file, when it is missing, a folder, empty, not audio, of
        zero length, or has more than two channels.
    """
    path = Path(path)
    if path.is_dir():
        raise SepkitError(f"{path}: is a folder; an audio file was expected")
    if not path.exists():
        raise SepkitError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise SepkitError(f"{path}: the file is empty; an audio file was expected")
    try:
        header = soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        raise SepkitError(f"{path}: not readable as audio; expected WAV, FLAC, OGG or MP3") from None
    samples = header.frames
    if header.format == "MP3" and not _states_its_length(path):
        stat = path.stat()
        samples = _decoded_samples(str(path), stat.st_mtime_ns, stat.st_size)
    if samples <= 0:
        raise SepkitError(f"{path}: holds no samples (zero length); export it again")
    if header.channels > MAX_CHANNELS:
        raise SepkitError(f"{path}: has {header.channels} channels; mix it down to 1 or 2 first")
    return AudioInfo(path, header.samplerate, samples, header.channels, header.subtype)


def _states_its_length(path):
    """Whether an MP3 file has a Xing, Info or VBRI header; without one, its length is only guessed from the bit rate."""
    with open(path, "rb") as file:
        start = file.read(10)
        if start[:3] == b"ID3":  # a tag goes before; its size is written in 7 bits a byte
            file.seek(10 + sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0))))
        else:
            file.seek(0)
        frame = file.read(2048)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


@functools.lru_cache(maxsize=256)
def _decoded_samples(path, changed, size):
    """The samples of a file, counted by decoding it: once for each state of the file."""
    total = 0
    with soundfile.SoundFile(path) as file:
        while read := len(file.read(BLOCK, dtype="float32")):
            total += read
    return total


def read(path, start=0, frames=None, sample_rate=None, channels=None, header=None):
    """Read a file, or a part of it, without loading the rest.

    Parameters
    ----------
    path : str or Path
        WAV, FLAC, OGG or MP3.
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
        ends before its header says, and when it holds NaN or infinity.
    """
    header = header or info(path)
    frames = header.samples - start if frames is None else frames
    if start < 0 or frames < 1 or start + frames > header.samples:
        raise SepkitError(f"{path}: asked for samples {start} to {start + frames}, but the file has {header.samples}")
    try:
        with soundfile.SoundFile(str(header.path)) as file:
            file.seek(start)
            short = header.subtype == "PCM_16"  # converted here: the same values in a third of the time
            data = file.read(frames, dtype="int16" if short else "float32", always_2d=True)  # (samples, channels)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise SepkitError(f"{path}: broken off or damaged ({error}); copy or export it again") from None
    if len(data) < frames:
        raise SepkitError(
            f"{path}: truncated, {len(data)} of {frames} samples could be read from sample {start}; copy it again"
        )
    if short:
        data = np.multiply(data, np.float32(1 / 32768), dtype=np.float32)
    elif not np.isfinite(data).all():
        raise SepkitError(f"{path}: holds NaN or infinite samples; export it again")
    audio = torch.from_numpy(np.ascontiguousarray(data.T))  # (channels, samples)
    if channels is not None:
        audio = to_channels(audio, channels)
    if sample_rate is not None:
        audio = resample(audio, header.sample_rate, sample_rate)
    return audio, sample_rate or header.sample_rate


def resampled_length(samples, from_rate, to_rate):
    """The number of samples after resampling: samples * to / from, rounded up."""
    return math.ceil(samples * to_rate / from_rate)


def resample(audio, from_rate, to_rate):
    """Resample audio of shape (..., samples), by the SoX resampler.

    Returns a tensor of the same dtype with ``resampled_length`` samples.
    """
    if from_rate == to_rate:
        return audio
    if from_rate <= 0 or to_rate <= 0:
        raise SepkitError(f"cannot resample from {from_rate} Hz to {to_rate} Hz: rates must be positive")
    length = resampled_length(audio.shape[-1], from_rate, to_rate)
    flat = audio.detach().cpu().reshape(-1, audio.shape[-1]).T.numpy()  # (samples, channels), soxr's order
    out = torch.from_numpy(np.ascontiguousarray(soxr.resample(flat, from_rate, to_rate).T))  # (channels, ~length)
    out = torch.nn.functional.pad(out, (0, max(0, length - out.shape[-1])))[..., :length]
    return out.reshape(*audio.shape[:-1], length).to(audio)


def to_channels(audio, channels):
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
    raise SepkitError(f"cannot turn {have} channels into {channels}: only mono and stereo are known")
