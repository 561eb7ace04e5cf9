"""MUSDB18 in its .stem.mp4 form, and its free 7-second excerpts.

Rafii, Liutkus, Stoter, Mimilakis, Bittner: The MUSDB18 corpus for music
separation (2017). Reading goes through ffmpeg. MUSDB18-HQ is a folder of WAV
files: see `folders`.
"""

import shutil
import zipfile
import zlib
from functools import cached_property
from pathlib import Path, PurePosixPath

import torch

from .. import audio
from ..errors import SepkitError
from ..files import free_bytes, transfers
from ..formats import ffmpeg
from ..formats.decoded import Decoded
from ..names import plain_name
from ..stems import STEMS, STEMS_OF_DEMUCS
from .track import Track

SUFFIX = ".stem.mp4"
#: The streams of a .stem.mp4 file, in order.
STREAMS = ("mixture", *STEMS_OF_DEMUCS)
SAMPLE_RATE = 44100
#: The excerpts, where the musdb package has them from; and their most bytes, packed or not.
EXCERPTS = "https://github.com/sigsep/sigsep-mus-db/releases/download/v0.4.0/MUSDB18-7-STEMS.zip"
MOST = 500_000_000
#: The validation songs that the musdb package and Open-Unmix's authors hold out of train.
VALIDATION = frozenset(
    (
        "Actions - One Minute Smile",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Johnny Lokke - Promises & Lies",
        "Patrick Talbot - A Reason To Leave",
        "Triviul - Angelsaint",
        "Alexander Ross - Goodbye Bolero",
        "Fergessen - Nos Palpitants",
        "Leaf - Summerghost",
        "Skelpolu - Human Mistakes",
        "Young Griffo - Pennies",
        "ANiMAL - Rockshow",
        "James May - On The Line",
        "Meaxic - Take A Step",
        "Traffic Experiment - Sirens",
    )
)


def ffmpeg_missing() -> SepkitError | None:
    """The error for a machine without ffmpeg, or None where it is installed."""
    if ffmpeg.installed():
        return None
    return SepkitError(f"ffmpeg not found: .stem.mp4 files and museval need it; {ffmpeg.REMEDY}")


class StemTrack(Track):
    """A .stem.mp4 file as a Track.

    The header's length and the decoded length differ by up to a block of AAC
    padding; what decodes is kept, so the length costs one decoding of the mixture.
    A stream is decoded as a whole, once, and its parts are read from that.

    Raises
    ------
    SepkitError
        If ffmpeg is missing, or the file does not decode, or not to its end.
    """

    has_mixture = True

    def __init__(
        self, path: str | Path, sample_rate: int | None = None, channels: int | None = None
    ):
        self.path = Path(path)
        self.paths = (self.path,)
        if missing := ffmpeg_missing():
            raise missing
        self.name, self.stems = self.path.name.removesuffix(SUFFIX), STEMS
        self.file_rate = SAMPLE_RATE
        self.sample_rate, self.channels = int(sample_rate or SAMPLE_RATE), channels or 2

    @cached_property
    def file_samples(self) -> int:  # type: ignore[override]
        """Samples that the file's mixture decodes to."""
        rate = ffmpeg.probe(self.path)["sample_rate"]
        if rate != SAMPLE_RATE:
            raise SepkitError(f"{self.path}: {rate} Hz; .stem.mp4 files have {SAMPLE_RATE} Hz")
        return self._stream("mixture").samples

    @cached_property
    def samples(self) -> int:  # type: ignore[override]
        """Samples at `sample_rate`; the file is decoded when this is first asked for."""
        return audio.resampled_length(self.file_samples, self.file_rate, self.sample_rate)

    def _read_file(self, name, start, frames):
        part = self._stream(name).read(start, frames)  # (samples, channels)
        if len(part) < frames:
            raise SepkitError(
                f"{self.path}: {len(part)} of {frames} samples of {name} could be decoded from "
                f"{start}; copy it again"
            )
        return torch.from_numpy(part.T.copy())

    def _stream(self, name):
        state = audio.file_state(self.path)
        return Decoded(self.path, state, stream=STREAMS.index(name))


def download_excerpts(root: str | Path, address: str = EXCERPTS) -> Path:
    """Fetch MUSDB18's free 7-second excerpts (140 MB) into `root`.

    A download that breaks off leaves ``MUSDB18-7-STEMS.zip.part`` beside `root`, from which the
    next call resumes.

    Parameters
    ----------
    root : str or Path
        Gets the folders ``train`` and ``test``.
    address : str
        Of the archive; by default where the musdb package has it from.

    Returns
    -------
    Path

    Raises
    ------
    SepkitError
        If the download fails, or the archive is damaged or another one.
    """
    root = Path(root)
    archive = root.parent / "MUSDB18-7-STEMS.zip"
    try:
        transfers.download([address], archive, _songs_of, most=MOST, label="MUSDB18, 7 s excerpts")
    except transfers.Failure as failure:
        raise SepkitError(
            f"{root}: MUSDB18's excerpts could not be downloaded ({failure}); check the network, "
            "or use --data band"
        ) from None
    try:
        with zipfile.ZipFile(archive) as opened:
            for member, place in _songs_of(archive).items():
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as packed, open(root / place, "wb") as file:
                    shutil.copyfileobj(packed, file)
    except OSError as error:
        raise SepkitError(
            f"{root}: cannot be written ({error.strerror}); free some space or choose another "
            "folder"
        ) from None
    finally:
        archive.unlink()
    return root


def _songs_of(path):
    """{member of an archive: its place below the root}, after a look at all of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            places = {member: PurePosixPath(member.filename) for member in archive.infolist()}
            songs = {
                member: place
                for member, place in places.items()
                if len(place.parts) == 2
                and place.parts[0] in ("train", "test")
                and place.name.endswith(SUFFIX)
                and not place.name.startswith(".")
            }
            for place in songs.values():
                plain_name(place.name, "song", path)
            if not songs or sum(member.file_size for member in songs) > MOST:
                raise SepkitError(
                    f"{path}: holds no songs, or too much; expected train/ and test/ with "
                    f"{SUFFIX} files"
                )
            if broken := archive.testzip():
                raise SepkitError(f"{path}: {broken[:80]!r} in it is damaged; try again")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise SepkitError(f"{path}: not a whole archive ({error}); try again") from None
    return songs


def fetch_excerpts(folder: str | Path) -> Path:
    """`download_excerpts` beside `folder`, then rename it: half a download is no data set.

    Raises
    ------
    SepkitError
        If there is no room for them, and as `download_excerpts`.
    """
    folder = Path(folder)
    if free_bytes(folder) < 1e9:
        raise SepkitError(
            f"{folder}: the excerpts need 1 GB while they are unpacked; free some space or choose "
            "another data root"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        download_excerpts(beside)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
