"""What a batch will do and need, before it begins: time, memory, disk, downloads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import free_bytes, read_json, shipped, size_text
from ..runtime.memory import free_memory
from . import fetching
from .jobs import Job
from .manifest import records

#: Bytes of main memory that a notebook's own process takes beside its kernel.
BESIDE = 200e6
#: What a chapter is taken to need where nobody has measured it.
UNKNOWN_SECONDS, UNKNOWN_BYTES = {"smoke": 60.0, "student": 600.0, "paper": 3600.0}, 3e9
#: Bytes that the executed notebook and the results of a job take at most: figures and players.
ROOM = 20e6


@dataclass(frozen=True)
class Cost:
    """What a job takes: `seconds`, and `memory` in bytes; None where nobody has measured it."""

    seconds: float | None
    memory: float | None


class Costs:
    """What jobs need, as measured: in this output folder, else by the authors of sepkit.

    The authors' are of the band, on two cores without a GPU. Own ones are of the same profile,
    and of a GPU where the job asks for one.

    Parameters
    ----------
    out : Path, optional
        A folder of an earlier batch.
    """

    def __init__(self, out: Path | None = None):
        budgets = read_json(shipped("budgets.json"))
        self._measured = {
            (chapter, profile, False): Cost(entry["seconds"], entry["peak_mb"] * 1e6)
            for chapter, profiles in budgets.items()
            for profile, entry in profiles.items()
        }
        for _, chapter, record in records(out) if out else ():
            self.learn(chapter, record)

    def learn(self, chapter: str, record: dict[str, Any]) -> None:
        """Take what a job was measured to cost for the next of its chapter and profile."""
        if record.get("seconds") and record.get("peak_mb"):
            cost = Cost(record["seconds"], record["peak_mb"] * 1e6)
            key = chapter, record["profile"], _on_gpu(record["parameters"])
            self._measured[key] = cost

    def of(self, job: Job) -> Cost:
        """What was measured of the job's chapter in its profile; without a GPU if only there."""
        key = job.chapter.name, job.parameters["profile"]
        on_gpu = self._measured.get((*key, _on_gpu(job.parameters)))
        return on_gpu or self._measured.get((*key, False), Cost(None, None))

    def is_of_cpu(self, job: Job) -> bool:
        """Whether a job for a GPU can only be told what it takes without one, or not even that."""
        key = job.chapter.name, job.parameters["profile"], True
        return _on_gpu(job.parameters) and key not in self._measured

    def seconds(self, job: Job) -> float:
        """Seconds that a job takes, or a guess."""
        return self.of(job).seconds or UNKNOWN_SECONDS[job.parameters["profile"]]

    def memory(self, job: Job) -> float:
        """Bytes of main memory that a job takes, or a guess."""
        return (self.of(job).memory or UNKNOWN_BYTES) + BESIDE


def _on_gpu(parameters):
    """Whether a job asks for a GPU; "auto" may find one, and is not known to."""
    return str(parameters.get("device", "")).startswith(("cuda", "mps"))


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Seconds until all is done, the longest first, each by the first worker that is free."""
    ends = [0.0] * max(1, workers)
    for need in sorted(seconds, reverse=True):
        ends[ends.index(min(ends))] += need
    return max(ends)


@dataclass
class Plan:
    """What a call would do.

    Attributes
    ----------
    todo, current : list of Job
        What would run, and what is done already.
    costs : Costs
    workers : int
    """

    todo: Sequence[Job]
    current: Sequence[Job]
    costs: Costs
    workers: int
    titles: tuple[str, ...] = field(
        default=("chapter", "jobs", "to run", "time each", "memory each"), init=False
    )

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """A row per chapter, as texts."""
        chapters = dict.fromkeys(job.chapter for job in [*self.todo, *self.current])
        rows = []
        for chapter in sorted(chapters, key=lambda chapter: chapter.name):
            todo = [job for job in self.todo if job.chapter == chapter]
            done = [job for job in self.current if job.chapter == chapter]
            need = self.costs.of((todo or done)[0])
            time = "not measured" if need.seconds is None else duration(need.seconds)
            memory = "not measured" if need.memory is None else size_text(int(need.memory))
            rows.append((chapter.name, str(len(todo) + len(done)), str(len(todo)), time, memory))
        return rows

    def lines(self) -> list[str]:
        """The sums, and what is missing, in sentences."""
        seconds = [self.costs.seconds(job) for job in self.todo]
        unknown = sum(self.costs.of(job).seconds is None for job in self.todo)
        text = f"{len(self.todo)} of {len(self.todo) + len(self.current)} jobs to run"
        if self.todo:
            text += (
                f", about {duration(makespan(seconds, self.workers))} with {self.workers} "
                f"worker{'s' * (self.workers != 1)} ({duration(sum(seconds))} of computing), as "
                "measured on two cores without a GPU, or in this folder"
            )
        if unknown:
            guess = UNKNOWN_SECONDS[self.todo[0].parameters["profile"]]
            text += f"; {unknown} were never measured and count as {duration(guess)} each"
        missing = [need.line for need in self.missing()]
        return [text, *self._gpu(), self._memory(), self._disk(), *self._replaced(), *missing]

    def _gpu(self):
        jobs = [job for job in self.todo if self.costs.is_of_cpu(job)]
        if not jobs:
            return []
        return [
            f"GPU: nobody has measured {len(jobs)} of these jobs on one; their times and memory "
            "above are of a CPU, so GPU hours and GPU memory are unknown until the first have run"
        ]

    def _replaced(self):
        """Work that is done in the folder, and would be lost."""
        lost, kinds = 0, {}
        for job in self.todo:
            record = job.record()
            if record and record["status"] == "done":
                before, now = record["parameters"], job.parameters
                other = [key for key in before if before[key] != now.get(key)]
                lost += bool(other)
                kinds |= {f"{key} {before[key]}": None for key in other}
        if not lost:
            return []
        return [
            f"replaces {lost} job{'s' * (lost != 1)} done here with {', '.join(kinds)}; "
            "another --out keeps them"
        ]

    def _disk(self):
        return f"disk: {size_text(int(ROOM * len(self.todo)))} at most, for notebooks with players"

    def missing(self) -> list[fetching.Need]:
        """Data and weights that the jobs need and that are not here."""
        chapters = list(dict.fromkeys(job.chapter for job in self.todo))
        data = dict.fromkeys(job.parameters["data"] for job in self.todo)
        if not chapters:
            return []
        parameters = self.todo[0].parameters
        found = fetching.needs(chapters, parameters["profile"], data, parameters["weights"])
        return [need for need in found if not need.here]

    def _memory(self):
        free = free_memory()
        most = max(map(self.costs.memory, self.todo), default=0)
        text = f"memory: up to {size_text(int(most))} a job"
        if free is not None:
            text += f", {size_text(free)} are free here"
            if most > free:
                text += ": that job may be killed"
        return text


def check_room(out: Path, jobs: Sequence[Job]) -> None:
    """Refuse a batch whose notebooks would fill the disk.

    Raises
    ------
    SepkitError
        If less than `ROOM` a job is free.
    """
    free, need = free_bytes(out), ROOM * len(jobs)
    if need > free:
        raise SepkitError(
            f"{out}: {len(jobs)} jobs need {size_text(int(need))}, {size_text(free)} are free; "
            "free some space or choose another --out"
        )


def duration(seconds: float) -> str:
    """``40 s``, ``5 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
