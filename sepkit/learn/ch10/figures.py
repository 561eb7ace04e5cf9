"""Figures of chapter 10: attention as a picture, positions, bands, what a network compresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike

from ...models.scnet import SCNet
from .. import plots

TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def weights(
    values: ArrayLike, rows: Sequence[str], columns: Sequence[str], ax: Axes, title: str = ""
) -> AxesImage:
    """Draw a small table of attention with its numbers: a row looks, the columns are looked at.

    Parameters
    ----------
    values : array (rows, columns)
        Each row adds up to 1.
    """
    values = np.asarray(values)
    image = ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        tint = "black" if value > 0.5 else "white"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=tint, fontsize=8)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="is looked at", ylabel="looks", title=title)
    ax.spines[:].set_visible(False)
    return image


def over_time(values: ArrayLike, frame: float, ax: Axes, title: str = "") -> AxesImage:
    """Draw attention from every frame to every frame.

    Parameters
    ----------
    values : array (frames, frames)
        White is the value that one in a hundred exceeds.
    frame : float
        Seconds from one frame to the next.
    """
    values = np.asarray(values)
    end = len(values) * frame
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, end, 0, end),
        vmin=0,
        vmax=float(np.quantile(values, 0.99)),
        interpolation="antialiased",
    )
    ax.set(xlabel="is looked at: time (s)", ylabel="looks: time (s)", title=title)
    ax.spines[:].set_visible(False)
    return image


def learnt(
    states: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    frame: float,
    edges: Sequence[float],
    axes: np.ndarray,
) -> AxesImage:
    """Draw attention along time, a panel for each of two heads, and along bands; a state a row.

    Parameters
    ----------
    states : dict of str to (Tensor (heads, N, N), Tensor (K, K))
        State -> weights along time of one band, and along bands, the mean over frames and heads.
    frame : float
        Seconds from one frame to the next.
    edges : sequence of float
        K + 1 edges of the bands in Hz, in ascending order.
    axes : array (states, 3) of Axes

    Returns
    -------
    AxesImage
        White: twice an even share, or more.
    """
    for row, (state, (time, bands)) in zip(axes, states.items()):
        panels = [(f"{state}: time, head {h + 1}", one) for h, one in enumerate(time)]
        for ax, (title, values) in zip(row, [*panels, (f"{state}: bands", bands)]):
            shares = np.asarray(values) * len(values)  # 1: an even share
            end = len(values) * frame if ax is not row[2] else len(values)
            image = ax.imshow(
                shares,
                origin="lower",
                aspect="auto",
                cmap="magma",
                extent=(0, end, 0, end),
                vmin=0,
                vmax=2,
                interpolation="nearest",
            )
            ax.set_title(title, fontsize=10)
            ax.set(xlabel="is looked at (s)", ylabel="looks (s)" if ax is row[0] else "")
            ax.spines[:].set_visible(False)
        places = [int(np.abs(np.asarray(edges) - hertz).argmin()) for hertz in (500, 1000, 5000)]
        names = [f"{edges[place] / 1000:.1f}" for place in places]
        row[2].set_xticks(places, names)
        row[2].set_yticks(places, names)
        row[2].set(xlabel="is looked at (kHz)", ylabel="looks (kHz)")
    return image


def hands(turn: torch.Tensor, pairs: Sequence[int], ax: Axes, title: str = "") -> Axes:
    """Draw rotations as the hands of clocks: a column per position, a row per pair.

    Parameters
    ----------
    turn : complex Tensor (positions, pairs)
        As `sepkit.models.roformer_layers.rotations` gives them.
    pairs : sequence of int
        The ones to draw, from top to bottom.
    """
    for row, pair in enumerate(pairs):
        for position, z in enumerate(turn[:, pair].tolist()):
            ax.add_patch(_circle(position, -row))
            ax.plot(
                [position, position + 0.36 * z.real],
                [-row, -row + 0.36 * z.imag],
                color=plots.CYCLE[0],
                linewidth=1.8,
            )
    ax.set_yticks([-row for row in range(len(pairs))], [str(pair) for pair in pairs])
    ax.set_xticks(range(len(turn)))
    ax.set(
        xlabel="position (frames)",
        ylabel="pair of features",
        title=title,
        xlim=(-0.6, len(turn) - 0.4),
        ylim=(0.6 - len(pairs), 0.6),
        aspect="equal",
    )
    return ax


def band_rows(
    splits: Mapping[str, Sequence[tuple[int, int]]], n_fft: int, sample_rate: int, ax: Axes
) -> Axes:
    """Draw bands over a logarithmic frequency axis, by turns in two lanes, so that overlaps show.

    Parameters
    ----------
    splits : dict of str to list of (int, int)
        Bins [low, high) of each band, drawn from top to bottom.
    """
    hertz = sample_rate / n_fft
    for row, ranges in enumerate(splits.values()):
        for lane in (0, 1):
            lows, highs = np.array(ranges[lane::2]).T * hertz
            lows = np.maximum(lows, hertz)  # bin 0 has no place on this axis
            ax.barh(
                row + 0.2 * (2 * lane - 1),
                highs - lows,
                left=lows,
                height=0.36,
                color=plots.CYCLE[0] if lane else "#9ecae8",
                edgecolor="white",
                linewidth=0.4,
            )
    ax.set_yticks(range(len(splits)), splits)
    ax.invert_yaxis()
    ax.set(xscale="log", xlim=(hertz, sample_rate / 2), xlabel="frequency (Hz)")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(TICKS, [f"{f / 1000:g}k" if f >= 1000 else str(f) for f in TICKS])
    return ax


def compressed_rows(network: SCNet) -> list[tuple[int, int]]:
    """The bins [low, high) that each row behind SCNet's encoder is made of.

    Counted by strides alone: kernels that are wider than their stride see one bin more.
    """
    rows = [(bin, bin + 1) for bin in range(network.stft.bins)]
    stage: Any
    for stage in network.encoder:
        joined, start = [], 0
        for size, (before, _), compress in zip(stage.sizes, stage.paddings, stage.compress):
            stride, band = compress.stride[0], rows[start : start + size]
            spare = max(0, before - (compress.kernel_size[0] - stride) // 2)  # of a first group
            for first in range(-spare, size, stride):
                part = band[max(0, first) : first + stride]
                joined.append((part[0][0], part[-1][1]))
            start += size
        rows = joined
    return rows


def by_rows(magnitude: torch.Tensor, rows: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Replace every bin by the root mean square of its row's bins.

    Parameters
    ----------
    magnitude : Tensor (bins, frames)
    rows : list of (int, int)
        Bins [low, high), side by side.

    Returns
    -------
    Tensor (bins, frames)
    """
    shown = magnitude.clone()
    for low, high in rows:
        shown[low:high] = magnitude[low:high].square().mean(0).sqrt()
    return shown


