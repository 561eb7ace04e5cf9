"""Figures about scores: what an SDR is made of, how it moves, and how sure it is (chapter 08).

As in `plots`, each function draws into `ax` or makes a figure, and returns the axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ...errors import SepkitError
from ..diagrams import Diagram
from ..plots import CYCLE, colour, figure

#: One colour and line per measure, through the whole chapter.
MEASURES = {
    "SDR": ("#4d4d4d", "-"),
    "ISR": ("#0072B2", "--"),
    "SIR": ("#D55E00", "-."),
    "SAR": ("#009E73", ":"),
    "SI-SDR": ("#CC79A7", "-"),
}
#: part of an error -> its measure, its direction in the drawing, its label's offset (points)
_STEPS = {
    "spatial": ("ISR", (1.0, 0.0)),
    "interference": ("SIR", (0.55, 0.38)),
    "artefacts": ("SAR", (0.0, 1.0)),
}
#: How far below the stem a spatial step is drawn that goes back along it.
_BELOW = np.array([0.0, 0.07])
_LINES = (*CYCLE, "#882255", "#999933")
_TOP = 60.0  # dB: beyond it an error cannot be heard, and rounding decides


def sweep(
    x: Sequence[float],
    values: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    title: str = "",
    xlabel: str = "",
    top: float = _TOP,
    bottom: float = -30.0,
) -> Axes:
    """Draw measures over the size of an error, held between `bottom` and `top` dB.

    Parameters
    ----------
    x : sequence of float
    values : dict of str to sequence of float
        A name of `MEASURES` -> dB. What lies outside is drawn on the border.
    """
    ax = ax if ax is not None else figure()[1]
    for name, series in values.items():
        tint, line = MEASURES[name]
        ax.plot(
            x,
            np.clip(np.asarray(series, dtype=float), bottom, top),
            line,
            color=tint,
            label=name,
            marker=".",
            markersize=4,
        )
    ax.set(xlabel=xlabel, ylabel="dB", title=title, ylim=(bottom - 4, top + 4))
    ax.grid(True)
    return ax


def measures(values: Mapping[str, float], ax: Axes, title: str = "") -> Axes:
    """Draw one bar a measure, with its value; what lies beyond -30 and 60 dB is drawn there.

    Parameters
    ----------
    values : mapping of str to float
        In dB, by the names of `MEASURES`.
    """
    shown = np.clip(list(values.values()), -30, _TOP)
    ax.barh(list(values), shown, color=[MEASURES[name][0] for name in values])
    for row, value in enumerate(values.values()):
        ax.annotate(
            f"{value:.1f}" if value < _TOP else f"> {_TOP:.0f}",
            (max(shown[row], 0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set(xlim=(-30, _TOP + 15), xlabel="dB", title=title)
    ax.invert_yaxis()
    return ax


def staircase(
    energies: Mapping[str, float],
    ax: Axes | None = None,
    title: str = "",
    labels: bool = True,
    gain: float = 1.0,
) -> Axes:
    """Draw to scale how an estimate comes about: from the stem by three steps at right angles.

    The line stands for everything made of delayed copies of the stem, the floor for
    everything made of delayed copies of all stems; what stands up from the floor is neither.
    The spatial step goes on along the stem, or back if the estimate holds less than all of it.

    Parameters
    ----------
    energies : dict of str to float
        ``"reference"``, ``"spatial"``, ``"interference"`` and ``"artefacts"``: the energy
        of the stem and of the three parts of the error. Lengths are their square roots.
    labels : bool
        Name line and floor, and give every arrow a name for a legend.
    gain : float
        How much of the stem is in the estimate, see `errors.stem_gain`.

    Raises
    ------
    SepkitError
        If an energy is missing.
    """
    missing = [name for name in ("reference", *_STEPS) if name not in energies]
    if missing:
        raise SepkitError(
            f"staircase: no energy of {', '.join(missing)}; expected reference, {', '.join(_STEPS)}"
        )
    ax = ax if ax is not None else figure(height=2.6, width=6)[1]
    scale = float(energies["reference"]) ** 0.5
    stem = end = np.array([1.0, 0.0])
    steps = []
    for name, (_, direction) in _STEPS.items():
        length = float(energies[name]) ** 0.5 / scale
        if name == "spatial" and gain < 1:
            length = -length
        steps.append((name, end, end := end + length * np.array(direction)))
    across = 0.9 * np.array(_STEPS["interference"][1])
    wide = np.array([max(1.5, steps[0][2][0] + 0.45), 0.0])
    left = np.array([min(0.0, steps[0][2][0]) - 0.08, 0.0])
    ax.fill(*np.array([left, wide, wide + across, left + across]).T, color="#eef0f4", linewidth=0)
    ax.plot(*np.array([left, wide]).T, color="#98a2b3", linewidth=0.8)
    if labels:
        style: dict[str, Any] = {
            "textcoords": "offset points",
            "ha": "right",
            "fontsize": 7.5,
            "color": "#667085",
        }
        ax.annotate(
            "delays of the stem", tuple(wide), xytext=(0, -24 if gain < 1 else -11), **style
        )
        ax.annotate("delays of all stems", tuple(wide + across), xytext=(0, 4), **style)
    arrows = [("stem", 0 * stem, stem, "#667085")]
    for name, begin, end in steps:
        if name == "spatial" and gain < 1:
            begin, end = begin - _BELOW, end - _BELOW  # not upon the stem
        measure = _STEPS[name][0]
        arrows.append((f"{name} ({measure})", begin, end, MEASURES[measure][0]))
    arrows.append(("estimate", 0 * stem, steps[-1][2], "black"))
    for name, begin, end, tint in arrows:
        _arrow(ax, begin, end, tint)
        if labels:
            ax.plot([], [], color=tint, linewidth=2, label=name)
    told = "whole error (SDR)" if labels else None
    ax.plot(*np.array([stem, steps[-1][2]]).T, ":", color="#667085", linewidth=1, label=told)
    ax.set_title(title)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_axis_off()
    return ax


def frames(
    values: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    silent: ArrayLike | None = None,
    hop: float = 1.0,
    title: str = "",
    ylabel: str = "SDR (dB)",
) -> Axes:
    """Draw framewise scores as steps over time; frames without a score are shaded.

    Parameters
    ----------
    values : dict of str to sequence of float (frames,)
        NaN leaves a gap.
    silent : sequence of bool (frames,), optional
        What to shade; by default where every series is NaN.
    hop : float
        Seconds from frame to frame.
    """
    ax = ax if ax is not None else figure()[1]
    series = {label: np.asarray(line, dtype=float) for label, line in values.items()}
    count = len(next(iter(series.values())))
    silent = (
        np.all([np.isnan(line) for line in series.values()], axis=0)
        if silent is None
        else np.asarray(silent, dtype=bool)
    )
    for index in np.flatnonzero(silent):
        ax.axvspan(index * hop, (index + 1) * hop, color="#e4e7ec", linewidth=0)
    for index, (label, line) in enumerate(series.items()):
        tint = colour(label) if colour(label) != "#7f7f7f" else CYCLE[index % len(CYCLE)]
        ax.stairs(
            line, np.arange(count + 1) * hop, color=tint, label=label, baseline=None, linewidth=1.6
        )
    ax.set(xlabel="time (s)", ylabel=ylabel, title=title, xlim=(0, count * hop))
    ax.grid(True, axis="y")
    if len(series) > 1:
        ax.legend(ncols=len(series), loc="best")
    return ax


def ranks(table: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw who is first under which convention: a line per separator, with its score.

    Parameters
    ----------
    table : DataFrame
        A row per separator, a column per convention; larger is better.
    """
    ax = ax if ax is not None else figure(height=2.8)[1]
    place = table.round(2).rank(ascending=False)  # what cannot be told apart shares a place
    columns = range(len(table.columns))
    tints = {name: _LINES[index % len(_LINES)] for index, name in enumerate(place.index)}
    for name, row in place.iterrows():
        ax.plot(columns, row, "o-", color=tints[name], linewidth=2, markersize=7)
        for column, value in zip(columns, table.loc[name]):
            at = (column, row.iloc[column])
            ax.annotate(
                f"{value:.1f}",
                at,
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=tints[name],
            )
    ax.set_xticks(columns, table.columns)
    ax.set_yticks(place.iloc[:, 0], place.index)
    for label, name in zip(ax.get_yticklabels(), place.index):
        label.set(color=tints[name], fontsize=8.5)
    ax.set(title=title, ylim=(len(table) + 0.4, 0.4), xlim=(-0.3, len(table.columns) - 0.7))
    ax.grid(True, axis="x")
    return ax


