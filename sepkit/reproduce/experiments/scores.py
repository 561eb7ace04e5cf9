"""The Scores of experiments: where they are kept, and what they say in short. Chapters 07 and 11."""

import statistics
from pathlib import Path

from ...files import shipped
from ...metrics import METRICS, load_scores


def summary(scores):
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
            by_seed = {}
            for score in own:
                if score.metric == metric and score.value == score.value:
                    by_seed.setdefault(score.provenance["seed"], []).append(score.value)
            means = [statistics.fmean(values) for _, values in sorted(by_seed.items())] or [
                float("nan")
            ]
            spread = f" ± {statistics.stdev(means):.2f}" if len(means) > 1 else ""
            row[f"{metric} ({'dB, ' * (metric in METRICS)}mean)"] = (
                f"{statistics.fmean(means):.2f}{spread}"
            )
        rows.append(row)
    return rows


def overview(stored):
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
        facts = {
            (
                score.separator,
                score.track if "excerpt" in score.provenance else "",
                score.provenance["seed"],
            ): score.provenance
            for score in own
        }
        rows.append(
            {
                "experiment": name,
                "arms": len({arm for arm, _, _ in facts}),
                "seeds": len({seed for *_, seed in facts}),
                "steps": max(fact["steps"] for fact in facts.values()),
                "hours": round(sum(fact["hours"] for fact in facts.values()), 2),
                "device": own[0].provenance["device"],
                "commit": ", ".join(sorted({fact["commit"] for fact in facts.values()})),
                "command": own[0].provenance["command"],
            }
        )
    return rows


def stored(folder=None):
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
