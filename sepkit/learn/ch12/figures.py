"""Figures of chapter 12: the map of what holds, published numbers, the songs of SiSEC 2018."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...reproduce import sisec, sisec_statements
from ...stems import STEMS
from ..plots import colour, figure

#: What a method is -> its colour, so that the four panels share one legend.
KINDS = {
    "supervised": "#0072B2",
    "blind": "#E69F00",
    "oracle": "#98a1b3",
    "reference": "#4d4d4d",
    "ours": "#009E73",
}
UMX_COLOUR = "#D55E00"
SPAN = (-6.0, 16.0)  # dB; single songs lie outside, down to -67


def published_dots(ax: Axes, published: pd.DataFrame, dataset: str) -> None:
    """Draw a data set's published cSDR, one row per system in the order of its vocals.

    The four targets of a row stand a little apart, so that none covers another.

    Parameters
    ----------
    ax : Axes
    published : DataFrame
        The reported numbers, one row each (`sepkit.reproduce.ledger.load_reported`).
    dataset : str
        Such as ``"MUSDB18"``. Hollow marks: more training data than the data set's own.
    """
    rows = published[
        (published.dataset == dataset)
        & (published.metric == "cSDR")
        & (published.aggregation == "")
    ]
    marked = rows.extra_training_data & ~rows.system.str.contains("+", regex=False)
    rows = rows.assign(key=rows.system + np.where(marked, " +", ""))
    order = rows[rows.target == "vocals"].sort_values("value").key.tolist()
    for place, target in enumerate(STEMS):  # from the top of a row downwards
        for extra, face in ((False, colour(target)), (True, "white")):
            some = rows[(rows.target == target) & (rows.extra_training_data == extra)]
            ax.scatter(
                some.value,
                [order.index(k) + 0.27 - 0.18 * place for k in some.key],
                s=18,
                color=colour(target),
                facecolor=face,
                label=target if not extra else None,
            )
    ax.set_yticks(range(len(order)), order, fontsize=8.5)
    ax.set(
        xlabel="cSDR (dB)",
        title=f"{dataset}: {len(order)} entries",
        xlim=(0, 14),
        xticks=range(0, 15, 2),
        ylim=(-0.7, len(order) - 0.3),
    )
    ax.grid(True)


def starved(extra: tuple[float, float, float], shares: dict[str, float], bar: float) -> Figure:
    """Draw how much longer an epoch takes, against the share of it in which the GPU computes.

    If a step costs `extra` times more, and loading costs what it did before, an epoch of which
    the share u was computing takes 1 + u * extra times as long where songs are loaded and steps
    computed in turn, and at best max(1, u * (1 + extra)) times where both go on side by side.

    Parameters
    ----------
    extra : (float, float, float)
        Effect, low and high: what a step costs more, as a share of the plain step.
    shares : dict of str to float
        Name -> share in 0 to 1, to be marked.
    bar : float
        What still counts as "about the same".
    """
    fig, ax = figure(1, 1, height=3.0, width=6.4)
    effect, low, high = extra
    u = np.sort([*np.linspace(0, 1, 101), 1 / (1 + effect)])  # with the corner of `at_best`
    ax.fill_between(100 * u, 1 + u * low, 1 + u * high, color="#D55E00", alpha=0.2, linewidth=0)
    ax.plot(100 * u, 1 + u * effect, color="#D55E00", label="dual loss, loading in turn")
    at_best = np.maximum(1, u * (1 + effect))
    ax.plot(
        100 * u, at_best, "--", color="#0072B2", label="dual loss, loading side by side: at best"
    )
    ax.axhspan(1 - bar, 1 + bar, color="#98a1b3", alpha=0.25, linewidth=0, label="about the same")
    for name, share in shares.items():
        ax.plot(100 * share, 1 + share * effect, "o", color="#4d4d4d", markersize=6)
        ax.annotate(
            f"{name}: {1 + share * effect:.2f} times",
            (100 * share, 1 + share * effect),
            xytext=(8, -11),
            textcoords="offset points",
            fontsize=8,
        )
    ax.set(
        xlabel="share of the epoch in which the GPU computes (%)",
        ylabel="time of an epoch\n/ that with the plain loss",
        xlim=(0, 100),
    )
    ax.grid(True)
    ax.legend(loc="upper left")
    return fig


def sisec_figure(
    frame: pd.DataFrame | None = None, ours: dict | None = None, targets: Sequence[str] = STEMS
) -> Figure:
    """Draw violins and boxes of SDR by method and target, one panel per target.

    Parameters
    ----------
    frame : DataFrame, optional
        The scores by song (`sisec.load_sisec`): violins, and boxes over them. Without them
        the boxes alone, from the five-number summaries that come with sepkit.
    ours : dict, optional
        {separator: {target: {track: dB}}}, from `sisec.comparable`.
    targets : sequence of str

    Returns
    -------
    Figure
        Methods in the order of their vocals median, best first; quartiles, notches of
        1.57 IQR / sqrt(n) about the median (McGill, Tukey and Larsen 1978), and whiskers to
        the extremes, cut at `SPAN`. A star marks Open-Unmix's published medians,
        a + a method with further training data.
    """
    own = {
        name: {target: list(songs.values()) for target, songs in parts.items()}
        for name, parts in (ours or {}).items()
    }
    kinds = {**sisec.methods().kind.to_dict(), **dict.fromkeys(own, "ours")}
    order = _order(own, targets[0])
    fig, axes = figure(
        len(targets), 1, height=1.1 + 1.7 * len(targets), sharex=True, sharey=True, squeeze=False
    )
    umx = sisec_statements.umx_medians()
    for ax, target in zip(axes[:, 0], targets):
        for x, name in enumerate(order):
            if name == sisec.UMX:
                ax.plot(x, umx[target], "*", color=UMX_COLOUR, markersize=11, zorder=4)
                continue
            five, values = _scores(name, target, own, frame)
            if values is not None:
                _violin(ax, x, values, KINDS[kinds[name]])
            if five is not None:
                _box(ax, x, five, KINDS[kinds[name]])
        ax.axhline(0, color="#667085", linewidth=0.8)
        ax.set(ylim=SPAN, ylabel="cSDR (dB)")
        ax.set_title(target, color=colour(target))
        ax.grid(True, axis="y")
    extra = sisec.methods().extra_training_data
    labels = [
        "UMX" if name == sisec.UMX else f"{name} +" if extra.get(name) == "yes" else name
        for name in order
    ]
    axes[-1, 0].set_xticks(range(len(order)), labels, rotation=90, fontsize=9)
    axes[0, 0].set_xlim(-0.8, len(order) - 0.2)
    _legend(fig, [kind for kind in KINDS if kind in kinds.values()])
    return fig


def _legend(fig, kinds):
    handles = [Patch(color=KINDS[kind], label=kind, alpha=0.6) for kind in kinds]
    star = {"marker": "*", "color": UMX_COLOUR, "linestyle": "", "markersize": 9}
    handles.append(Line2D([], [], label="Open-Unmix, published medians", **star))
    fig.legend(handles=handles, ncols=len(handles), loc="outside upper center")


def _order(own, target):
    medians = dict(zip(*sisec.summary(target)[["method", "median"]].to_numpy().T))
    medians[sisec.UMX] = sisec_statements.umx_medians()[target]
    medians |= {name: np.median(parts[target]) for name, parts in own.items() if target in parts}
    return sorted(medians, key=medians.get, reverse=True)


def _scores(name, target, own, frame):
    """The five numbers and the values of a method, None where it has none."""
    if name in own:
        values = np.array(own[name].get(target, ()))
        return (
            (np.percentile(values, [0, 25, 50, 75, 100]), len(values)) if len(values) else None
        ), (values if len(values) > 1 else None)
    row = sisec.summary(target).query("method == @name")
    if row.empty:
        return None, None
    five = row[list(sisec.FIVE[1:])].to_numpy()[0], int(row.n.iloc[0])
    return five, (
        None
        if frame is None
        else frame[(frame.method == name) & (frame.target == target)].SDR.to_numpy()
    )


def _violin(ax, x, values, tint):
    """A density whose width does not follow the outliers: Silverman's robust rule."""
    sd, iqr = values.std(ddof=1), np.subtract(*np.percentile(values, [75, 25]))
    width = 0.9 * min(sd, iqr / 1.34) * len(values) ** -0.2 / sd if sd else None
    parts = ax.violinplot(values, [x], widths=0.95, showextrema=False, points=500, bw_method=width)
    for body in parts["bodies"]:
        body.set(facecolor=tint, alpha=0.3, linewidth=0)


def _box(ax, x, five, tint):
    (low, q1, median, q3, high), n = five
    notch = 1.57 * (q3 - q1) / np.sqrt(n)
    stats = {
        "whislo": low,
        "q1": q1,
        "med": median,
        "q3": q3,
        "whishi": high,
        "cilo": median - notch,
        "cihi": median + notch,
    }
    line = {"color": tint, "linewidth": 0.7}
    ax.bxp(
        [stats],
        [x],
        widths=0.55,
        shownotches=True,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        showcaps=False,
        boxprops={"facecolor": tint, "alpha": 0.45, "edgecolor": tint, "linewidth": 0.6},
        whiskerprops=line,
        medianprops={"color": "black", "linewidth": 1.4},
    )
