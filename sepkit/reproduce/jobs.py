"""One chapter with one data set and one seed as a job that any machine can do."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from ..errors import SepkitError
from ..files import identity, provenance
from ..runtime.cluster import when_cancelled
from ..runtime.threads import cores
from .fingerprint import fingerprint
from .manifest import folder_lock, job_name, load_record, save_record
from .notebook import Chapter
from .process import NotebookProcess

OnEvent = Callable[[str, str, dict], object]


@dataclass(frozen=True)
class Job:
    """A chapter with one data set and one seed.

    Attributes
    ----------
    chapter : Chapter
    parameters : dict
        What the chapter's parameter cell receives.
    out : Path
        The folder of the batch.
    cell : str
        The folder in it for this data set and seed; "" where there is only one.
    timeout : float or None
        Seconds that one cell of the notebook may take.
    data : str
        The data set's digest (`fingerprint.data_digest`).
    """

    chapter: Chapter
    parameters: dict[str, Any]
    out: Path
    cell: str = ""
    timeout: float | None = None
    data: str = ""

    @property
    def name(self) -> str:
        """The chapter's, and where there are several the data set's and the seed."""
        return job_name(self.chapter.name, self.cell)

    @property
    def folder(self) -> Path:
        """Where executed/, results/ and jobs/ lie."""
        return self.out / self.cell

    def mark(self) -> dict[str, str]:
        """The hashes on which the outcome depends."""
        return fingerprint(self.chapter, self.parameters, self.folder, self.data)

    def record(self) -> dict[str, Any] | None:
        """What became of it so far, or None."""
        return load_record(self.folder, self.chapter.name)

    def save(self, mark: dict[str, str], **outcome: Any) -> dict[str, Any]:
        """Write the record; returns it. What was measured before stays until it is replaced."""
        parameters = {key: value for key, value in self.parameters.items() if key != "out_dir"}
        earlier = self.record() or {}
        measured = {key: earlier[key] for key in ("seconds", "peak_mb") if earlier.get(key)}
        record = {"executed": None, "results": None, **measured, **outcome}
        record |= {"profile": parameters["profile"], "parameters": parameters}
        record |= {"fingerprint": mark["fingerprint"], "hashes": mark}
        if record["results"]:
            record["results_sha256"] = identity(self.folder / record["results"])
        save_record(self.folder, self.chapter.name, record)
        return record

    def is_current(self, record: dict[str, Any] | None, mark: dict[str, str]) -> bool:
        """Whether it need not run: it is done, from the same bytes, and its files are there."""
        if not record or record["status"] != "done":
            return False
        if record.get("fingerprint") != mark["fingerprint"]:
            return False
        names = [record[key] for key in ("executed", "results") if record.get(key)]
        if not all((self.folder / name).is_file() for name in names):
            return False
        # Somebody may have run the chapter by hand, with other parameters and into this folder.
        results = record.get("results")
        return not results or identity(self.folder / results) == record.get("results_sha256")


class Attempt:
    """One attempt at a job on this machine; `stop` ends it from another thread.

    Parameters
    ----------
    job : Job
    on_event : callable
        See `batch.run`.
    command : str, optional
        For the provenance; by default the running command.
    """

    def __init__(self, job: Job, on_event: OnEvent = lambda *_: None, command: str | None = None):
        self.job, self.on_event, self.command = job, on_event, command
        self.process = NotebookProcess(
            job.chapter,
            job.folder,
            job.parameters,
            job.timeout,
            lambda message: on_event(job.name, "cell", message),
        )

    def run(self, threads: int, force: bool = False) -> dict[str, Any]:
        """Do the job on `threads` cores, and write its record.

        While another call does the same job, wait and take its outcome.

        Returns
        -------
        dict
            The record.
        """
        job, waited = self.job, False
        try:
            lock = folder_lock(job.folder, job.chapter.name)
            while not self.process.stopped:
                try:
                    with lock.acquire(timeout=0.5 if waited else 0):
                        return self._locked(lock, threads, force and not waited)
                except Timeout:
                    waited = True
        except OSError as error:
            return self._failed(f"{job.folder}: cannot be written ({error.strerror})")
        except SepkitError as error:
            return self._failed(str(error))
        return self._failed("interrupted")

    def stop(self) -> None:
        """End the notebook and all that it has started, now; the job then counts as waiting."""
        self.process.stop()

    def _locked(self, lock, threads, force):
        job, mark = self.job, self.job.mark()
        record = job.record()
        if not force and job.is_current(record, mark):  # another call was faster
            return record
        host = platform.node()
        job.save(mark, status="running", error=f"is running on {host}", host=host, pid=os.getpid())
        outcome = self.process.run(threads)
        if self.process.stopped:
            return job.save(mark, status="waiting", error="was interrupted")
        if not Path(lock.lock_file).exists():
            return self._failed(f"{job.folder} was deleted while it ran; run it again")
        return job.save(mark, **outcome, host=host, provenance=provenance(self.command))

    def _failed(self, error):
        """A record that is not kept, as it may be the disk that is full."""
        parameters, files = self.job.parameters, {"executed": None, "results": None}
        about = {"profile": parameters["profile"], "parameters": parameters, "fingerprint": ""}
        return {"status": "failed", "error": error, **files, **about}


def attempt(job: Job, command: str, force: bool) -> dict[str, Any]:
    """Do a job in a worker of a cluster: with the cores that it may use.

    Raises
    ------
    SepkitError
        If the notebook is not there, since the worker does not share the folder.
    """
    if not job.chapter.path.is_file():
        raise SepkitError(
            f"{platform.node()}: {job.chapter.path} is not there; workers need the notebooks, the "
            "data and --out on a file system that all machines share"
        )
    chosen = Attempt(job, command=command)
    with when_cancelled(chosen.stop):
        return chosen.run(threads_of_worker(), force)


def threads_of_worker() -> int:
    """The threads that a worker gives its work: OMP_NUM_THREADS, else all its cores."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdigit() and allowed != "0" else cores()
