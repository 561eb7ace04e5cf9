"""The pictures in a player's row: a waveform, a spectrogram, and the playhead over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import torch

from ..stft import STFT

COLUMNS, LINES = 360, 64  # at most
TOP, SPAN = 11_025, 60  # of the spectrograms: highest frequency in Hz, and dB


def pictures_html(signals: Mapping[str, torch.Tensor], sample_rate: int) -> dict[str, str]:
    """Draw a waveform and a spectrogram for every sound, all to the same scales.

    Parameters
    ----------
    signals : dict of str to Tensor (channels, samples)
        All of one length, which is the pictures' width.
    sample_rate : int
        In Hz.

    Returns
    -------
    dict of str to str
        Label -> HTML: the two pictures, one above the other, and the playhead.
    """
    peak = max(float(x.abs().max()) for x in signals.values()) or 1.0
    powers = {label: _power(x.mean(0), sample_rate) for label, x in signals.items()}
    top = max(float(power.max()) for power in powers.values()) or 1.0
    return {
        label: '<div class="picture" aria-hidden="true">'
        f'{_waveform(x.mean(0) / peak)}<img alt="" src="{_image(powers[label] / top)}">'
        '<div class="head"></div></div>'
        for label, x in signals.items()
    }


def _waveform(x):
    """SVG of the band between minimum and maximum, over `COLUMNS` columns."""
    columns = torch.tensor_split(x, min(COLUMNS, len(x)))
    high = [round(50 - 49 * float(part.max())) for part in columns]
    low = [round(50 - 49 * float(part.min())) + 1 for part in columns]
    corners = [*enumerate(high), *reversed(list(enumerate(low)))]
    points = " ".join(f"{across},{down}" for across, down in corners)
    size = f'viewBox="0 0 {len(columns) - 1 or 1} 100" preserveAspectRatio="none"'
    return f'<svg {size}><polygon points="{points}"/></svg>'


def _power(x, sample_rate):
    """Power of a signal (samples,) as (`LINES`, up to `COLUMNS`), low frequencies first."""
    size = 1 << max(5, round(np.log2(sample_rate / 22)))  # about 45 ms
    x = torch.nn.functional.pad(x, (0, max(0, size - len(x))))
    hop = min(size // 2, max(1, len(x) // COLUMNS))
    power = STFT(size, hop)(x[None])[0].abs().square()  # (bins, frames)
    power = power[: int(TOP / sample_rate * size) + 1]
    shape = (min(LINES, power.shape[0]), min(COLUMNS, power.shape[1]))
    return torch.nn.functional.adaptive_avg_pool2d(power[None], shape)[0]


def _image(power):
    """A PNG of 16 colours, as data URI; 0 dB is a power of 1."""
    import matplotlib
    from PIL import Image

    level = 1 + (10 * torch.log10(power.clamp(min=1e-12)) / SPAN).clamp(-1, 0)  # 0 ... 1
    pixels = (level * 15).round().byte().flip(0)  # high frequencies at the top
    picture = Image.frombytes("P", pixels.shape[::-1], pixels.numpy().tobytes())
    colours = matplotlib.colormaps["magma"](np.linspace(0, 1, 16), bytes=True)[:, :3]
    picture.putpalette(colours.flatten().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, format="png", bits=4, optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
