"""The Scores of experiments: where they are kept, and what they say in short.

Chapters 07 and 12.
"""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import SepkitError
from ...files import shipped
from ...metrics import Score, load_scores
from ..ledger import data_version
from .design import Design


def summary(scores: list[Score]) -> list[dict[str, Any]]:
    """What an experiment found, a row for each arm.

    Parameters
    ----------
    scores : list of Score
        As `run` returns them.

    Returns
    -------
    list of dict
        arm, seeds, songs, steps, and for each metric the mean over songs and seeds, with the
        standard deviation over seeds of the mean over songs; empty where an arm has none. Of
        songs of several data sets a row each, which names them.
    """
    rows = []
    units = {score.metric: score.card.unit for score in scores}
    several = len({score.dataset for score in scores}) > 1
    for arm, dataset in dict.fromkeys((score.separator, score.dataset) for score in scores):
        own = [s for s in scores if (s.separator, s.dataset) == (arm, dataset)]
        row = {
            "arm": arm,
            **({"tested on": dataset} if several else {}),
            "seeds": len({s.provenance["seed"] for s in own}),
            "songs": len({s.track for s in own if "trainings" not in s.provenance}),
            "steps": max(s.provenance["steps"] for s in own),
        }
        for metric, unit in units.items():
            means = _means_over_songs([score for score in own if score.metric == metric])
            spread = f" ± {statistics.stdev(means):.2f}" if len(means) > 1 else ""
            row[f"{metric} ({f'{unit}, ' if unit else ''}mean)"] = (
                f"{statistics.fmean(means):.2f}{spread}" if means else ""
            )
        rows.append(row)
    return rows


def _means_over_songs(scores):
    """The mean of each seed, NaN left out; one NaN where nothing but NaN is there."""
    by_seed = {}
    for score in scores:
        if score.value == score.value:
            by_seed.setdefault(score.provenance["seed"], []).append(score.value)
    means = [statistics.fmean(values) for _, values in sorted(by_seed.items())]
    return means or [float("nan")] * bool(scores)


def overview(stored: dict[str, list[Score]]) -> list[dict[str, Any]]:
    """What experiments took, a row each.

    Parameters
    ----------
    stored : dict
        Experiment name -> list of Score.

    Returns
    -------
    list of dict
        experiment, arms, seeds, steps, hours of training, device, commits, command.
    """
    rows = []
    for name, scores in stored.items():
        own = [score for score in scores if "derived" not in score.provenance] or scores
        trainings = {_training(score): score.provenance for score in own}
        facts = trainings.values()
        rows.append(
            {
                "experiment": name,
                "arms": len({arm for arm, *_ in trainings}),
                "seeds": len({seed for *_, seed in trainings}),
                "steps": max(fact["steps"] for fact in facts),
                "hours": round(sum(fact["hours"] for fact in facts), 2),
                "device": own[0].provenance["device"],
                "commit": ", ".join(sorted({fact["commit"] or "none" for fact in facts})),
                "command": own[0].provenance["command"],
            }
        )
    return rows


def _training(score):
    """What tells one training from another: (arm, song of an excerpt, seed)."""
    song = score.track if "excerpt" in score.provenance else ""
    return score.separator, song, score.provenance["seed"]


def stored(folder: str | Path | None = None) -> dict[str, list[Score]]:
    """The Scores of experiments that were run before.

    Parameters
    ----------
    folder : str or Path, optional
        Where `run` wrote; by default the runs that come with sepkit.

    Returns
    -------
    dict
        Experiment name -> list of Score.

    Raises
    ------
    SepkitError
        As `load_scores` and `refuse_mixed_data`; and for a Score that was measured with changes
        that are in no commit, so that nobody can repeat it.
    """
    found = {
        path: load_scores(path)
        for path in sorted(Path(folder or shipped("experiments")).glob("*.json"))
    }
    for path, scores in found.items():
        refuse_mixed_data(path, scores)
        for commit in {score.provenance["commit"] or "" for score in scores}:
            if commit.endswith("+"):
                raise SepkitError(
                    f"{path}: measured at commit {commit}, with changes that are in no commit; "
                    "commit them, and run it again"
                )
    return {path.stem: scores for path, scores in found.items()}


def refuse_mixed_data(file: str | Path, scores: list[Score]) -> None:
    """Raise a `SepkitError` if an experiment's Scores come from two versions of the band.

    Parameters
    ----------
    file : str or Path
        For the message.
    scores : list of Score
    """
    versions = {data_version(score) for score in scores}
    if len(versions) > 1:
        raise SepkitError(
            f"{file}: Scores of versions {' and '.join(map(str, sorted(versions)))} of the band; "
            "run the whole experiment again, in another folder"
        )


def derived(design: Design, scores: list[Score]) -> list[Score]:
    """Scores of what a design computes from those of its arms, seed by seed."""
    made: list[Score] = []
    for seed in sorted({score.provenance["seed"] for score in scores}):
        table: dict[str, dict[tuple[str, str], float]] = {}
        example: dict[tuple[str, str], Score] = {}
        for score in (s for s in scores if s.provenance["seed"] == seed):
            table.setdefault(score.separator, {})[score.track, score.metric] = score.value
            example[score.track, score.metric] = score
        for name, function in design.derived.items():
            for key, value in function(table).items():
                own = {**example[key].provenance, "derived": name}
                made.append(replace(example[key], separator=name, value=value, provenance=own))
    return made


def outcome(scores: list[Score], training_seconds: float, scoring_seconds: float) -> str:
    """A line about one training: its uSDR on each data set, and what it took."""
    values: dict[str, list[float]] = {}  # data set -> uSDR of its songs
    for score in scores:
        if score.metric == "usdr" and score.value == score.value:  # NaN: a silent reference
            values.setdefault(score.dataset, []).append(score.value)
    means = [
        f"{statistics.fmean(found):.2f} dB{f' on {name}' * (len(values) > 1)}"
        for name, found in values.items()
    ]
    return (
        f"usdr {', '.join(means) or 'nan dB'}, {training_seconds:.0f} s of training, "
        f"{scoring_seconds:.0f} s of scoring"
    )
