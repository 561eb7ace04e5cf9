"""The ledger: published numbers beside freshly measured ones, and never two things in one column.

One table holds one data set and one metric card. A score of the band never
enters a MUSDB18 column, MUSDB18 never a MUSDB18-HQ column, a mean never a
column of medians; and a number without provenance is refused. Chapter 11.
"""

import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import SepkitError
from ..files import read_json
from .reported import METRICS, Reported, load_reported

__all__ = ["METRICS", "Reported", "Row", "Table", "check", "load_measured", "load_reported", "summary", "table", "tables"]

TARGETS = ("vocals", "drums", "bass", "other")
#: Names of data sets in the literature -> names in sepkit.
DATA_SETS = {"MUSDB18": "musdb18", "MUSDB18-HQ": "musdb18hq"}
#: BSSEval's other ratios, in dB like those of `METRICS`.
FILTERED = ("isr", "sir", "sar")
#: Separators here -> the row of the published tables that they repeat.
SYSTEMS = {
    # "mixture" is not SiSEC's MIX: that is the mixture divided by the number of targets, 6 dB better (chapter 11).
    "ibm": "Oracle IBM1",
    "irm1": "Oracle IRM1",
    "irm2": "Oracle IRM2",
    "mwf": "Oracle MWF",
    "umx": "Open-Unmix UMX",
    "umxhq": "Open-Unmix UMXHQ",
    "umxl": "Open-Unmix UMXL",
}


@dataclass
class Row:
    """One system of a table: published values, ours, or both.

    `reported` and `ours` map target -> dB; `songs` counts those behind `ours`.
    """

    system: str
    reported: dict = field(default_factory=dict)
    ours: dict = field(default_factory=dict)
    songs: int = 0
    extra_training_data: bool = False
    source: str = ""
    provenance: dict = field(default_factory=dict)

    def difference(self, target):
        """Ours minus reported, or None where one is missing."""
        if self.ours.get(target) is None or self.reported.get(target) is None:
            return None
        return self.ours[target] - self.reported[target]


@dataclass
class Table:
    """One data set, one metric card, systems by targets."""

    dataset: str
    metric: str
    card: dict
    rows: list
    targets: tuple

    @property
    def title(self):
        """For a heading, such as ``cSDR on band (dB)``."""
        return f"{self.metric} on {self.dataset}{' (dB)' if self.standard else ''}"

    @property
    def standard(self):
        """Whether the metric is one of the field's, rather than a chapter's own."""
        return self.metric in (*METRICS, *FILTERED)

    @property
    def measured(self):
        """Whether any row holds a number of ours."""
        return any(row.ours for row in self.rows)


def load_measured(folder):
    """The Scores of every chapter in a results folder.

    Parameters
    ----------
    folder : str or Path
        ``build/results``; may be empty or missing.

    Returns
    -------
    dict
        Chapter name -> list of Score.

    Raises
    ------
    SepkitError
        If a file holds no scores, or a chapter that ran on the band claims MUSDB18 scores.
    """
    from ..metrics.scores import load_scores

    found = {path.stem: load_scores(path) for path in sorted(Path(folder).glob("*.json"))}
    manifest = Path(folder).parent / "manifest.json"
    ran = read_json(manifest)["chapters"] if manifest.is_file() else {}
    for chapter, scores in found.items():
        on_band = chapter in ran and ran[chapter]["parameters"]["data"] == "band"
        for score in scores if on_band else ():
            if score.dataset in DATA_SETS.values():
                raise SepkitError(
                    f"{chapter}: {score.separator}, {score.track} is labelled {score.dataset}, but the chapter ran on the band"
                )
    return found


def tables(reported, measured):
    """Join published and measured numbers into one table for each data set and metric card.

    Parameters
    ----------
    reported : list of Reported
        May be empty.
    measured : dict or list
        Chapter name -> list of Score, or one list of Score.

    Returns
    -------
    list of Table
        Those with measured numbers first, the field's metrics before the chapters' own.

    Raises
    ------
    SepkitError
        If a measured number lacks provenance, or names a data set that its provenance contradicts.
    """
    measured = measured if isinstance(measured, dict) else {"": measured}
    groups = {}
    for chapter, scores in measured.items():
        for score in scores:
            check(score)
            key = (_published_name(score.dataset), score.metric, tuple(sorted(asdict(score.card).items())))
            groups.setdefault(key, {}).setdefault((score.separator, chapter), []).append(score)
    result = [_table(*key, systems, reported) for key, systems in groups.items()]
    used = {(table.dataset, table.metric) for table in result}
    for dataset, metric in dict.fromkeys((entry.dataset, entry.metric) for entry in reported):
        if (dataset, metric) not in used:
            result.append(_table(dataset, METRICS[metric][0], (), {}, reported))
    return sorted(result, key=lambda table: (not table.measured, not table.standard))


