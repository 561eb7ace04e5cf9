"""Figures of chapter 01: the three shapes that a spectrogram shows, each with an arrow to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...stft import STFT
from .. import plots

#: Per shape the stem that makes it, the range in Hz where it is looked for, frames it lasts.
_SHAPES = {
    "stroke": ("drums", (2000, 3500), 1),
    "held note": ("other", (250, 1600), 41),
    "voice": ("vocals", (1200, 3000), 14),
}
#: How fast a rung of a voice's ladder may climb or fall, in bins per frame.
_SLOPES = (-0.4, -0.3, -0.2, 0.2, 0.3, 0.4)


def shapes(
    music: torch.Tensor,
    stems: Mapping[str, torch.Tensor],
    sample_rate: int,
    transform: STFT,
    title: str,
) -> tuple[Figure, str]:
    """Draw a spectrogram with an arrow to each shape, and beside it the voice's place, enlarged.

    Parameters
    ----------
    music : Tensor (1, samples)
    stems : dict of str to Tensor (1, samples)
        As long as `music`; without vocals there is no second panel.

    Returns
    -------
    Figure
    str
        Its caption's second half: what the arrows show. Empty without stems.
    """
    panels = 2 if "vocals" in stems else 1
    fig, axes = plots.figure(1, panels, height=3.2, squeeze=False, width_ratios=[3, 1][:panels])
    look: dict[str, Any] = dict(top=4000, span=60, colourbar=False)
    plots.spectrogram(transform(music), sample_rate, transform.hop, title, axes[0, 0], **look)
    found = name_shapes(stems, sample_rate, transform, axes[0, 0])
    said = f" The arrows show one of each: {', '.join(found)}." if found else ""
    if panels == 2:
        time, frequency, slope = bending_rung(stems["vocals"], sample_rate, transform)
        corner, size = (time - 0.17, frequency - 0.5), (0.34, 1.0)
        box: dict[str, Any] = {"edgecolor": "white", "facecolor": "none", "linewidth": 1.4}
        axes[0, 0].add_patch(Rectangle(corner, *size, **box))
        fine = STFT(2 * transform.n_fft, transform.hop // 4)
        plots.spectrogram(fine(music), sample_rate, fine.hop, "the box", axes[0, 1], **look)
        axes[0, 1].set(
            xlim=(corner[0], corner[0] + size[0]), ylim=(corner[1], corner[1] + size[1]), ylabel=""
        )
        _point("rung", (time, frequency), axes[0, 1])
        way = "climbs" if slope > 0 else "falls"
        said += (
            " Right: the white box, enlarged (and with a longer window, see section 5). The rung"
            f" at the arrow {way}."
        )
    axes[0, 0].images[0].set_interpolation("nearest")  # every bin a block of one colour
    fig.colorbar(axes[0, 0].images[0], ax=axes[0, -1], label="dB", pad=0.02, aspect=20)
    return fig, said


def name_shapes(
    stems: Mapping[str, torch.Tensor], sample_rate: int, transform: STFT, ax: Axes
) -> list[str]:
    """Point at a stroke, a held note and a voice in the spectrogram of a song whose stems we know.

    Each arrow goes to where a stem has the most energy that lasts: over a range of frequencies
    for a stroke, along a rung that climbs or falls for a voice; for a held note, where one bin
    of the mixture is loud, stands out of its neighbours and stays, whoever plays it.

    Parameters
    ----------
    stems : dict of str to Tensor (1, samples)
        From the spectrogram's first moment to its last; without a shape's stem it has no arrow.

    Returns
    -------
    list of str
        The shapes that have one.
    """
    spacing, hop = sample_rate / transform.n_fft, transform.hop / sample_rate
    for name, (stem, (low, high), frames) in _SHAPES.items():
        if stem not in stems:
            continue
        if name == "voice":
            _point(name, bending_rung(stems[stem], sample_rate, transform)[:2], ax)
            continue
        first, last = int(low / spacing), int(high / spacing)
        level = transform(stems[stem])[0, first:last].abs()
        if frames > 1:  # in one bin of the mixture, whose stem it may be
            mixture = transform(sum(stems.values()))[0].abs()
            beside = torch.maximum(mixture.roll(4, 0), mixture.roll(-4, 0))[first:last]
            level = mixture[first:last].square() / beside.clamp_min(1e-2 * mixture.max())
        if frames == 1:
            level = level.mean(0, keepdim=True).expand_as(level)
            level = level.diff(prepend=level[:, :1])  # where it begins
        least = -torch.nn.functional.max_pool1d(-level, frames, 1)  # over that many frames
        least = least[:, 8:-8] if least.shape[1] > 40 else least
        offset = 8 * (least.shape[1] < level.shape[1] - frames + 1)
        row, column = divmod(int(least.argmax()), least.shape[1])
        time = (column + offset + frames // 2) * hop
        frequency = (first + row) * spacing / 1000 if frames > 1 else 2.6
        _point(name, (time, frequency), ax)
    return [name for name, (stem, *_) in _SHAPES.items() if stem in stems]


def bending_rung(
    voice: torch.Tensor, sample_rate: int, transform: STFT
) -> tuple[float, float, float]:
    """Find where a voice has the strongest overtone that climbs or falls.

    Returns
    -------
    float, float, float
        Time of its middle in seconds, frequency there in kHz, slope in bins per frame.
    """
    spacing, hop = sample_rate / transform.n_fft, transform.hop / sample_rate
    _, (low, high), frames = _SHAPES["voice"]
    level = transform(voice)[0, int(low / spacing) : int(high / spacing)].abs()
    around = torch.nn.functional.avg_pool1d(level.T[:, None], 9, 1, 4, count_include_pad=False)
    ridge = level * (level / around[:, 0].T.clamp_min(1e-9) - 1).clamp_min(0)  # stands out
    bins, steps = len(level), torch.arange(frames)
    windows = ridge.unfold(1, frames, 1)  # (bins, starts, frames)
    # a level rung nearby has at least as much along a level line
    level_line = torch.nn.functional.max_pool1d(windows.mean(2).T[:, None], 7, 1, 3)[:, 0].T
    best = (-1.0, 0, 0, 0.0)
    for slope in _SLOPES:
        rows = torch.arange(bins)[:, None] + torch.round(slope * steps).long()  # (bins, frames)
        inside = ((rows >= 0) & (rows < bins)).all(1)
        rows = rows.clamp(0, bins - 1)
        along = windows[rows, :, steps].mean(1) - level_line[rows[:, frames // 2]]
        along = along * inside[:, None]
        row, column = divmod(int(along.argmax()), along.shape[1])
        best = max(best, (float(along[row, column]), row, column, slope))
    _, row, column, slope = best
    middle = int(low / spacing) + row + slope * (frames // 2)
    return (column + frames // 2) * hop, middle * spacing / 1000, slope


def _point(name, at, ax):
    """An arrow with a name in white, from above, and from the side where there is room."""
    start, end = ax.get_xlim()
    right = at[0] > start + 0.8 * (end - start)
    ax.annotate(
        name,
        at,
        xytext=(-26 if right else 26, 22),
        ha="right" if right else "left",
        textcoords="offset points",
        color="white",
        weight="bold",
        bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.5},
        arrowprops={"arrowstyle": "-|>", "color": "white", "linewidth": 1.6},
    )
