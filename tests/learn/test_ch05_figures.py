"""Figures of chapter 05: what is drawn is what the numbers say."""

import re

import numpy as np
import pytest
import torch

from sepkit.learn import plots
from sepkit.learn.ch05 import figures
from sepkit.models.pqmf import PQMF
from sepkit.stft import STFT


@pytest.mark.parametrize("level, angle", [(-6, 150), (0, 90), (5, 30), (10, 180)])
def test_the_phasor_figure_shows_the_errors_of_its_bin(level, angle):
    left, right = figures.phasor(level, angle).axes
    mixture = 1 + 10 ** (level / 20) * np.exp(1j * np.radians(angle))
    theta = abs(np.angle(1 / mixture))
    said = [float(text.get_text().split()[0]) for text in right.texts]
    # the distance to the line through X
    assert said[1] == pytest.approx(100 * np.sin(theta) ** 2, abs=0.51)
    assert said[2] == pytest.approx(400 * np.sin(theta / 2) ** 2, abs=0.51)  # a perfect magnitude
    # nothing real undercuts the line
    assert said[0] >= said[1] - 0.51 and said[2] >= said[1] - 0.51
    ratio, degrees = re.findall(r"[\d.]+", left.get_title(loc="left"))
    assert float(ratio) == pytest.approx(1 / abs(mixture), abs=0.006) and float(
        degrees
    ) == pytest.approx(np.degrees(theta), abs=0.51)


def test_phase_and_addition_are_drawn_only_where_something_is_heard():
    mask, phase = torch.rand(4, 5), torch.full((4, 5), torch.pi / 2)
    addition, loudness = torch.arange(20.0).reshape(4, 5), torch.full((4, 5), 1e-6)
    loudness[1, 2:4] = 1.0
    axes = plots.figure(1, 3)[1]
    figures.three_maps(mask, phase, addition, loudness, 2.0, 5000, axes)
    shown = [np.ma.filled(ax.images[0].get_array(), np.nan) for ax in axes]
    assert np.allclose(shown[0], mask)
    assert np.isfinite(shown[1]).sum() == 2 and np.allclose(shown[1][1, 2:4], 90)
    assert shown[2][1, 2:4].tolist() == [7, 8] and np.isnan(shown[2][0, 0])
    assert axes[0].images[0].get_extent() == [0, 2.0, 0, 5.0]


def test_joined_bands_put_tones_at_their_frequencies():
    bank, stft = PQMF(4), STFT(512, 128)
    for frequency in (1000.0, 7000.0, 13000.0, 20000.0):
        tone = torch.sin(2 * torch.pi * frequency * torch.arange(22050) / 44100)
        # without the top bin, as the maps are
        picture = figures.joined(stft(bank.analysis(tone)[:, None])[:, 0, :-1].abs())
        row = int(picture[:, 20:60].sum(1).argmax())
        assert (row + 0.5) * 22050 / len(picture) == pytest.approx(frequency, abs=25)


def test_the_u_goes_down_and_comes_up_again():
    stages = [
        ("input", 2, 64, 64),
        ("encoder 1", 4, 64, 64),
        ("encoder 2", 8, 32, 32),
        ("bottleneck", 8, 16, 16),
        ("decoder 1", 8, 32, 32),
        ("decoder 2", 4, 64, 64),
        ("head", 2, 64, 64),
    ]
    ax = figures.u_shape(stages, plots.figure()[1])
    centre = [box.get_y() + box.get_height() / 2 for box in ax.patches]
    width, height = (
        [getattr(box, f"get_{side}")() for box in ax.patches] for side in ("width", "height")
    )
    assert centre == pytest.approx([0, -1, -2, -3, -2, -1, 0])
    assert width[2] == pytest.approx(width[1] / 2**0.5) and height[3] == pytest.approx(
        height[1] / 2
    )
    assert "8 maps\n32 × 32" in ax.texts[2].get_text()
    levels = [line.get_ydata()[0] for line in ax.lines]
    # a skip connection from every encoder stage to its decoder stage, none from input to head
    assert levels == pytest.approx([-1, -2])
