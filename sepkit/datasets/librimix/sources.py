"""What is mixed: utterances and noises, from LibriSpeech and WHAM! or rendered by the band."""

import csv
import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ... import audio
from ...errors import SepkitError, first_few
from ...files import digest
from ...runtime.threads import in_threads
from ..speech import LIBRISPEECH, librispeech_subsets, open_speech
from .mixing import SOURCE_RATE

WHAM = "http://wham.whisper.ai"
#: Recordings below this length (s) are left out, as LibriMix does.
SHORTEST = 3.0
#: Subset of mixtures -> LibriSpeech's subset, WHAM!'s folder.
RECORDED = {
    "train-360": ("train-clean-360", "tr"),
    "train-100": ("train-clean-100", "tr"),
    "dev": ("dev-clean", "cv"),
    "test": ("test-clean", "tt"),
}
#: Subset of mixtures -> the band's split, its first speaker there and the number of speakers.
#: No speaker is in two subsets.
RENDERED = {"train": ("train", 0, 64), "dev": ("train", 1 << 12, 16), "test": ("test", 0, 16)}
#: Seconds of a rendered utterance, at least and at most; it ends with a whole word.
SECONDS = (3.0, 8.0)
#: WHAM!'s noises at other speeds, by which LibriMix enlarges the training noises.
_AUGMENTED = ("sp08", "sp12")
_FRUITLESS = 20


class Source(Protocol):
    """An utterance or a noise: its name, and at most how many samples it has at 16 kHz."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def samples(self) -> int:
        """At most so many."""

    def read(self, samples: int) -> np.ndarray:
        """Its samples, (n,) float64; of a rendered noise, as many as are asked for."""


class Speech(Protocol):
    """Where utterances come from."""

    subsets: tuple[str, ...]
    description: dict[str, Any]

    def identity(self, subset: str) -> str:
        """What changes when the recordings do."""

    def default_count(self, subset: str, size: int) -> int:
        """How many mixtures of `size` speakers are made unless a number is given."""

    def groups(self, subset: str, size: int, seed: int) -> Iterator[tuple[Source, ...]]:
        """Utterances of `size` different speakers at a time; the same first ones always."""

    def label(self, group: Sequence[Any], number: int) -> str:
        """The name of a mixture."""


class Noise(Protocol):
    """Where noises come from."""

    description: dict[str, Any]

    def identity(self, subset: str) -> str:
        """What changes when the recordings do."""

    def draw(self, subset: str, count: int, seed: int) -> Sequence[Source]:
        """One for every mixture; the same first ones always."""


@dataclass(frozen=True)
class Recording:
    """A file; of two channels the first is taken, as LibriMix does with WHAM!."""

    path: Path
    name: str
    samples: int

    def read(self, samples: int) -> np.ndarray:
        """See `Source`."""
        return audio.read(self.path, sample_rate=SOURCE_RATE)[0][0].numpy().astype(float)


@dataclass(frozen=True)
class Spoken:
    """An utterance of one of the band's speakers."""

    split: str
    speaker: int
    seconds: float
    seed: int
    engine: str

    @property
    def name(self) -> str:
        """The speaker."""
        return f"{self.split}-{self.speaker:04d}"

    @property
    def samples(self) -> int:
        """At most so many: it ends with the last word that fits."""
        return int(self.seconds * SOURCE_RATE)

    def read(self, samples: int) -> np.ndarray:
        """See `Source`."""
        from ...band import speech

        speaker = speech.draw_speaker(0, self.split, self.speaker)
        return speech.say(speaker, self.seconds, np.random.default_rng(self.seed), self.engine)[0]


@dataclass(frozen=True)
class Background:
    """A noise of the band, see `sepkit.band.noises`."""

    name: str
    split: str
    seed: int
    engine: str
    instruments: str
    samples: int = 0

    def read(self, samples: int) -> np.ndarray:
        """See `Source`."""
        from ...band.noises import render_noise

        seconds = samples / SOURCE_RATE
        return render_noise(
            self.name, seconds, self.split, self.seed, self.engine, self.instruments
        )


