"""Figures in one style: small, with units, and with a colour of its own for every stem.

Each function draws into `ax` or makes a figure, and returns the axes; `show` displays the figure
with its caption, small enough to be stored in a notebook, and `table` and `styled` do so for
tables. The colours are Okabe and Ito's, told apart by colour-blind readers too. Names of songs,
stems and data sets may hold anything: they are shown as they are, never as HTML or formulas.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import stems
from ..errors import SepkitError
from . import palette
from .diagrams import Diagram

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

COLOURS = {"mixture": "#4d4d4d", **stems.COLOURS, "accompaniment": "#56B4E9", "residual": "#E69F00"}
#: For everything that is no stem, in turn.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4d4d4d")
STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#667085",
    "axes.labelcolor": "#344054",
    "xtick.color": "#667085",
    "ytick.color": "#667085",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "grid.color": "#e4e7ec",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "axes.prop_cycle": cycler(color=CYCLE),
    "figure.constrained_layout.use": True,
}
WIDTH, HEIGHT = 8.0, 2.5  # inches
#: Pixels per inch of a page. A figure has twice as many, or fewer where it would be too large.
PAGE = 90
DENSITIES = (2 * PAGE, PAGE * 3 // 2, PAGE * 5 // 4, PAGE)
#: Bytes of a figure: what keeps a chapter of fifteen within 900 kB.
LARGEST = 36_000
#: What begins a formula for MathJax, which searches exported pages, but not across tags.
_FORMULA = str.maketrans({"$": "<span>$</span>", "\\": "<span>&#92;</span>"})


def use_style() -> None:
    """Make `STYLE` matplotlib's default, as every chapter does when it begins."""
    matplotlib.rcParams.update(STYLE)


def colour(label: str) -> str:
    """Colour of a stem; a label that begins with a stem's name has the stem's colour."""
    first = str(label).lower().split()
    return COLOURS.get(first[0] if first else "", "#7f7f7f")


def figure(
    rows: int = 1,
    columns: int = 1,
    height: float | None = None,
    width: float = WIDTH,
    **options: Any,
) -> tuple[Figure, Any]:
    """Make a figure, width and height in inches; `options` go to matplotlib's ``subplots``.

    Returns
    -------
    Figure, Axes or array of Axes
    """
    fig = Figure(figsize=(width, height or HEIGHT * rows))
    return fig, fig.subplots(rows, columns, **options)


def show(fig: Figure | Axes | Diagram, caption: str = "", largest: int | None = None) -> None:
    """Display a figure as a small PNG with its caption, which is its text for screen readers too.

    Parameters
    ----------
    fig : Figure, Axes or Diagram
        A diagram stays SVG and has a text of its own.
    caption : str
        What the figure shows, in a sentence or two.
    largest : int, optional
        Bytes beyond which it is drawn with fewer pixels: more than `LARGEST` for a key picture.
    """
    from IPython.display import display

    display(fig if isinstance(fig, Diagram) else Picture(fig, caption, largest=largest))
    show_caption(caption)


class Picture:
    """A figure as a notebook keeps it: a PNG, and the same as HTML, where alone `alt` can stand.

    JupyterLab and nbconvert prefer the HTML; GitHub and PDF take the PNG. `make notebooks` keeps
    the PNG only.
    """

    def __init__(
        self,
        fig: Figure | Axes,
        alt: str = "",
        densities: tuple[int, ...] = DENSITIES,
        largest: int | None = None,
    ):
        whole = _whole(fig)
        for dpi in densities:
            self.data = png(whole, dpi=dpi)
            if len(self.data) <= (largest or LARGEST):
                break
        self.alt = alt
        # It takes the same room on the page, however many pixels it has.
        self.size = {
            "width": round(whole.get_figwidth() * PAGE),
            "height": round(whole.get_figheight() * PAGE),
        }

    def __repr__(self):
        return self.alt or "a figure"

    def _repr_png_(self):
        return self.data, {"alt": self.alt, **self.size}

    def _repr_html_(self):
        source = base64.b64encode(self.data).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" width="{self.size["width"]}"'
            f' style="max-width: 100%; height: auto" src="data:image/png;base64,{source}">'
        )


