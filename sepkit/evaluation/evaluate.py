"""Separators times tracks make Scores.

`evaluate` separates and scores a data set, `evaluate_folders` scores stems that
anyone separated with anything. Both pair by name, and write one file a song that
museval's tools can read as well. Chapters 02, 04 and 11 use them.
"""

from pathlib import Path

from .. import __version__
from ..errors import SepkitError, warn
from ..files import provenance, read_json
from ..metrics.findings import Finding
from ..metrics.museval_files import load_museval
from ..metrics.scores import DEFAULT_METRICS, load_scores
from ..metrics.scoring import check_metrics
from ..separation.streaming import CHUNK, OVERLAP
from .folders import paired_songs
from .jobs import Job, Separated, run_all
from .store import Places, file_name
from .tables import tables, to_table

__all__ = ["evaluate", "evaluate_folders", "load", "tables", "to_table"]


def evaluate(
    separator,
    tracks,
    out=None,
    metrics=DEFAULT_METRICS,
    workers=1,
    dataset="",
    chunk=CHUNK,
    overlap=OVERLAP,
    window=1.0,
    hop=1.0,
    progress=None,
    notice=warn,
    findings=None,
    **about,
):
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
        As in `sepkit.separation.streaming.stream`, in seconds; ``chunk=None`` separates whole songs at once.
    window, hop : float
        Frames of the framewise metrics, in seconds.
    progress : callable, optional
        Called with the songs done, the songs in all and a song's name.
    notice : callable or None
        Told what is unusual about the data, one line for each kind of `findings`.
    findings : list, optional
        Receives every `sepkit.metrics.Finding`: silent stems and frames, collinear
        references, estimates that are the reference or the mixture, and the like.
        They are also kept in the files, under ``"findings"``.
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
    facts, places = provenance(**about), Places(out)
    jobs = [
        Job(Separated(separator, track, chunk, overlap), places.song(track.name), settings, facts)
        for track in tracks
    ]
    return _run(jobs, places, [], workers, progress, notice, findings)


def evaluate_folders(
    reference,
    estimate,
    out=None,
    metrics=DEFAULT_METRICS,
    workers=1,
    sample_rate=None,
    dataset=None,
    separator=None,
    window=1.0,
    hop=1.0,
    progress=None,
    notice=warn,
    findings=None,
    **about,
):
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
    out, metrics, workers, window, hop, progress, notice, findings, **about
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
    folder = Path(estimate).resolve()  # of songs, or METHOD/SONG beside DATA/SONG
    separator = (
        separator
        or (folder.parent if folder.name == Path(reference).resolve().name else folder).name
    )
    songs, before = paired_songs(reference, estimate, separator, sample_rate)
    _check([song.track for song in songs], metrics)
    from ..datasets import data_set_name

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
    places = Places(out)
    jobs = [Job(song, places.song(song.track.name), settings, facts) for song in songs]
    return _run(jobs, places, before, workers, progress, notice, findings)


def load(path, **about):
    """Scores that were kept: by sepkit, or by museval.

    Parameters
    ----------
    path : str or Path
        A file of either. A folder to which `evaluate` wrote; or any folder of museval's files.
    **about
        ``separator``, ``dataset`` and ``version`` of museval's files, as for
        `sepkit.metrics.load_museval`.

    Returns
    -------
    list of Score

    Raises
    ------
    SepkitError
        As `sepkit.metrics.load_scores` and `sepkit.metrics.load_museval`.
    """
    path = Path(path)
    if (path / "scores.json").is_file():
        path = path / "scores.json"
    content = read_json(path) if path.is_file() else None
    if isinstance(content, dict) and "scores" in content:
        return load_scores(path)
    return load_museval(path, **about)


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


def _run(jobs, places, before, workers, progress, notice, findings):
    """Score all songs, tell what is unusual, and write the file for all."""
    results = {}
    for done, (index, result) in enumerate(run_all(jobs, workers, notice), start=1):
        results[index] = result
        if progress:
            progress(done, len(jobs), jobs[index].source.track.name)
    ordered = [results[index] for index in sorted(results)]
    found = [*before, *(finding for result in ordered for finding in result.findings)]
    if kept := sum(result.kept for result in ordered):
        found.append(
            Finding(
                "kept",
                "",
                (),
                f"{places.folder}: {kept} of {len(jobs)} songs had been scored before; kept",
            )
        )
    if findings is not None:
        findings += found
    if notice:
        _tell(found, notice)
    return places.finish([score for result in ordered for score in result.scores], found)


def _tell(findings, notice):
    """One line for each kind of finding, however many songs it concerns."""
    kinds = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(str(finding))
    for texts in kinds.values():
        notice(texts[0] + (f" (and {len(texts) - 1} more like this)" if len(texts) > 1 else ""))
