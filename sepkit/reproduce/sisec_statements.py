"""The second document's statements on the figure of SiSEC 2018, against the published scores.

It says three things (its section 4.2): Open-Unmix ranks second in two of the four targets;
TAK1 and Open-Unmix have high medians, but a large variance; RGT1 and HEL1 the reverse.
Chapter 12.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..metrics import statistics as songwise
from ..metrics.statistics import Test
from ..stems import STEMS
from . import sisec
from .published import load_reported

HIGH, LOW = "TAK1", ("RGT1", "HEL1")
#: Ways to measure how far the songs of a method scatter, in dB.
SPREADS = {
    "interquartile range": lambda values: np.subtract(*np.percentile(values, [75, 25], axis=-1)),
    "standard deviation": lambda values: np.std(values, axis=-1, ddof=1),
}


def umx_medians() -> dict[str, float]:
    """Look up Open-Unmix's published medians, {target: dB}: the row UMX of scores.csv."""
    found = {
        row.target: row.value
        for row in load_reported()
        if (row.system, row.metric) == (sisec.UMX, "cSDR")
    }
    return {target: found[target] for target in STEMS}


def umx_ranks() -> pd.DataFrame:
    """Rank Open-Unmix's medians, for three ways to choose its competitors.

    The document's figure shows some of the methods and does not say which were left out.

    Returns
    -------
    DataFrame
        A row for each choice: competitors, the rank by target, "second in" (number of targets),
        and "two of four" ("holds" or "fails").
    """
    about, ours = sisec.methods(), umx_medians()
    medians = sisec.summary().pivot(index="method", columns="target", values="median")
    entered = about[about.kind.isin(["supervised", "blind"])]
    alone = entered[entered.extra_training_data == "no"].index
    choices = {
        "trained on MUSDB18 alone": alone,
        "the same, without UHL2, a blend of two": alone.drop("UHL2"),
        "all, further training data included": entered.index,
    }
    rows = []
    for competitors, names in choices.items():
        ranks = {
            target: int(1 + (medians.loc[names, target] > ours[target]).sum()) for target in STEMS
        }
        second = sum(rank == 2 for rank in ranks.values())
        rows.append(
            {
                "competitors": competitors,
                **ranks,
                "second in": second,
                "two of four": "holds" if second == 2 else "fails",
            }
        )
    return pd.DataFrame(rows)


def scatter(
    frame: pd.DataFrame | None = None, seed: int = 0, resamples: int = 2000
) -> pd.DataFrame:
    """Check whether TAK1 scores higher than RGT1 and HEL1, and scatters more over the songs.

    Parameters
    ----------
    frame : DataFrame, optional
        The scores by song (`sisec.load_sisec`). Without them there are the medians and the
        interquartile ranges of the shipped summaries, and no columns of an interval and a verdict.
    seed, resamples : int
        Of the bootstrap over songs, the same songs for both methods.

    Returns
    -------
    DataFrame
        A row for each pair, target and measure of spread: "median" and "spread" are TAK1's minus
        the other's in dB; with songs, "low" and "high" bound the spread's 95 % interval, and
        "larger spread" is "holds", "fails" or "undecided".
    """
    rows = []
    for other in LOW:
        for target in STEMS:
            pair = {"against": other, "target": target}
            if frame is None:
                rows.append({**pair, **_from_summaries(other, target)})
                continue
            table = frame[frame.target == target].pivot(
                index="track", columns="method", values="SDR"
            )
            songs = table[[HIGH, other]].dropna().to_numpy()  # (songs, 2)
            pair["median"] = np.subtract(*np.median(songs, axis=0))
            for measure, function in SPREADS.items():
                rows.append(
                    {**pair, "measure": measure, **_interval(songs, function, seed, resamples)}
                )
    return pd.DataFrame(rows)


def friedman(frame: pd.DataFrame, target: str) -> Test:
    """Run Friedman's test over all 50 songs, as the campaign did: do the methods differ at all?

    Parameters
    ----------
    frame : DataFrame
        The scores by song.
    target : str

    Returns
    -------
    Test
        `statistic` is chi-squared, with one degree of freedom less than methods.
    """
    return songwise.friedman(
        frame[frame.target == target].pivot(index="track", columns="method", values="SDR")
    )


def _from_summaries(other, target):
    """Differences of the shipped medians and interquartile ranges, which decide nothing."""
    table = sisec.summary(target).set_index("method")
    high, low = table.loc[HIGH], table.loc[other]
    return {
        "median": high["median"] - low["median"],
        "measure": "interquartile range",
        "spread": (high.q3 - high.q1) - (low.q3 - low.q1),
    }


def _interval(songs, function, seed, resamples):
    rng = np.random.default_rng(seed)
    # (draws, songs, 2): one set of songs for both
    drawn = songs[rng.integers(len(songs), size=(resamples, len(songs)))]
    low, high = np.percentile(function(drawn[..., 0]) - function(drawn[..., 1]), [2.5, 97.5])
    verdict = "holds" if low > 0 else "fails" if high < 0 else "undecided"
    return {
        "spread": function(songs[:, 0]) - function(songs[:, 1]),
        "low": low,
        "high": high,
        "larger spread": verdict,
    }
