"""Which of two separations is better, and how sure one may be: tests and intervals over songs.

The song is the unit. Chunks of one song resemble each other, and two methods
stumble over the same songs; so a comparison takes one score per song and method,
and works on the paired differences. Everything here is numpy in float64, and
every random draw has a seed. Chapter 08.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..errors import SepkitError, unknown
from .published_tests import (
    FIVE_TIMES,
    PublishedTest,
    as_printed,
    one_sample_z,
    rounding_range,
    two_sample_t,
)

__all__ = [
    "AGGREGATIONS",
    "ALTERNATIVES",
    "FEWEST",
    "FIVE_TIMES",
    "Comparison",
    "PublishedTest",
    "Test",
    "aggregate",
    "as_printed",
    "bootstrap_interval",
    "compare",
    "friedman",
    "holm",
    "one_sample_z",
    "paired",
    "rounding_range",
    "sign_flip",
    "two_sample_t",
    "verdict",
    "wilcoxon",
]

AGGREGATIONS = (
    "median of medians",
    "mean of medians",
    "median of means",
    "mean of means",
    "pooled median",
    "pooled mean",
)

ALTERNATIVES = ("two-sided", "greater", "less")
EXACT_FLIPS = 2**15  # up to 15 songs are enumerated
_DRAWS_AT_ONCE = 2**22  # bounds the memory of the draws
#: With fewer songs no sign flip reaches 5 %, however clear they are, and bootstrap intervals are
#: far too short.
FEWEST = 6


class Test(NamedTuple):
    """p value, songs used, test statistic, and how p was computed."""

    p: float
    n: int
    statistic: float
    method: str


Test.__test__ = False  # type: ignore[attr-defined]  # or pytest collects it


class Comparison(NamedTuple):
    """Two methods over the songs that both have.

    `effect` is the mean of a - b in dB, (`low`, `high`) its bootstrap interval, `p` the
    two-sided sign-flip test, `wins` the songs of `n` in which a is better.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int
    wins: int
    p_wilcoxon: float


def aggregate(frames: Mapping, how: str) -> float:
    """One number from frame scores of many tracks.

    Parameters
    ----------
    frames : dict of track name to sequence of float
        Scores in dB; NaN is left out, and so is a track that holds nothing else.
    how : str
        From `AGGREGATIONS`: ``"mean of medians"`` is the mean over tracks of the
        medians over frames; ``"pooled"`` throws the frames of all tracks together, so
        that long songs weigh more. SiSEC 2018 reports the median of medians.

    Returns
    -------
    float
        In dB.

    Raises
    ------
    SepkitError
        For an unknown aggregation, no tracks, or nothing but NaN.
    """
    if how not in AGGREGATIONS:
        raise unknown("aggregation", how, AGGREGATIONS)
    tracks = [np.asarray(values, dtype=np.float64).reshape(-1) for values in frames.values()]
    tracks = [values[~np.isnan(values)] for values in tracks]
    tracks = [values for values in tracks if len(values)]
    if not tracks:
        raise SepkitError(
            f"aggregate: no score in {len(frames)} tracks, all are NaN or empty; "
            "score tracks whose sources sound"
        )
    functions: dict[str, Callable] = {
        **dict.fromkeys(("median", "medians"), np.median),
        **dict.fromkeys(("mean", "means"), np.mean),
    }
    outer, _, inner = how.partition(" of ")
    if not inner:
        return float(functions[how.removeprefix("pooled ")](np.concatenate(tracks)))
    return float(functions[outer]([functions[inner](values) for values in tracks]))


