"""Figures of chapter 06: overlap gains against their closed form, and what the pictures hold."""

import numpy as np
import pytest

from sepkit.learn import plots
from sepkit.learn.ch06 import figures
from sepkit.models.bands import SPLITS, band_edges


def test_windows_divided_by_their_number_have_no_ripple():
    assert np.abs(figures.overlap_gain(3000, 500, 40_000)).max() < 1e-12


@pytest.mark.parametrize("size, hop", [(3000, 500), (134144, 23894), (1000, 300)])
def test_one_divisor_ripples_unless_the_hop_divides_the_window(size, hop):
    gain = figures.overlap_gain(size, hop, 20 * size, divisor=size / hop)
    inside = gain[size // 100 + 1 : -size // 100 - 1]
    few, many = size // hop, -(-size // hop)
    assert inside.min() == pytest.approx(20 * np.log10(few * hop / size), abs=1e-9)
    assert inside.max() == pytest.approx(20 * np.log10(many * hop / size), abs=1e-9)
    assert gain[0] == pytest.approx(20 * np.log10(hop / size))  # the ends lie in one window only


def test_bar_codes_have_a_bar_for_every_band_and_no_gap():
    _, ax = plots.figure()
    figures.bar_codes(["V1", "V7"], ax)
    for row, name in enumerate(("V1", "V7")):
        bars = [bar for bar in ax.patches if round(bar.get_y() + bar.get_height() / 2) == row]
        assert len(bars) == len(band_edges(name)) - 1
        assert all(
            a.get_x() + a.get_width() == pytest.approx(b.get_x()) for a, b in zip(bars, bars[1:])
        )


@pytest.mark.parametrize("split", SPLITS)
def test_every_second_band_is_shaded(split):
    _, ax = plots.figure()
    figures.spectra_with_bands({"vocals": np.ones(1025)}, split, ax)
    assert len(ax.patches) == len(band_edges(split)) // 2


def test_mask_plane_puts_energy_where_the_mask_is():
    _, ax = plots.figure()
    # rows: imaginary part
    shares = 10 ** np.asarray(
        figures.mask_plane(np.array([1.0, 1.0j]), np.array([3.0, 1.0]), ax).get_array()
    )
    place = {
        value: np.unravel_index(np.abs(shares - value).argmin(), shares.shape) for value in (75, 25)
    }
    middle = np.linspace(-1.6, 1.6, 97)[:-1] + 1.6 / 96
    assert shares[place[75]] == pytest.approx(75) and shares[place[25]] == pytest.approx(25)
    for value, (real, imaginary) in {75: (1, 0), 25: (0, 1)}.items():
        assert (
            abs(middle[place[value][1]] - real) < 0.04
            and abs(middle[place[value][0]] - imaginary) < 0.04
        )