def png(fig: Figure | Axes, colours: int = 56, dpi: int = PAGE) -> bytes:
    """Encode a figure as PNG: the course's colours, its colour maps', and `colours` more."""
    from PIL import Image

    whole = _whole(fig)
    buffer, small = io.BytesIO(), io.BytesIO()
    without_formulas(whole)
    whole.savefig(buffer, format="png", dpi=dpi)
    own = [to_rgb(name) for name in dict.fromkeys(("white", "black", *COLOURS.values(), *CYCLE))]
    drawn = {image.cmap.name: image.cmap for ax in whole.axes for image in ax.images}
    shades = np.linspace(0, 1, palette.SHADES)
    few = palette.few_colours(
        Image.open(buffer).convert("RGB"),
        np.rint(255 * np.array(own)),
        [np.rint(255 * of(shades)[:, :3]) for of in drawn.values()],
        24 if drawn else colours,  # beside an image there is little else
    )
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def decibels(
    magnitude: ArrayLike, reference: float | None = None, floor: float = -80.0
) -> np.ndarray:
    """20 log10(magnitude / reference), at least `floor`; by default relative to the largest."""
    values = np.abs(np.asarray(magnitude))
    top = reference or float(values.max()) or 1.0
    return 20 * np.log10(np.maximum(values / top, 10 ** (floor / 20)))


