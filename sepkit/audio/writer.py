"""Tensors to audio files, block by block: whole, or not at all, and the same bytes every time."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
import torch

from ..errors import SepkitError, unknown
from ..files import atomic_path
from ..formats import ogg
from ..formats.plain import soundfile_name
from .tags import id3

#: suffix -> (soundfile format, the subtypes that it can hold, the default first)
FORMATS = {
    ".wav": ("WAV", ("FLOAT", "PCM_16", "PCM_24", "PCM_32", "DOUBLE")),
    ".flac": ("FLAC", ("PCM_24", "PCM_16")),
    ".mp3": ("MP3", ("MPEG_LAYER_III",)),
    ".ogg": ("OGG", ("VORBIS", "OPUS")),
}
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
#: subtype -> the rates (Hz) that it knows, where not all; libsndfile crashes on faster Vorbis
_RATES = {
    "MPEG_LAYER_III": MP3_RATES,
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "VORBIS": range(1, 200001),
}
#: lowest sample rate (Hz) -> the bit rates (kbit/s) of MP3 from there on. Still lower ones leave
#: no room for the frame that says how long the audio is.
BITRATES = {
    32000: (64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    16000: (64, 80, 96, 112, 128, 144, 160),
    8000: (32, 40, 48, 56, 64),
}
#: subtype -> bits of a sample
_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
#: libsndfile's Ogg writer overflows its stack on very long blocks
BLOCK = 1 << 16


def output_format(
    path: str | Path,
    subtype: str | None = None,
    bitrate: int | None = None,
    sample_rate: int | None = None,
) -> tuple[str, str]:
    """The soundfile format and subtype for a file that is to be written.

    Parameters
    ----------
    path : str or Path
    subtype : str, optional
        In capitals or not; the format's default without it.
    bitrate : int, optional
        In kbit/s, for MP3 only.
    sample_rate : int, optional
        Checked too, when it is known.

    Raises
    ------
    SepkitError
        If the format does not exist or cannot hold the subtype, bit rate or
        sample rate, with what it can hold.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise SepkitError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; use {', '.join(FORMATS)}"
        )
    kind, subtypes = FORMATS[suffix]
    subtype = subtypes[0] if subtype is None else str(subtype).upper()
    if subtype not in subtypes:
        raise unknown(f"subtype of {suffix}", subtype, subtypes)
    if bitrate is not None and kind != "MP3":
        raise SepkitError(f"bit rate {bitrate}: only .mp3 takes one, not {suffix}; leave it out")
    if bitrate is not None and bitrate not in (known := _bitrates(sample_rate)):
        at = "" if sample_rate is None else f" at {sample_rate} Hz"
        raise unknown(f"bit rate of .mp3{at}, in kbit/s", bitrate, known)
    if sample_rate is not None:
        _check_rate(path, kind, subtype, sample_rate)
    return kind, subtype


def _bitrates(sample_rate):
    if sample_rate is None:
        return sorted({rate for rates in BITRATES.values() for rate in rates})
    return next((rates for low, rates in BITRATES.items() if sample_rate >= low), BITRATES[8000])


def _check_rate(path, kind, subtype, rate):
    known = _RATES.get(subtype)
    flac = rate <= 65535 or rate <= 655350 and rate % 10 == 0
    if (kind == "FLAC" and not flac) or (known and rate not in known):
        name = {"MPEG_LAYER_III": "MP3", "OPUS": "Opus", "VORBIS": "Vorbis"}.get(subtype, kind)
        use = ".wav" if kind == "FLAC" else ".wav or .flac"
        raise SepkitError(f"{path}: {name} does not know {rate} Hz; write {use}")


