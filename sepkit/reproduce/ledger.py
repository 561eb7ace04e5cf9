"""The ledger: published numbers beside freshly measured ones, and never two things in one column.

One table holds one data set, one metric card and one set of songs. A score of the band
never enters a MUSDB18 column, MUSDB18 never a MUSDB18-HQ column, a mean never a column of
medians or of means over other songs, an excerpt never a column of songs; and a number without
provenance is refused. Where a number of ours repeats a published one, the
difference has a verdict, with a tolerance that fits how it was repeated. Chapter 12.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..metrics.cards import FILTERED
from ..metrics.scores import REQUIRED_PROVENANCE, Score, load_scores
from ..stems import STEMS
from .manifest import cells, job_name, load_manifest
from .published import METRICS, Reported, load_reported, metric_name
from .song_sets import by_song_set, over_common_songs

__all__ = [
    "METRICS",
    "LedgerTable",
    "Reported",
    "SystemRow",
    "check_provenance",
    "data_version",
    "load_experiments",
    "load_measured",
    "load_reported",
    "over_common_songs",
    "summary_statistic",
    "table",
    "tables",
]

#: Names of data sets in the literature -> names in sepkit.
DATA_SETS = {"MUSDB18": "musdb18", "MUSDB18-HQ": "musdb18hq"}
#: Separators here -> the row of the published tables that they repeat.
SYSTEMS = {
    # "mixture" is not SiSEC's MIX: that is the mixture divided by the number of targets, 6 dB
    # better (chapter 12).
    "ibm": "Oracle IBM1",
    "irm1": "Oracle IRM1",
    "irm2": "Oracle IRM2",
    "mwf": "Oracle MWF",
    "umx": "Open-Unmix UMX",
    "umxhq": "Open-Unmix UMXHQ",
    "umxl": "Open-Unmix UMXL",
}
#: Songs in the test set of the data sets with published numbers: a verdict needs them all.
TEST_SONGS = {"MUSDB18": 50, "MUSDB18-HQ": 50}
#: dB by which inference with published weights, or an oracle, may differ from its published score.
INFERENCE_TOLERANCE = 0.1
#: A retraining may differ by its own spread over seeds, once there are this many.
MIN_SEEDS = 3
#: dB above which an estimate differs from its reference by rounding alone.
EXACT = 80.0


@dataclass
class SystemRow:
    """One system of a table: published values, ours, or both.

    `reported` and `ours` map target -> dB; `counts` has the songs behind each of `ours`, and
    `songs` the most of them. With several seeds, counted by `seeds`, `ours` is the mean over
    them and `spread` the largest minus the smallest. `retrained` tells networks trained here
    from inference with published weights: the provenance of their Scores names the published
    system as ``repeats``.
    """

    system: str
    reported: dict[str, float] = field(default_factory=dict)
    ours: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    extra_training_data: bool = False
    source: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    seeds: int = 0
    spread: dict[str, float] = field(default_factory=dict)
    retrained: bool = False

    @property
    def songs(self) -> int:
        """The most songs behind one of `ours`."""
        return max(self.counts.values(), default=0)

    def difference(self, target: str) -> float | None:
        """Ours minus reported, or None where one is missing."""
        ours, reported = self.ours.get(target), self.reported.get(target)
        return None if ours is None or reported is None else ours - reported

    def tolerance(self, target: str) -> float | None:
        """Allowed difference in dB; None where it is a spread over seeds that is not known."""
        if not self.retrained:
            return INFERENCE_TOLERANCE
        return self.spread.get(target) if self.seeds >= MIN_SEEDS else None

    def verdict(self, target: str, songs: int) -> str:
        """What the difference says: "holds", "fails", "undecided: ..."; empty where there is none.

        Parameters
        ----------
        target : str
        songs : int
            Of the whole test set; a part of it decides nothing.
        """
        difference, tolerance = self.difference(target), self.tolerance(target)
        if difference is None:
            return ""
        if self.counts.get(target, 0) < songs:
            return f"undecided: {self.counts.get(target, 0)} of {songs} songs"
        if tolerance is None:
            return f"undecided: {self.seeds} of {MIN_SEEDS} seeds"
        return "holds" if abs(difference) <= tolerance + 1e-9 else "fails"


@dataclass
class LedgerTable:
    """One data set, one metric card, one set of songs; systems by targets.

    `songs` are those that every system of ours was scored on, and summarised over. `aggregation`
    is empty unless the numbers were summarised in another way than
    `summary_statistic` says.
    """

    dataset: str
    metric: str
    card: dict[str, Any]
    rows: list[SystemRow]
    targets: tuple[str, ...]
    excerpts: bool = False
    aggregation: str = ""
    songs: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For a heading, such as ``cSDR on band (dB)``."""
        unit = " (dB)" if self.standard else ""
        parts = [f"{metric_name(self.metric)} on {self.dataset}{unit}"]
        parts += ["excerpts"] * self.excerpts + [self.aggregation] * bool(self.aggregation)
        if self.songs:
            parts.append(f"{len(self.songs)} song{'s' * (len(self.songs) != 1)}")
        return ", ".join(parts)

    def verdict(self, row: SystemRow, target: str) -> str:
        """The verdict on a row's difference from the published number; see `SystemRow.verdict`."""
        return row.verdict(target, TEST_SONGS.get(self.dataset, 0))

    @property
    def standard(self) -> bool:
        """Whether the metric is one of the field's, rather than a chapter's own."""
        return self.metric in (*METRICS, *FILTERED)

    def shown(self, value: float | None) -> str:
        """A number of ours as text: ``> 80`` where only rounding is left, such as a mixture's SAR.

        A mixture is the sum of its stems, so it has no artefacts, though nothing was separated.
        """
        if value is None:
            return ""
        return f"> {EXACT:g}" if self.standard and value > EXACT else f"{value:.2f}"

    @property
    def measured(self) -> bool:
        """Whether any row holds a number of ours."""
        return any(row.ours for row in self.rows)


