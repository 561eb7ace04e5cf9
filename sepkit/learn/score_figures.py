"""Figures about scores: how they scatter over songs, and how sure a difference is.

As in `plots`, each function draws into `ax` or makes a figure, and returns the axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ..metrics.statistics import Comparison, verdict
from .plots import CYCLE, colour, figure


def dots(
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    ylabel: str = "SDR (dB)",
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw a dot per value and a line at the mean: for songs too few to have quartiles.

    Parameters
    ----------
    groups : dict
        separator -> target -> values (one per song). NaN is left out.
    """
    ax = ax if ax is not None else figure(height=3.0)[1]
    targets = list(dict.fromkeys(target for group in groups.values() for target in group))
    width = 0.8 / max(1, len(targets))
    for place, group in enumerate(groups.values()):
        for index, target in enumerate(targets):
            values = np.array([v for v in group.get(target, ()) if math.isfinite(v)])
            if not len(values):
                continue
            x, tint = place + (index - (len(targets) - 1) / 2) * width, colour(target)
            span = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
            ax.plot(x + span * width, values, ".", color=tint, markersize=6)
            half = 0.42 * width
            ax.plot([x - half, x + half], [values.mean()] * 2, color=tint, linewidth=1.6)
    return _named(ax, groups, targets, ylabel, title)


def _named(ax, groups, targets, ylabel, title):
    """Name separators below, targets above."""
    for target in targets:
        ax.plot([], [], "s", color=colour(target), label=target)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel, title=title)
    ax.grid(True, axis="y")
    ax.legend(ncols=len(targets), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def intervals(
    comparisons: Mapping[str, Comparison],
    ax: Axes | None = None,
    title: str = "",
    xlabel: str = "difference in SDR (dB)",
) -> Axes:
    """Draw effects with their intervals, one line per comparison; grey and open: undecided.

    A column at the right says how many songs were won.
    """
    ax = ax if ax is not None else figure(height=0.5 + 0.38 * len(comparisons))[1]
    for place, one in enumerate(comparisons.values()):
        undecided = verdict(one) == "undecided"
        tint = "#667085" if undecided else CYCLE[0]
        ax.plot(
            [one.low, one.high], [place, place], color=tint, linewidth=3, solid_capstyle="round"
        )
        face = "white" if undecided else tint
        ax.plot(one.effect, place, "o", color=tint, markersize=7, markerfacecolor=face)
        ax.annotate(
            f"{one.wins} of {one.n} songs" + ", undecided" * undecided,
            (1, place),
            xycoords=ax.get_yaxis_transform(),  # a column beside the panel
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=tint,
        )
    ax.axvline(0, color="#344054", linewidth=0.9)
    ax.set_yticks(range(len(comparisons)), comparisons)
    ax.set(xlabel=xlabel, title=title, ylim=(len(comparisons) - 0.5, -0.5))
    ax.margins(x=0.08)
    ax.grid(True, axis="x")
    return ax