def stages(
    branches: Mapping[str, Mapping[str, float]], ax: Axes, ylabel: str, title: str = ""
) -> Axes:
    """Draw a number for each stage of several branches, logarithmic, and write it beside the dot.

    Parameters
    ----------
    branches : dict of str to dict of str to float
        Branch -> stage -> number; the stages of the first are the axis.
    """
    written: set[tuple[int, float]] = set()
    for index, (label, numbers) in enumerate(branches.items()):
        tint, below, values = plots.CYCLE[index], index % 2, list(numbers.values())
        ax.plot(range(len(values)), values, "o-", color=tint, label=label)
        right = (values[-1] < values[0]) != bool(below)  # away from the line
        for place, value in enumerate(values):
            if (place, value) in written:  # two branches meet: one number says it
                continue
            written.add((place, value))
            ax.annotate(
                f"{value:,.0f}",
                (place, value),
                xytext=(4 if right else -4, -13 if below else 5),
                textcoords="offset points",
                ha="left" if right else "right",
                fontsize=9,
                color=tint,
            )
    stage_names = list(next(iter(branches.values())))
    ax.set_xticks(range(len(stage_names)), stage_names)
    ax.set(yscale="log", ylabel=ylabel, title=title)
    ax.margins(x=0.3, y=0.18)
    ax.grid(True, axis="y")
    return ax


def pairs_of_dots(
    groups: Mapping[str, Mapping[str, Sequence[float]]], ylabel: str, ax: Axes, title: str = ""
) -> Axes:
    """Draw every value as a dot and the mean as a bar; kinds side by side within each group.

    Parameters
    ----------
    groups : dict of str to dict of str to sequence of float
        Group -> kind -> values.
    """
    kinds = list(dict.fromkeys(kind for group in groups.values() for kind in group))
    for place, group in enumerate(groups.values()):
        for kind, values in group.items():
            index = kinds.index(kind)
            x = place + 0.36 * (index - (len(kinds) - 1) / 2)
            ax.plot([x] * len(values), values, ".", color=plots.CYCLE[index], alpha=0.6)
            ax.plot([x - 0.14, x + 0.14], [np.mean(values)] * 2, color=plots.CYCLE[index], lw=2.5)
    for index, kind in enumerate(kinds):
        ax.plot([], [], color=plots.CYCLE[index], linewidth=2.5, label=kind)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel, title=title)
    ax.grid(True, axis="y")
    ax.legend(loc="best")
    return ax


def _circle(x, y):
    from matplotlib.patches import Circle

    return Circle((x, y), 0.36, facecolor="white", edgecolor="#98a2b3", linewidth=0.7)