def load_measured(folder: str | Path) -> dict[str, list[Score]]:
    """The Scores of every chapter in a results folder, of all data sets and seeds of a batch.

    Parameters
    ----------
    folder : str or Path
        ``build/results``; may be empty or missing. ``build/band-seed0/results`` and the like
        belong to it.

    Returns
    -------
    dict
        Chapter name -> list of Score.

    Raises
    ------
    SepkitError
        If a file holds no scores, or a chapter that ran on the band claims MUSDB18 scores.
    """
    folder = Path(folder)
    ran = load_manifest(folder.parent)["chapters"]
    found: dict[str, list[Score]] = {}
    for cell in ("", *filter(None, cells(folder.parent))):
        for path in sorted((folder.parent / cell / folder.name).glob("*.json")):
            scores, entry = load_scores(path), ran.get(job_name(path.stem, cell), {})
            _refuse_mislabelled(path.stem, scores, entry.get("parameters", {}).get("data"))
            found[path.stem] = found.get(path.stem, []) + scores
    return found


def _refuse_mislabelled(chapter, scores, data):
    for score in scores if data == "band" else ():
        if score.dataset in DATA_SETS.values():
            raise SepkitError(
                f"{chapter}: {score.separator}, {score.track} is labelled {score.dataset}, "
                "but the chapter ran on the band"
            )


def load_experiments(folder: str | Path | None = None) -> dict[str, list[Score]]:
    """The Scores of the experiments that come with sepkit, to join those of the chapters.

    Parameters
    ----------
    folder : str or Path, optional
        Where `experiments.run` wrote; by default what sepkit ships.

    Returns
    -------
    dict
        ``"experiment NAME"`` -> list of Score.
    """
    from .experiments.scores import stored

    return {f"experiment {name}": scores for name, scores in stored(folder).items()}


