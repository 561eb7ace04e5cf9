"""Chapters in batch: only what changed is run, and nothing that fails stops the rest.

`run` does the jobs of a `grid.Grid`: here, two at a time; a share of them, for one of several
calls; or on a cluster. Each is a process of its own (`process`), and has its record (`manifest`)
as soon as it is done, so that the same call goes on wherever it was stopped.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from .. import band
from ..datasets import data_folder
from ..files import kit
from ..runtime.cluster import run_jobs
from ..runtime.memory import free_memory
from ..runtime.shares import dealt, parsed
from ..runtime.threads import cores
from .grid import Grid
from .jobs import Attempt, Job, OnEvent, attempt
from .manifest import seen_from, write_manifest
from .merge import spread
from .plan import Costs, Plan, check_room, makespan


def run(
    grid: Grid,
    workers: int | None = None,
    force: bool = False,
    share: str | None = None,
    scheduler: str | None = None,
    on_event: OnEvent = lambda *_: None,
) -> dict[str, dict]:
    """Execute the jobs of a grid that are not done from the same notebook, code and data.

    Parameters
    ----------
    grid : Grid
    workers : int, optional
        Jobs at a time on this machine; by default two, or one on a single core. They share the
        cores, and no two run together whose measured memory does not fit.
    force : bool
        Run everything again.
    share : str, optional
        ``"2/8"``: only these jobs, see `sepkit.runtime.shares.dealt`. Chapters that gather what
        others measured are left to a call without it.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers do the jobs.
    on_event : callable
        Called as ``on_event(job name, event, details)`` with events "waiting", "cell", "done",
        "failed" and "unchanged". The details of the last three are the entry, and ``finished``,
        ``of`` and ``left``: jobs done, jobs in all, and seconds until the end, None if unknown.

    Returns
    -------
    dict
        Job name -> its entry in the manifest.

    Raises
    ------
    SepkitError
        If a data set is missing, the folder cannot be written, the disk is too full, or the
        cluster fails.
    """
    for data in grid.data:
        if data != "band":  # which the grid's jobs render
            data_folder(data)
    if share is not None:
        parsed(share)
    write_manifest(grid.out)  # a folder that cannot be written is noticed now
    grid.claim()
    costs = Costs(grid.out)
    jobs = shared(grid, share)
    batch = _Batch(jobs, costs, workers or default_workers(), force, scheduler, on_event)
    if grid.is_spread:
        spread(grid.out)
    try:
        batch.run([job for job in jobs if not job.chapter.gathers])
        batch.run([job for job in jobs if job.chapter.gathers])
    finally:
        write_manifest(grid.out)
    return {job.name: batch.entries[job.name] for job in jobs}


def plan(
    grid: Grid, workers: int | None = None, force: bool = False, share: str | None = None
) -> Plan:
    """What `run` would do."""
    current: list[Job] = []
    todo: list[Job] = []
    here = "band" not in grid.data or band.is_rendered(grid.profile)
    for job in shared(grid, share, digests=here):
        done = not force and job.is_current(job.record(), job.mark())
        (current if done else todo).append(job)
    return Plan(todo, current, Costs(grid.out), workers or default_workers())


def shared(grid: Grid, share: str | None, digests: bool = True) -> list[Job]:
    """The jobs of a grid, or of a share of it; `digests` as in `Grid.jobs`."""
    jobs = grid.jobs(digests)
    if share is None:
        return jobs
    # By what ships alone: a share must not depend on what the folder holds meanwhile.
    return dealt([job for job in jobs if not job.chapter.gathers], share, Costs().seconds)


def default_workers() -> int:
    """Two, or one on a single core."""
    return min(2, cores())


class _Batch:
    """The jobs of a call, and the entries of those that have ended."""

    def __init__(self, jobs, costs, workers, force, scheduler, on_event):
        self.costs, self.workers, self.force = costs, workers, force
        self.scheduler, self.on_event = scheduler, on_event
        self.left = {job.name: job for job in jobs}
        self.of, self.entries = len(jobs), {}

    def run(self, jobs: Sequence[Job]) -> None:
        """Do the jobs that are not current, the longest ones first."""
        todo = []
        for job in jobs:
            record, mark = job.record(), job.mark()
            if record and not self.force and job.is_current(record, mark):
                self._ended(job, "unchanged", record)
            else:
                todo.append(job)
                job.save(mark, status="waiting", error="was not run yet")
                self.on_event(job.name, "waiting", {})
        if not todo:
            return
        check_room(todo[0].out, todo)
        write_manifest(todo[0].out)
        todo.sort(key=self.costs.seconds, reverse=True)
        engine = self._on_cluster if self.scheduler else self._here
        for job, record in engine(todo):
            self._ended(job, record["status"], record)
            write_manifest(job.out)

    def _ended(self, job, event, record):
        self.entries[job.name] = {"chapter": job.chapter.name, **seen_from(job.cell, record)}
        del self.left[job.name]
        self.costs.learn(job.chapter.name, record)
        progress = {"finished": self.of - len(self.left), "of": self.of, "left": self._seconds()}
        self.on_event(job.name, event, {**self.entries[job.name], **progress})

    def _seconds(self):
        """Until the end; None while that would be a guess of profile "paper", as in a plan."""
        jobs = self.left.values()
        if any(self.costs.is_guess_of_paper(job) for job in jobs):
            return None
        return makespan(map(self.costs.seconds, jobs), self.workers)

    def _here(self, jobs: list[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """On this machine: no more at a time than there are workers, and than memory holds."""
        free, waiting = free_memory(), [Attempt(job, self.on_event) for job in jobs]
        threads = max(1, cores() // min(self.workers, len(jobs)))
        running: dict[Future, Attempt] = {}
        pool = ThreadPoolExecutor(self.workers)
        try:
            while waiting or running:
                while chosen := self._next(waiting, running.values(), free):
                    waiting.remove(chosen)
                    running[pool.submit(chosen.run, threads, self.force)] = chosen
                # A short wait, not an endless one, so that Ctrl-C is heard on every platform.
                finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield running.pop(future).job, future.result()
        finally:
            for future, chosen in running.items():
                future.cancel()
                chosen.stop()
            pool.shutdown()

    def _next(self, waiting, running, free):
        """The longest job for which a worker and memory are free; alone any job may run."""
        if len(running) >= self.workers:
            return None
        taken = sum(self.costs.memory(each.job) for each in running)
        for each in waiting:
            if not taken or free is None or taken + self.costs.memory(each.job) <= free:
                return each
        return None

    def _on_cluster(self, jobs: list[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """On the workers of a Dask cluster; jobs for a GPU where there is one."""
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        calls = [partial(attempt, job, command, self.force) for job in jobs]
        gpu = jobs[0].parameters["device"].startswith("cuda")
        for index, record in run_jobs(calls, self.scheduler, kit, gpu):
            yield jobs[index], record
