"""Figures of chapter 11: means over songs with intervals, and dots sound by sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ...metrics.statistics import bootstrap_interval
from .. import plots


def with_intervals(
    ax: Axes,
    x: Sequence[float],
    curves: Mapping[str, ArrayLike],
    log: bool = False,
    first: int = 0,
    apart: float = 0.0,
) -> Axes:
    """Draw means over songs against `x`, each with its 95 % interval, resampling songs.

    Parameters
    ----------
    ax : Axes
    x : sequence of float
        Shared by all curves.
    curves : dict of str to array (songs, points)
        NaN is left out; points with fewer than two songs have no interval.
    log : bool
        A logarithmic x axis, labelled at the points.
    first : int
        Number of the first curve's colour in `plots.CYCLE`.
    apart : float
        From curve to curve, in units of x: side by side, with bars in place of bands that overlap.
    """
    for index, (label, values) in enumerate(curves.items(), start=first):
        columns = [column[~np.isnan(column)] for column in np.asarray(values, np.float64).T]
        tint = plots.CYCLE[index % len(plots.CYCLE)]
        means = [column.mean() if len(column) else np.nan for column in columns]
        aside = apart * (index - first - (len(curves) - 1) / 2)
        places = [value + aside for value in x] if apart else x
        ax.plot(places, means, "o-", color=tint, label=label, markersize=4)
        limits = [
            bootstrap_interval(column) if len(column) > 1 else (np.nan, np.nan)
            for column in columns
        ]
        if apart:
            ax.vlines(places, *np.transpose(limits), color=tint, linewidth=1.6, alpha=0.6)
        else:
            ax.fill_between(x, *np.transpose(limits), color=tint, alpha=0.15, linewidth=0)
    if log:
        ax.set_xscale("log")
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.minorticks_off()
    ax.grid(True)
    if len(curves) > 1:
        ax.legend()
    return ax


def dots(ax: Axes, rows: Mapping[str, Mapping[str, Sequence[float]]]) -> Axes:
    """Draw every value as a dot and every mean as a line, one row per sound, colours by network.

    Parameters
    ----------
    rows : dict of str to dict of str to sequence of float
        Row -> colour's label -> values.
    """
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    for place, row in enumerate(rows.values()):
        for label, values in row.items():
            index = labels.index(label)
            y, tint = place + 0.22 * (index - (len(labels) - 1) / 2), plots.CYCLE[index]
            ax.plot(values, [y] * len(values), ".", color=tint, markersize=4, alpha=0.6)
            ax.plot([np.mean(values)] * 2, [y - 0.1, y + 0.1], color=tint, linewidth=2.5)
    for index, label in enumerate(labels):
        ax.plot([], [], "o", color=plots.CYCLE[index], label=label)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(True, axis="x")
    ax.legend(ncols=len(labels), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax
