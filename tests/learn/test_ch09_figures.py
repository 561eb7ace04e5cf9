"""Figures of chapter 09: what is drawn is what was given."""

import numpy as np
import pytest
import torch

from sepkit.learn import plots
from sepkit.learn.ch09 import figures
from sepkit.models.waveform import in_segments


def sines(frequencies, sample_rate, length):
    time = torch.arange(length, dtype=torch.float64) / sample_rate
    return torch.stack([torch.sin(2 * torch.pi * frequency * time) for frequency in frequencies])


def test_filters_are_sorted_by_their_frequency_whatever_their_level():
    filters = sines((3000, 500, 1500, 2500), 8000, 40) * torch.tensor([[1.0], [0.01], [5.0], [1.0]])
    assert figures.by_frequency(filters).tolist() == [1, 2, 3, 0]
    ax = plots.figure()[1]
    image = figures.filter_bank(filters, 8000, ax)
    levels = np.asarray(image.get_array())  # (frequencies, filters)
    peaks = levels.argmax(0) / (len(levels) - 1) * 4000
    assert peaks == pytest.approx([500, 1500, 2500, 3000], abs=60)


def test_a_line_has_its_amplitude_and_place():
    frequency, magnitude = figures.line_spectrum(0.3 * sines((1000,), 8000, 8000), 8000)
    assert frequency[magnitude.argmax()] == 1000
    assert magnitude.max() == pytest.approx(0.3, rel=1e-3)


def test_spectra_share_one_reference_and_the_floor():
    ax = plots.figure()[1]
    loud = sines((1000,), 8000, 8000)
    figures.line_spectra({"loud": loud, "quiet": 0.1 * loud}, 8000, ax, floor=-60)
    tops = [line.get_ydata().max() for line in ax.get_lines()]
    assert tops == pytest.approx([0, -20], abs=1e-3)
    assert min(line.get_ydata().min() for line in ax.get_lines()) == -60


def test_triangles_are_those_of_in_segments():
    ax = plots.figure()[1]
    starts, size, samples = (0, 75, 150, 200), 100, 300
    figures.triangles(starts, size, samples, ax)
    pieces = iter(range(len(starts)))

    def only_the_second(x):
        return torch.full((1, 1, 1, size), float(next(pieces) == 1))

    wanted = in_segments(only_the_second, torch.zeros(1, 1, samples), size, 0.25)[0, 0, 0]
    drawn = ax.get_lines()[1]
    np.testing.assert_allclose(drawn.get_ydata(), wanted[75:175], atol=1e-6)
    total = np.zeros(samples)
    for line in ax.get_lines():
        total[line.get_xdata()] += line.get_ydata()
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_waves_are_drawn_one_below_the_other_at_their_own_peak():
    ax = plots.figure()[1]
    figures.waves(torch.tensor([[0.0, 2.0, -1.0], [0.1, 0.0, 0.0]]), 1000, ax)
    first, second = (line.get_ydata() for line in ax.get_lines())
    assert first[1] == pytest.approx(-2 * first[2]) and first[0] == 0
    assert second[0] + 1 == pytest.approx(first[1]) and first.min() > second.max()
