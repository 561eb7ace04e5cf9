"""Separators times tracks make Scores.

`evaluate` separates and scores a data set, `evaluate_folders` scores stems that
anyone separated with anything. Both pair by name, and write one file a song that
museval's tools can read as well. Chapters 02, 04 and 11 use them.
"""

import math
import os
import pickle
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from . import __version__
from .errors import SepkitError
from .evaluation_files import Places, file_name, fingerprint, finished, write_song
from .evaluation_folders import paired_songs
from .files import provenance
from .metrics.scores import DEFAULT_METRICS, METRICS, Score, score_track
from .streaming import CHUNK, OVERLAP, stream, warn

_MEANS = ("usdr", "si_sdr")


def evaluate(
    separator, tracks, out=None, metrics=DEFAULT_METRICS, workers=1, dataset="", chunk=CHUNK, overlap=OVERLAP,
    window=1.0, hop=1.0, progress=None, notice=warn, **about,
):  # fmt: skip
    """Separate tracks and score the estimates.

    With `out`, every finished song is kept: the same call goes on where it was
    stopped. A song is scored again when anything that decides its scores has
    changed: the audio, the separator's weights or options, the metrics.

    Parameters
    ----------
    separator : Separator
    tracks : list of Track
    out : str or Path, optional
        A folder: ``<song>.json`` for each, and ``scores.json``. Or a file ending in
        ``.json`` for all scores; the songs' files then go into ``<name>.tracks/`` beside it.
    metrics : sequence of str
        From `sepkit.metrics.METRICS`.
    workers : int
        Songs at a time, each in a process of its own; for separators on the CPU.
    dataset : str
        What tables call the data; `sepkit.datasets.data_set_name` has the usual names.
    chunk, overlap : float
        As in `sepkit.streaming.stream`, in seconds; ``chunk=None`` separates whole songs at once.
    window, hop : float
        Frames of the framewise metrics, in seconds.
    progress : callable, optional
        Called with the songs done, the songs in all and a song's name.
    notice : callable or None
        Told in one line what is unusual about the data, such as a silent stem.
    **about
        Further entries of the provenance, such as ``seed`` and ``profile``.

    Returns
    -------
    list of Score
        Song after song, for the targets that separator and song have in common.

    Raises
    ------
    SepkitError
        If there are no tracks, two have one name, or a song and the separator have
        no target in common; and as separation and metrics raise, naming the song.
    """
    tracks = list(tracks)
    _check(tracks, metrics)
    settings = {
        "sepkit": __version__, "separator": separator.describe(), "dataset": dataset, "metrics": list(metrics),
        "window": window, "hop": hop, "chunk": chunk, "overlap": overlap,
    }  # fmt: skip
    about = {"device": str(separator.device), "seed": None, "profile": None, **about, "separator": settings["separator"]}
    facts, places = provenance(**about), Places(out)
    jobs = [_Job(separator, track, places.song(track.name), settings, facts) for track in tracks]
    results = {}
    for done, (index, result) in enumerate(_run(jobs, workers, notice), start=1):
        results[index] = result
        if progress:
            progress(done, len(tracks), tracks[index].name)
    if notice:
        _tell([text for index in sorted(results) for text in results[index].notices], notice)
    return places.finish([score for index in sorted(results) for score in results[index].scores])


def evaluate_folders(
    reference, estimate, out=None, metrics=DEFAULT_METRICS, sample_rate=None, dataset=None, separator=None,
    window=1.0, hop=1.0, progress=None, notice=warn, **about,
):  # fmt: skip
    """Score stems that were separated before, by any program.

    Two folders of stems (one song), or two folders of song folders. Songs and stems
    are paired by name; stems may have any names. What does not fit exactly is made
    to fit, and told: estimates are resampled, padded or cut to their reference.

    Parameters
    ----------
    reference : str or Path
        A song folder, a folder of songs, or any data set that `sepkit.datasets.open_tracks` knows.
    estimate : str or Path
        Likewise, with estimates.
    out, metrics, window, hop, progress, notice, **about
        As for `evaluate`.
    sample_rate : int, optional
        Score at this rate; by default at the references' own.
    dataset, separator : str, optional
        What tables call them; by default after the folders.

    Returns
    -------
    list of Score

    Raises
    ------
    SepkitError
        If a folder is missing or holds no song, no song or stem has a partner, or a
        stem that other songs have is missing in one; the message says what to do.
    """
    songs, told = paired_songs(reference, estimate, sample_rate)
    _check([song.track for song in songs], metrics)
    from .datasets import data_set_name

    dataset = data_set_name(reference) if dataset is None else dataset
    separator = separator or Path(estimate).resolve().name
    facts = provenance(**{"device": "none", "seed": None, "profile": None, "estimates": separator, **about})
    places, scores = Places(out), []
    for done, song in enumerate(songs, start=1):
        with _naming(song.track.name):
            references, estimates = song.read(told)
            frames = {}
            rows = score_track(references, estimates, song.track.sample_rate, metrics, window, hop, frames)
        told += _silent(song.track.name, references, estimates)
        found = [Score(song.track.name, *row[:3], separator, dataset, row[3], facts) for row in rows]
        settings = {"estimates": str(separator), "metrics": list(metrics), "window": window, "hop": hop}
        write_song(places.song(song.track.name), found, frames, settings)
        scores += found
        if progress:
            progress(done, len(songs), song.track.name)
    if notice:
        _tell(told, notice)
    return places.finish(scores)


