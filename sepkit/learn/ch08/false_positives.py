"""How often a test on chunks finds a difference between two methods that are equally good.

Scores of chunks of one song are not independent: one method suits a song better
than another, throughout the song. Counting its 55 chunks as 55 witnesses makes
every test far too sure. The simulation here takes real song scores of real methods
(SiSEC 2018), makes pairs of them equal, scatters chunks around the song scores, and
counts how often each test cries wolf.

What is taken from data: the spread between songs, and how differently two real
methods fare from song to song. What is assumed, since chunk scores were not
published in a usable size: the spread within a song (`within`), that the methods
share it as far as they share the spread between songs (`shared`), that it is
normal, and that neighbouring chunks resemble each other only by the audio that
they share. The last favours the chunk tests: music changes more slowly. Chapter 08.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import SepkitError
from ...metrics import MetricCard, Score

CARD = MetricCard(
    "false_positives",
    "share of trials in which a test at 5 % calls two equal methods different",
    aggregation="a block of trials",
)
SIMULATED = "simulated, spreads of SiSEC 2018"


class Spread(NamedTuple):
    """Standard deviations in dB: between songs, and of a method's luck with a song."""

    song: float
    interaction: float


#: Test songs of MUSDB18 under the seven best trained systems of SiSEC 2018 (TAU1, TAK1-3,
#: UHL1-3; Stöter, Liutkus and Ito 2018): `spread` of their published SDR, medians over frames.
#: Two nearly voiceless songs make that of the vocals so large.
SISEC_2018 = {
    "vocals": Spread(4.18, 1.79),
    "drums": Spread(2.40, 0.91),
    "bass": Spread(3.57, 0.96),
    "other": Spread(2.19, 0.59),
}
_TRIALS_AT_ONCE = 100  # bounds memory
_FLIPS = 999


def spread(table: ArrayLike) -> Spread:
    """Estimate variance components of song scores: ``score = mean + song + method + interaction``.

    The usual estimates of a two-way analysis of variance without replicates: the
    interaction from the residual mean square, the songs from what their mean square
    exceeds it by.

    Parameters
    ----------
    table : (songs, methods)
        One score per song and method, in dB; songs with a NaN are left out.

    Returns
    -------
    Spread
        `interaction` also holds what is left of the chunks' scatter after taking the
        median over a song, so it is an upper bound, close for songs of minutes.

    Raises
    ------
    SepkitError
        For fewer than 2 complete songs or 2 methods.
    """
    scores = _complete(table)
    songs, methods = scores.shape
    song = scores.mean(1, keepdims=True)
    residual = scores - song - scores.mean(0) + scores.mean()
    interaction = (residual**2).sum() / ((songs - 1) * (methods - 1))
    between = methods * song.var(ddof=1)
    return Spread(
        float(np.sqrt(max(0.0, between - interaction) / methods)), float(np.sqrt(interaction))
    )


def songs_like(parts: Spread, songs: int = 50, methods: int = 7, seed: int = 0) -> np.ndarray:
    """Draw normal scores (songs, methods) of equally good methods, without published scores."""
    rng = np.random.default_rng(seed)
    return parts.song * rng.standard_normal((songs, 1)) + parts.interaction * rng.standard_normal(
        (songs, methods)
    )


