"""What is computed from the scores of arms, seed by seed: differences, spreads, slopes.

Each function returns a `Derived`: from the values of arms to those of a further separator.
"""

import statistics
from collections.abc import Callable, Mapping

from .design import Derived


def difference(arm: str, other: str) -> Derived:
    """How much higher an arm's scores are than another's."""

    def values(table):
        return {key: table[arm][key] - table[other][key] for key in table[arm]}

    return values


def spread(arm: str) -> Derived:
    """How far each song's score lies from the arm's mean.

    Its average is larger where the scores are more spread.
    """

    def deviations(table):
        found, means = table[arm], {}
        for metric in {key[1] for key in found}:
            values = [value for key, value in found.items() if key[1] == metric and value == value]
            means[metric] = sum(values) / len(values) if values else float("nan")
        return {key: abs(value - means[key[1]]) for key, value in found.items()}

    return deviations


def slope(
    names: Mapping[float, str],
    metric: str,
    of: Callable[[str], Derived] | None = None,
    sign: int = 1,
) -> Derived:
    """`sign` x the least-squares slope of a metric over a probability, per 0.1 of it.

    `names` are the arms by their probability; `of` computes what is taken instead of their values.
    """
    x = [10 * (p - statistics.fmean(names)) for p in names]
    weights = [sign * value / sum(v * v for v in x) for value in x]

    def slopes(table):
        values = [of(name)(table) if of else table[name] for name in names.values()]
        keys = [key for key in values[0] if key[1] == metric]
        return {key: sum(w * v[key] for w, v in zip(weights, values)) for key in keys}

    return slopes