def waveform(
    audio: ArrayLike,
    sample_rate: int,
    label: str = "",
    ax: Axes | None = None,
    start: float = 0.0,
    dots: bool = False,
) -> Axes:
    """Draw a waveform over time; long ones as the band between minimum and maximum.

    Parameters
    ----------
    audio : Tensor or ndarray (1, samples) or (samples,)
        Full scale 1.
    sample_rate : int
        In Hz.
    label : str
        Title; a stem's name chooses its colour.
    start : float
        Time of the first sample, in seconds.
    dots : bool
        Draw every sample as a dot on a thin line.
    """
    ax = ax if ax is not None else figure()[1]
    x, tint = _mono(audio), colour(label) if label else CYCLE[0]
    if dots:
        time = (start + np.arange(len(x)) / sample_rate) * 1000
        ax.plot(time, x, color=tint, linewidth=0.7, alpha=0.6)
        ax.plot(time, x, ".", color=tint, markersize=3.5)
    else:
        step = max(1, len(x) // 1600)
        blocks = x[: len(x) // step * step].reshape(-1, step)
        time = start + np.arange(len(blocks)) * step / sample_rate
        ax.fill_between(time, blocks.min(1), blocks.max(1), color=tint, linewidth=0.4)
    ax.set(xlabel="time (ms)" if dots else "time (s)", ylabel="amplitude", title=label)
    ax.margins(x=0)
    return ax


def spectrogram(
    spectrogram: ArrayLike,
    sample_rate: int,
    hop: int,
    title: str = "",
    ax: Axes | None = None,
    top: float | None = None,
    span: float = 70.0,
    reference: float | None = None,
    colourbar: bool = True,
    start: float = 0.0,
) -> Axes:
    """Draw the magnitude of an STFT in dB, time in s and frequency in kHz.

    Parameters
    ----------
    spectrogram : complex or magnitude Tensor (bins, frames) or (1, bins, frames)
    sample_rate, hop : int
        In Hz and in samples.
    top : float, optional
        Highest frequency to show, in Hz.
    span : float
        dB from the darkest to the brightest colour.
    reference : float, optional
        The magnitude of 0 dB; the largest one by default. Give panels the same to compare them.
    """
    magnitude = _flat(spectrogram).abs().numpy()
    return _picture(
        decibels(magnitude, reference, -span),
        sample_rate,
        hop,
        title,
        ax,
        top,
        "magma",
        (-span, 0.0),
        "dB" if colourbar else None,
        start,
    )


def mask(
    values: ArrayLike,
    sample_rate: int,
    hop: int,
    title: str = "",
    ax: Axes | None = None,
    top: float | None = None,
    colourbar: bool = True,
) -> Axes:
    """Draw a mask over time and frequency: 0 dark, 1 bright; of a complex mask its magnitude."""
    shown = _flat(values)
    shown = shown.abs() if shown.is_complex() else shown
    return _picture(
        shown.numpy(),
        sample_rate,
        hop,
        title,
        ax,
        top,
        "cividis",
        (0.0, 1.0),
        "mask" if colourbar else None,
        0.0,
    )


def spectrum(
    magnitudes: Mapping[str, ArrayLike],
    sample_rate: int,
    ax: Axes | None = None,
    top: float | None = None,
    floor: float = -100.0,
    log: bool = False,
    reference: float | None = None,
) -> Axes:
    """Draw one or more magnitude spectra in dB over frequency.

    Parameters
    ----------
    magnitudes : dict of str to array (bins,)
        Bins evenly spaced from 0 to half the sample rate.
    log : bool
        A logarithmic frequency axis, from 20 Hz.
    """
    ax = ax if ax is not None else figure()[1]
    reference = reference or max(float(np.abs(np.asarray(m)).max()) for m in magnitudes.values())
    for index, (label, values) in enumerate(magnitudes.items()):
        magnitude = np.asarray(values)
        frequency = np.linspace(0, sample_rate / 2000, len(magnitude))
        tint = colour(label) if label.split()[0].lower() in COLOURS else CYCLE[index % len(CYCLE)]
        ax.plot(
            frequency, decibels(magnitude, reference, floor), label=label, color=tint, linewidth=1.1
        )
    if log:
        ax.set_xscale("log")
        ax.set_xticks(
            [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20],
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"],
        )
        ax.minorticks_off()
    ax.set(
        xlabel="frequency (kHz)",
        ylabel="level (dB)",
        xlim=(0.02 if log else 0, (top or sample_rate / 2) / 1000),
    )
    ax.grid(True)
    if len(magnitudes) > 1:
        ax.legend()
    return ax


def table(frame: pd.DataFrame, caption: str = "", digits: int = 2) -> pd.DataFrame:
    """Show a caption, and return the table with numbers rounded, whole ones left whole."""
    import pandas as pd

    pd.set_option("display.html.use_mathjax", False)  # a "$" in a name begins no formula
    pd.set_option("display.max_colwidth", None)  # a sentence is shown to its end
    show_caption(caption)
    rounded = frame.round(digits)
    return rounded.map(lambda x: 0.0 if isinstance(x, float) and x == 0 else x)  # no "-0.0"


def styled(frame: pd.DataFrame, caption: str = "") -> Styler:
    """Table for pandas' ``style``, which takes texts for HTML: names in it are made safe."""

    def safe(value):
        return as_html(value) if isinstance(value, str) else value

    frame = frame.map(safe).rename(index=safe, columns=safe)
    style = frame.rename_axis(index=safe, columns=safe).style
    return style.set_caption(as_html(caption)) if caption else style


def as_html(text: object) -> str:
    """Escape text for the contents of an HTML element: no tag, no formula."""
    return html.escape(str(text)).translate(_FORMULA)


def without_formulas(figure: Figure) -> None:
    """Turn off formulas in a figure, in place: a "$" in a name is a "$".

    The powers of ten on logarithmic axes stay formulas.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter

    powers = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for minor, formatter in (
                (False, axis.get_major_formatter()),
                (True, axis.get_minor_formatter()),
            ):
                if isinstance(formatter, LogFormatter):
                    powers.update(axis.get_ticklabels(minor=minor))
    for text in figure.findobj(Text):
        if text not in powers:
            text.set_parse_math(False)


def _whole(fig) -> Any:
    return fig if isinstance(fig, Figure) else fig.get_figure()


def show_caption(caption):
    """In italics, as it is: captions hold names of songs and data sets, which may hold anything."""
    from IPython.display import display

    if caption:
        display({"text/html": f"<em>{as_html(caption)}</em>", "text/plain": caption}, raw=True)


def _picture(values, sample_rate, hop, title, ax, top, cmap, limits, unit, start):
    """An image of (bins, frames) with the axes of a spectrogram."""
    ax = ax if ax is not None else figure()[1]
    top = min(top or sample_rate / 2, sample_rate / 2)
    spacing = sample_rate / 2 / (values.shape[0] - 1)  # Hz from bin to bin
    values = values[: int(top / spacing) + 1]
    frame = hop / sample_rate
    extent = (
        start - frame / 2,
        start + (values.shape[1] - 0.5) * frame,
        -spacing / 2000,
        (values.shape[0] - 0.5) * spacing / 1000,
    )
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="antialiased",
        interpolation_stage="data",
    )
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)", title=title, ylim=(0, top / 1000))
    ax.spines[:].set_visible(False)
    if unit:
        ax.figure.colorbar(image, ax=ax, label=unit, pad=0.01, aspect=14)
    return ax


def _mono(audio):
    x = np.asarray(torch.as_tensor(audio).detach().cpu().float())
    x = x[0] if x.ndim == 2 and x.shape[0] == 1 else x
    if x.ndim != 1:
        raise SepkitError(
            f"a waveform plot shows one channel; got shape {x.shape}, pass audio.mean(0)"
        )
    return x


def _flat(values):
    x = torch.as_tensor(values).detach().cpu()
    x = x[0] if x.ndim == 3 and x.shape[0] == 1 else x
    if x.ndim != 2:
        raise SepkitError(
            f"a spectrogram plot shows one channel, (bins, frames); got shape {tuple(x.shape)},"
            " pass x[0]"
        )
    return x
