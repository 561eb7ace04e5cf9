"""Figures of chapter 01: the three shapes that a spectrogram shows, each with an arrow to one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes

from ...stft import STFT

#: Per shape the stem that makes it, the range in Hz where it is looked for, and frames it lasts.
_SHAPES = {
    "stroke": ("drums", (2000, 3500), 1),
    "held note": ("other", (250, 1200), 41),
    "voice": ("vocals", (1200, 3000), 15),
}


def name_shapes(
    stems: Mapping[str, torch.Tensor], sample_rate: int, transform: STFT, ax: Axes
) -> list[str]:
    """Point at a stroke, a held note and a voice in the spectrogram of a song whose stems we know.

    Each arrow goes to where a stem has the most energy that lasts: over a range of frequencies
    for a stroke, in one bin otherwise.

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
        first, last = int(low / spacing), int(high / spacing)
        level = transform(stems[stem])[0, first:last].abs()
        if frames == 1:
            level = level.mean(0, keepdim=True).expand_as(level)
            level = level.diff(prepend=level[:, :1])  # where it begins
        least = -torch.nn.functional.max_pool1d(-level, frames, 1)  # over that many frames
        least = least[:, 8:-8] if least.shape[1] > 40 else least
        offset = 8 * (least.shape[1] < level.shape[1] - frames + 1)
        row, column = divmod(int(least.argmax()), least.shape[1])
        time = (column + offset + frames // 2) * hop
        frequency = (first + row) * spacing / 1000 if frames > 1 else 2.6
        ax.annotate(
            name,
            (time, frequency),
            xytext=(26, 22),
            textcoords="offset points",
            color="white",
            weight="bold",
            bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.5},
            arrowprops={"arrowstyle": "-|>", "color": "white", "linewidth": 1.6},
        )
    return [name for name, (stem, *_) in _SHAPES.items() if stem in stems]
