"""`evaluate` separates and scores tracks, `evaluate_folders` scores stems of any origin."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .. import __version__
from ..datasets import data_set_name
from ..datasets.track import Track
from ..errors import SepkitError, warn
from ..files import provenance
from ..metrics.cards import DEFAULT_METRICS
from ..metrics.findings import Finding
from ..metrics.scores import Score
from ..metrics.scoring import check_metrics
from ..runtime.shares import dealt
from ..separation.base import Separator
from ..separation.streaming import CHUNK, OVERLAP
from .folders import paired_songs
from .jobs import Job, SeparatedSong, run_all
from .store import ScoreStore, file_name


def evaluate(
    separator: Separator,
    tracks: Iterable[Track],
    out: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 1,
    dataset: str = "",
    chunk: float | None = CHUNK,
    overlap: float = OVERLAP,
    window: float = 1.0,
    hop: float = 1.0,
    progress: Callable[[int, int, str], None] | None = None,
    notice: Callable[[str], None] | None = warn,
    findings: list[Finding] | None = None,
    share: str | None = None,
    scheduler: str | None = None,
    device: str = "auto",
    **about,
) -> list[Score]:
    """Separate tracks and score the estimates.

    With `out`, every finished song is kept: the same call resumes where it was
    stopped. A song is scored again when anything that decides its scores has
    changed: the audio, the separator's weights or options, the metrics. Scores of
    a separator of another name are never replaced.

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
        As in `sepkit.separation.streaming.stream`, in seconds; ``chunk=None`` separates
        whole songs at once.
    window, hop : float
        Frames of the framewise metrics, in seconds.
    progress : callable, optional
        Called with the songs done, the songs in all and a song's name.
    notice : callable or None
        Called with what is unusual about the data, one line for each kind of `findings`.
    findings : list, optional
        Receives every `sepkit.metrics.Finding`: silent stems and frames, collinear
        references, estimates that are the reference or the mixture, and the like.
        They are also kept in the files, under ``"findings"``.
    share : str, optional
        ``"2/8"``: only these songs, for one of several calls with the same `out`; a last call
        without it takes their scores and writes the file for all.
    scheduler, device : str, optional
        The address of a Dask scheduler whose workers do the songs, and the device that they
        take; `out` must lie where all of them see it.
    **about
        Further entries of the provenance, such as ``seed`` and ``profile``.

    Returns
    -------
    list of Score
        Song after song, for the targets that separator and song have in common.

    Raises
    ------
    SepkitError
        If there are no tracks, two have one name, `out` holds the scores of another
        separator, or a song and the separator have no target in common; and as
        separation and metrics raise, naming the song.
    """
    tracks = list(tracks)
    _check(tracks, metrics)
    settings = {
        "sepkit": __version__,
        "separator": separator.describe(),
        "dataset": dataset,
        "metrics": list(metrics),
        "window": window,
        "hop": hop,
        "chunk": chunk,
        "overlap": overlap,
    }
    about = {
        "device": str(separator.device),
        "seed": None,
        "profile": None,
        **about,
        "separator": settings["separator"],
    }
    store, facts = _store(out, separator.name, tracks), provenance(**about)
    jobs = [
        Job(
            SeparatedSong(separator, track, chunk, overlap),
            store.song_file(track.name),
            settings,
            facts,
        )
        for track in tracks
    ]
    todo = dealt(jobs, share, lambda job: job.source.track.samples)
    results = run_all(todo, workers, notice, scheduler, device)
    return _gathered(todo, results, store, [], progress, notice, findings, whole=share is None)


def evaluate_folders(
    reference: str | Path,
    estimate: str | Path,
    out: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 1,
    sample_rate: int | None = None,
    dataset: str | None = None,
    separator: str | None = None,
    window: float = 1.0,
    hop: float = 1.0,
    progress: Callable[[int, int, str], None] | None = None,
    notice: Callable[[str], None] | None = warn,
    findings: list[Finding] | None = None,
    share: str | None = None,
    scheduler: str | None = None,
    **about,
) -> list[Score]:
    """Score stems that were separated before, by any program.

    Two folders of stems (one song), or two folders of song folders. Songs and stems
    are paired by name; stems may have any names. What does not fit exactly is made
    to fit, and reported: estimates are resampled, padded or cut to their reference.

    Parameters
    ----------
    reference : str or Path
        A song folder, a folder of songs, or any data set that `sepkit.datasets.open_tracks` knows.
    estimate : str or Path
        Likewise, with estimates.
    out, metrics, workers, window, hop, progress, notice, findings, share, scheduler, **about
        As for `evaluate`; the findings also say what was left out or made to fit.
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
    if not separator:
        folder = Path(estimate).resolve()  # of songs, or METHOD/SONG beside DATA/SONG
        one_song = folder.name == Path(reference).resolve().name
        separator = folder.parent.name if one_song else folder.name
    songs, pairing = paired_songs(reference, estimate, separator, sample_rate)
    tracks = [song.track for song in songs]
    _check(tracks, metrics)
    dataset = data_set_name(reference) if dataset is None else dataset
    settings = {
        "sepkit": __version__,
        "estimates": separator,
        "dataset": dataset,
        "metrics": list(metrics),
        "window": window,
        "hop": hop,
        "sample_rate": sample_rate,
    }
    facts = provenance(
        **{"device": "none", "seed": None, "profile": None, "estimates": separator, **about}
    )
    store = _store(out, separator, tracks)
    jobs = [Job(song, store.song_file(song.track.name), settings, facts) for song in songs]
    todo = dealt(jobs, share, lambda job: job.source.track.samples)
    results = run_all(todo, workers, notice, scheduler)
    return _gathered(todo, results, store, pairing, progress, notice, findings, share is None)


def _store(out, separator, tracks):
    return ScoreStore(out, separator, [track.name for track in tracks])


def _check(tracks, metrics):
    if not tracks:
        raise SepkitError("no tracks to evaluate; open some with datasets.open_tracks")
    check_metrics(metrics)
    names = [file_name(track.name) for track in tracks]
    for name in names:
        if names.count(name) > 1:
            raise SepkitError(
                f"two songs are called {name!r}; scores are kept by name, so rename one"
            )


def _gathered(jobs, finished, store, pairing, progress, notice, findings, whole):
    """Score all songs, report what is unusual, and write the file for all if these are all."""
    results = {}
    for done, (index, result) in enumerate(finished, start=1):
        results[index] = result
        if progress:
            progress(done, len(jobs), jobs[index].source.track.name)
    ordered = [results[index] for index in sorted(results)]
    found = [*pairing, *(finding for result in ordered for finding in result.findings)]
    if reused := sum(result.reused for result in ordered):
        text = f"{store.folder}: {reused} of {len(jobs)} songs had been scored before; kept"
        found.append(Finding("kept", "", (), text))
    if findings is not None:
        findings += found
    if notice:
        _report(found, notice)
    scores = [score for result in ordered for score in result.scores]
    if whole:
        store.save(scores, found)
    return scores


def _report(findings, notice):
    """One line for each kind of finding, however many songs it concerns."""
    kinds = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(str(finding))
    for texts in kinds.values():
        notice(texts[0] + (f" (and {len(texts) - 1} more like this)" if len(texts) > 1 else ""))
