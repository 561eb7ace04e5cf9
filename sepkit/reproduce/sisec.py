"""The published scores of SiSEC 2018: 31 methods on the 50 test songs of MUSDB18.

Three tables, each less detailed than the one before:

- the campaign's own JSON files, every frame of every song (`download` reads them);
- `load_sisec`: one row per method, song and target, medians over the frames;
- `summary`: five numbers per method, target and metric, which come with sepkit.

Scores of F.-R. Stöter, A. Liutkus and N. Ito, "The 2018 Signal Separation Evaluation
Campaign", LVA/ICA 2018, published at github.com/sigsep/sigsep-mus-2018. Chapters 03, 08, 12.
"""

import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import SepkitError, unknown
from ..files import atomic_path, data_root, parse_json, shipped, transfers
from ..metrics.museval_files import OURS as NAMES
from ..metrics.museval_files import values_of
from ..metrics.scores import Score, median
from ..stems import STEMS
from .ledger import check_provenance

SOURCE = "SiSEC 2018 published scores"
COMMIT = "62fb479"
ARCHIVE = f"https://codeload.github.com/sigsep/sigsep-mus-2018/tar.gz/{COMMIT}"
VARIABLE = "SEPKIT_SISEC"
#: BSSEval v4 in frames of one second, each song its median.
METRICS = ("SDR", "SIR", "SAR", "ISR")

COLUMNS = ("method", "split", "track", "target", "n_frames", *METRICS)
FIVE = ("n", "min", "q1", "median", "q3", "max")
SONGS = 50
#: Open-Unmix was not in the campaign; of its scores, the medians alone are published (scores.csv).
UMX = "Open-Unmix UMX"
#: The most bytes of the archive.
MOST = 1_000_000_000
_BY_HAND = "download it by hand and pass its file:// address"
_TOLERANCE = 0.001  # dB: the shipped numbers have four decimals


@cache
def _table(name):
    return pd.read_csv(shipped("reported", name))


def methods() -> pd.DataFrame:
    """What each method is, by name: its kind, extra_training_data ("yes", "no"), description.

    Kinds are "supervised", "blind", "oracle" (knows the stems) and "reference". From the
    descriptions that the participants submitted with their scores.
    """
    return _table("sisec18_methods.csv").set_index("method")


def summary(target: str | None = None, metric: str = "SDR") -> pd.DataFrame:
    """Five-number summaries over the songs, as shipped: no download, no track names.

    Parameters
    ----------
    target : str, optional
        vocals, drums, bass, other or accompaniment; by default all. The blind methods
        were scored on vocals and accompaniment only, and no ICA took part.
    metric : str
        From `METRICS`, in dB.

    Returns
    -------
    DataFrame
        Columns method, target, metric and `FIVE`, the best median first.

    Raises
    ------
    SepkitError
        For an unknown target or metric.
    """
    table = _table("sisec18_summary.csv")
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    if target is not None and target not in set(table.target):
        raise unknown("target", target, sorted(set(table.target)))
    chosen = table[(table.metric == metric) & ((table.target == target) if target else True)]
    return chosen.sort_values("median", ascending=False, kind="stable").reset_index(drop=True)


