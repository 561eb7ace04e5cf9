"""Figures of chapter 05: one bin as arrows, the three maps, a U drawn to scale, joined bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import plots

#: Of the three masks in `phasor`; the voice has the colour between them.
_MASK_COLOURS = (plots.CYCLE[0], *plots.CYCLE[2:4])


def phasor(level: float = -6.0, angle: float = 150.0) -> Figure:
    """Draw one bin: a voice of length 1, the rest, their sum, and what masks can reach.

    Parameters
    ----------
    level, angle : float
        Of the rest against the voice, in dB and degrees.

    Returns
    -------
    Figure
        Left the arrows, right how much of the voice's energy each kind of mask gets wrong.
    """
    voice, rest = 1.0 + 0.0j, 10 ** (level / 20) * np.exp(1j * np.radians(angle))
    mixture = voice + rest
    ratio = voice / mixture
    made = {
        "best mask, 0 to 1": np.clip(ratio.real, 0, 1) * mixture,
        "best real mask": ratio.real * mixture,
        "true magnitude": abs(voice) * mixture / abs(mixture),
    }
    fig, (left, right) = plots.figure(1, 2, height=2.9, width_ratios=[3, 2])
    reach = 3 * mixture / abs(mixture)
    left.plot(
        [-reach.real, reach.real],
        [-reach.imag, reach.imag],
        color="#98a2b3",
        linewidth=0.8,
        linestyle=":",
    )
    _arrow(left, 0, voice, plots.colour("vocals"), "voice S", (0, -11), "center")
    _arrow(left, voice, rest, plots.colour("accompaniment"), "rest N", (5, 4), "left")
    _arrow(left, 0, mixture, plots.colour("mixture"), "mixture X", (-4, 4), "right")
    for index, (name, value) in enumerate(made.items()):
        left.plot(
            value.real, value.imag, "osD"[index], color=_MASK_COLOURS[index], label=name, zorder=4
        )
    left.set(
        xlim=(-1.6, 2.6),
        ylim=(-1.3, 1.5),
        aspect="equal",
        xlabel="real part",
        ylabel="imaginary part",
    )
    left.set_title(
        f"|S| / |X| = {abs(ratio):.2f}, the phase is {abs(np.degrees(np.angle(ratio))):.0f}° off"
    )
    left.grid(True)
    left.legend(loc="lower left", fontsize=7)
    _error_bars({name: 100 * abs(value - voice) ** 2 for name, value in made.items()}, right)
    return fig


def three_maps(
    mask: torch.Tensor,
    phase: torch.Tensor,
    addition: torch.Tensor,
    loudness: torch.Tensor,
    seconds: float,
    top: float,
    axes: Sequence[Axes],
    span: float = 50.0,
    most: float | None = None,
) -> None:
    """Draw a mask, a phase shift and an addition, the last two where anything is heard at all.

    Parameters
    ----------
    mask, phase, addition : Tensor (bins, frames)
        0 to 1; radians; in the units of the magnitude. The bins lie evenly from 0 to `top`.
    loudness : Tensor (bins, frames)
        Magnitudes: `span` dB or more below the largest, phase and addition are left white.
    seconds : float
        What the frames cover.
    top : float
        The highest frequency, in Hz.
    axes : sequence of three Axes
    most : float, optional
        The addition that gets the darkest colour; by default that of 1 % of the bins heard.
    """
    audible = np.asarray(loudness > float(loudness.max()) * 10 ** (-span / 20))
    added = np.asarray(addition)
    most = most or max(float(np.quantile(np.abs(added[audible]), 0.99)), 1e-9)
    extent = (0, seconds, 0, top / 1000)
    shared: dict[str, Any] = dict(
        origin="lower", aspect="auto", extent=extent, interpolation="nearest"
    )
    pictures: tuple[tuple[str, np.ndarray, dict[str, Any], str], ...] = (
        ("mask |M|", np.asarray(mask), dict(cmap="cividis", vmin=0, vmax=1), "mask"),
        (
            "phase shift ∠M",
            np.where(audible, np.degrees(np.asarray(phase)), np.nan),
            dict(cmap="twilight", vmin=-180, vmax=180),
            "degrees",
        ),
        (
            "addition Q",
            np.where(audible, added, np.nan),
            dict(cmap="RdBu_r", vmin=-most, vmax=most),
            "magnitude",
        ),
    )
    for ax, (title, values, colours, unit) in zip(axes, pictures):
        image = ax.imshow(values, **shared, **colours)
        bar = ax.figure.colorbar(image, ax=ax, label=unit, pad=0.01, aspect=14)
        if unit == "degrees":
            bar.set_ticks([-180, -90, 0, 90, 180])
        ax.set(xlabel="time (s)", ylabel="frequency (kHz)" if ax is axes[0] else "", title=title)


def joined(bands: torch.Tensor) -> torch.Tensor:
    """Stack the maps of a filter bank's bands from low to high, the odd ones turned over.

    Parameters
    ----------
    bands : Tensor (bands, bins, frames)

    Returns
    -------
    Tensor (bands * bins, frames)
    """
    return torch.cat([part.flip(0) if k % 2 else part for k, part in enumerate(bands)])


def u_shape(stages: Sequence[tuple[str, int, int, int]], ax: Axes) -> Axes:
    """Draw a U of boxes, as wide as a stage has frames and as high as it has bins (square roots).

    Parameters
    ----------
    stages : list of (name, maps, frames, bins)
        From the input to the output; the middle of the list is drawn at the bottom.
    """
    deep = max(range(len(stages)), key=lambda k: -stages[k][2] * stages[k][3])
    most = max(frames for _, _, frames, _ in stages), max(bins for *_, bins in stages)
    for place, (name, maps, frames, bins) in enumerate(stages):
        width, height = 0.86 * (frames / most[0]) ** 0.5, 1.5 * (bins / most[1]) ** 0.5
        level = -1.0 * min(place, 2 * deep - place if place > deep else place)
        tint = (
            plots.CYCLE[0] if place < deep else plots.CYCLE[1] if place > deep else plots.CYCLE[2]
        )
        ax.add_patch(
            Rectangle(
                (place - width / 2, level - height / 2),
                width,
                height,
                facecolor=tint,
                alpha=0.35,
                edgecolor=tint,
            )
        )
        ax.annotate(
            f"{name}\n{maps} maps\n{frames} × {bins}",
            (place, level - height / 2),
            xytext=(0, -2),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=6.5,
        )
        mirror = 2 * deep - place
        if place < deep and mirror < len(stages):
            ax.plot(
                [place + width / 2, mirror - width / 2],
                [level, level],
                color="#98a2b3",
                linewidth=0.8,
                linestyle=":",
            )
    ax.set(xlim=(-0.7, len(stages) - 0.3), ylim=(-deep - 1.6, 1.1))
    ax.set_axis_off()
    return ax


def _error_bars(errors, ax):
    for place, error in enumerate(errors.values()):
        ax.barh(place, min(error, 400), color=_MASK_COLOURS[place])
        ax.annotate(
            f"{error:.0f} %",
            (min(error, 200), place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set_yticks(range(len(errors)), errors)
    ax.set(xlim=(0, 240), xlabel="error, % of the voice's energy", title="what is still wrong")
    ax.invert_yaxis()


def _arrow(ax, start, vector, tint, label, offset, align):
    start, end = complex(start), complex(start) + vector
    ax.annotate(
        "",
        (end.real, end.imag),
        (start.real, start.imag),
        arrowprops={"arrowstyle": "-|>", "color": tint, "linewidth": 2},
    )
    middle = start + 0.55 * vector
    ax.annotate(
        label,
        (middle.real, middle.imag),
        xytext=offset,
        textcoords="offset points",
        ha=align,
        color=tint,
        fontsize=8,
    )