def table(reported, measured, dataset, metric):
    """The one table of `dataset` and `metric`; refuses measured numbers of any other.

    Raises
    ------
    SepkitError
        If a Score belongs to another data set or metric, or if their cards differ.
    """
    scores = [score for part in measured.values() for score in part] if isinstance(measured, dict) else measured
    for score in scores:
        if _published_name(score.dataset) != dataset:
            raise SepkitError(
                f"{score.separator}, {score.track}: measured on {score.dataset}, cannot enter a column of {dataset}"
            )
        if _published_metric(score.metric) != metric:
            raise SepkitError(f"{score.separator}, {score.track}: {score.metric} cannot enter a column of {metric}")
    wanted = [entry for entry in reported if (entry.dataset, entry.metric) == (dataset, metric)]
    found = tables(wanted, measured)
    if len(found) > 1:
        raise SepkitError(f"{metric} on {dataset}: the scores follow {len(found)} different metric cards; one table each")
    if not found:
        raise SepkitError(f"{metric} on {dataset}: neither reported nor measured numbers")
    return found[0]


def summary(metric):
    """How the songs of a metric are summarised: by their median, or by their mean."""
    return METRICS.get(metric, (None, statistics.median))[1]


def check(score):
    """Refuse a Score that does not say where it comes from, or says two things.

    Raises
    ------
    SepkitError
        Naming the separator, the song and what is missing.
    """
    from ..metrics.scores import REQUIRED_PROVENANCE

    where = f"{score.separator}, {score.track}, {score.target}"
    missing = [key for key in REQUIRED_PROVENANCE if key not in (score.provenance or {})]
    if missing:
        raise SepkitError(f"{where}: the score has no provenance ({', '.join(missing)} missing); run its chapter again")
    said = score.provenance.get("data", score.provenance.get("dataset"))
    if said is not None and "band" in (said, score.dataset) and said != score.dataset:
        raise SepkitError(f"{where}: labelled {score.dataset}, but measured on {said}; a band score stays out of other columns")


def _table(dataset, metric, card, systems, reported):
    name = _published_metric(metric)
    rows = [_row(separator, chapter, scores, name) for (separator, chapter), scores in systems.items()]
    rows = _tell_apart(rows)
    if not card or _as_published(dict(card)):
        for entry in reported:
            if (entry.dataset, entry.metric) == (dataset, name):
                _enter(rows, entry)
    present = {target for row in rows for target in (*row.reported, *row.ours)}
    order = [*[t for t in TARGETS if t in present], *sorted(present - set(TARGETS))]
    return Table(dataset, name, dict(card), rows, tuple(order))


def _row(separator, chapter, scores, metric):
    how = summary(metric)
    values = {}
    for score in scores:
        if score.value is not None and score.value == score.value:  # NaN: silent, not scored
            values.setdefault(score.target, {})[score.track] = score.value
    ours = {target: how(list(songs.values())) for target, songs in values.items()}
    songs = max((len(songs) for songs in values.values()), default=0)
    provenance = {**scores[0].provenance, **({"chapter": chapter} if chapter else {})}
    return Row(SYSTEMS.get(separator, separator), ours=ours, songs=songs, provenance=provenance)


def _tell_apart(rows):
    """One row for each system; several chapters that disagree keep one each, named."""
    kept = []
    for row in rows:
        same = [other for other in kept if other.system == row.system]
        if not any(other.ours == row.ours for other in same):
            kept.append(row)
    for row in kept:
        if sum(other.system == row.system for other in kept) > 1:
            row.provenance["label"] = f"{row.system} ({row.provenance.get('chapter', '')})"
    for row in kept:
        row.system = row.provenance.pop("label", row.system)
    return kept


def _enter(rows, entry):
    """Put a published number into the row of its system: ours where there is one, else a new row."""
    origin = (entry.extra_training_data, entry.source)
    same = [row for row in rows if row.system == entry.system]
    row = next((row for row in same if not row.source or (row.extra_training_data, row.source) == origin), None)
    if row is None:
        row = Row(entry.system)
        rows.append(row)
    row.reported[entry.target] = entry.value
    row.extra_training_data, row.source = origin


def _as_published(card):
    """Whether a metric card is the one that published tables follow: four targets, frames of a second."""
    return set(card["target_set"]) == set(TARGETS) and card["window"] in (None, 1.0) and card["hop"] in (None, 1.0)


def _published_name(dataset):
    return next((name for name, ours in DATA_SETS.items() if ours == dataset), dataset)


def _published_metric(metric):
    return next((name for name, (ours, _) in METRICS.items() if ours == metric), metric)