def paired(a: Mapping, b: Mapping) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Line up two methods over the songs that both scored.

    Parameters
    ----------
    a, b : dict of track name to float
        One score per song, in dB.

    Returns
    -------
    (names, values_a, values_b)
        Names in the order of `a`; float64 arrays (songs,). Songs that are NaN in either are left
        out.

    Raises
    ------
    SepkitError
        If there is no common song, or every common one is NaN.
    """
    common = [name for name in a if name in b]
    if not common:
        told = ", ".join(f"{len(scores)} such as {next(iter(scores), None)!r}" for scores in (a, b))
        raise SepkitError(f"paired: no track is in both ({told}); score the same songs")
    values = np.array([[a[name], b[name]] for name in common], dtype=np.float64)  # (songs, 2)
    kept = ~np.isnan(values).any(1)
    if not kept.any():
        raise SepkitError(
            f"paired: all {len(common)} common tracks are NaN in one or the other; "
            "score tracks whose sources sound"
        )
    return ([common[k] for k in np.flatnonzero(kept)], values[kept, 0], values[kept, 1])


def sign_flip(
    differences, alternative: str = "two-sided", resamples: int = 10_000, seed: int = 0
) -> Test:
    """Paired permutation test on the mean difference.

    If two methods are equally good, swapping their names within a song changes
    nothing: every sign of every difference is as likely as its opposite. p is the
    share of sign patterns whose mean is at least as extreme as the observed one
    (Fisher, "The Design of Experiments", 1935, section 21). Up to 15 songs all
    patterns are enumerated and p is exact; with more, `resamples` patterns are drawn,
    and the observed one counts among them, so that p is never 0 (Phipson and Smyth 2010).

    Parameters
    ----------
    differences : sequence of float
        a - b, one per song, in dB; NaN is left out.
    alternative : str
        ``"two-sided"``, ``"greater"`` (a is better) or ``"less"``.
    resamples, seed : int
        Of the Monte Carlo draw.

    Returns
    -------
    Test
        `statistic` is the mean difference in dB. With n songs p cannot fall below
        2 / 2^n (two-sided): fewer than 6 songs never reach 5 %.

    Raises
    ------
    SepkitError
        For fewer than 2 songs, an infinite difference, or an unknown alternative.
    """
    d = _differences("sign_flip", differences, alternative)
    n, observed = len(d), d.sum()
    slack = 1e-12 * np.abs(d).sum()  # sums of the same numbers in another order count as equal
    if 2**n <= EXACT_FLIPS:
        total, method = 2**n, "exact"
        # (2^n, songs): bit k flips song k
        signs = 1 - 2 * (np.arange(total)[:, None] >> np.arange(n) & 1)
        hits = _extreme(signs @ d, observed, alternative, slack).sum()
    else:
        rng, hits, total = np.random.default_rng(seed), 1, resamples + 1
        method = f"Monte Carlo, {resamples} draws"
        for count in _blocks(resamples, n):
            signs = 1 - 2 * rng.integers(0, 2, (count, n), dtype=np.int8)  # (draws, songs)
            hits += _extreme(signs @ d, observed, alternative, slack).sum()
    return Test(float(hits / total), n, float(observed / n), method)


def wilcoxon(differences, alternative: str = "two-sided") -> Test:
    """Wilcoxon's signed-rank test on paired differences, by scipy.

    Robust to a few extreme songs, as it sees ranks only; differences of exactly 0 are
    dropped (Wilcoxon 1945). p is exact where scipy can (no ties, up to 50 songs).
    Parameters, result and errors as `sign_flip`; `statistic` is scipy's. If every
    difference is 0, p is 1.
    """
    d = _differences("wilcoxon", differences, alternative)
    if not d.any():
        return Test(1.0, len(d), 0.0, "every difference is 0")
    result = stats.wilcoxon(d, alternative=alternative)
    return Test(float(result.pvalue), len(d), float(result.statistic), "signed ranks")


def bootstrap_interval(
    values, level: float = 0.95, resamples: int = 10_000, seed: int = 0, statistic: str = "mean"
) -> tuple[float, float]:
    """Percentile interval of the mean or median over songs, resampling songs (Efron 1979).

    Parameters
    ----------
    values : sequence of float
        One per song, in dB; NaN is left out.
    level : float
        Between 0 and 1.
    resamples, seed : int
        Of the draw.
    statistic : str
        ``"mean"`` or ``"median"``.

    Returns
    -------
    (low, high)
        In dB. With few songs it is too short: for 10 songs about 0.90 of nominal 0.95
        intervals hold the truth, for 50 about 0.94. A test belongs beside it.

    Raises
    ------
    SepkitError
        For fewer than 2 songs, infinite values, or options out of range.
    """
    values = _differences("bootstrap_interval", values)
    if statistic not in ("mean", "median"):
        raise unknown("statistic", statistic, ("mean", "median"))
    if not 0 < level < 1:
        raise SepkitError(
            f"bootstrap_interval: level is {level}; give a share between 0 and 1, such as 0.95"
        )
    rng, function = np.random.default_rng(seed), getattr(np, statistic)
    draws = [
        function(values[rng.integers(len(values), size=(count, len(values)))], axis=1)
        for count in _blocks(resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _differences(name, values, alternative="two-sided"):
    """The usable values, float64 (songs,)."""
    if alternative not in ALTERNATIVES:
        raise unknown("alternative", alternative, ALTERNATIVES)
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    kept = values[~np.isnan(values)]
    if np.isinf(kept).any():
        raise SepkitError(
            f"{name}: a value is infinite (a perfect or silent estimate); "
            "leave that song out, or use usdr, which is bounded"
        )
    if len(kept) < 2:
        found = f"{len(kept)} of {len(values)} songs have a value"
        if len(values) == 1 and len(kept):
            found = "a single song was scored"
        raise SepkitError(f"{name}: {found}, at least 2 are needed; score more songs")
    return kept


def _extreme(sums, observed, alternative, slack):
    if alternative == "two-sided":
        return np.abs(sums) >= abs(observed) - slack
    return sums >= observed - slack if alternative == "greater" else sums <= observed + slack


def _blocks(resamples, n):
    """Split the draws so that one block of them fits in memory."""
    if resamples < 1:
        raise SepkitError(f"resamples is {resamples}; at least 1 is needed")
    size = max(1, _DRAWS_AT_ONCE // n)
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def holm(p_values):
    """Adjust p values for having run several tests (Holm 1979, step-down Bonferroni).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below
    the one before it, none exceeds 1. The chance of any false alarm among the m then stays
    below alpha, however the tests depend on each other.

    Parameters
    ----------
    p_values : sequence or dict of name to float

    Returns
    -------
    list or dict
        Adjusted p values in the order given; a dict for a dict.

    Raises
    ------
    SepkitError
        For a p value outside [0, 1].
    """
    if isinstance(p_values, Mapping):
        return dict(zip(p_values, holm(list(p_values.values()))))
    p = np.asarray(p_values, dtype=np.float64)
    wrong = p[~((p >= 0) & (p <= 1))]
    if len(wrong):
        raise SepkitError(
            f"holm: {wrong[0]} is not a p value; leave out tests that could not be run"
        )
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted.tolist()


def friedman(table) -> Test:
    """Do any of several methods differ? Friedman's rank test (1937), by scipy; SiSEC 2018 used it.

    Parameters
    ----------
    table : (songs, methods)
        Scores in dB; songs with a NaN are left out.

    Returns
    -------
    Test
        `statistic` is chi-squared with methods - 1 degrees of freedom. If every song
        ranks all methods equal, p is 1.

    Raises
    ------
    SepkitError
        For fewer than 3 methods (use `sign_flip`) or 2 complete songs.
    """
    table = np.asarray(table, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 3:
        raise SepkitError(
            f"friedman: expected a table (songs, methods) of at least 3 methods, "
            f"got {table.shape}; for two use sign_flip"
        )
    table = table[~np.isnan(table).any(1)]
    if len(table) < 2:
        raise SepkitError(
            f"friedman: {len(table)} songs are complete, at least 2 are needed; "
            "score more songs with every method"
        )
    if (table == table[:, :1]).all():
        return Test(1.0, len(table), 0.0, "every difference is 0")
    result = stats.friedmanchisquare(*table.T)
    return Test(float(result.pvalue), len(table), float(result.statistic), "chi-squared")


def compare(a: Mapping, b: Mapping, seed: int = 0) -> Comparison:
    """Compare two methods over the songs they share, the way every claim of the kit is tested.

    Parameters
    ----------
    a, b : dict of track name to float
        One score per song, in dB; see `paired`.
    seed : int

    Returns
    -------
    Comparison
        Of a - b: positive where a is better.

    Raises
    ------
    SepkitError
        As `paired`, `sign_flip` and `bootstrap_interval`.
    """
    _, values_a, values_b = paired(a, b)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN: equally perfect, nothing to compare
        d = values_a - values_b
    test = sign_flip(d, seed=seed)
    low, high = bootstrap_interval(d, seed=seed)
    return Comparison(test.statistic, low, high, test.p, test.n, int((d > 0).sum()), wilcoxon(d).p)


def verdict(comparison: Comparison, alpha: float = 0.05, least: float = 0.0) -> str:
    """Does a claim "a is better than b by more than `least` dB" hold?

    Returns
    -------
    str
        ``"holds"``: the interval lies above `least` and p is at most `alpha`.
        ``"fails"``: the interval lies below `least` and, where that means that b is
        better (`least` 0), p is at most `alpha`. Else, and with fewer than `FEWEST`
        songs, ``"undecided"``: more songs are needed, which is no evidence that the
        methods are equal.
    """
    if comparison.n < FEWEST:
        return "undecided"
    sure = comparison.p <= alpha
    if comparison.low > least and sure:
        return "holds"
    return "fails" if comparison.high < least and (sure or least > 0) else "undecided"
