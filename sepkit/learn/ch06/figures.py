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
        720,
        340,
        "The band-split RNN from left to right. The spectrum of the mixture is cut into bands, wide"
        " ones at the top, narrow ones at the bottom. Each band has a norm and a linear map of its"
        " own, which give N features whatever its width. On the grid of bands and frames an RNN"
        " over time runs along every band, and an RNN over bands along every frame; both are"
        " repeated in every layer and shared by all bands and frames. Then each band has a mask"
        " estimator of its own. The masks are joined to one complex mask M, which is multiplied"
        " with the spectrum X.",
    )
    heights, top = (84, 60, 40, 24, 16), 50.0  # pixels: from the highest band to the lowest
    for row, height in enumerate(heights):
        middle, even = top + height / 2, 66.0 + 48 * row
        for x, name in ((60, "X"), (660, "M")):
            diagram.box((x, middle), (56, height), name, "#f2f4f7")
        diagram.arrow([(88, middle), (126, even)])
        diagram.box((180, even), (108, 30), "norm, linear", "#dbeafe")
        diagram.arrow([(234, even), (262, even)])
        diagram.arrow([(470, even), (486, even)])
        diagram.box((540, even), (108, 30), "mask estimator", "#dbeafe")
        diagram.arrow([(594, even), (632, middle)])
        top += height + 8
    diagram.box((310, 162), (96, 236), "over time →", "#fde9d3")
    diagram.arrow([(358, 162), (370, 162)])
    diagram.box((420, 162), (100, 236), "over bands ↑", "#d1fadf")
    for x, text in (
        (60, "bands of bins"),
        (180, "one for each band"),
        (364, "two RNNs, in every layer"),
        (540, "one for each band"),
        (660, "complex mask"),
    ):
        diagram.text((x, 24), text, size=12, anchor="middle", colour="#475467")
    diagram.text((60, 326), "low", size=12, anchor="middle", colour="#475467")
    diagram.text((660, 326), "voice: M X", size=12, anchor="middle", colour="#475467")
    return diagram
