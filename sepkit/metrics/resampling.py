"""Tests and intervals for paired differences of songs: sign flips, Wilcoxon's ranks, the bootstrap.

`sepkit.metrics.statistics` offers them all; chapter 08 uses them.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from ..errors import SepkitError, unknown

ALTERNATIVES = ("two-sided", "greater", "less")
EXACT_FLIPS = 2**15  # up to 15 songs are enumerated
_DRAWS_AT_ONCE = 2**22  # bounds the memory of the draws


class Test(NamedTuple):
    """p value, songs used, test statistic, and how p was computed."""

    __test__ = False  # or pytest collects it

    p: float
    n: int
    statistic: float
    method: str


def sign_flip(differences, alternative="two-sided", resamples=10_000, seed=0):
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
        a - b, one a song, in dB; NaN is left out.
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
        signs = 1 - 2 * (
            np.arange(total)[:, None] >> np.arange(n) & 1
        )  # (2^n, songs): bit k flips song k
        hits = _extreme(signs @ d, observed, alternative, slack).sum()
    else:
        rng, hits, total, method = (
            np.random.default_rng(seed),
            1,
            resamples + 1,
            f"Monte Carlo, {resamples} draws",
        )
        for count in _blocks(resamples, n):
            signs = 1 - 2 * rng.integers(0, 2, (count, n), dtype=np.int8)  # (draws, songs)
            hits += _extreme(signs @ d, observed, alternative, slack).sum()
    return Test(float(hits / total), n, float(observed / n), method)


def wilcoxon(differences, alternative="two-sided"):
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


def bootstrap_interval(values, level=0.95, resamples=10_000, seed=0, statistic="mean"):
    """Percentile interval of the mean or median over songs, resampling songs (Efron 1979).

    Parameters
    ----------
    values : sequence of float
        One a song, in dB; NaN is left out.
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
            f"{name}: a value is infinite (a perfect or silent estimate); leave that song out, or use usdr, which is bounded"
        )
    if len(kept) < 2:
        raise SepkitError(
            f"{name}: {len(kept)} of {len(values)} songs have a value, at least 2 are needed; score more songs"
        )
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
