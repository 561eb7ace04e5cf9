"""Figures of chapter 05: a bin as arrows, maps, two networks side by side, a U, joined bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .. import plots
from ..diagrams import Diagram

#: Of the three masks in `phasor`; the voice has the colour between them.
_MASK_COLOURS = (plots.CYCLE[0], *plots.CYCLE[2:4])
_DOWN, _BOTTOM, _UP, _GIVEN, _MEMORY = "#dbeafe", "#d1fadf", "#fdebd8", "#f2f4f7", "#fde9d3"


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
    _arrow(left, voice, rest, plots.colour("accompaniment"), "rest N", (7, 0), "left")
    _arrow(left, 0, mixture, plots.colour("mixture"), "mixture X", (-4, 4), "right")
    for index, (name, value) in enumerate(made.items()):
        left.plot(
            value.real, value.imag, "osD"[index], color=_MASK_COLOURS[index], label=name, zorder=4
        )
    near = level <= 0  # then nothing lies farther away than 2
    left.set(
        xlim=(-0.6, 2.2) if near else (-2.4, 4.2),
        ylim=(-0.5, 1.45) if near else (-1.3, 3.3),
        aspect="equal",
        xlabel="real part",
        ylabel="imaginary part",
    )
    left.set_title(
        f"|S| / |X| = {abs(ratio):.2f}, the phase is {abs(np.degrees(np.angle(ratio))):.0f}° off"
    )
    left.grid(True)
    left.legend(loc="upper left", fontsize=7)
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
    of: str = "",
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
    of : str
        What every title ends with.
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
        ax.set(xlabel="time (s)", ylabel="frequency (kHz)", title=title + of)
        ax.label_outer()


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
        From the input to the output; the middle of the list is drawn at the bottom. Skip
        connections lead from every stage but the input to the one on the same level.
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
        # outside of the U, where no other box is; the ends above, the bottom below
        aside = 0 if place in (0, deep, len(stages) - 1) else -1 if place < deep else 1
        above = not aside and place != deep
        ax.annotate(
            f"{name}\n{maps} maps\n{frames} × {bins}",
            (place + aside * width / 2, level + (height if above else -height) / 2),
            xytext=(3 * aside, -5 if aside else 2 if above else -2),
            textcoords="offset points",
            ha=("center", "left", "right")[aside],
            va="bottom" if aside or above else "top",
            fontsize=8,
        )
        mirror = 2 * deep - place
        if 0 < place < deep and mirror < len(stages):  # the input is handed to nobody
            ax.plot(
                [place + width / 2, mirror - width / 2],
                [level, level],
                color="#667085",
                linewidth=1.1,
                linestyle=":",
            )
    if ax.lines:
        ax.annotate(
            "skip connections",
            (deep, np.asarray(ax.lines[0].get_ydata())[0]),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color="#667085",
        )
    ax.set(xlim=(-0.7, len(stages) - 0.3), ylim=(-deep - 1.2, 1.6))
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


def two_networks() -> Diagram:
    """Draw Open-Unmix and ResUNet side by side, from the mixture to the estimate."""
    diagram = Diagram(
        720,
        470,
        "Two networks from top to bottom. Left, Open-Unmix: the magnitude of the mixture, every"
        " frame squeezed to a few numbers, a BLSTM along time with a way around it, every frame"
        " unfolded to all bins, one map: the mask. The estimate is the mask times the magnitude,"
        " with the phase of the mixture. Right, ResUNet: the magnitude goes down through encoders"
        " on ever coarser grids to a bottleneck and up again through decoders, with a skip"
        " connection on every grid, to three maps: mask, phase shift, addition. The estimate has"
        " the magnitude ReLU of mask times magnitude plus addition, and the phase of the mixture"
        " turned by the phase shift.",
    )
    _open_unmix(diagram, middle=165.0)
    _resunet(diagram, middle=530.0)
    return diagram


def _open_unmix(diagram, middle):
    rows = [
        (70, "magnitude |X| of the mixture", _GIVEN, 240),
        (135, "squeeze every frame", _DOWN, 150),
        (200, "BLSTM along time", _MEMORY, 150),
        (265, "unfold every frame", _UP, 150),
        (330, "one map: the mask M", _UP, 240),
        (430, "M |X|, phase of X", _GIVEN, 240),
    ]
    diagram.text((middle, 25), "Open-Unmix", size=15, anchor="middle")
    for (y, *_), (below, *_) in zip(rows, rows[1:], strict=False):
        diagram.arrow([(middle, y + 15), (middle, below - 15)])
    skip = middle + 105
    diagram.arrow([(middle + 75, 135), (skip, 135), (skip, 265), (middle + 75, 265)])
    around = middle - 140
    diagram.arrow([(middle - 120, 70), (around, 70), (around, 430), (middle - 120, 430)])
    for y, text, tint, width in rows:
        diagram.box((middle, y), (width, 30), text, tint)


def _resunet(diagram, middle):
    grids = [(125, 112, 110), (165, 94, 90), (205, 76, 70)]  # y, distance from the middle, width
    bottom, maps, top = 250, 330, (70, 430)
    diagram.text((middle, 25), "ResUNet", size=15, anchor="middle")
    diagram.arrow([(middle - 112, top[0] + 15), (middle - 112, 110)])
    for (y, _, _), (below, near, _) in zip(grids, grids[1:], strict=False):
        diagram.arrow([(middle - near, y + 15), (middle - near, below - 15)])
        diagram.arrow([(middle + near, below - 15), (middle + near, y + 15)])
    diagram.arrow([(middle - 76, 220), (middle - 76, bottom), (middle - 55, bottom)])
    diagram.arrow([(middle + 55, bottom), (middle + 76, bottom), (middle + 76, 220)])
    for y, far, width in grids:
        diagram.arrow([(middle - far + width / 2, y), (middle + far - width / 2, y)])
        diagram.box((middle - far, y), (width, 30), "encoder", _DOWN)
        diagram.box((middle + far, y), (width, 30), "decoder", _UP)
    diagram.box((middle, bottom), (110, 30), "bottleneck", _BOTTOM)
    side = middle + 175
    for place, text in ((-112, "mask |M|"), (0, "shift ∠M"), (112, "addition Q")):
        x = middle + place
        diagram.arrow([(middle + 167, 125), (side, 125), (side, 290), (x, 290), (x, maps - 15)])
        diagram.box((x, maps), (104, 30), text, _UP)
        diagram.arrow([(x, maps + 15), (x, top[1] - 15)])
    around = middle - 180
    diagram.arrow([(middle - 167, top[0]), (around, top[0]), (around, top[1]), (middle - 167, 430)])
    diagram.box((middle, top[0]), (334, 30), "magnitude |X| of the mixture", _GIVEN)
    diagram.box((middle, top[1]), (334, 30), "ReLU(|M| |X| + Q), phase ∠X + ∠M", _GIVEN)
