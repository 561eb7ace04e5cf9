"""One song's evaluation as a job that any process can do, and many of them side by side."""

import os
import pickle
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..datasets.track import NOT_THE_SUM, left_of_mixture, left_over
from ..errors import SepkitError
from ..metrics.findings import Finding
from ..metrics.findings import findings as found_in
from ..metrics.scores import Score
from ..metrics.scoring import measure
from ..metrics.signals import Signals
from ..runtime.memory import free_memory
from ..runtime.processes import run_jobs
from ..separation.streaming import stream
from .signals import Kept, Part, by_parts
from .store import finished, write_song

#: Names for all stems but one, beside ``no_<stem>``, which `sepkit.separation.separate_file` writes.
_ALL_BUT = {"accompaniment": "vocals", "instrumental": "vocals"}
#: Bytes that a process takes at most: four stereo stems with all metrics, as measured (1.03 GB,
#: whatever their length), and with the separators that are shipped, in chunks of the usual 30 s (1.3 GB).
SCORING, SEPARATING = 1.1e9, 1.5e9


@dataclass
class Result:
    """What came of a song: Scores and Findings; `kept` where they are those of an earlier run."""

    scores: list
    findings: list
    kept: bool = False


@dataclass
class Job:
    """One song: all that a process needs to score it.

    `source` has a `track`, a `name` (what tables call the estimates), an
    `identity()` of all audio that it scores, and ``signals(track)``: Signals, findings and
    further provenance; it gets its track as it is read by parts.
    """

    source: object
    file: Path | None
    settings: dict
    provenance: dict

    def run(self):
        track, settings = self.source.track, dict(self.settings)
        if self.file is not None:
            # Asked for first: what changes while it is read is scored again.
            settings["audio"] = self.source.identity()
            if (earlier := finished(self.file, settings)) is not None:
                return Result(*earlier, kept=True)
        window, hop = settings["window"], settings["hop"]
        with naming(track.name), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="the mixture is not the sum"
            )  # told once a song, not once a chunk
            kept = by_parts(track)
            signals, findings, facts = self.source.signals(kept)
            measured = measure(signals, track.sample_rate, settings["metrics"], window, hop)
            rows = measured.rows(settings["metrics"], window, hop)
            unusual = found_in(
                measured.products, track.sample_rate, track.name, measured.frames, measured.silent
            )
            if (level := left_of_mixture(kept)) > NOT_THE_SUM:
                unusual.append(Finding("not the sum", track.name, (), left_over(level)))
        facts = {**self.provenance, **facts}
        scores = [
            Score(track.name, *row[:3], self.source.name, settings["dataset"], row[3], facts)
            for row in rows
        ]
        findings += [
            f for f in unusual if not (f.kind == "mixture" and self.source.name == "mixture")
        ]  # it is meant to be that
        write_song(self.file, scores, findings, measured.frames, settings)
        return Result(scores, findings)


@dataclass
class Separated:
    """A track that is separated now."""

    separator: object
    track: object
    chunk: float | None
    overlap: float

    @property
    def name(self):
        return self.separator.name

    def identity(self):
        return self.track.identity()

    def signals(self, track):
        began, estimates = time.perf_counter(), {}
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
                    estimates[target] = Kept(track.channels, track.samples)
                estimates[target].write(block[target])
        seconds = round(time.perf_counter() - began, 3)
        targets, findings = references_for(track.stems, estimates, track.name)
        return signals_of(track, targets, estimates), findings, {"seconds": seconds}


def references_for(stems, names, track=""):
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
    parts, findings = {stem: (stem,) for stem in stems if stem in names}, []
    for name in names:
        kept = _ALL_BUT.get(name, name.removeprefix("no_") if name.startswith("no_") else None)
        rest = tuple(stem for stem in stems if stem != kept)
        if name in stems or kept not in stems or not rest or all(stem in names for stem in rest):
            continue
        parts[name] = rest
        findings.append(
            Finding(
                "sum", track, (name,), f"the reference of {name!r} is the sum of {', '.join(rest)}"
            )
        )
    return parts, findings


def signals_of(track, parts, estimates):
    """The Signals of a track: `parts` are {target: stems whose sum is its reference}."""
    references = {target: Part(track, stems) for target, stems in parts.items()}
    heard = sorted(stem for stems in parts.values() for stem in stems)
    summed = not track.has_mixture and heard == sorted(track.stems)
    return Signals(references, estimates, None if summed else Part(track))


def run_all(jobs, workers, notice):
    """(index, Result) of every job, as they are finished; `workers` songs at a time.

    Raises
    ------
    SepkitError
        As the first song that fails; or if a process is killed. Songs that run in
        other processes are given up, finished ones are kept.
    """
    workers = _that_fit(min(workers, len(jobs)), jobs, notice)
    if workers > 1 and (why := _inseparable(jobs[0].source)):
        workers = 1
        if notice:
            notice(f"one song at a time, because {why}")
    if workers <= 1:
        yield from ((index, job.run()) for index, job in enumerate(jobs))
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    yield from run_jobs([job.run for job in jobs], workers, partial(torch.set_num_threads, threads))


def _that_fit(workers, jobs, notice):
    """No more processes than the memory holds: all that begin are to come to an end."""
    need = SEPARATING if hasattr(jobs[0].source, "separator") else SCORING
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


def _inseparable(source):
    """Why this work cannot be handed to other processes, or None."""
    device = getattr(getattr(source, "separator", None), "device", torch.device("cpu"))
    if device.type != "cpu":
        return f"the separator is on {device}"
    try:
        pickle.dumps(source)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return f"separator or track cannot be handed to another process ({error})"
    return None


@contextmanager
def naming(track):
    """Put the song's name before what goes wrong with it."""
    try:
        yield
    except SepkitError as error:
        raise SepkitError(str(error) if track in str(error) else f"{track}: {error}") from None
