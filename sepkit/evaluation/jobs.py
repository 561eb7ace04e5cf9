"""One song's evaluation as a job that any process can do, and many of them side by side."""

import os
import pickle
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from ..datasets.track import NOT_THE_SUM, Track, left_of_mixture, left_over
from ..errors import SepkitError, naming
from ..files import kit
from ..metrics.findings import Finding
from ..metrics.findings import findings as found_in
from ..metrics.scores import Score
from ..metrics.scoring import measure
from ..metrics.signals import Signals
from ..runtime import cluster
from ..runtime.memory import free_memory
from ..runtime.processes import run_jobs
from ..separation.base import Separator
from ..separation.streaming import stream
from .signals import BufferedSignal, TrackSignal, seekable_track
from .store import load_song, refuse_other_scores, write_song

#: Names for all stems but one, beside the ``no_<stem>`` of `sepkit.separation.separate_file`.
_ALL_BUT = {"accompaniment": "vocals", "instrumental": "vocals"}
#: Bytes that a process takes at most to score four stereo stems with all metrics, as measured
#: (1.03 GB, whatever their length).
SCORING_BYTES = 1.1e9
#: And to separate them before, with what is shipped and in chunks of the usual 30 s (1.3 GB).
SEPARATING_BYTES = 1.5e9


@dataclass
class Result:
    """Scores and Findings of a song; `reused` where they are those of an earlier run."""

    scores: list[Score]
    findings: list[Finding]
    reused: bool = False


class Source(Protocol):
    """A song whose estimates can be had: separated now, or read from files."""

    track: Track

    @property
    def name(self) -> str:
        """What tables call the estimates."""

    def identity(self) -> str:
        """A hash of all audio that is scored."""

    def signals(self, track: Track) -> tuple[Signals, list[Finding], dict[str, Any]]:
        """Signals, findings and further provenance; `track` can be read in parts."""


@dataclass
class Job:
    """One song: all that a process needs to score it."""

    source: Source
    file: Path | None
    settings: dict[str, Any]
    provenance: dict[str, Any]

    def run(self) -> Result:
        """Score the song and write its file, or take the scores that are there."""
        track, name, settings = self.source.track, self.source.name, dict(self.settings)
        if self.file is not None:
            # Asked for first: what changes while it is read is scored again.
            settings["audio"] = self.source.identity()
            if (earlier := load_song(self.file, settings)) is not None:
                return Result(*earlier, reused=True)
        window, hop = settings["window"], settings["hop"]
        with naming(track.name), warnings.catch_warnings():
            # Told once per song, below, and not once per chunk.
            warnings.filterwarnings("ignore", message="the mixture is not the sum")
            readable = seekable_track(track)
            signals, findings, facts = self.source.signals(readable)
            measured = measure(signals, track.sample_rate, settings["metrics"], window, hop)
            rows = measured.rows(settings["metrics"], window, hop)
            unusual = found_in(
                measured.products, track.sample_rate, track.name, measured.frames, measured.silent
            )
            if (level := left_of_mixture(readable)) > NOT_THE_SUM:
                unusual.append(Finding("not the sum", track.name, (), left_over(level)))
        facts = {**self.provenance, **facts}
        scores = [
            Score(track.name, target, metric, value, name, settings["dataset"], card, facts)
            for target, metric, value, card in rows
        ]
        if name == "mixture":  # which is meant to be the mixture
            unusual = [finding for finding in unusual if finding.kind != "mixture"]
        findings += unusual
        refuse_other_scores(self.file, name)  # another process may have been faster
        write_song(self.file, scores, findings, measured.frames, settings)
        return Result(scores, findings)


@dataclass
class SeparatedSong:
    """A track that is separated now: what a `Job` scores."""

    separator: Separator
    track: Track
    chunk: float | None
    overlap: float

    @property
    def name(self) -> str:
        """The separator's."""
        return self.separator.name

    def identity(self) -> str:
        """The track's."""
        return self.track.identity()

    def signals(self, track: Track) -> tuple[Signals, list[Finding], dict[str, Any]]:
        """Separate the track; the provenance gets the seconds it took."""
        began = time.perf_counter()
        estimates: dict[str, BufferedSignal] = {}
        for block in stream(self.separator, track, self.chunk, self.overlap):
            targets, _ = references_for(track.stems, block)
            if not targets:
                raise SepkitError(
                    f"its stems are {', '.join(track.stems)}, but {self.separator.name} "
                    f"estimates {', '.join(block)}: "
                    "none in common; choose another separator or other data"
                )
            for target in targets:
                if target not in estimates:
                    estimates[target] = BufferedSignal(track.channels, track.samples)
                estimates[target].write(block[target])
        seconds = round(time.perf_counter() - began, 3)
        targets, findings = references_for(track.stems, block, track.name)
        return signals_of(track, targets, estimates), findings, {"seconds": seconds}