def tables(
    reported: Sequence[Reported], measured: dict[str, list[Score]] | list[Score]
) -> list[LedgerTable]:
    """Join published and measured numbers: a table for each data set, metric card and song set.

    Published numbers stand beside ours that were measured on the most songs.

    Parameters
    ----------
    reported : list of Reported
        May be empty.
    measured : dict or list
        Chapter name -> list of Score, or one list of Score.

    Returns
    -------
    list of LedgerTable
        Those with measured numbers first, the field's metrics before the chapters' own.

    Raises
    ------
    SepkitError
        If a measured number lacks provenance, or names a data set that its provenance contradicts.
    """
    result = _tables_of_ours(reported, measured if isinstance(measured, dict) else {"": measured})
    joined = {
        (table.dataset, table.metric, "")
        for table in result
        if any(row.reported for row in table.rows)
    }
    for entry in reported:
        key = (entry.dataset, entry.metric, entry.aggregation)
        if key not in joined:
            joined.add(key)
            table = LedgerTable(entry.dataset, entry.metric, {}, [], (), False, entry.aggregation)
            result.append(_complete(table, reported))
    return sorted(result, key=lambda table: (not table.measured, not table.standard))


def table(
    reported: Sequence[Reported],
    measured: dict[str, list[Score]] | list[Score],
    dataset: str,
    metric: str,
) -> LedgerTable:
    """The one table of `dataset` and `metric`; refuses measured numbers of any other.

    Raises
    ------
    SepkitError
        If a Score belongs to another data set or metric, or if their cards or songs differ.
    """
    parts = measured.values() if isinstance(measured, dict) else [measured]
    for score in (score for part in parts for score in part):
        where = f"{score.separator}, {score.track}"
        if _published_name(score.dataset) != dataset:
            raise SepkitError(
                f"{where}: measured on {score.dataset}, cannot enter a column of {dataset}"
            )
        if _published_metric(score.metric) != metric:
            raise SepkitError(f"{where}: {score.metric} cannot enter a column of {metric}")
    found = tables(
        [entry for entry in reported if (entry.dataset, entry.metric) == (dataset, metric)],
        measured,
    )
    ours = [one for one in found if one.measured]
    if len(ours) > 1:
        raise SepkitError(
            f"{metric} on {dataset}: the scores follow {len(ours)} different metric cards or sets "
            "of songs; one table each"
        )
    if not found:
        raise SepkitError(f"{metric} on {dataset}: neither reported nor measured numbers")
    return (ours or found)[0]


def summary_statistic(metric: str) -> Callable[[Iterable[float]], float]:
    """How the songs of a metric are summarised: by their median, or by their mean."""
    return METRICS[metric][1] if metric in METRICS else statistics.median


def data_version(score: Score) -> int:
    """The version of the band that a Score was measured on; 1 where nothing is said.

    The first version was not recorded, and other data sets have none.
    """
    return score.provenance.get("band", 1)


def check_provenance(score: Score) -> None:
    """Refuse a Score that does not say where it comes from, or says two things.

    Raises
    ------
    SepkitError
        Naming the separator, the song and what is missing.
    """
    where = f"{score.separator}, {score.track}, {score.target}"
    missing = [key for key in REQUIRED_PROVENANCE if key not in (score.provenance or {})]
    if missing:
        raise SepkitError(
            f"{where}: the score has no provenance ({', '.join(missing)} missing); "
            "run its chapter again"
        )
    said = score.provenance.get("data", score.provenance.get("dataset"))
    if said is not None and "band" in (said, score.dataset) and said != score.dataset:
        raise SepkitError(
            f"{where}: labelled {score.dataset}, but measured on {said}; "
            "a band score stays out of other columns"
        )


