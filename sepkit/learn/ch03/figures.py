"""Figures of chapter 03: clouds of samples, angles, whitening, permutations, panning, methods."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ...metrics.statistics import bootstrap_interval
from .. import plots
from ..diagrams import Diagram

_POINTS = 1500
#: Colours of the two speakers, in every figure.
SPEAKERS = ("#D55E00", "#0072B2")


def two_microphones(A: ArrayLike) -> Diagram:
    """Draw two speakers, two microphones, and the gain on each of the four ways between them.

    Parameters
    ----------
    A : array (2, 2)
        The mixing matrix: a row for each microphone, a column for each speaker.
    """
    gains = np.asarray(A, float)
    told = "; ".join(
        f"speaker {k + 1} at microphone {m + 1}: {gains[m, k]:g}"
        for m in range(2)
        for k in range(2)
    )
    drawing = Diagram(640, 190, f"Two speakers and two microphones, gains in between. {told}.")
    heights = (50, 140)
    for k, y in enumerate(heights):
        drawing.box((80, y), (130, 40), f"speaker {k + 1}: s{'₁₂'[k]}", border=SPEAKERS[k])
        drawing.box((500, y), (170, 40), f"microphone {k + 1}: x{'₁₂'[k]}")
    for k, start in enumerate(heights):
        for m, end in enumerate(heights):
            drawing.arrow([(146, start), (414, end)], colour=SPEAKERS[k])
            near = 0.28 if k != m else 0.5
            at = (146 + 268 * near, start + (end - start) * near - 12)
            drawing.text(at, f"{gains[m, k]:g}", anchor="middle", colour=SPEAKERS[k])
    return drawing


def cloud(
    x: torch.Tensor,
    ax: Axes,
    arrows: Sequence[tuple[ArrayLike, str]] = (),
    title: str = "",
    labels: tuple[str, str] = ("channel 1", "channel 2"),
    span: float | None = None,
    tint: str = "#4d4d4d",
) -> Axes:
    """Two channels against each other, a dot a sample: where sources lie shows as lines.

    Parameters
    ----------
    x : Tensor (2, samples)
    arrows : sequence of ((2,) vector, colour)
        Drawn from the origin.
    span : float, optional
        Half the width of both axes.
    """
    x = torch.as_tensor(x)
    span = span or float(x.abs().flatten().sort().values[int(0.998 * x.numel())])
    loud = x.square().sum(0) > 3e-4 * span**2  # pauses would be a blob
    shown = x[:, loud]
    shown = shown[:, :: max(1, shown.shape[1] // _POINTS)]
    ax.plot(*shown.numpy(), ".", color=tint, markersize=1.6, alpha=0.5)
    for vector, colour in arrows:
        v = np.asarray(vector, float) / np.hypot(*np.asarray(vector, float)) * 0.85 * span
        ax.annotate("", v, -v, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8})
    ax.set(
        xlim=(-span, span),
        ylim=(-span, span),
        xlabel=labels[0],
        ylabel=labels[1],
        title=title,
        aspect="equal",
    )
    return ax


def density(signals: Mapping[str, torch.Tensor], ax: Axes, title: str = "") -> Axes:
    """How often each value occurs, on a logarithmic axis, beside the Gaussian of the same variance.

    Parameters
    ----------
    signals : dict of str to Tensor (samples,)
        Each is scaled to variance 1.
    """
    edges = np.linspace(-6, 6, 61)
    middle = (edges[1:] + edges[:-1]) / 2
    ax.fill_between(
        middle,
        np.exp(-(middle**2) / 2) / math.sqrt(2 * math.pi),
        1e-6,
        color="#e4e7ec",
        label="Gaussian",
    )
    for index, (label, signal) in enumerate(signals.items()):
        y = np.asarray(signal, float)
        height, _ = np.histogram((y - y.mean()) / y.std(), edges, density=True)
        ax.plot(
            middle,
            np.maximum(height, 1e-6),
            label=label,
            color=plots.CYCLE[index % len(plots.CYCLE)],
        )
    ax.set(
        yscale="log",
        ylim=(3e-4, 3),
        xlim=(-6, 6),
        xlabel="value (standard deviations)",
        ylabel="density",
        title=title,
    )
    ax.grid(True)
    ax.legend(loc="upper right")
    return ax


def turned(x: torch.Tensor, angle: float, kurtosis: Callable[[torch.Tensor], float]) -> Figure:
    """Draw one output ``cos(angle) x1 + sin(angle) x2``: its direction, and how spiky it is.

    Parameters
    ----------
    x : Tensor (2, samples)
    angle : float
        In degrees.
    kurtosis : callable
        Of one signal (samples,).

    Returns
    -------
    Figure
    """
    u = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    y = torch.from_numpy(u).to(x) @ x
    fig, (left, right) = plots.figure(1, 2, height=2.7, width_ratios=[2, 3])
    cloud(x, left, [(u, "#D55E00")], "the two microphones", ("microphone 1", "microphone 2"))
    density(
        {f"output at {angle:.0f}°": y},
        right,
        f"angle {angle:.0f}°: kurtosis {float(kurtosis(y)):.2f}",
    )
    return fig


def curve_of_angles(
    x: torch.Tensor, A: torch.Tensor, kurtosis: Callable[[torch.Tensor], float]
) -> Figure:
    """Kurtosis of the output over the angle, and the level at which each speaker is left in it.

    Parameters
    ----------
    x : Tensor (2, samples)
    A : Tensor (2, 2)
        The true mixing, for the lower panel alone.
    """
    degrees = np.arange(0, 180.1, 1.0)
    U = np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)  # (angles, 2)
    spiky = [float(kurtosis(y)) for y in torch.from_numpy(U).to(x) @ x]
    left = 20 * np.log10(np.maximum(np.abs(U @ np.asarray(A)), 1e-3))  # (angles, speakers)
    fig, (top, bottom) = plots.figure(2, 1, height=3.8, sharex=True)
    top.plot(degrees, spiky, color="#4d4d4d")
    top.set(ylabel="kurtosis", title="how spiky the output is (all that a blind method can see)")
    for speaker, tint in zip(range(2), SPEAKERS):
        bottom.plot(degrees, left[:, speaker], color=tint, label=f"speaker {speaker + 1}")
        for ax in (top, bottom):
            ax.axvline(
                degrees[left[:, speaker].argmin()], color=tint, linewidth=0.9, linestyle="--"
            )
    bottom.set(
        xlabel="angle (degrees)",
        ylabel="level (dB)",
        title="what is left of each speaker (known to us alone)",
        xlim=(0, 180),
        ylim=(-40, 5),
    )
    bottom.legend(loc="lower left")
    for ax in (top, bottom):
        ax.grid(True)
    return fig


def whitening_steps(steps: Mapping[str, torch.Tensor], arrows: Mapping[str, np.ndarray]) -> Figure:
    """Draw four clouds: {title: signals (2, samples)} and {title: the speakers' two directions}.

    The scales differ from panel to panel.
    """
    fig, axes = plots.figure(1, len(steps), height=2.7)
    for ax, (title, x) in zip(axes, steps.items()):
        labels = ("first signal", "second signal" if ax is axes[0] else "")
        cloud(x, ax, list(zip(arrows[title], SPEAKERS)), title, labels)
        ax.locator_params(nbins=3)
    handles = [
        Line2D([], [], color=tint, linewidth=1.8, label=f"direction of speaker {k + 1}")
        for k, tint in enumerate(SPEAKERS)
    ]
    fig.legend(handles=handles, ncols=2, loc="outside lower center")
    return fig


def leading_speaker(levels: ArrayLike, frequencies: ArrayLike, title: str, ax: Axes) -> Axes:
    """Which speaker is louder in output 1, bin by bin: a dot above 0 dB is speaker 1.

    Parameters
    ----------
    levels : Tensor (bins,)
        Level of speaker 1 over speaker 2 in that output, in dB.
    frequencies : array (bins,)
        In kHz.
    """
    levels = np.asarray(levels).clip(-30, 30)
    for chosen, tint in ((levels >= 0, SPEAKERS[0]), (levels < 0, SPEAKERS[1])):
        ax.plot(np.asarray(frequencies)[chosen], levels[chosen], ".", color=tint, markersize=2.5)
    ax.axhline(0, color="#667085", linewidth=0.8)
    for y, speaker in ((36, 0), (-36, 1)):
        words = f"speaker {speaker + 1} leads"
        ax.text(7.9, y, words, color=SPEAKERS[speaker], ha="right", va="center", fontsize=8)
    ax.set(
        xlabel="frequency (kHz)",
        ylabel="speaker 1 over speaker 2 (dB)",
        title=title,
        ylim=(-40, 40),
        xlim=(0, 8),
    )
    return ax


def directions(stems: Mapping[str, torch.Tensor], ax: Axes, title: str = "") -> Axes:
    """Draw where each stem's energy lies between the loudspeakers, over its spectrogram's bins.

    The scale is logarithmic, so that a stem with one place does not hide those that are spread.

    Parameters
    ----------
    stems : dict of str to complex Tensor (2, bins, frames)
    """
    edges = np.linspace(0, 90, 46)
    for name, spectrogram in stems.items():
        left, right = spectrogram.abs()
        angle = torch.rad2deg(torch.atan2(right, left)).flatten().numpy()
        energy = (left**2 + right**2).flatten().numpy()
        height, _ = np.histogram(angle, edges, weights=energy / max(energy.sum(), 1e-20))
        ax.plot((edges[1:] + edges[:-1]) / 2, 100 * height, color=plots.colour(name), label=name)
    ax.set(xlabel="direction", ylabel="energy of the stem (%)", title=title, xlim=(0, 90))
    ax.set(yscale="log", ylim=(0.1, 150))
    ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.set_xticks([0, 45, 90], ["left", "centre", "right"])
    ax.grid(True)
    ax.legend()
    return ax


def parts(
    W: torch.Tensor,
    H: torch.Tensor,
    sample_rate: int,
    frame_rate: float,
    held: Mapping[str, Sequence[float]],
    top: float = 4000,
) -> Figure:
    """Draw the components of an NMF, a row each: its spectrum, and when it sounds.

    Parameters
    ----------
    W, H : Tensor (bins, components), (components, frames)
    frame_rate : float
        Frames per second.
    held : dict of str to sequence of float
        Per stem and component, the energy of the stem in it: the largest gives colour and name.
    top : float
        Highest frequency to show, in Hz.
    """
    count = H.shape[0]
    fig, (left, right) = plots.figure(1, 2, height=0.7 + 0.34 * count, width_ratios=[2, 3])
    frequencies = np.linspace(0, sample_rate / 2000, len(W))
    for k in range(count):
        owner = max(held, key=lambda name: float(held[name][k]))
        energy = sum(float(values[k]) for values in held.values())
        share = float(held[owner][k]) / energy if energy else 0.0
        spectrum = 1 + plots.decibels(W[:, k], floor=-40) / 40
        course = np.asarray(H[k]) / max(float(H[k].max()), 1e-20)
        for ax, x, y in (
            (left, frequencies, spectrum),
            (right, np.arange(len(course)) / frame_rate, course),
        ):
            ax.fill_between(x, k + 1, k + 1 - 0.88 * y, color=plots.colour(owner), linewidth=0.5)
            ax.axhline(k + 1, color="#e4e7ec", linewidth=0.7)
        words, place = f"{owner} {share:.0%}", right.get_yaxis_transform()
        tint = plots.colour(owner)
        right.text(1.01, k + 0.6, words, color=tint, fontsize=8.5, transform=place, va="center")
    for ax in (left, right):
        ax.set(ylim=(count + 0.1, 0))
        ax.set_yticks(np.arange(count) + 0.6, [str(k + 1) for k in range(count)])
        ax.tick_params(axis="y", length=0)
    left.set(xlabel="frequency (kHz)", ylabel="part", title="W: spectra", xlim=(0, top / 1000))
    right.set(xlabel="time (s)", title="H: when they sound", xlim=(0, H.shape[1] / frame_rate))
    return fig


def interval(
    values: Iterable[float], seed: int = 0, statistic: str = "mean"
) -> tuple[float, float, float]:
    """Find (middle, low, high) over songs; no interval (NaN) where there are fewer than two."""
    values = np.asarray([v for v in values if math.isfinite(v)])
    middle = float(getattr(np, statistic)(values)) if len(values) else math.nan
    return (
        middle,
        *(
            bootstrap_interval(values, seed=seed, statistic=statistic)
            if len(values) > 1
            else (math.nan, math.nan)
        ),
    )


def methods(
    frame: pd.DataFrame,
    order: Sequence[str],
    targets: Sequence[str],
    xlabel: str,
    statistic: str = "mean",
    seed: int = 0,
    kinds: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Draw a panel per target and a line per method: middle over songs, interval, songs as dots.

    The middle stands at the panel's right edge as a number, too.

    Parameters
    ----------
    frame : DataFrame
        Columns separator, target, track, value: of one metric and one data set.
    order : sequence of str
        Separators, from top to bottom.
    targets : sequence of str
    statistic : {"mean", "median"}
    kinds : dict of str to sequence of str, optional
        What the separators are -> which; a line stands between two kinds, and each is named.
    """
    fig, axes = plots.figure(
        1, len(targets), height=0.6 + 0.24 * len(order), sharey=True, sharex=True, squeeze=False
    )
    for ax, target in zip(axes[0], targets):
        for y, name in enumerate(order):
            values = frame[(frame.separator == name) & (frame.target == target)].value.to_numpy()
            if not len(values):
                continue
            middle, low, high = interval(values, seed, statistic)
            ax.plot(values, np.full(len(values), y), ".", color="#98a2b3", markersize=2.5)
            ax.plot([low, high], [y, y], color=plots.colour(target), linewidth=1.6)
            ax.plot(middle, y, "o", color=plots.colour(target), markersize=4.5)
            place = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
            ax.text(0.99, y, f"{middle:.1f}", color="#344054", fontsize=7.5, **place)
        ax.axvline(0, color="#667085", linewidth=0.8)
        ax.set(title=target, xlabel=xlabel)
        ax.grid(True, axis="x")
    low, high = axes[0, 0].get_xlim()
    axes[0, 0].set_xlim(low, high + 0.3 * (high - low))  # room for the numbers
    axes[0, 0].set_yticks(range(len(order)), order)
    axes[0, 0].invert_yaxis()
    _name_kinds(axes[0], order, kinds or {})
    return fig


def _name_kinds(axes, order, kinds):
    """A line between two kinds of methods in every panel, and their names at the right."""
    for kind, names in kinds.items():
        rows = [order.index(name) for name in names if name in order]
        if not rows:
            continue
        place = {"transform": axes[-1].get_yaxis_transform(), "fontsize": 7.5, "va": "center"}
        words = textwrap.fill(kind, 14)
        axes[-1].text(1.03, (min(rows) + max(rows)) / 2, words, color="#344054", **place)
        for ax in axes if max(rows) < len(order) - 1 else ():
            ax.axhline(max(rows) + 0.5, color="#98a2b3", linewidth=0.7, linestyle=":")