def panels(table: pd.DataFrame, lower: Sequence[str] = ()) -> tuple[Figure, np.ndarray]:
    """Draw metrics side by side, a panel each: to the right is better in all of them.

    Parameters
    ----------
    table : DataFrame
        A row per estimate, a column per metric, named with its unit.
    lower : sequence of str
        Columns of which lower is better: their axes run backwards.
    """
    fig, axes = figure(1, len(table.columns), height=0.9 + 0.28 * len(table), sharey=True)
    for ax, (name, values) in zip(axes, table.items()):
        ax.plot(values, table.index, "o", color=CYCLE[2] if name in lower else CYCLE[0])
        ax.margins(x=0.15, y=0.08)
        if name in lower:
            ax.invert_xaxis()
        ax.set(xlabel=name + "\n(lower is better)" * (name in lower))
        ax.grid(True)
    axes[0].invert_yaxis()
    return fig, axes


def false_alarms(
    rates: Mapping[str, float], ax: Axes | None = None, title: str = "", nominal: float = 0.05
) -> Axes:
    """Draw the rate of false alarms of each test in percent, beside its nominal rate.

    Parameters
    ----------
    rates : dict of str to float
        Between 0 and 1.
    """
    ax = ax if ax is not None else figure(height=0.6 + 0.4 * len(rates))[1]
    for place, rate in enumerate(rates.values()):
        ax.barh(place, 100 * rate, height=0.6, color=CYCLE[1] if rate > 2 * nominal else CYCLE[2])
        ax.annotate(
            f"{100 * rate:.1f} %",
            (100 * rate, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    ax.axvline(100 * nominal, color="black", linestyle="--", linewidth=1)
    ax.set_yticks(range(len(rates)), rates)
    ax.set(xlabel="false alarms (%)", title=title, xlim=(0, 115), ylim=(len(rates) - 0.4, -0.6))
    ax.set_xticks([0, 50, 100])
    return ax


def _arrow(ax, begin, end, tint):
    ax.plot(*np.array([begin, end]).T, alpha=0)  # the limits of the axes follow the arrows
    if np.hypot(*(end - begin)) < 0.02:
        return
    ax.annotate(
        "",
        end,
        begin,
        arrowprops={
            "arrowstyle": "-|>",
            "color": tint,
            "linewidth": 1.6,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 8,
        },
    )


def three_metrics() -> Diagram:
    """Draw the ways from a stem and its estimate to cSDR, uSDR and SI-SDR."""
    diagram = Diagram(
        720,
        260,
        "Three ways from a stem and its estimate to a number in a table. cSDR: cut into seconds,"
        " an SDR for each second, the median over the seconds, the median over the songs. uSDR:"
        " one SDR for the whole song, the mean over the songs. SI-SDR: the stem scaled to fit the"
        " estimate, one SDR for the whole song, the mean over the songs.",
    )
    ways = {
        "cSDR": ("cut into seconds", "SDR per second", "median of seconds", "median of songs"),
        "uSDR": ("", "SDR of the song", "", "mean of songs"),
        "SI-SDR": ("scale the stem", "SDR of the song", "", "mean of songs"),
    }
    columns, reach = (156.0, 297.0, 438.0, 579.0), 63.0
    for row, (name, steps) in enumerate(ways.items()):
        y, begin = 60.0 + 75 * row, 78.0
        for x, step in zip(columns, steps, strict=True):
            if step:
                diagram.arrow([(begin, y), (x - reach, y)])
                tint = "#fde9d3" if "song" in step and "SDR" not in step else "#dbeafe"
                diagram.box((x, y), (2 * reach, 32), step, tint)
                begin = x + reach
        diagram.arrow([(begin, y), (658, y)])
        diagram.text((662, y), name, size=12)
    diagram.box((44, 135), (68, 182), "s and ŝ", "#f2f4f7")
    return diagram
