"""One song in another version: its pitch, speed or place in time changed; or linked as it is.

`augmentation` makes whole data sets of these. A folder appears only when all
its files are there, so that what was interrupted is never taken for a song.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ...errors import SepkitError, unknown
from ...files import Temporary, identity, read_object, write_json
from ...names import plain_name
from ..sources import open_song
from . import stretching

#: In the folder of a version: what was done to which song, and the files that belong to it.
FACTS = "version.json"
SPEED_BY = ("stretch", "resample")
_FULL_SCALE = 32768


@dataclass(frozen=True)
class Change:
    """One change of a whole song: all its stems alike.

    Parameters
    ----------
    kind : {"pitch", "speed", "shift"}
    amount : float
        Semitones, a factor (1.1 is faster), or seconds (positive is later).
    by : {"stretch", "resample"}
        Of speed only: the pitch stays, or moves along as on a tape.
    """

    kind: str
    amount: float
    by: str = "stretch"

    @property
    def label(self) -> str:
        """Stands in brackets behind the song's name, such as ``pitch +2``."""
        sign, unit = "" if self.kind == "speed" else "+", "s" if self.kind == "shift" else ""
        return f"{self.kind} {self.amount:{sign}g}{unit}"

    def samples(self, samples: int) -> int:
        """How long a song of `samples` becomes."""
        return (
            stretching.stretched_length(samples, self.amount) if self.kind == "speed" else samples
        )

    def __call__(self, audio, sample_rate):
        """The changed audio, (channels, samples) as given; see `stretching`."""
        speed = stretching.time_stretch if self.by == "stretch" else stretching.resample_speed
        change = {"pitch": stretching.pitch_shift, "speed": speed, "shift": stretching.time_shift}[
            self.kind
        ]
        return change(audio, self.amount, sample_rate)


def plan_changes(
    pitch: Iterable[float], speed: Iterable[float], shift: Iterable[float], speed_by: str
) -> list[Change]:
    """The list of `Change` for these amounts; arguments and errors as in `augmentation.augment`."""
    if speed_by not in SPEED_BY:
        raise unknown("way to change the speed", speed_by, SPEED_BY)
    changes = []
    for kind, amounts, low, high, idle in (
        ("pitch", pitch, -12, 12, 0),
        ("speed", speed, 0.5, 2, 1),
        ("shift", shift, -60, 60, 0),
    ):
        for amount in amounts:
            if not low <= amount <= high or amount == idle:  # NaN too
                raise SepkitError(
                    f"{kind} {amount:g}: give a number from {low} to {high} other than {idle}"
                )
            changes.append(Change(kind, float(amount), speed_by if kind == "speed" else "stretch"))
    labels = [change.label for change in changes]
    if not changes or len(set(labels)) < len(labels):
        raise SepkitError(
            f"versions {', '.join(labels) or 'none'}: give at least one pitch, speed or shift, and "
            "each once"
        )
    return changes


def make_version(folder: Path, song: Path, change: Change) -> None:
    """Write a changed song: 16-bit WAV, one file per stem, the mixture their exact sum, `FACTS`.

    Parameters
    ----------
    folder : Path
        Appears when it is complete.
    song : Path
        A song's folder or ``.stem.mp4`` file.
    change : Change

    Raises
    ------
    SepkitError
        If the song cannot be read, or the folder not written.
    """
    track = open_song(song)
    changed: dict[str, np.ndarray] = {}
    total: Any = 0
    for name in track.stems:  # one stem in memory at a time, besides the changed ones
        audio = track.stem(name)
        changed[name] = change(audio, track.sample_rate).numpy()
        total = total + audio
    stems, gain_db = _to_16_bit(changed)
    facts = {
        "song": track.name,
        **asdict(change),
        "gain_db": gain_db,
        "mixture_against_sum_db": _closeness(track.mixture(), total),
    }
    files = {
        f"{name}.wav": samples
        for name, samples in [("mixture", sum(stems.values())), *stems.items()]
    }
    with whole(folder) as place:
        place.mkdir()
        for name, samples in files.items():
            soundfile.write(
                place / name, samples.astype(np.int16).T, track.sample_rate, subtype="PCM_16"
            )
        write_json(place / FACTS, {**facts, "files": list(files)})


def is_complete(folder: Path) -> bool:
    """Whether a version's folder holds all its files."""
    if not (folder / FACTS).is_file():
        return False
    files = read_object(folder / FACTS, files=list)["files"]
    return bool(files) and all(
        (folder / plain_name(name, "file", folder / FACTS)).is_file() for name in files
    )


def _closeness(mixture, total):
    """Energy of the mixture over that of its difference from the sum of the stems, in dB.

    None where there is no difference, or no mixture.
    """
    error, energy = (float(x.double().square().sum()) for x in (mixture - total, mixture))
    return round(float(10 * np.log10(energy / error)), 1) if error > 0 and energy > 0 else None


def _to_16_bit(stems):
    """Integers of which each stem and the sum fit 16 bits, and the gain (dB) that this took."""
    steps = {name: np.rint(audio * _FULL_SCALE).astype(np.int32) for name, audio in stems.items()}
    every = [*steps.values(), sum(steps.values())]
    if all(x.max() < _FULL_SCALE and x.min() >= -_FULL_SCALE for x in every):
        return steps, 0.0
    room = len(stems) + 1  # rounding moves every stem by half a step, and their sum by as many
    gain = (_FULL_SCALE - 1 - room) / (max(np.abs(x).max() for x in every) + room)
    steps = {
        name: np.rint(audio * (gain * _FULL_SCALE)).astype(np.int32)
        for name, audio in stems.items()
    }
    return steps, round(20 * float(np.log10(gain)), 3)


def link_or_copy_song(song: Path, target: Path) -> None:
    """Put a song, as it is, at `target`: by hard links, or copies where there are none."""
    places = {file: target / file.name if song.is_dir() else target for file in files_of(song)}
    if all(_same_file(file, place) for file, place in places.items()):
        return
    with whole(target) as place:
        if song.is_dir():
            place.mkdir()
        for file in files_of(song):
            _link_or_copy(file, place / file.name if song.is_dir() else place)


def _same_file(file, there):
    return there.is_file() and (there.samefile(file) or identity(there) == identity(file))


def can_link(source: Path, folder: Path) -> bool:
    """Whether a file can be hard-linked into a folder."""
    probe = folder / ".link"
    probe.unlink(missing_ok=True)
    try:
        os.link(source, probe)
    except OSError:  # another disk, a file system without links, a file of somebody else
        return False
    probe.unlink()
    return True


def _link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def files_of(song: Path) -> list[Path]:
    """The files of a song: the one, or all visible ones in its folder."""
    if not song.is_dir():
        return [song]
    return sorted(
        file for file in song.iterdir() if file.is_file() and not file.name.startswith(".")
    )


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Make `target`, a file or a folder, beside its place; it is moved there when all is done.

    Yields
    ------
    Path
        What to make, of the same name, in a hidden folder beside the target.
    """
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Temporary(target, folder=True)
        made = temporary.path / target.name
        yield made
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(made, target)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SepkitError(
            f"{target}: cannot be written ({reason}); is the disk full? Run again, finished "
            "versions are kept"
        ) from None
    finally:
        if temporary:
            temporary.remove()