def five_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The summaries of a table of songs: count, minimum, quartiles and maximum.

    Quartiles are interpolated linearly.

    Parameters
    ----------
    frame : DataFrame
        As from `load_sisec`.

    Returns
    -------
    DataFrame
        As in `summary`, for all metrics, by method, target and metric.
    """
    long = frame.melt(["method", "target"], list(METRICS), "metric", "value")
    groups = long.groupby(["method", "target", "metric"]).value
    quantiles = groups.quantile([0, 0.25, 0.5, 0.75, 1]).unstack()
    quantiles.columns = FIVE[1:]
    return pd.concat([groups.count().rename("n"), quantiles], axis=1).reset_index()


def verify(frame: pd.DataFrame, where: str | Path = "the scores") -> None:
    """Refuse a table of songs whose five-number summaries are not the shipped ones.

    Raises
    ------
    SepkitError
        Naming the first method, target and number that differs, or that is missing.
    """
    keys = ["method", "target", "metric"]
    expected, found = (
        table.set_index(keys)[list(FIVE)]
        for table in (_table("sisec18_summary.csv"), five_numbers(frame))
    )
    missing = expected.index.difference(found.index)
    if len(missing):
        raise SepkitError(
            f"{where}: no {' '.join(missing[0])}; {len(missing)} of {len(expected)} summaries "
            "are missing: take the whole file"
        )
    differs = (found.loc[expected.index] - expected).abs() > _TOLERANCE
    if differs.any(axis=None):
        *keys, column = differs.stack().idxmax()
        name = tuple(keys)
        raise SepkitError(
            f"{where}: {' '.join(name)}, {column} is {found.loc[name, column]:.4f}, the summary "
            f"that comes with sepkit says {expected.loc[name, column]:.4f}; "
            "these are not the published scores"
        )


def find(path: str | Path | None = None) -> Path | None:
    """Where the scores by song lie: the argument, else ``$SEPKIT_SISEC``, else the data root.

    None if they lie nowhere.
    """
    if path or os.environ.get(VARIABLE):
        return Path(path or os.environ[VARIABLE]).expanduser()
    kept = data_root() / "sisec18" / "track_medians.csv"
    return kept if kept.is_file() else None


def load_sisec(path: str | Path | None = None) -> pd.DataFrame:
    """The scores by song, checked against the shipped summaries.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `COLUMNS`; by default as `find` says.

    Returns
    -------
    DataFrame
        method, split, track, target, n_frames (those without NaN), and the medians of `METRICS`
        in dB.

    Raises
    ------
    SepkitError
        If there is no such file, or it holds anything but the published scores.
    """
    path = find(path)
    if path is None:
        raise SepkitError(
            f"no SiSEC 2018 scores by song here; set {VARIABLE} to their CSV file, "
            "or call sisec.download() (all JSON files)"
        )
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SepkitError(
            f"{path}: not a readable CSV file ({str(error).splitlines()[0][:80]}); "
            f"set {VARIABLE} to another"
        ) from None
    lacking = [column for column in COLUMNS if column not in frame]
    if lacking:
        raise SepkitError(
            f"{path}: column {lacking[0]!r} is missing; expected {', '.join(COLUMNS)}"
        )
    verify(frame, path)
    return frame


def download(address: str = ARCHIVE, folder: str | Path | None = None) -> Path:
    """Fetch the published JSON files in one archive, and keep the medians.

    What is known of the archive beforehand is its commit, not its SHA-256 (GitHub packs
    archives anew). So the address names the commit, the archive must name it too, and the
    medians must have the summaries that come with sepkit, to 0.001 dB.

    Parameters
    ----------
    address : str
        Of a tar.gz; another one, such as ``file:///...``, for a copy of your own.
    folder : str or Path, optional
        By default ``sisec18`` in the data root.

    Returns
    -------
    Path
        The CSV file that `load_sisec` finds from then on.

    Raises
    ------
    SepkitError
        If it cannot be fetched, is of another commit, or holds other scores.
    """
    folder = Path(folder or data_root() / "sisec18")
    rows: list[tuple] = []

    def check(part):
        try:
            with tarfile.open(part, mode="r|gz") as archive:
                rows.extend(_read_archive(archive, address))
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise SepkitError(f"{address}: cannot be fetched ({error}); {_BY_HAND}") from None

    archive = folder / f"sigsep-mus-2018-{COMMIT}.tar.gz"
    try:
        transfers.download([address], archive, check, most=MOST, label="SiSEC 2018 scores")
    except transfers.Failure as failure:
        raise SepkitError(f"{address}: cannot be fetched ({failure}); {_BY_HAND}") from None
    archive.unlink()
    frame = (
        pd.DataFrame(rows, columns=COLUMNS)
        .sort_values(["method", "track"], kind="stable")
        .round(dict.fromkeys(METRICS, 4))
    )
    verify(frame, address)
    path = folder / "track_medians.csv"
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False)
    return path


def _read_archive(archive, address):
    """The rows of every song of the known methods, read from an open archive."""
    known, unpacked = set(methods().index), 0
    for member in archive:
        unpacked += member.size
        if unpacked > 20 * MOST:
            raise SepkitError(
                f"{address}: unpacks to more than {20 * MOST / 1e9:g} GB; these are not the "
                "published scores"
            )
        # sigsep-mus-2018-<commit>/submissions/<method>/test/<track>.json
        parts = Path(member.name).parts
        if len(parts) != 5 or parts[1] != "submissions" or parts[2] not in known:
            continue
        top, _, method, split, name = parts
        if not name.endswith(".json"):
            continue
        commit = archive.pax_headers.get("comment") or top.rpartition("-")[2]
        if not commit.startswith(COMMIT):
            raise SepkitError(
                f"{address}: of commit {commit[:12]!r}, expected {COMMIT}; the scores may be others"
            )
        if not member.isfile() or member.size > 50_000_000:
            raise SepkitError(
                f"{address}: {ascii(member.name[:200])} is no file of scores; expected one of at "
                "most 50 MB"
            )
        content = parse_json(archive.extractfile(member).read(), f"{address}: {member.name}")
        yield from song_medians(content, method, split, name.removesuffix(".json"))


def song_medians(content: Any, method: str, split: str, track: str) -> Iterator[tuple]:
    """Rows of `COLUMNS` from museval's JSON of one song: medians over the frames, NaN left out."""
    for target, metrics in values_of(content, f"{method}, {track}", infinite=True).items():
        series = [metrics.get(NAMES[metric]) for metric in METRICS]
        if any(values is None for values in series):
            raise SepkitError(
                f"{method}, {track}: {target} has not all of {', '.join(METRICS)}; these are not "
                "the published scores"
            )
        yield method, split, track, target, int((~series[0].isnan()).sum()), *map(median, series)


def comparable(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of the kit that may stand beside SiSEC's: {separator: {target: {track: dB}}}.

    Only those of MUSDB18 (not of the uncompressed version, and not of the band), of whole songs,
    cSDR with all four targets; none is an empty result, not an error.

    Parameters
    ----------
    scores : list of Score

    Raises
    ------
    SepkitError
        If a Score lacks provenance, or its provenance contradicts its data set.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for score in scores:
        if (score.dataset, score.metric) != ("musdb18", "csdr") or "excerpt" in score.provenance:
            continue
        check_provenance(score)
        if set(score.card.target_set) == set(STEMS) and score.value == score.value:  # not NaN
            found.setdefault(score.separator, {}).setdefault(score.target, {})[score.track] = (
                score.value
            )
    return found
