"""Figures of chapter 04: the network as a diagram, an LSTM's gates, a weight on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ...models.open_unmix import OpenUnmix
from .. import plots
from ..diagrams import Diagram

_LEARNED, _FIXED, _MEMORY = "#dbeafe", "#f2f4f7", "#fde9d3"


def network(net: OpenUnmix) -> Diagram:
    """Draw Open-Unmix from top to bottom: the more numbers a box gives, the wider it is.

    Parameters
    ----------
    net : OpenUnmix
        Its settings give the sizes.
    """
    channels, hidden = net.settings["channels"], net.settings["hidden"]
    all_bins, seen = net.settings["n_fft"] // 2 + 1, net.bins_seen
    rows = [
        ("magnitude of the mixture |X|", channels * all_bins, _FIXED),
        ("keep the bins below 16 kHz, standardise", channels * seen, _LEARNED),
        ("fc1, batch normalisation, tanh", hidden, _LEARNED),
        ("BLSTM", hidden, _MEMORY),
        ("side by side", 2 * hidden, _FIXED),
        ("fc2, batch normalisation, ReLU", hidden, _LEARNED),
        ("fc3, batch normalisation", channels * all_bins, _LEARNED),
        ("scale, shift, ReLU: the mask", channels * all_bins, _LEARNED),
        ("mask times |X|, phase of the mixture", channels * all_bins, _FIXED),
    ]
    middle, step, top = 270.0, 46.0, 24.0
    widest = max(numbers for _, numbers, _ in rows)
    diagram = Diagram(
        640,
        2 * top + step * (len(rows) - 1),
        "Open-Unmix from top to bottom. "
        + " ".join(f"{name}: {numbers} numbers a frame." for name, numbers, _ in rows)
        + " What goes into the BLSTM also goes around it, and the magnitude of the mixture goes"
        " around the whole network to be multiplied by the mask.",
    )
    places = [(middle, top + step * row) for row in range(len(rows))]
    for (x, y), (_, below) in zip(places, places[1:], strict=False):
        diagram.arrow([(x, y + 15), (x, below - 15)])
    (_, first), (_, last), (_, squeezed), (_, joined) = (places[row] for row in (0, 8, 2, 4))
    half = [130 + 100 * numbers / widest for _, numbers, _ in rows]  # pixels, half a box
    diagram.arrow([(middle - half[0], first), (22, first), (22, last), (middle - half[8], last)])
    around = middle - half[2] - 40
    diagram.arrow(
        [
            (middle - half[2], squeezed),
            (around, squeezed),
            (around, joined),
            (middle - half[4], joined),
        ]
    )
    for place, (name, numbers, tint), reach in zip(places, rows, half, strict=True):
        diagram.box(place, (2 * reach, 30), name, tint)
        diagram.text((middle + 245, place[1]), f"{numbers} x N", size=12, colour="#475467")
    return diagram


def gates(inputs: Mapping[str, ArrayLike], lines: Mapping[str, ArrayLike]) -> Figure:
    """Draw what one LSTM unit reads, above, and its gates and its state, below, frame by frame.

    Parameters
    ----------
    inputs, lines : mapping of str to array (frames,)
    """
    fig, (above, below) = plots.figure(2, 1, height=3.4, sharex=True, height_ratios=[1, 2])
    for row, (name, values) in enumerate(inputs.items()):
        frames = np.flatnonzero(np.asarray(values))
        above.plot(frames, np.full(len(frames), -row), "|", markersize=16, markeredgewidth=3)
        above.annotate(
            name, (0, -row), xytext=(-6, 0), textcoords="offset points", ha="right", va="center"
        )
    above.set(ylim=(-len(inputs) + 0.4, 0.6), yticks=[], title="what it reads")
    for (name, values), style in zip(lines.items(), ("--", ":", "-"), strict=False):
        values = np.asarray(values)
        below.step(np.arange(len(values)), values, style, where="mid", label=name, linewidth=1.8)
    below.set(xlabel="frame", ylabel="gate, state", ylim=(-0.08, 1.35), xlim=(-0.5, None))
    below.grid(True, axis="y")
    below.legend(ncols=len(lines), loc="upper right")
    return fig


def descent(paths: Mapping[str, ArrayLike], best: float, ax: Axes) -> Axes:
    """Draw one weight over the steps of a training, once a way of moving it.

    Parameters
    ----------
    paths : mapping of str to array (steps,)
        What lies far outside is drawn at the border.
    best : float
        Where the loss is smallest.
    """
    low, high = best - 4, best + 4
    for name, path in paths.items():
        ax.plot(np.clip(np.asarray(path), low, high), ".-", markersize=4, label=name)
    ax.axhline(best, color="#667085", linestyle="--", linewidth=1)
    ax.annotate(
        "smallest loss",
        (1.01, best),
        xycoords=("axes fraction", "data"),
        va="center",
        color="#667085",
        fontsize=8,
    )
    ax.set(xlabel="step", ylabel="weight w", ylim=(low, high), xlim=(0, None))
    ax.grid(True)
    ax.legend(loc="lower left", bbox_to_anchor=(1, 0.55))  # beside the curves
    return ax


def remembering_unit() -> torch.nn.LSTM:
    """Make an LSTM of one unit that holds a 1 from a note's beginning to its end, set by hand.

    It reads two numbers a frame: whether a note begins, and whether one ends. Its weights, in
    PyTorch's order of the gates (input, forget, content, output), leave no gate half open.
    """
    unit: Any = torch.nn.LSTM(2, 1)  # torch calls its weights modules, too
    with torch.no_grad():
        unit.weight_hh_l0.zero_()
        unit.bias_hh_l0.zero_()
        unit.weight_ih_l0.copy_(torch.tensor([[12.0, 0], [0, -12], [12, 0], [0, 0]]))
        unit.bias_ih_l0.copy_(torch.tensor([-6.0, 6, 0, 6]))
    return unit
