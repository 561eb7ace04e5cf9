"""Chapter 01's figure of shapes: each arrow goes to where its stem sounds."""

import numpy as np
import torch

from sepkit.learn import plots
from sepkit.learn.ch01 import figures
from sepkit.stft import STFT

RATE = 44100


def test_arrows_go_to_the_stroke_the_note_and_the_voice():
    time = torch.arange(2 * RATE) / RATE
    drums = torch.zeros(1, 2 * RATE)
    drums[0, RATE] = 1.0  # a click, after one second
    note = 0.1 * torch.sin(2 * np.pi * 440 * time)[None]
    voice = (0.1 * torch.sin(2 * np.pi * 2000 * time) * ((time > 0.2) & (time < 0.6)))[None]
    stems = {"drums": drums, "other": note, "vocals": voice}
    transform = STFT(2048, 512)
    ax = plots.figure()[1]
    assert figures.name_shapes(stems, RATE, transform, ax) == ["stroke", "held note", "voice"]
    at = {text.get_text(): text.xy for text in ax.texts}
    assert abs(at["stroke"][0] - 1.0) < 0.05
    assert abs(at["held note"][1] - 0.44) < 0.03
    assert abs(at["voice"][1] - 2.0) < 0.03 and 0.2 < at["voice"][0] < 0.6


def test_a_shape_without_its_stem_has_no_arrow():
    ax = plots.figure()[1]
    stems = {"vocals": torch.randn(1, RATE)}
    assert figures.name_shapes(stems, RATE, STFT(2048, 512), ax) == ["voice"]
    assert len(ax.texts) == 1 and not figures.name_shapes({}, RATE, STFT(2048, 512), ax)
