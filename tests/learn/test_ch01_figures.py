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
    phase = 2000 * time + 150 * (time - 0.4) ** 2  # rises by 300 Hz in a second: 0.16 bins a frame
    voice = (0.1 * torch.sin(2 * np.pi * phase) * ((time > 0.2) & (time < 0.6)))[None]
    stems = {"drums": drums, "other": note, "vocals": voice}
    transform = STFT(2048, 512)
    ax = plots.figure()[1]
    assert figures.name_shapes(stems, RATE, transform, ax) == ["stroke", "held note", "voice"]
    at = {text.get_text(): text.xy for text in ax.texts}
    assert abs(at["stroke"][0] - 1.0) < 0.05
    assert abs(at["held note"][1] - 0.44) < 0.03
    assert abs(at["voice"][1] - 2.0) < 0.08 and 0.2 < at["voice"][0] < 0.6


def test_the_second_panel_shows_where_the_voice_glides_and_says_which_way():
    time = torch.arange(2 * RATE) / RATE
    transform = STFT(2048, 512)
    for sign, word in ((1, "climbs"), (-1, "falls")):
        phase = 1800 * time + sign * 250 * (time - 1.2) ** 2
        glide = torch.sin(2 * np.pi * phase) * ((time > 1.0) & (time < 1.4))
        held = 3 * torch.sin(2 * np.pi * 1400 * time)  # louder, but straight
        voice = 0.1 * (glide + held)[None]
        at = figures.bending_rung(voice, RATE, transform)
        assert abs(at[0] - 1.2) < 0.2 and abs(at[1] - 1.8) < 0.1 and at[2] * sign > 0
        fig, said = figures.shapes(voice, {"vocals": voice}, RATE, transform, "a glide")
        low, high = fig.axes[1].get_xlim()
        assert low < at[0] < high and f"The rung at the arrow {word}" in said


def test_a_recording_without_stems_has_one_panel_and_no_arrows():
    fig, said = figures.shapes(torch.randn(1, RATE), {}, RATE, STFT(2048, 512), "noise")
    assert len(fig.axes) == 2 and said == "" and not fig.axes[0].texts  # and the colour bar


def test_a_shape_without_its_stem_has_no_arrow():
    ax = plots.figure()[1]
    stems = {"vocals": torch.randn(1, RATE)}
    assert figures.name_shapes(stems, RATE, STFT(2048, 512), ax) == ["voice"]
    assert len(ax.texts) == 1 and not figures.name_shapes({}, RATE, STFT(2048, 512), ax)