def false_positives(
    table: ArrayLike,
    chunks: int = 55,
    within: float = 2.0,
    shared: float | None = None,
    trials: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Find the share of trials in which each test calls two equal methods different.

    One trial: two methods are drawn; each is shifted to the same median over songs,
    and their names are swapped, song by song, by the toss of a coin. So no name is
    better than the other, while the songs stay as different as they are. Chunk
    scores scatter around the song scores. Then every test is run, two-sided.

    Parameters
    ----------
    table : (songs, methods)
        Song scores in dB, of SiSEC 2018 or from `songs_like`; songs with a NaN are left out.
    chunks : int
        Chunks per song at 50 % overlap (the thesis: 2772 / 50 = 55); every other one without.
    within : float
        Standard deviation of one method's chunk scores in a song, dB. An assumption: try 1 to 4.
    shared : float, optional
        Correlation of two methods' chunk scores within a song; by default their
        correlation over songs, from `spread`.
    trials, seed : int
    alpha : float
        Nominal rate.

    Returns
    -------
    pandas.DataFrame
        ``test``, ``unit`` (chunk or song), ``overlap`` (NaN for songs), ``n`` (values a
        method), ``rate``, and its 95 % Wilson interval ``low``, ``high``. The unpaired z
        is the thesis's section 4.5.4, two-sided.

    Raises
    ------
    SepkitError
        For a table as `spread` refuses it, or numbers out of range.
    """
    scores = _complete(table)
    if shared is None:
        parts = spread(scores)
        shared = parts.song**2 / (parts.song**2 + parts.interaction**2)
    if chunks < 3 or within <= 0 or not 0 <= shared <= 1 or trials < 1 or not 0 < alpha < 1:
        raise SepkitError(
            "false_positives: expected chunks >= 3, within > 0, shared in [0, 1], trials >= 1 and"
            f" alpha in (0, 1), got {chunks}, {within}, {shared}, {trials}, {alpha}"
        )
    rng = np.random.default_rng(seed)
    equal = scores - np.median(scores, axis=0)  # (songs, methods)
    flips = 1.0 - 2 * rng.integers(0, 2, (_FLIPS, len(scores)))  # (flips, songs)
    p_values = []
    for start in range(0, trials, _TRIALS_AT_ONCE):
        a, b = _draw(rng, equal, min(_TRIALS_AT_ONCE, trials - start), chunks, within, shared)
        p_values.append(_trial_p_values(a, b, flips))
    rows = []
    for key in p_values[0]:
        hits = int(sum((block[key] <= alpha).sum() for block in p_values))
        interval = stats.binomtest(hits, trials).proportion_ci(method="wilson")
        rows.append((*key, hits / trials, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["test", "unit", "overlap", "n", "rate", "low", "high"])


def in_blocks(
    table: ArrayLike, trials: int, blocks: int = 8, seed: int = 0, **options: Any
) -> pd.DataFrame:
    """Run `false_positives` in independent blocks, which tell how sure its rates are.

    Parameters
    ----------
    table, seed, **options
        As for `false_positives`.
    trials : int
        In all blocks together.
    blocks : int

    Returns
    -------
    pandas.DataFrame
        ``block``, ``test`` (its name, unit and overlap in words) and ``rate``.
    """
    found = []
    for block in range(blocks):
        own = false_positives(
            table, trials=max(1, trials // blocks), seed=seed * blocks + block, **options
        )
        overlap = own.overlap.map({0.5: "s, overlapping", 0.0: "s, side by side"}).fillna("s")
        test = own.test + ", " + own.unit + overlap
        found.append(pd.DataFrame({"block": block, "test": test, "rate": own.rate}))
    return pd.concat(found, ignore_index=True)


def as_scores(found: pd.DataFrame, target: str) -> list[Score]:
    """The rates of `in_blocks` as Scores, a block for a song: what the claim S4.8 is tested on."""
    return [
        Score(f"block {row.block}", target, CARD.metric, row.rate, row.test, SIMULATED, CARD, {})
        for row in found.itertuples()
    ]


def _draw(rng, equal, trials, chunks, within, shared):
    """Overlapping chunk scores of two equal methods, each (trials, songs, chunks)."""
    songs, methods = equal.shape
    pair = rng.permuted(np.tile(np.arange(methods), (trials, 1)), axis=1)[:, :2]  # (trials, 2)
    scores = equal.T[pair]  # (trials, 2, songs)
    swap = rng.integers(0, 2, (trials, 1, songs), dtype=bool)
    scores = np.where(swap, scores[:, ::-1], scores)
    halves = (trials, songs, chunks + 1)  # half-chunks: neighbouring chunks have one in common
    common = np.sqrt(shared) * rng.standard_normal(halves)
    both = []
    for method in (0, 1):
        noise = within * (common + np.sqrt(1 - shared) * rng.standard_normal(halves))
        # (trials, songs, chunks), of deviation `within`
        noise = (noise[..., 1:] + noise[..., :-1]) / np.sqrt(2)
        both.append(scores[:, method, :, None] + noise)
    return both


def _trial_p_values(a, b, flips):
    """{(test, unit, overlap, n): p (trials,)} of chunk scores (trials, songs, chunks)."""
    found = {}
    for overlap, step in ((0.5, 1), (0.0, 2)):
        # (trials, songs * chunks)
        x, y = (np.reshape(scores[..., ::step], (len(scores), -1)) for scores in (a, b))
        n = x.shape[1]
        d = x - y
        unpaired = d.mean(1) / np.sqrt((x.var(1, ddof=1) + y.var(1, ddof=1)) / n)
        found["unpaired z", "chunk", overlap, n] = 2 * stats.norm.sf(np.abs(unpaired))
        found["paired z", "chunk", overlap, n] = 2 * stats.norm.sf(
            np.abs(d.mean(1) / (d.std(1, ddof=1) / np.sqrt(n)))
        )
    d = (a - b).mean(2)  # (trials, songs): one difference a song
    slack = 1e-12 * np.abs(d).sum(1, keepdims=True)  # the same sum in another order is as extreme
    as_extreme = np.abs(d @ flips.T) >= np.abs(d.sum(1, keepdims=True)) - slack  # (trials, flips)
    found["sign flip", "song", np.nan, d.shape[1]] = (1 + as_extreme.sum(1)) / (1 + len(flips))
    found["Wilcoxon", "song", np.nan, d.shape[1]] = stats.wilcoxon(d, axis=1).pvalue
    return found


def _complete(table):
    table = np.asarray(table, dtype=np.float64)
    if table.ndim == 2:
        table = table[~np.isnan(table).any(1)]
    if table.ndim != 2 or min(table.shape) < 2:
        raise SepkitError(
            "expected a table (songs, methods) with at least 2 methods and 2 complete songs, got"
            f" {table.shape}"
        )
    return table
