"""Opening data: a data set, a folder of songs or one song becomes a list of Tracks.

>>> tracks = open_tracks("band", split="test", preset="smoke")   # doctest: +SKIP
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..errors import SepkitError, unknown, warn
from ..files import digest
from .folders import FolderTrack, is_song
from .layouts import recognised
from .librimix.layout import is_mixture, mixtures_by_split
from .librimix.track import LibriMixTrack
from .musdb18 import SUFFIX, VALIDATION, StemTrack
from .registry import SPLITS, data_folder
from .track import Track, WrappedTrack

#: Without a list of validation songs, every seventh training song validates: 14 %, as in MUSDB18.
VALIDATION_EVERY = 7


def open_tracks(
    data: str | Path,
    split: str | None = None,
    root: str | Path | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    preset: str | None = None,
    damaged: Callable[[SepkitError], None] | None = None,
) -> list[Track]:
    """Open a data set.

    Parameters
    ----------
    data : str or Path
        One of `DATASETS`, such as ``"band"`` or ``"musdb18hq"``, or a folder:
        of songs, of ``train/`` and ``test/`` with songs, or one song itself; or a folder in
        LibriMix's layout (`sepkit.datasets.librimix`).
    split : {"train", "valid", "test"}, optional
        None opens everything. Validation songs are MUSDB18's own where they
        occur, otherwise every seventh song of train. A folder without train/
        and test/ is all test, and is split likewise for training.
    root : str or Path, optional
        Where the named data sets lie; see `sepkit.files.data_root`.
    sample_rate, channels : int, optional
        Read at this rate, as mono (1) or stereo (2).
    preset : str, optional
        Which size of the band; rendered when it is missing.
    damaged : callable, optional
        Gets the error of each song that cannot be opened, which is left out then.

    Returns
    -------
    list of Track
        Sorted by name, never empty.

    Raises
    ------
    SepkitError
        If the folder or the songs are missing, a split is unknown or empty, or a song is damaged.
    """
    if split is not None and split not in SPLITS:
        raise unknown("split", split, SPLITS)
    folder = data_folder(data, root, preset)
    songs = songs_by_split(folder)
    if layout := recognised(folder, [path for paths in songs.values() for path in paths]):
        raise SepkitError(layout)
    paths = songs_of_split(songs, split)
    if not paths:
        raise SepkitError(_nothing_for(split, folder, songs))
    return _readable(paths, sample_rate, channels, damaged)


def _nothing_for(split, folder, songs):
    """The error message for an empty split."""
    count = len(songs.get("train", songs.get("", [])))
    if split in ("train", "valid") and count == 1 and "valid" not in songs:
        return (
            f"{folder}: one song to train on, and none to validate with; at least two are needed: "
            f"add songs (or put one into {folder / 'valid'}), or cut this one in two (the first "
            "minutes as one song, the rest as another)"
        )
    there = ", ".join(f"{len(paths)} in {name}/" for name, paths in songs.items() if name and paths)
    there = f" ({there})" if there else ""
    return f"{folder}: no songs{f' for {split}' if split else ''} found{there}; expected {_LAYOUT}"


_LAYOUT = "SONG/vocals.wav ..., train/SONG/vocals.wav ..., or SONG.stem.mp4"


def songs_by_split(folder: Path) -> dict[str, list[Path]]:
    """The songs of a data set: {split folder name or "": [song paths]}."""
    if (mixtures := mixtures_by_split(folder)) is not None:
        return mixtures
    splits = [name for name in SPLITS if (folder / name).is_dir() and not is_song(folder / name)]
    if splits:
        return {name: _songs_in(folder / name) for name in splits}
    return {"": [folder] if is_song(folder) else _songs_in(folder)}


def _songs_in(folder):
    found = [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.name.endswith(SUFFIX) or is_song(path))
    ]
    return sorted(found, key=lambda path: path.name)


def songs_of_split(songs: dict[str, list[Path]], split: str | None) -> list[Path]:
    """The songs of a split, or all; `songs` as `songs_by_split` gives them."""
    if split is None:
        return [path for paths in songs.values() for path in paths]
    if split == "test":
        return songs.get("test", songs.get("", []))
    if "valid" in songs:
        return songs.get(split, [])
    pool = songs.get("train", songs.get("", []))
    valid = _validation(pool)
    return [path for path in pool if (path in valid) == (split == "valid")]


def _validation(pool):
    named = [path for path in pool if path.name.removesuffix(SUFFIX) in VALIDATION]
    return named or pool[VALIDATION_EVERY // 2 :: VALIDATION_EVERY] or pool[1:]


def _readable(paths, sample_rate, channels, damaged):
    tracks = []
    for number, path in enumerate(paths, 1):
        try:
            tracks.append(open_song(path, sample_rate, channels))
        except SepkitError as error:
            if damaged is None or (number == len(paths) and not tracks):
                raise
            damaged(error)
    if notes := [note for track in tracks for note in track.notes]:
        warn(notes[0] + (f" (and {len(notes) - 1} songs more like this)" if len(notes) > 1 else ""))
    return tracks


def open_song(path: Path, sample_rate: int | None = None, channels: int | None = None) -> Track:
    """One song as a Track: a folder, a ``.stem.mp4`` file, or a mixture of LibriMix."""
    if is_mixture(path):
        return LibriMixTrack(path, sample_rate, channels)
    if path.is_dir():
        return FolderTrack(path, sample_rate, channels)
    return StemTrack(path, sample_rate, channels)


#: Ways to treat songs that lack a stem which others have.
MISSING = ("refuse", "silent", "skip")


class Filled(WrappedTrack):
    """A track with further stems, which are silent.

    Parameters
    ----------
    track : Track
    stems : sequence of str
        All stems, those of the track among them.
    """

    def __init__(self, track: Track, stems: Sequence[str]):
        super().__init__(track)
        self.stems = tuple(stems)

    def identity(self) -> str:
        """A hash of the track and of all stems."""
        return digest(self.track.identity(), self.stems)

    def _read(self, name, start, frames):
        if name == "mixture" or name in self.track.stems:
            return super()._read(name, start, frames)
        like = self.track._read(self.track.stems[0], start, frames)
        return torch.zeros_like(like)


def with_the_same_stems(
    parts: Sequence[Sequence[Track]], target: str | None = None, missing: str = "refuse"
) -> list[list[Track]]:
    """Several lists of tracks, all of one set of stems.

    Parameters
    ----------
    parts : list of list of Track
        Such as those to train on, and those to validate with.
    target : str, optional
        A stem that all must have in the end.
    missing : {"refuse", "silent", "skip"}
        What becomes of songs that lack a stem. ``"silent"``: the stem is silent there, as in an
        instrumental without vocals. ``"skip"``: of all sets of stems (with the target), the
        most frequent one is kept, and other songs are left out.

    Returns
    -------
    list of list of Track
        In the order of `parts`.

    Raises
    ------
    SepkitError
        Naming songs and what they lack; if no song is left in one of the lists.
    """
    if missing not in MISSING:
        raise unknown("way with missing stems", missing, MISSING)
    tracks = [track for part in parts for track in part]
    sets = Counter(track.stems for track in tracks)
    if len(sets) < 2:
        return [list(part) for part in parts]
    every = _all_stems(sets)
    if missing == "silent":
        return [
            [track if track.stems == every else Filled(track, every) for track in part]
            for part in parts
        ]
    usual = max(
        (stems for stems in sets if target is None or target in stems),
        key=lambda stems: (sets[stems], len(stems)),
        default=every,
    )
    if missing == "skip":
        kept = [[track for track in part if track.stems == usual] for part in parts]
        for part, left in zip(parts, kept):
            if not left:
                raise SepkitError(
                    f"--missing skip: leaves none of {_names(part)}, which all lack a stem; choose "
                    f"--missing silent, or put songs with {', '.join(usual)} there (train/, valid/)"
                )
        return kept
    raise SepkitError(
        f"{_lacking(tracks, usual)}; add them, or choose --missing silent (a stem that is not "
        "there is silent) or --missing skip (leave such songs out)"
    )


def _all_stems(sets):
    """Every stem that occurs, in the order of the largest set, then by name."""
    first = max(sets, key=len)
    return (*first, *sorted({stem for stems in sets for stem in stems} - set(first)))


def _names(tracks, at_most=3):
    names = [track.name for track in tracks]
    return ", ".join(names[:at_most]) + (
        f" and {len(names) - at_most} more" if len(names) > at_most else ""
    )


def _lacking(tracks, usual, at_most=3):
    """Which songs have other stems than the usual ones, and how they differ."""
    odd = [track for track in tracks if track.stems != usual]
    differences = []
    for track in odd[:at_most]:
        lacks, more = (
            [stem for stem in one if stem not in other]
            for one, other in ((usual, track.stems), (track.stems, usual))
        )
        parts = [
            f"{verb} {', '.join(stems)}"
            for verb, stems in (("lacks", lacks), ("also has", more))
            if stems
        ]
        differences.append(f"{track.name} {' and '.join(parts)}")
    rest = f", and {len(odd) - at_most} more songs differ" if len(odd) > at_most else ""
    return f"not all songs have the same stems ({', '.join(usual)}): {'; '.join(differences)}{rest}"