def references_for(
    stems: Sequence[str], names: Collection[str], track: str = ""
) -> tuple[dict[str, tuple[str, ...]], list[Finding]]:
    """Which stems make up the reference of each estimate, by name.

    A stem is its own reference. ``no_vocals``, ``accompaniment`` and ``instrumental``
    stand for the sum of all stems but the vocals, unless the parts are estimated too.

    Parameters
    ----------
    stems : sequence of str
        What the track has.
    names : collection of str
        What is estimated.
    track : str
        For the findings.

    Returns
    -------
    parts : dict of str to tuple of str
        {target: stems to add}, in the order of the stems; others are left out.
    findings : list of Finding
    """
    parts: dict[str, tuple[str, ...]] = {stem: (stem,) for stem in stems if stem in names}
    findings = []
    for name in names:
        without = _ALL_BUT.get(name, name.removeprefix("no_") if name.startswith("no_") else None)
        rest = tuple(stem for stem in stems if stem != without)
        if name in stems or without not in stems or not rest or all(stem in names for stem in rest):
            continue
        parts[name] = rest
        text = f"the reference of {name!r} is the sum of {', '.join(rest)}"
        findings.append(Finding("sum", track, (name,), text))
    unknown = tuple(name for name in names if name not in parts and name not in _ALL_BUT)
    if unknown and "other" in parts:  # which has them in songs of four stems
        text = (
            f"the song has no {' and no '.join(unknown)}: not scored, and if they are in 'other', "
            "its estimate lacks them"
        )
        findings.append(Finding("unknown stems", track, unknown, text))
    return parts, findings


def signals_of(track: Track, parts: dict[str, tuple[str, ...]], estimates: dict) -> Signals:
    """The Signals of a track: `parts` are {target: stems whose sum is its reference}."""
    references = {target: TrackSignal(track, stems) for target, stems in parts.items()}
    estimated = sorted(stem for stems in parts.values() for stem in stems)
    summed = not track.has_mixture and estimated == sorted(track.stems)
    return Signals(references, estimates, None if summed else TrackSignal(track))


def run_all(
    jobs: list[Job],
    workers: int,
    notice: Callable[[str], None] | None,
    scheduler: str | None = None,
    device: str = "auto",
) -> Iterator[tuple[int, Result]]:
    """(index, Result) of every job, as they are finished.

    Parameters
    ----------
    jobs : list of Job
    workers : int
        Songs at a time on this machine.
    notice : callable or None
        Called with a line about fewer workers.
    scheduler, device : str
        The address of a Dask scheduler whose workers do the jobs instead, on this device.

    Raises
    ------
    SepkitError
        As the first song that fails; or if a process is killed. Songs that run in
        other processes are given up, finished ones are kept.
    """
    if not jobs:
        return
    if scheduler:
        if why := _not_portable(jobs[0].source):
            raise SepkitError(f"--scheduler {scheduler}: {why}")
        calls = [partial(_on_device, job, device) for job in jobs]
        yield from cluster.run_jobs(calls, scheduler, kit, device.startswith("cuda"))
        return
    workers = _workers_that_fit(min(workers, len(jobs)), jobs, notice)
    if workers > 1 and (why := _why_sequential(jobs[0].source)):
        workers = 1
        if notice:
            notice(f"one song at a time, because {why}")
    if workers <= 1:
        yield from ((index, job.run()) for index, job in enumerate(jobs))
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    yield from run_jobs([job.run for job in jobs], workers, partial(torch.set_num_threads, threads))


def _workers_that_fit(workers, jobs, notice):
    """No more processes than the memory holds, so that none is killed."""
    separating = isinstance(jobs[0].source, SeparatedSong)
    need = SEPARATING_BYTES if separating else SCORING_BYTES
    free = free_memory()
    if workers == 1 or free is None or workers * need <= free:
        return workers
    fitting = max(1, int(free / need))
    if notice:
        notice(
            f"{fitting} of {workers} workers: each takes about {need / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free"
        )
    return fitting


def _on_device(job, device):
    """In a worker of a cluster: the separator was sent from a machine that may have no GPU."""
    if isinstance(job.source, SeparatedSong):
        job.source.separator.to(device)
        job.provenance["device"] = str(job.source.separator.device)
    return job.run()


def _why_sequential(source):
    """Why songs are not done side by side by processes of this machine, or None."""
    if isinstance(source, SeparatedSong) and source.separator.device.type != "cpu":
        return f"the separator is on {source.separator.device}"
    return _not_portable(source)


def _not_portable(source):
    """Why this work cannot be handed to another process, or None."""
    try:
        pickle.dumps(source)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return f"separator or track cannot be handed to another process ({error})"
    return None