def generator(seed: int, subset: str, *key: int) -> np.random.Generator:
    """The random numbers of one purpose, of one subset of mixtures."""
    name = zlib.crc32(subset.encode())
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(name, *key)))


class LibriSpeech:
    """Utterances of LibriSpeech, at least `SHORTEST` long.

    Raises
    ------
    SepkitError
        If the folder holds none of the subsets in `RECORDED`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        found = {place.name: place for place in librispeech_subsets(folder)}
        self._places = {
            name: found[theirs] for name, (theirs, _) in RECORDED.items() if theirs in found
        }
        if not self._places:
            expected = ", ".join(theirs for theirs, _ in RECORDED.values())
            raise SepkitError(
                f"{folder}: none of LibriSpeech's {expected} found; give the folder that holds "
                f"LibriSpeech/, as unpacked from {LIBRISPEECH}"
            )
        self.subsets = tuple(self._places)
        self.description = {"source": "LibriSpeech"}
        self._known: dict[str, list[Recording]] = {}

    def utterances(self, subset: str) -> list[Recording]:
        """Of a subset, sorted by speaker and file."""
        if subset not in self._known:
            files = [path for _, path in open_speech(self._places[subset], None).files]
            self._known[subset] = _long_enough(files, self._places[subset].parent)
        return self._known[subset]

    def identity(self, subset: str) -> str:
        """A hash of the names and lengths of all utterances."""
        return digest([(one.name, one.samples) for one in self.utterances(subset)])

    def default_count(self, subset: str, size: int) -> int:
        """As LibriMix: every utterance once to train on, in hundreds of mixtures, else 3000."""
        once = len(self.utterances(subset)) // size
        return (once // 100 * 100 or once) if subset.startswith("train") else 3000

    def groups(self, subset: str, size: int, seed: int) -> Iterator[tuple[Recording, ...]]:
        """Utterances of `size` different speakers at a time, each once before any comes again.

        They end when `_FRUITLESS` rounds through all utterances bring nothing new.
        """
        utterances, fruitless = self.utterances(subset), 0
        known: set[frozenset[int]] = set()
        for round_ in itertools.count():
            before = len(known)
            order = generator(seed, subset, 0, round_).permutation(len(utterances))
            for group in _of_different_speakers(utterances, list(order), size):
                if frozenset(group) not in known:
                    known.add(frozenset(group))
                    yield tuple(utterances[index] for index in group)
            fruitless = fruitless + 1 if len(known) == before else 0
            if fruitless == _FRUITLESS:
                return

    def label(self, group: Sequence[Recording], number: int) -> str:
        """The name of a mixture, as in LibriMix: those of its utterances."""
        return "_".join(one.path.stem for one in group)


def _of_different_speakers(utterances, order, size):
    """Indices of utterances, `size` at a time; `order` is used up from its end."""
    while True:
        group: dict[str, int] = {}  # speaker -> place in `order`
        for place in range(len(order) - 1, -1, -1):
            group.setdefault(utterances[order[place]].path.stem.partition("-")[0], place)
            if len(group) == size:
                break
        if len(group) < size:
            return
        yield [int(order[place]) for place in group.values()]
        for place in sorted(group.values(), reverse=True):
            del order[place]


class BandSpeech:
    """Utterances that are rendered when they are mixed; no two are the same."""

    subsets = tuple(RENDERED)

    def __init__(self, engine: str):
        self.engine = engine
        self.description = {"source": "the band's speakers", "engine": engine}

    def identity(self, subset: str) -> str:
        """Nothing that lies on disk."""
        return ""

    def default_count(self, subset: str, size: int) -> int:
        """Some minutes of speech."""
        return 100 if subset == "train" else 20

    def groups(self, subset: str, size: int, seed: int) -> Iterator[tuple[Spoken, ...]]:
        """Utterances of `size` different speakers at a time, without end."""
        split, first, speakers = RENDERED[subset]
        number = 0
        while True:
            rng = generator(seed, subset, 0, number)
            yield tuple(
                Spoken(
                    split,
                    first + int(speaker),
                    float(rng.uniform(*SECONDS)),
                    int(rng.integers(1 << 32)),
                    self.engine,
                )
                for speaker in rng.choice(speakers, size, replace=False)
            )
            number += 1

    def label(self, group: Sequence[Spoken], number: int) -> str:
        """The name of a mixture: its number and its speakers."""
        return "_".join([f"{number:05d}", *(one.name for one in group)])


class WhamNoise:
    """Noises of WHAM!, at least `SHORTEST` long.

    Raises
    ------
    SepkitError
        If folders or files are missing, by name.
    """

    def __init__(self, folder: Path):
        places = (folder, folder / "wham_noise")
        folders = ("tr", "cv", "tt")
        self.folder = next(
            (place for place in places if any((place / name).is_dir() for name in folders)), folder
        )
        self.description = {"source": "WHAM!"}
        self._known: dict[str, list[Recording]] = {}

    def noises(self, subset: str) -> list[Recording]:
        """Of a subset of mixtures, sorted by name."""
        name = RECORDED[subset][1] if subset in RECORDED else _WHAM_FOLDERS[subset]
        if name not in self._known:
            place = self.folder / name
            files = sorted(place.glob("*.wav")) if place.is_dir() else []
            if not files:
                raise SepkitError(
                    f"{place}: no noises found, which {subset} needs; unpack wham_noise.zip again "
                    f"({WHAM}), and give the folder that holds tr/, cv/ and tt/"
                )
            _check_list(place, self.folder / "metadata" / f"noise_meta_{name}.csv", files)
            own = [path for path in files if not path.stem.endswith(_AUGMENTED)]
            self._known[name] = _long_enough(own, self.folder)
        return self._known[name]

    def identity(self, subset: str) -> str:
        """A hash of the names and lengths of all noises."""
        return digest([(one.name, one.samples) for one in self.noises(subset)])

    def draw(self, subset: str, count: int, seed: int) -> list[Recording]:
        """In random order, each once before any comes again."""
        noises = self.noises(subset)
        order = generator(seed, subset, 1).permutation(len(noises))
        return [noises[order[number % len(noises)]] for number in range(count)]


_WHAM_FOLDERS = {"train": "tr", "dev": "cv", "test": "tt"}


def _check_list(place, listing, files):
    """Every noise that WHAM!'s own list names must be there."""
    if not listing.is_file():
        return
    with open(listing, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        listed = [row.get("utterance_id") or "" for row in rows]
    there = {path.stem for path in files}
    missing = [name for name in listed if name and name.removesuffix(".wav") not in there]
    if missing:
        raise SepkitError(
            f"{place}: {len(missing)} of {len(listed)} noises that {listing.name} lists are "
            f"missing ({first_few(missing)}); unpack wham_noise.zip again ({WHAM})"
        )


def _long_enough(files, root):
    """Recordings, named by their place below a folder; those below `SHORTEST` are left out."""
    headers = in_threads(audio.info, files)
    recordings = [
        Recording(
            path,
            path.relative_to(root).as_posix(),
            audio.resampled_length(header.samples, header.sample_rate, SOURCE_RATE),
        )
        for path, header in zip(files, headers)
        if header.seconds >= SHORTEST
    ]
    if not recordings:
        raise SepkitError(
            f"{root}: no recording of {SHORTEST:g} s or more among {len(files)}; unpack them again"
        )
    return recordings


class BandNoise:
    """Noises that are rendered when they are mixed; their kinds take turns."""

    def __init__(self, kinds: Sequence[str], engine: str, instruments: str):
        self.kinds, self.engine, self.instruments = tuple(kinds), engine, instruments
        self.description = {
            "source": "rendered",
            "kinds": list(kinds),
            "engine": engine,
            "instruments": instruments,
        }

    def identity(self, subset: str) -> str:
        """Nothing that lies on disk."""
        return ""

    def draw(self, subset: str, count: int, seed: int) -> list[Background]:
        """One noise for every mixture."""
        split = "train" if subset.startswith("train") or subset == "dev" else "test"
        seeds = [int(generator(seed, subset, 1, n).integers(1 << 32)) for n in range(count)]
        return [
            Background(
                self.kinds[number % len(self.kinds)], split, own, self.engine, self.instruments
            )
            for number, own in enumerate(seeds)
        ]
