"""Stand-ins of the data sets that a rehearsal needs: MUSDB18's layouts, filled by the band.

Six rendered songs stand under the 150 names: 100 to train on, among them the 14 that validate,
and 50 to test with.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..datasets.musdb18 import STREAMS, SUFFIX, VALIDATION, ffmpeg_missing
from ..errors import SepkitError
from ..files import atomic_path

#: The data sets that can be rehearsed.
DATA = ("musdb18hq", "musdb18", "musdb7s")
SPLITS = {"train": 100, "test": 50}


def names(split: str) -> list[str]:
    """The names of a split's songs; MUSDB18's own where sepkit knows them."""
    known = sorted(VALIDATION) if split == "train" else []
    more = SPLITS[split] - len(known)
    return [*known, *(f"Somebody & Co. - {split.title()}'s Song {n:03d}" for n in range(more))]


def make(data: str, root: Path, band: Path) -> Path:
    """Fill ``root/data`` with a data set of this name.

    Parameters
    ----------
    data : str
        One of `DATA`.
    root : Path
        A data root.
    band : Path
        A rendered band, whose songs are linked or encoded.

    Returns
    -------
    Path
        The data set's folder.

    Raises
    ------
    SepkitError
        If ffmpeg is missing, or cannot encode.
    """
    folder = root / data
    for split in SPLITS:
        sources = sorted(path for path in (band / split).iterdir() if path.is_dir())
        if data == "musdb18hq":
            _link_folders(sources, folder / split, names(split))
        else:
            packed = [_encoded(song, root / "encoded" / split) for song in sources]
            _link_files(packed, folder / split, names(split))
    return folder


def _link_folders(sources: Sequence[Path], folder: Path, songs: Sequence[str]) -> None:
    for number, name in enumerate(songs):
        (folder / name).mkdir(parents=True)
        for file in sources[number % len(sources)].glob("*.wav"):
            _link(file, folder / name / file.name)


def _link_files(sources: Sequence[Path], folder: Path, songs: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(songs):
        _link(sources[number % len(sources)], folder / f"{name}{SUFFIX}")


def _link(file: Path, name: Path) -> None:
    os.symlink(file.resolve(), name)


def _encoded(song: Path, folder: Path) -> Path:
    """A song's stems in one .stem.mp4, AAC as in MUSDB18; encoded once for all data sets."""
    if missing := ffmpeg_missing():
        raise missing
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{song.name}{SUFFIX}"
    if path.is_file():
        return path
    inputs = [word for stream in STREAMS for word in ("-i", str(song / f"{stream}.wav"))]
    maps = [word for number in range(len(STREAMS)) for word in ("-map", str(number))]
    command = ["ffmpeg", "-v", "error", "-nostdin", *inputs, *maps, "-c:a", "aac", "-b:a", "256k"]
    with atomic_path(path) as temporary:
        done = subprocess.run(
            [*command, "-y", str(temporary)], stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])
            raise SepkitError(f"{path}: ffmpeg cannot encode it ({said}); is AAC built in?")
    return path