class Writer:
    """Write an audio file block by block; it takes its final name when all is written.

    The same samples make the same bytes: no file says when it was written.

    Parameters
    ----------
    path : str or Path
        The suffix picks the format: ``.wav`` (32-bit float), ``.flac`` (24
        bit), ``.mp3`` or ``.ogg``.
    sample_rate, channels : int
    subtype : str, optional
        Another one of `FORMATS`, such as ``"PCM_16"``.
    clip : bool
        Limit samples to +-1. Without it, samples beyond +-1 are an error in
        every format but float WAV.
    samples : int, optional
        The expected length, so that files above 4 GB get a header that holds it.
    bitrate : int, optional
        Of MP3, constant, in kbit/s. Without it, the rate varies with the music.
    tags : dict of str to str, optional
        As `sepkit.audio.tags.read_tags` gives them.

    Examples
    --------
    >>> with Writer("vocals.wav", 44100, 2) as out:   # doctest: +SKIP
    ...     out.write(block)                           # (channels, samples)
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        clip: bool = False,
        samples: int | None = None,
        bitrate: int | None = None,
        tags: dict[str, str] | None = None,
    ):
        self.path, self.clip, self.tags = Path(path), clip, dict(tags or {})
        self.format, self.subtype = output_format(self.path, subtype, bitrate, sample_rate)
        if self.format == "WAV" and (samples or 0) * channels * 8 > 0xF0000000:
            self.format = "RF64"  # plain WAV counts its bytes in 32 bits
        self.sample_rate, self.channels, self._bitrate = sample_rate, channels, bitrate

    def __enter__(self):
        self._stack, self._written = ExitStack(), 0
        self._temporary = self._stack.enter_context(atomic_path(self.path))
        try:
            self._file = soundfile.SoundFile(
                soundfile_name(self._temporary),
                "w",
                self.sample_rate,
                self.channels,
                self.subtype,
                format=self.format,
                **self._compression(),
            )
            if self.format != "MP3":  # there, libsndfile writes UTF-8 and calls it Latin-1
                for tag, value in self.tags.items():
                    setattr(self._file, tag, value)
        except (soundfile.LibsndfileError, ValueError) as error:
            self._stack.__exit__(type(error), error, None)
            raise SepkitError(
                f"{self.path}: cannot be written as {self.format} {self.subtype} ({error})"
            ) from None
        return self

    def _compression(self):
        """Libsndfile's scale of constant bit rates: from 0, the highest, to 1, the lowest."""
        if self._bitrate is None:
            return {}
        highest, lowest = _bitrates(self.sample_rate)[-1], 32 if self.sample_rate >= 32000 else 8
        level = (highest - self._bitrate) / (highest - lowest)
        return {"bitrate_mode": "CONSTANT", "compression_level": level}

    def write(self, block: torch.Tensor | np.ndarray) -> None:
        """Append a block of shape (channels, samples)."""
        data = block.detach().cpu() if isinstance(block, torch.Tensor) else block
        data = np.asarray(data).T
        if not np.isfinite(data).all():
            raise SepkitError(f"{self.path}: NaN or infinite samples, which no file should hold")
        if self.clip:
            data = np.clip(data, -1.0, 1.0)
        elif self.subtype not in ("FLOAT", "DOUBLE") and (peak := np.abs(data).max(initial=0)) > 1:
            raise SepkitError(
                f"{self.path}: samples beyond full scale (up to {peak:.3g}) do not fit "
                f"{self.subtype}; write .wav or pass --clip"
            )
        try:
            for first in range(0, len(data), BLOCK):
                self._file.write(self._rounded(data[first : first + BLOCK]))
        except (soundfile.LibsndfileError, AssertionError) as error:  # asserts that all was written
            raise SepkitError(
                f"{self.path}: writing failed ({error or 'too few bytes'}); is the disk full?"
            ) from None
        self._written += len(data)

    def _rounded(self, data):
        """To the nearest step of the bit depth; libsndfile would round down, and scale by 32767."""
        if self.subtype not in _BITS:
            return np.ascontiguousarray(data)
        bits = _BITS[self.subtype]
        half = 1 << (bits - 1)
        steps = np.clip(np.rint(data.astype(np.float64) * half), -half, half - 1)
        return np.ascontiguousarray(steps.astype(np.int32) << (32 - bits))

    def __exit__(self, kind, error, trace):
        try:
            self._close()
            if kind is None:
                self._complete()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        return self._stack.__exit__(kind, error, trace)

    def _close(self):
        try:
            self._file.close()
        except soundfile.LibsndfileError as error:
            raise SepkitError(
                f"{self.path}: could not be completed ({error}); is the disk full?"
            ) from None

    def _complete(self):
        """Check that nothing was lost when the file was closed, and finish its bytes."""
        if self._written and not self._readable():
            raise SepkitError(
                f"{self.path}: not all of its samples could be written; is the disk full?"
            )
        remove_stamps(self._temporary, self.format)
        if self.format == "MP3" and (tag := id3(self.tags)):
            self._temporary.write_bytes(tag + self._temporary.read_bytes())

    def _readable(self):
        """Whether the file has its length, and its last sample can be read."""
        try:
            with soundfile.SoundFile(soundfile_name(self._temporary)) as file:
                if self.format == "OGG":  # its length is written at its end
                    return file.frames == self._written
                file.seek(self._written - 1)
                return len(file.read(2)) == 1
        except soundfile.LibsndfileError:
            return False


def write(
    path: str | Path,
    audio: torch.Tensor | np.ndarray,
    sample_rate: int,
    subtype: str | None = None,
    clip: bool = False,
    bitrate: int | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """Write audio of shape (channels, samples); see `Writer` for formats and errors."""
    if audio.ndim != 2:
        shape = tuple(audio.shape)
        raise SepkitError(f"{path}: audio of shape (channels, samples) was expected, not {shape}")
    channels, samples = audio.shape
    with Writer(path, sample_rate, channels, subtype, clip, samples, bitrate, tags) as out:
        out.write(audio)
    return Path(path)


def remove_stamps(path: Path, kind: str) -> None:
    """Zero what libsndfile writes anew at every run: a time in WAV, a random number in Ogg.

    Parameters
    ----------
    path : Path
        A file that is closed.
    kind : str
        soundfile's name of its format.
    """
    if kind in ("WAV", "RF64"):
        _remove_peak_time(path)
    elif kind == "OGG":
        _remove_serial(path)


def _remove_peak_time(path):
    """Zero the time in the PEAK chunk of float WAVs: version, time, then the peaks."""
    with open(path, "r+b") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8 and head[:4] != b"data":
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"PEAK":
                file.seek(4, 1)
                file.write(bytes(4))
                return
            file.seek(size + size % 2, 1)


def _remove_serial(path):
    """Zero the stream's serial number in every page, and put its checksum right (RFC 3533)."""
    with open(path, "r+b") as file:
        while page := _read_page(file):
            page[14:18] = page[22:26] = bytes(4)
            page[22:26] = ogg.checksum(page).to_bytes(4, "little")
            file.seek(-len(page), 1)
            file.write(page)


def _read_page(file):
    head = file.read(27)
    if len(head) < 27:
        return None
    lengths = file.read(head[26])
    return bytearray(head + lengths + file.read(sum(lengths)))
