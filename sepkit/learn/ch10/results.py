"""The Scores of the race, by network and by what was equal."""

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
    rows = []
    for arm, songs in arms.items():
        differences = [
            [songs[song][seed] - value for seed, value in sorted(values.items())]
            for song, values in first.items()
        ]
        one = crossed.crossed(differences)
        told = crossed.verdict(one)  # of the claim that the arm is better
        rows.append(
            {
                "network": arm,
                f"minus {FIRST} (dB)": f"{one.effect:+.2f}",
                "95 % interval": f"{one.low:+.2f} to {one.high:+.2f}",
                "verdict": {"holds": "better", "fails": "worse"}.get(told, told),
            }
        )
    return rows


def _by_song(scores):
    """{arm: {song: {seed: SDR}}}."""
    arms: dict[str, dict[str, dict[int, float]]] = {}
    for score in scores:
        if score.metric == "usdr":
            songs = arms.setdefault(score.separator, {})
            songs.setdefault(score.track, {})[score.provenance["seed"]] = score.value
    return arms