def to_table(scores):
    """Scores as plain text: for each metric and data set, separators down and targets across.

    Framewise metrics are summarised by the median over songs, song metrics (usdr,
    si_sdr) by the mean, as their authors do; NaN is left out.
    """
    blocks = []
    for metric, dataset in dict.fromkeys((s.metric, s.dataset) for s in scores):
        chosen = [s for s in scores if (s.metric, s.dataset) == (metric, dataset)]
        targets, separators = dict.fromkeys(s.target for s in chosen), dict.fromkeys(s.separator for s in chosen)
        how = "mean" if metric in _MEANS else "median"
        width = max(len(name) for name in (*separators, f"{metric}, dB"))
        lines = [f"{metric}, dB".ljust(width) + "".join(f"{target:>12}" for target in targets)]
        for name in separators:
            cells = [[s.value for s in chosen if (s.separator, s.target) == (name, t) and not math.isnan(s.value)] for t in targets]
            lines.append(name.ljust(width) + "".join(f"{getattr(statistics, how)(c):12.2f}" if c else " " * 11 + "-" for c in cells))
        songs = len({s.track for s in chosen})
        lines.append(f"{how} over {songs} song{'s' if songs > 1 else ''}{f' of {dataset}' if dataset else ''}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


@dataclass
class _Job:
    """One song: all that a process needs to score it."""

    separator: object
    track: object
    file: Path | None
    settings: dict
    provenance: dict

    def run(self):
        track, settings = self.track, {**self.settings, "audio": fingerprint(self.track)}
        if (scores := finished(self.file, settings)) is not None:
            return _Result(scores, [])
        with _naming(track.name):
            began = time.perf_counter()
            estimates = self._separate()
            facts = {**self.provenance, "seconds": round(time.perf_counter() - began, 3)}
            references = {target: track.stem(target) for target in estimates}
            frames = {}
            options = (settings["metrics"], settings["window"], settings["hop"], frames)
            rows = score_track(references, estimates, track.sample_rate, *options)
        scores = [Score(track.name, *row[:3], self.separator.name, settings["dataset"], row[3], facts) for row in rows]
        write_song(self.file, scores, frames, settings)
        return _Result(scores, _silent(track.name, references, estimates))

    def _separate(self):
        parts = {}
        for block in stream(self.separator, self.track, self.settings["chunk"], self.settings["overlap"]):
            for target in self.track.stems:
                if target in block:
                    parts.setdefault(target, []).append(block[target])
            if not parts:
                raise SepkitError(
                    f"its stems are {', '.join(self.track.stems)}, but {self.separator.name} estimates {', '.join(block)}: "
                    "none in common; choose another separator or other data"
                )
        return {target: torch.cat(blocks, -1) for target, blocks in parts.items()}


@dataclass
class _Result:
    scores: list
    notices: list


def _run(jobs, workers, notice):
    """(index, _Result) of every job, as they are finished."""
    workers = min(workers, len(jobs))
    if workers > 1 and (why := _inseparable(jobs)):
        workers = 1
        if notice:
            notice(f"one song at a time, because {why}")
    if workers <= 1:
        for index, job in enumerate(jobs):
            yield index, job.run()
        return
    # Forking a process that has used torch's threads can hang: the workers start afresh.
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,))
    try:
        futures = {pool.submit(job.run): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _inseparable(jobs):
    """Why these jobs cannot be handed to other processes, or None."""
    if jobs[0].separator.device.type != "cpu":
        return f"the separator is on {jobs[0].separator.device}"
    try:
        pickle.dumps((jobs[0].separator, jobs[0].track))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return f"separator or track cannot be handed to another process ({error})"
    return None


def _check(tracks, metrics):
    if not tracks:
        raise SepkitError("no tracks to evaluate; open some with datasets.open_tracks")
    for metric in metrics:
        if metric not in METRICS:
            raise SepkitError(f"unknown metric {metric!r}: choose from {', '.join(METRICS)}")
    names = [file_name(track.name) for track in tracks]
    for name in names:
        if names.count(name) > 1:
            raise SepkitError(f"two songs are called {name!r}; scores are kept by name, so rename one")


@contextmanager
def _naming(track):
    """Put the song's name before what goes wrong with it."""
    try:
        yield
    except SepkitError as error:
        raise SepkitError(str(error) if track in str(error) else f"{track}: {error}") from None


def _silent(track, references, estimates):
    return [
        ("silent", f"{track}: the {what} {name!r} is silent throughout, so no frame of this song counts for csdr, isr, sir, sar "
                   "(BSSEval's rule), and its usdr means little; leave this stem out to score the others")
        for what, audios in (("reference", references), ("estimate", estimates))
        for name, x in audios.items()
        if not x.any()
    ]  # fmt: skip


def _tell(told, notice):
    """One line for each kind of notice, however many songs it concerns."""
    kinds = {}
    for kind, text in told:
        kinds.setdefault(kind, []).append(text)
    for texts in kinds.values():
        notice(texts[0] + (f" (and {len(texts) - 1} more like this)" if len(texts) > 1 else ""))
