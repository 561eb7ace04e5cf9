"""Figures of chapter 06: band splits, the network, an RNN's reach, complex masks, overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike

from ...models.bands import band_edges
from .. import plots
from ..diagrams import Diagram

SHADES = ("#0072B2", "#9ecae8")
LOWEST = 21.5  # Hz: on a logarithmic axis, the first band begins with bin 1 instead of bin 0
TICKS = {
    50: "50",
    100: "100",
    200: "200",
    500: "500",
    1000: "1k",
    2000: "2k",
    4000: "4k",
    8000: "8k",
    16000: "16k",
}


def bar_codes(splits: Sequence[str], ax: Axes, n_fft: int = 2048, sample_rate: int = 44100) -> Axes:
    """Draw band splits over a logarithmic frequency axis: a change of shade is a band's border.

    Parameters
    ----------
    splits : sequence of str
        Keys of `sepkit.models.bands.SPLITS`, drawn from top to bottom.
    """
    for row, name in enumerate(splits):
        limits = np.maximum(
            np.array(band_edges(name, n_fft, sample_rate)) * sample_rate / n_fft, LOWEST
        )
        shades = [SHADES[k % 2] for k in range(len(limits) - 1)]
        ax.barh(row, np.diff(limits), left=limits[:-1], color=shades, height=0.78, linewidth=0)
    ax.set_yticks(range(len(splits)), splits)
    ax.invert_yaxis()
    return _log_frequency(ax, sample_rate)


def spectra_with_bands(
    levels: Mapping[str, ArrayLike],
    split: str,
    ax: Axes,
    n_fft: int = 2048,
    sample_rate: int = 44100,
) -> Axes:
    """Draw mean spectra in dB, every second band of a split shaded.

    Parameters
    ----------
    levels : dict of str to array (bins,)
        Mean power of each stem.
    split : str
    """
    limits = np.maximum(
        np.array(band_edges(split, n_fft, sample_rate)) * sample_rate / n_fft, LOWEST
    )
    for low, high in zip(limits[::2], limits[1::2]):
        ax.axvspan(low, high, color="#e4e7ec", linewidth=0)
    top = max(float(np.max(power)) for power in levels.values())
    for label, values in levels.items():
        power = np.asarray(values)
        frequency = np.arange(len(power)) * sample_rate / n_fft
        ax.plot(
            frequency[1:],
            10 * np.log10(np.maximum(power[1:] / top, 1e-9)),
            color=plots.colour(label),
            label=label,
            linewidth=1.1,
        )
    ax.set(ylabel="level (dB)", title=f"{split}: {len(limits) - 1} bands", ylim=(-75, 3))
    return _log_frequency(ax, sample_rate)


def reach(change: ArrayLike, ax: Axes, title: str = "") -> AxesImage:
    """Draw which (band, frame) vectors changed: relative change, logarithmic, at most 1.

    Parameters
    ----------
    change : array (bands, frames)
    """
    change = np.asarray(change)
    values = np.log10(np.maximum(change / max(float(change.max()), 1e-30), 1e-9))
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-8,
        vmax=0,
        interpolation="nearest",
    )
    ax.set(xlabel="frame", title=title)
    return image


def mask_plane(
    mask: ArrayLike, weight: ArrayLike, ax: Axes, title: str = "", span: float = 1.6
) -> AxesImage:
    """Draw where a complex mask's values lie, weighted by energy; the ring is magnitude 1.

    Parameters
    ----------
    mask : complex array
    weight : array of the same shape
        Such as the power of the mixture.
    """
    mask, weight = np.asarray(mask).ravel(), np.asarray(weight).ravel()
    edges = np.linspace(-span, span, 97)
    share, _, _ = np.histogram2d(
        mask.imag, mask.real, bins=(edges, edges), weights=weight / weight.sum()
    )
    image = ax.imshow(
        np.log10(np.maximum(100 * share, 1e-6)),
        origin="lower",
        extent=(-span, span, -span, span),
        cmap="magma",
        vmin=-3,
        vmax=0.5,
    )
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color="white", linewidth=0.7)
    ax.axhline(0, color="white", linewidth=0.4)
    ax.axvline(0, color="white", linewidth=0.4)
    ax.set(xlabel="real part", ylabel="imaginary part", title=title, aspect="equal")
    return image


def arrows(
    vectors: Mapping[str, tuple[complex, str]], ax: Axes, title: str = "", span: float = 2.4
) -> Axes:
    """Draw complex numbers as arrows from the origin: {label: (value, colour)}."""
    for label, (value, tint) in vectors.items():
        ax.annotate(
            "",
            (value.real, value.imag),
            (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": tint, "linewidth": 2},
        )
        ax.annotate(
            label, (value.real, value.imag), xytext=(5, 3), textcoords="offset points", color=tint
        )
    ax.set(
        xlim=(-0.6, span),
        ylim=(-0.4, span),
        xlabel="real part",
        ylabel="imaginary part",
        title=title,
        aspect="equal",
    )
    ax.grid(True)
    return ax


def overlap_gain(size: int, hop: int, samples: int, divisor: float | None = None) -> np.ndarray:
    """Gain in dB at every 100th sample when windows of `size`, `hop` apart, are added and divided.

    Parameters
    ----------
    divisor : float, optional
        One number for all samples; by default the windows that are there.

    Returns
    -------
    ndarray
    """
    windows = np.zeros(samples)
    for first in range(0, samples - size + 1, hop):
        windows[first : first + size] += 1
    windows = windows[: (samples - size) // hop * hop + size : 100]
    return 20 * np.log10(windows / (windows if divisor is None else divisor))


def _log_frequency(ax, sample_rate):
    ax.set(xscale="log", xlim=(LOWEST, sample_rate / 2), xlabel="frequency (Hz)")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(list(TICKS), TICKS.values())
    return ax


def band_split_rnn() -> Diagram:
    """Draw the band-split RNN from left to right; low bands lie below and are narrow."""
    diagram = Diagram(
        800,
        352,
        "The band-split RNN from left to right. The spectrum of the mixture is cut into bands, wide"
        " ones at the top, narrow ones at the bottom. Each band has a norm and a linear map of its"
        " own, which give N features whatever its width. The result is a grid, a row for each band"
        " and a column for each frame. An RNN over time runs along every row, forwards and"
        " backwards; then an RNN over bands runs along every column, up and down. Both are"
        " repeated in every layer and shared by all bands and frames. Then each band has a mask"
        " estimator of its own. The masks are joined to one complex mask M, which is multiplied"
        " with the spectrum X.",
    )
    heights, top = (84, 60, 40, 24, 16), 50.0  # pixels: from the highest band to the lowest
    for row, height in enumerate(heights):
        middle, even = top + height / 2, 66.0 + 48 * row
        for x, name in ((44, "X"), (756, "M")):
            diagram.box((x, middle), (56, height), name, "#f2f4f7")
        diagram.arrow([(72, middle), (104, even)])
        diagram.box((156, even), (104, 30), "norm, linear", "#dbeafe")
        diagram.arrow([(208, even), (232, even)])
        diagram.arrow([(568, even), (588, even)])
        diagram.box((644, even), (112, 30), "mask estimator", "#dbeafe")
        diagram.arrow([(700, even), (728, middle)])
        top += height + 8
    _grid(diagram, 236, "RNN over time", along_rows=True)
    diagram.arrow([(386, 162), (414, 162)])
    _grid(diagram, 418, "RNN over bands", along_rows=False)
    for x, y, text in (
        (44, 24, "bands of bins"),
        (156, 24, "one for each band"),
        (402, 12, "two RNNs, in every layer"),
        (644, 24, "one for each band"),
        (756, 24, "complex mask"),
        (44, 326, "low"),
        (756, 326, "voice: M X"),
    ):
        diagram.text((x, y), text, size=12, anchor="middle", colour="#475467")
    return diagram


def _grid(diagram, left, name, along_rows, cell=(30, 48), rows=5, columns=5):
    """A grid of bands and frames from (`left`, 42) on, with the paths of one RNN on it."""
    (width, height), top = cell, 42
    right, bottom = left + columns * width, top + rows * height
    for row in range(rows):
        for column in range(columns):
            middle = (left + (column + 0.5) * width, top + (row + 0.5) * height)
            diagram.box(middle, cell, "", "#fde9d3" if along_rows else "#d1fadf", "#d0d5dd")
    if along_rows:
        lines = [top + (row + 0.5) * height for row in range(rows)]
        paths = [[(left + 6, y), (right - 6, y)] for y in lines]
    else:
        lines = [left + (column + 0.5) * width for column in range(columns)]
        paths = [[(x, bottom - 6), (x, top + 6)] for x in lines]
    for path in paths:  # a head at either end: both directions
        diagram.arrow(path, "#1d2939")
        diagram.arrow(path[::-1], "#1d2939")
    centre = (left + right) / 2
    diagram.text((centre, 29), name, anchor="middle")
    diagram.text((centre, bottom + 14), "frames →", size=12, anchor="middle", colour="#475467")
    diagram.text(
        (centre, bottom + 32),
        "along every band" if along_rows else "along every frame",
        size=12,
        anchor="middle",
        colour="#475467",
    )
