"""The Scores of experiments: where they are kept, and what they say in short.

Chapters 07 and 12.
"""

import statistics
from pathlib import Path
from typing import Any

from ...files import shipped
from ...metrics import METRICS, Score, load_scores


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
        standard deviation over seeds of the mean over songs.
    """
    rows = []
    for arm in dict.fromkeys(score.separator for score in scores):
        own = [score for score in scores if score.separator == arm]
        row = {
            "arm": arm,
            "seeds": len({s.provenance["seed"] for s in own}),
            "songs": len({s.track for s in own}),
            "steps": max(s.provenance["steps"] for s in own),
        }
        for metric in dict.fromkeys(score.metric for score in own):
            means = _means_over_songs([score for score in own if score.metric == metric])
            spread = f" ± {statistics.stdev(means):.2f}" if len(means) > 1 else ""
            row[f"{metric} ({'dB, ' * (metric in METRICS)}mean)"] = (
                f"{statistics.fmean(means):.2f}{spread}"
            )
        rows.append(row)
    return rows


def _means_over_songs(scores):
    """The mean of each seed, NaN left out; one NaN where nothing is left."""
    by_seed = {}
    for score in scores:
        if score.value == score.value:
            by_seed.setdefault(score.provenance["seed"], []).append(score.value)
    return [statistics.fmean(values) for _, values in sorted(by_seed.items())] or [float("nan")]


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
                "commit": ", ".join(sorted({fact["commit"] for fact in facts})),
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
    """
    return {
        path.stem: load_scores(path)
        for path in sorted(Path(folder or shipped("experiments")).glob("*.json"))
    }
