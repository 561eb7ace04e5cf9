"""Figures of chapter 09: filters and their spectra, lines of tones, overlapping triangles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from .. import plots
from ..diagrams import Diagram

_POINTS = 512  # of a spectrum of a short filter, which is interpolated by zeros
_DRAWN = 128  # the same in a picture


def by_frequency(filters: torch.Tensor) -> torch.Tensor:
    """Order filters by the frequency at which each is strongest.

    Parameters
    ----------
    filters : Tensor (filters, length)

    Returns
    -------
    Tensor of int64 (filters,)
    """
    return torch.fft.rfft(filters.detach().cpu(), _POINTS).abs().argmax(-1).argsort(stable=True)


def filter_bank(
    filters: torch.Tensor,
    sample_rate: int,
    ax: Axes,
    title: str = "",
    order: torch.Tensor | None = None,
) -> AxesImage:
    """Draw magnitude spectra of filters side by side, each against its own peak (dB).

    Parameters
    ----------
    filters : Tensor (filters, length)
    order : Tensor, optional
        By default `by_frequency`.
    """
    filters = filters.detach().cpu()
    order = by_frequency(filters) if order is None else order
    magnitude = torch.fft.rfft(filters[order], _DRAWN).abs()
    level = plots.decibels(
        magnitude / magnitude.amax(-1, keepdim=True).clamp_min(1e-12), 1.0, -30.0
    )
    image = ax.imshow(
        level.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-30,
        vmax=0,
        interpolation="nearest",
        extent=(-0.5, len(filters) - 0.5, 0, sample_rate / 2000),
    )
    ax.set(xlabel="filter, sorted", ylabel="frequency (kHz)", title=title)
    return image


def waves(
    filters: torch.Tensor, sample_rate: int, ax: Axes, title: str = "", tint: str = plots.CYCLE[0]
) -> Axes:
    """Draw a few filters over time, one above the other, each scaled to its own peak."""
    filters = filters.detach().cpu()
    time = np.arange(filters.shape[-1]) / sample_rate * 1000
    peaks = torch.fft.rfft(filters, 4000).abs().argmax(-1) * sample_rate / 4000
    for row, taps in enumerate(filters):
        scaled = 0.42 * taps / taps.abs().max().clamp_min(1e-12) - row
        ax.plot(time, scaled, "o-", color=tint, linewidth=1.4, markersize=2.5)
        ax.hlines(-row, time[0], time[-1], color="#e4e7ec", linewidth=0.7, zorder=0)
    ax.set(xlabel="time (ms)", ylabel="peak at (Hz)", title=title, xlim=(0, time[-1]))
    ax.set_yticks([-row for row in range(len(filters))], [f"{peak:.0f}" for peak in peaks.tolist()])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def line_spectrum(x: torch.Tensor, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Find frequencies (Hz) and amplitudes of a mono signal through a Hann window."""
    x = torch.as_tensor(x).detach().cpu().double().flatten()
    magnitude = torch.fft.rfft(x * torch.hann_window(len(x), dtype=x.dtype)).abs() * 4 / len(x)
    return np.fft.rfftfreq(len(x), 1 / sample_rate), magnitude.numpy()


def line_spectra(
    signals: Mapping[str, torch.Tensor],
    sample_rate: int,
    ax: Axes,
    top: float | None = None,
    floor: float = -100.0,
) -> Axes:
    """Draw spectra of {label: mono signal} in one panel, dB against the strongest line of all."""
    found = {label: line_spectrum(x, sample_rate) for label, x in signals.items()}
    reference = max(float(magnitude.max()) for _, magnitude in found.values())
    for index, (label, (frequency, magnitude)) in enumerate(found.items()):
        ax.plot(
            frequency / 1000,
            plots.decibels(magnitude, reference, floor),
            label=label,
            linewidth=1.0,
            color=plots.CYCLE[index],
        )
    ax.set(
        xlabel="frequency (kHz)",
        ylabel="level (dB)",
        xlim=(0, 1.01 * (top or sample_rate / 2) / 1000),  # a line at the end is seen whole
        ylim=(floor, 5),
    )
    ax.grid(True)
    return ax


def triangles(starts: Sequence[int], size: int, samples: int, ax: Axes) -> Axes:
    """Draw the weights of overlapping pieces, divided by their sum, as overlap-add uses them."""
    rise = np.arange(1, size + 1)
    weight = np.minimum(rise, rise[::-1])
    each = np.zeros((len(starts), samples))
    for row, start in enumerate(starts):
        each[row, start : start + size] = weight
    share = each / each.sum(0)
    for row, start in enumerate(starts):
        inside = np.arange(start, start + size)
        ax.fill_between(
            inside, share[row, inside], alpha=0.25, color=plots.CYCLE[row % len(plots.CYCLE)]
        )
        ax.plot(
            inside,
            share[row, inside],
            color=plots.CYCLE[row % len(plots.CYCLE)],
            label=f"piece {row + 1}",
        )
    ax.set(xlabel="sample", ylabel="share", xlim=(0, samples - 1), ylim=(0, 1.05))
    return ax


def two_branches() -> Diagram:
    """Draw Hybrid Demucs from top to bottom, with its temporal and its spectral branch."""
    diagram = Diagram(
        640,
        430,
        "Hybrid Demucs from top to bottom. The mixture enters two encoders of five stages each:"
        " the spectral one after an STFT, which ends with one frequency for each frame, and the"
        " temporal one, which ends with one sample for each frame. There the two are added. One"
        " shared stage leads down and up again. Two decoders follow, each with skip connections"
        " from its own encoder. The output of the spectral one goes through an inverse STFT, and is"
        " added to that of the temporal one: the estimate.",
    )
    left, middle, right = 150.0, 320.0, 490.0
    rows = {  # y: spectral, temporal
        75.0: ("STFT", ""),
        130.0: ("encoder: 5 stages", "encoder: 5 stages"),
        300.0: ("decoder: 5 stages", "decoder: 5 stages"),
        355.0: ("inverse STFT", ""),
    }
    for x in (left, right):
        spectral = x == left
        diagram.arrow([(x, 40), (x, 60 if spectral else 115)])
        diagram.arrow([(x, 145), (x, 185), (middle - 60 if spectral else middle + 60, 185)])
        diagram.arrow([(middle - 60 if spectral else middle + 60, 245), (x, 245), (x, 285)])
        diagram.arrow([(x, 315), (x, 340 if spectral else 395)])
        side = x - 100 if spectral else x + 100
        edge = x - 75 if spectral else x + 75
        diagram.arrow([(edge, 130), (side, 130), (side, 300), (edge, 300)])
    diagram.arrow([(left, 90), (left, 115)])
    diagram.arrow([(left, 370), (left, 395)])
    diagram.arrow([(middle, 200), (middle, 230)])
    for y, names in rows.items():
        for x, name in zip((left, right), names, strict=True):
            if name:
                diagram.box((x, y), (150, 30), name, "#f2f4f7" if "STFT" in name else "#dbeafe")
    diagram.box((middle, 185), (120, 30), "add", "#fde9d3")
    diagram.box((middle, 245), (120, 30), "shared stage", "#d1fadf")
    diagram.box((middle, 25), (500, 30), "mixture, samples", "#f2f4f7")
    diagram.box((middle, 410), (500, 30), "add: the estimate, samples", "#fde9d3")
    return diagram
