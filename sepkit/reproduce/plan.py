"""What a batch will do and need, before it begins: time, memory, disk, downloads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..datasets import data_set_name
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
    #: The data set that it was measured on.
    data: str = "band"


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
            parameters = record["parameters"]
            cost = Cost(record["seconds"], record["peak_mb"] * 1e6, parameters["data"])
            key = chapter, record["profile"], _on_gpu(parameters)
            self._measured[key] = cost

    def of(self, job: Job) -> Cost:
        """What was measured of the job's chapter in its profile; without a GPU if only there."""
        key = job.chapter.name, job.parameters["profile"]
        on_gpu = self._measured.get((*key, _on_gpu(job.parameters)))
        return on_gpu or self._measured.get((*key, False), Cost(None, None))

    def is_of_cpu(self, job: Job) -> bool:
        """Whether a job that may run on a GPU was never measured on one."""
        key = job.chapter.name, job.parameters["profile"], True
        return job.parameters.get("device") != "cpu" and key not in self._measured

    def is_guess_of_paper(self, job: Job) -> bool:
        """Whether a job of profile "paper" was never measured: of GPU hours nothing is guessed."""
        return job.parameters["profile"] == "paper" and self.of(job).seconds is None

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
        text = f"{len(self.todo)} of {len(self.todo) + len(self.current)} jobs to run"
        if not self.todo:
            return [text]
        given = self.todo[0].parameters
        data = dict.fromkeys(job.parameters["data"] for job in self.todo)
        text += f": profile {given['profile']}, weights {given['weights']}, device "
        text += f"{given['device']}, data {', '.join(map(data_set_name, data))}"
        needs = [*self._memory(), *self._disk(), *self._replaced(), *self._missing()]
        return [text, *self._time(), *self._songs(), *self._gpu(), *needs]

    def _time(self):
        """What was measured; of profile "paper" nothing is guessed."""
        paper = self.todo[0].parameters["profile"] == "paper"
        unknown = sum(self.costs.of(job).seconds is None for job in self.todo)
        known = [job for job in self.todo if not paper or self.costs.of(job).seconds is not None]
        parts = []
        if known:
            seconds = [self.costs.seconds(job) for job in known]
            workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
            parts = [
                f"about {duration(makespan(seconds, self.workers))} with {workers} "
                f"({duration(sum(seconds))} of computing), as measured on two cores without a "
                "GPU, or in this folder"
            ]
        if unknown and paper:
            parts.append(
                f"{unknown} were never measured: profile paper trains as the papers' authors did, "
                "for GPU hours; sepkit reproduce --rehearse tries every path of it in minutes"
            )
        elif unknown:
            guess = UNKNOWN_SECONDS[self.todo[0].parameters["profile"]]
            parts.append(f"{unknown} were never measured and count as {duration(guess)} each")
        return [f"time: {'; '.join(parts)}"]

    def _songs(self):
        """Times that were measured on other songs."""
        costs = [(job.parameters["data"], self.costs.of(job)) for job in self.todo]
        other = {cost.data: 0 for data, cost in costs if cost.seconds and cost.data != data}
        if not other:
            return []
        return [
            f"other songs: times were measured on {', '.join(map(data_set_name, other))}; songs of "
            "minutes, where the band's are of seconds, take as many times longer to separate and "
            "score"
        ]

    def _gpu(self):
        jobs = [job for job in self.todo if self.costs.is_of_cpu(job)]
        if not jobs:
            return []
        return [
            f"GPU: nobody has measured {len(jobs)} of these jobs on one; times and memory here are "
            "of a CPU, so GPU hours and GPU memory are unknown until the first have run"
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
        size = size_text(int(ROOM * len(self.todo)))
        return [f"disk: {size} at most, for notebooks with players"]

    def missing(self) -> list[fetching.Need]:
        """Data and weights that the jobs need and that are not here."""
        chapters = list(dict.fromkeys(job.chapter for job in self.todo))
        data = dict.fromkeys(job.parameters["data"] for job in self.todo)
        if not chapters:
            return []
        parameters = self.todo[0].parameters
        found = fetching.needs(chapters, parameters["profile"], data, parameters["weights"])
        return [need for need in found if not need.here]

    def _missing(self):
        """A line for each file, and what is downloaded in all."""
        missing = self.missing()
        size = sum(need.size or 0 for need in missing)
        total = [f"download: {size_text(size)} in all"] if size else []
        return [*(need.line for need in missing), *total]

    def _memory(self):
        free, known = free_memory(), [job for job in self.todo if self.costs.of(job).memory]
        unknown = len(self.todo) - len(known)
        most = max(map(self.costs.memory, known), default=0)
        parts = [f"up to {size_text(int(most))} a job"] if known else []
        parts += [f"{unknown} were never measured"] if unknown else []
        if free is not None:
            parts.append(f"{size_text(free)} are free here")
            if most > free:
                parts[-1] += ": the largest job may be killed"
        return [f"memory: {', '.join(parts)}"]


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
