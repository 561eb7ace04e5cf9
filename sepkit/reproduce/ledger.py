"""The ledger: published numbers beside freshly measured ones, and never two things in one column.

One table holds one data set and one metric card. A score of the band never
enters a MUSDB18 column, MUSDB18 never a MUSDB18-HQ column, a mean never a
column of medians, an excerpt never a column of songs; and a number without
provenance is refused. Where a number of ours repeats a published one, the
difference has a verdict, with a tolerance that fits how it was repeated. Chapter 11.
"""

import statistics
from dataclasses import asdict
from pathlib import Path

from ..errors import SepkitError
from ..files import read_object
from ..stems import STEMS
from .published import METRICS, Reported, load_reported
from .tables import Row, Table

__all__ = [
    "METRICS",
    "Reported",
    "Row",
    "Table",
    "check",
    "load_experiments",
    "load_measured",
    "load_reported",
    "summary",
    "table",
    "tables",
]

#: The targets of the published tables.
TARGETS = STEMS
#: Names of data sets in the literature -> names in sepkit.
DATA_SETS = {"MUSDB18": "musdb18", "MUSDB18-HQ": "musdb18hq"}
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
    ran = read_object(manifest, chapters=dict)["chapters"] if manifest.is_file() else {}
    for chapter, scores in found.items():
        on_band = chapter in ran and ran[chapter].get("parameters", {}).get("data") == "band"
        for score in scores if on_band else ():
            if score.dataset in DATA_SETS.values():
                raise SepkitError(
                    f"{chapter}: {score.separator}, {score.track} is labelled {score.dataset}, but the chapter ran on the band"
                )
    return found


def load_experiments(folder=None):
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
            if (
                "derived" in score.provenance
            ):  # a difference or a spread: for the claims, no row of a table
                continue
            card = tuple(sorted(asdict(score.card).items()))
            key = (
                _published_name(score.dataset),
                score.metric,
                card,
                "excerpt" in score.provenance,
            )
            groups.setdefault(key, {}).setdefault((score.separator, chapter), []).append(score)
    result = [_table(*key, systems, reported) for key, systems in groups.items()]
    used = {
        (table.dataset, table.metric, "")
        for table in result
        if any(row.reported for row in table.rows)
    }
    for key in dict.fromkeys(
        (entry.dataset, entry.metric, entry.aggregation) for entry in reported
    ):
        if key not in used:
            dataset, metric, aggregation = key
            result.append(_table(dataset, METRICS[metric][0], (), False, {}, reported, aggregation))
    return sorted(result, key=lambda table: (not table.measured, not table.standard))


def table(reported, measured, dataset, metric):
    """The one table of `dataset` and `metric`; refuses measured numbers of any other.

    Raises
    ------
    SepkitError
        If a Score belongs to another data set or metric, or if their cards differ.
    """
    scores = (
        [score for part in measured.values() for score in part]
        if isinstance(measured, dict)
        else measured
    )
    for score in scores:
        if _published_name(score.dataset) != dataset:
            raise SepkitError(
                f"{score.separator}, {score.track}: measured on {score.dataset}, cannot enter a column of {dataset}"
            )
        if _published_metric(score.metric) != metric:
            raise SepkitError(
                f"{score.separator}, {score.track}: {score.metric} cannot enter a column of {metric}"
            )
    wanted = [entry for entry in reported if (entry.dataset, entry.metric) == (dataset, metric)]
    found = tables(wanted, measured)
    measured_here = [one for one in found if one.measured]
    if len(measured_here) > 1:
        raise SepkitError(
            f"{metric} on {dataset}: the scores follow {len(measured_here)} different metric cards; one table each"
        )
    found = measured_here or found
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
        raise SepkitError(
            f"{where}: the score has no provenance ({', '.join(missing)} missing); run its chapter again"
        )
    said = score.provenance.get("data", score.provenance.get("dataset"))
    if said is not None and "band" in (said, score.dataset) and said != score.dataset:
        raise SepkitError(
            f"{where}: labelled {score.dataset}, but measured on {said}; a band score stays out of other columns"
        )


def _table(dataset, metric, card, excerpts, systems, reported, aggregation=""):
    name = _published_metric(metric)
    rows = _tell_apart(
        [_row(separator, chapter, scores, name) for (separator, chapter), scores in systems.items()]
    )
    if not card or (_as_published(dict(card)) and not excerpts):
        for entry in reported:
            if (entry.dataset, entry.metric, entry.aggregation) == (dataset, name, aggregation):
                _enter(rows, entry)
    present = {target for row in rows for target in (*row.reported, *row.ours)}
    order = [*[t for t in TARGETS if t in present], *sorted(present - set(TARGETS))]
    return Table(dataset, name, dict(card), rows, tuple(order), excerpts, aggregation)


def _row(separator, chapter, scores, metric):
    how, values = summary(metric), {}
    for score in scores:
        if score.value is not None and score.value == score.value:  # NaN: silent, not scored
            values.setdefault(score.target, {}).setdefault(score.provenance["seed"], {})[
                score.track
            ] = score.value
    counts = {target: len(set().union(*seeds.values())) for target, seeds in values.items()}
    by_seed = {
        target: [how(list(songs.values())) for songs in seeds.values()]
        for target, seeds in values.items()
    }
    repeats = {score.provenance.get("repeats") for score in scores} - {None}
    if len(repeats) > 1:
        raise SepkitError(
            f"{separator}: its scores claim to repeat {' and '.join(sorted(repeats))}; one system each"
        )
    return Row(
        repeats.pop() if repeats else SYSTEMS.get(separator, separator),
        ours={target: statistics.fmean(found) for target, found in by_seed.items()},
        counts=counts,
        provenance={**scores[0].provenance, **({"chapter": chapter} if chapter else {})},
        seeds=max(map(len, by_seed.values()), default=0),
        spread={target: max(found) - min(found) for target, found in by_seed.items()},
        retrained="repeats" in scores[0].provenance,
    )


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
    row = next(
        (row for row in same if not row.source or (row.extra_training_data, row.source) == origin),
        None,
    )
    if row is None:
        row = Row(entry.system)
        rows.append(row)
    row.reported[entry.target] = entry.value
    row.extra_training_data, row.source = origin


def _as_published(card):
    """Whether a metric card is the one that published tables follow: four targets, frames of a second."""
    return (
        set(card["target_set"]) == set(TARGETS)
        and card["window"] in (None, 1.0)
        and card["hop"] in (None, 1.0)
    )


def _published_name(dataset):
    return next((name for name, ours in DATA_SETS.items() if ours == dataset), dataset)


def _published_metric(metric):
    return next((name for name, (ours, _) in METRICS.items() if ours == metric), metric)
