"""The Scores of the race, by network and by what was equal; and those of pre-training."""

from collections.abc import Sequence

import numpy as np

from ...metrics import Score, crossed
from ...reproduce.experiments.race import EXAMPLES, FIRST, SECONDS


def placed(scores: Sequence[Score]) -> dict[str, dict[str, list[float]]]:
    """{network: {what was equal: the mean SDR over songs of each seed}}.

    The first network has one training for both.
    """
    table: dict[str, dict[str, list[float]]] = {}
    for arm, songs in _by_song(scores).items():
        name, _, equal = arm.partition(", ")
        seeds = sorted({seed for values in songs.values() for seed in values})
        means = [float(np.nanmean([values[seed] for values in songs.values()])) for seed in seeds]
        for kind in [equal] if equal else [EXAMPLES, SECONDS]:
            table.setdefault(name, {})[kind] = means
    return table


def against_first(scores: Sequence[Score]) -> list[dict[str, str]]:
    """Each arm against the first network, over songs and seeds: a row for each.

    Empty where there are no Scores. See `sepkit.metrics.crossed`.
    """
    arms = _by_song(scores)
    first = arms.pop(FIRST, {})
    return [
        {"network": arm, **_difference(songs, first, f"minus {FIRST} (dB)")}
        for arm, songs in arms.items()
    ]


def by_pretraining(scores: Sequence[Score]) -> list[dict[str, str]]:
    """Pre-trained against trained from scratch, over songs and seeds: a row for each data size.

    Empty where there are no Scores.
    """
    arms = _by_song(scores)
    rows = []
    for arm, songs in arms.items():
        size, _, start = arm.partition(", ")
        if start == "pre-trained":
            scratch = arms[f"{size}, from scratch"]
            means = {"from scratch (dB)": scratch, "pre-trained (dB)": songs}
            rows.append(
                {
                    "trained on": size,
                    **{name: f"{_mean(values):.2f}" for name, values in means.items()},
                    **_difference(songs, scratch, "difference (dB)"),
                }
            )
    return rows


def _difference(songs, others, name):
    """The crossed difference of two arms, {song: {seed: SDR}} each, as parts of a row."""
    differences = [
        [songs[song][seed] - value for seed, value in sorted(values.items())]
        for song, values in others.items()
    ]
    one = crossed.crossed(differences)
    told = crossed.verdict(one)  # of the claim that the arm is better
    return {
        name: f"{one.effect:+.2f}",
        "95 % interval": f"{one.low:+.2f} to {one.high:+.2f}",
        "verdict": {"holds": "better", "fails": "worse"}.get(told, told),
    }


def _mean(songs):
    return float(np.nanmean([list(values.values()) for values in songs.values()]))


def _by_song(scores):
    """{arm: {song: {seed: SDR}}}."""
    arms: dict[str, dict[str, dict[int, float]]] = {}
    for score in scores:
        if score.metric == "usdr":
            songs = arms.setdefault(score.separator, {})
            songs.setdefault(score.track, {})[score.provenance["seed"]] = score.value
    return arms
