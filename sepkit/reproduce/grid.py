"""A grid: chapters x data sets x seeds, as jobs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..datasets import DATASETS, data_set_name, known_data
from ..device import DEVICES
from ..errors import SepkitError, unknown
from ..validation import SEED, checked, place
from .fingerprint import data_digest
from .jobs import Job
from .manifest import cells, folder_lock, records
from .notebook import Chapter, check_parameters, find_chapters

PROFILES = ("smoke", "student", "paper")
WEIGHTS = ("shipped", "published", "train")
#: The parameter cell of every chapter.
PARAMETERS = ("profile", "weights", "data", "device", "seed", "out_dir")
#: Seconds that one cell may take: many times what it needs, as other programs may run beside it.
CELL_TIMEOUT = {"smoke": 300, "student": 1200, "paper": None}


@dataclass
class Grid:
    """Chapters x data sets x seeds; everything that is unknown is refused here.

    Parameters
    ----------
    names : sequence of str
        Chapters, by number or name; all when empty.
    profile, weights, device : str
    data : sequence of str
        Names of data sets, or folders of songs.
    seeds : sequence of int
    out : Path
        The folder to fill.
    notebooks : str or Path, optional
        The folder of the chapters.
    extra : dict
        Further parameters of the chapters.
    timeout : float or None or "profile"
        Seconds that one cell may take; None is for ever, each profile has its own.

    Raises
    ------
    SepkitError
        For an unknown chapter, profile, weights, data set or parameter, and if `out` is a file.
    """

    names: Sequence[str] = ()
    profile: str = "student"
    weights: str = "shipped"
    data: Sequence[str] = ("band",)
    device: str = "auto"
    seeds: Sequence[int] = (0,)
    out: Path = Path("build")
    notebooks: str | Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    timeout: float | str | None = "profile"
    _decided: bool | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check all parts, and find the chapters."""
        if self.profile not in PROFILES:
            raise unknown("profile", self.profile, PROFILES)
        if self.weights not in WEIGHTS:
            raise unknown("weights", self.weights, WEIGHTS)
        if self.device.partition(":")[0] not in DEVICES:
            raise unknown("device", self.device, DEVICES)
        for seed in self.seeds:
            checked("seed", seed, SEED)
        for name in self.extra:
            if name in PARAMETERS:
                raise SepkitError(
                    f"parameter {name}: has an argument (an option) of its own; use that"
                )
        self.chapters = find_chapters(self.names, self.notebooks)
        self.out = place("out", self.out).absolute()
        there = next(path for path in (self.out, *self.out.parents) if path.exists())
        if not there.is_dir():
            raise SepkitError(f"{there}: is a file; choose another --out")
        self.data = tuple(dict.fromkeys(map(_absolute, self.data)))
        labels = list(map(label, self.data))
        for name in labels:
            if labels.count(name) > 1:
                raise SepkitError(
                    f"two data sets are called {name!r}; scores are kept by name, so rename one"
                )
        for chapter in self.chapters:
            check_parameters(chapter, [*PARAMETERS, *self.extra])
        if self.timeout == "profile":
            self.timeout = CELL_TIMEOUT[self.profile]

    @property
    def is_spread(self) -> bool:
        """Whether there is a folder for each data set and seed.

        So it is also where another one was done before, or is being done by another call, which
        must not be lost. From `claim` on it stays as it is, whatever other calls do meanwhile.
        """
        if self._decided is not None:
            return self._decided
        if len(self.data) * len(self.seeds) > 1 or any(cells(self.out)):
            return True
        own = cell_name(self.data[0], self.seeds[0])
        done = (record for *_, record in records(self.out) if record["status"] == "done")
        begun = self._claim.read_text() if self._claim.is_file() else own
        return begun != own or any(cell_of(record) != own for record in done)

    def claim(self) -> None:
        """Take the top of the folder for this data set and seed, unless `is_spread`.

        Of two calls that begin at once with different seeds, the second then is spread.
        """
        with folder_lock(self.out, "layout"):
            self._decided = None  # what was so before the lock, as for a plan, counts no more
            self._decided = self.is_spread
            if not self._decided:
                self._claim.write_text(cell_name(self.data[0], self.seeds[0]))

    @property
    def _claim(self) -> Path:
        """Names the data set and seed that the top of the folder was begun with."""
        return self.out / ".locks" / "top"

    def jobs(self, digests: bool = True) -> list[Job]:
        """All jobs: chapter after chapter of the first data set and seed, then of the next.

        The band is rendered if it is missing, unless there shall be no `digests` of the data.
        """
        found = {data: data_digest(data, self.profile) if digests else "" for data in self.data}
        return [
            self._job(chapter, data, seed, found[data])
            for data in self.data
            for seed in self.seeds
            for chapter in self.chapters
        ]

    def _job(self, chapter: Chapter, data: str, seed: int, digest: str) -> Job:
        cell = cell_name(data, seed) if self.is_spread else ""
        parameters = {
            "profile": self.profile,
            "weights": self.weights,
            "data": data,
            "device": self.device,
            "seed": seed,
            "out_dir": str(self.out / cell),
            **self.extra,
        }
        timeout = None if self.timeout is None else float(self.timeout)
        return Job(chapter, parameters, self.out, cell, timeout, digest)


def label(data: str) -> str:
    """A data set's name as a part of a folder's."""
    name = data_set_name(data).removeprefix("folder:")
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"


def cell_name(data: str, seed: int) -> str:
    """The folder of a data set and seed."""
    return f"{label(data)}-seed{seed}"


def cell_of(record: dict[str, Any]) -> str:
    """The folder of a record's data set and seed."""
    return cell_name(record["parameters"]["data"], record["parameters"]["seed"])


def _absolute(data):
    """Chapters run in the notebooks' folder, so a relative data folder is made absolute here."""
    found = known_data(str(data))
    return found if found in DATASETS else str(Path(found).resolve())