def _tables_of_ours(reported, measured):
    """A table per data set, metric, card and song set that was measured, songs or excerpts."""
    groups = {}
    for chapter, scores in measured.items():
        for score in scores:
            check_provenance(score)
            if "derived" in score.provenance:  # a difference or a spread: for the claims alone
                continue
            card = tuple(sorted(asdict(score.card).items()))
            data = (_published_name(score.dataset), data_version(score))
            key = (data, score.metric, card, "excerpt" in score.provenance)
            systems = groups.setdefault(key, {})
            systems.setdefault((score.separator, chapter), []).append(score)
    result = []
    for ((dataset, _), metric, card, excerpts), systems in groups.items():
        name = _published_metric(metric)
        beside = reported
        for songs, same in by_song_set(systems):
            kept = over_common_songs(list(same.values()))
            rows = [_row(*system, same[system], own, name) for system, own in zip(same, kept)]
            table = LedgerTable(dataset, name, dict(card), _tell_apart(rows), (), excerpts)
            table.songs = songs
            result.append(_complete(table, beside))
            beside = ()
    return result


def _row(separator, chapter, scores, kept, metric):
    """The row of one separator in one chapter; `kept` are the Scores that are summarised."""
    values = _values(kept)
    summarise = summary_statistic(metric)
    by_seed = {
        target: [summarise(songs.values()) for songs in seeds.values()]
        for target, seeds in values.items()
    }
    return SystemRow(
        _system(separator, scores),
        ours={target: statistics.fmean(found) for target, found in by_seed.items()},
        counts={target: len(set().union(*seeds.values())) for target, seeds in values.items()},
        provenance={**scores[0].provenance, **({"chapter": chapter} if chapter else {})},
        seeds=max(map(len, by_seed.values()), default=0),
        spread={target: max(found) - min(found) for target, found in by_seed.items()},
        retrained="repeats" in scores[0].provenance,
    )


def _values(scores):
    """{target: {seed: {track: value}}}."""
    values = {}
    for score in scores:
        seeds = values.setdefault(score.target, {})
        seeds.setdefault(score.provenance["seed"], {})[score.track] = score.value
    return values


def _system(separator, scores):
    """The published system that these scores repeat, or else the separator's own name."""
    repeats = {score.provenance.get("repeats") for score in scores} - {None}
    if len(repeats) > 1:
        raise SepkitError(
            f"{separator}: its scores claim to repeat {' and '.join(sorted(repeats))}; "
            "one system each"
        )
    return repeats.pop() if repeats else SYSTEMS.get(separator, separator)


def _tell_apart(rows):
    """One row for each system; several chapters that disagree keep one each, named."""
    kept = []
    for row in rows:
        same = [other for other in kept if other.system == row.system]
        if not any(other.ours == row.ours for other in same):
            kept.append(row)
    names = [row.system for row in kept]
    for row in kept:
        if names.count(row.system) > 1:
            row.system = f"{row.system} ({row.provenance.get('chapter', '')})"
    return kept


def _complete(table, reported):
    """Enter the published numbers where the metric card is theirs, and order the targets."""
    if not table.card or (_as_published(table.card) and not table.excerpts):
        own = (table.dataset, table.metric, table.aggregation)
        for entry in reported:
            if (entry.dataset, entry.metric, entry.aggregation) == own:
                _enter(table.rows, entry)
    present = {target for row in table.rows for target in (*row.reported, *row.ours)}
    known = [target for target in STEMS if target in present]
    table.targets = (*known, *sorted(present - set(STEMS)))
    return table


def _enter(rows, entry):
    """Put a published number into the row of its system, a new one where there is none yet."""
    origin = (entry.extra_training_data, entry.source)
    for row in rows:
        same_source = not row.source or (row.extra_training_data, row.source) == origin
        if row.system == entry.system and same_source:
            break
    else:
        row = SystemRow(entry.system)
        rows.append(row)
    row.reported[entry.target] = entry.value
    row.extra_training_data, row.source = origin


def _as_published(card):
    """Whether a metric card is that of published tables: four targets, frames of a second."""
    return (
        set(card["target_set"]) == set(STEMS)
        and card["window"] in (None, 1.0)
        and card["hop"] in (None, 1.0)
    )


def _published_name(dataset):
    return next((name for name, ours in DATA_SETS.items() if ours == dataset), dataset)


def _published_metric(metric):
    return next((name for name, (ours, _) in METRICS.items() if ours == metric), metric)
