"""MUSDB18 in its .stem.mp4 form, and its free 7-second excerpts.

Rafii, Liutkus, Stoter, Mimilakis, Bittner: The MUSDB18 corpus for music
separation (2017). Reading goes through ffmpeg by way of stempeg, which the
musdb package brings. MUSDB18-HQ is a folder of WAV files: see `folders`.
"""

import shutil
from functools import cached_property
from pathlib import Path

import torch

from .. import audio
from ..errors import SepkitError
from .track import Track

SUFFIX = ".stem.mp4"
#: The streams of a .stem.mp4 file, in order.
STREAMS = ("mixture", "drums", "bass", "other", "vocals")
STEMS = ("vocals", "drums", "bass", "other")
SAMPLE_RATE = 44100
#: The validation songs that the musdb package and Open-Unmix's authors hold out of train.
VALIDATION = frozenset((
    "Actions - One Minute Smile", "Clara Berry And Wooldog - Waltz For My Victims", "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave", "Triviul - Angelsaint", "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants", "Leaf - Summerghost", "Skelpolu - Human Mistakes", "Young Griffo - Pennies",
    "ANiMAL - Rockshow", "James May - On The Line", "Meaxic - Take A Step", "Traffic Experiment - Sirens",
))  # fmt: skip


def ffmpeg_missing():
    """The error for a machine without ffmpeg, or None where it is installed."""
    if shutil.which("ffmpeg") and shutil.which("ffprobe"):
        return None
    return SepkitError(
        "ffmpeg not found: .stem.mp4 files and museval need it; install it (apt install ffmpeg, brew install ffmpeg)"
    )


def _stempeg():
    if missing := ffmpeg_missing():
        raise missing
    try:
        import stempeg
    except ImportError:
        raise SepkitError('reading .stem.mp4 needs the musdb package: pip install "sepkit[musdb]"') from None
    return stempeg


class StemTrack(Track):
    """A .stem.mp4 file as a Track.

    The header's length and the decoded length differ by up to a block of AAC
    padding; what decodes is kept, so the length costs one decoding of the mixture.

    Raises
    ------
    SepkitError
        If ffmpeg or the musdb package is missing, or the file does not decode.
    """

    has_mixture = True
    block = 60 * SAMPLE_RATE  # each part is a run of ffmpeg

    def __init__(self, path, sample_rate=None, channels=None):
        self.path = Path(path)
        self.paths = (self.path,)
        _stempeg()  # complains now; a module cannot be kept, for a track must travel to other processes
        self.name, self.stems = self.path.name.removesuffix(SUFFIX), STEMS
        self.file_rate = SAMPLE_RATE
        self.sample_rate, self.channels = int(sample_rate or SAMPLE_RATE), channels or 2

    @cached_property
    def file_samples(self):
        return self._decode("mixture").shape[-1]

    @cached_property
    def samples(self):
        return audio.resampled_length(self.file_samples, self.file_rate, self.sample_rate)

    def _read_file(self, name, start, frames):
        part = self._decode(name, start / SAMPLE_RATE, frames / SAMPLE_RATE)
        if part.shape[-1] < frames:
            raise SepkitError(f"{self.path}: {part.shape[-1]} of {frames} samples could be decoded from {start}; copy it again")
        return part[..., :frames]

    def _decode(self, name, seconds=None, duration=None):
        stempeg = _stempeg()
        try:
            data, _ = stempeg.read_stems(
                str(self.path), start=seconds, duration=duration, stem_id=STREAMS.index(name), dtype="float32"
            )
        except Exception as error:  # stempeg passes on whatever ffmpeg and numpy say
            raise SepkitError(f"{self.path}: does not decode as a .stem.mp4 file ({type(error).__name__})") from error
        return torch.from_numpy(data.T.copy())  # (2, samples)


def download_excerpts(root):
    """Fetch MUSDB18's free 7-second excerpts (140 MB) into `root` with musdb's own download.

    Raises
    ------
    SepkitError
        If ffmpeg or musdb is missing, or the download fails.
    """
    _stempeg()
    import musdb

    try:
        musdb.DB(root=str(root), download=True)
    except Exception as error:  # no network, a full disk, a broken archive
        raise SepkitError(
            f"{root}: MUSDB18's excerpts could not be downloaded ({type(error).__name__}: {error}); "
            "check the network, or use --data band"
        ) from error
    return Path(root)
