"""Figures of chapter 03: the marks stand where the numbers are."""

import numpy as np
import pandas as pd
import pytest
import torch

from sepkit.learn import plots
from sepkit.learn.ch03 import figures


def laplace(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).laplace(size=shape))


def kurtosis(y):
    y = y - y.mean()
    return (y**4).mean() / (y**2).mean() ** 2 - 3


def test_the_dashed_lines_stand_where_a_speaker_is_silent():
    A = torch.tensor([[1.0, 0.6], [0.5, 0.9]], dtype=torch.float64)
    fig = figures.curve_of_angles(A @ laplace(2, 20000), A, kurtosis)
    top, bottom = fig.axes
    silent = np.degrees(np.arctan2([1.0, 0.6], [-0.5, -0.9]))
    marked = sorted(line.get_xdata()[0] for line in top.lines if line.get_linestyle() == "--")
    assert marked == pytest.approx(sorted(silent), abs=0.6)
    degrees, curve = top.lines[0].get_data()
    highest = degrees[np.argmax(curve)]  # kurtosis peaks at one of them
    assert min(abs(highest - silent)) < 4
    assert bottom.get_xlabel() == "angle (degrees)" and bottom.get_ylabel() == "level (dB)"


def test_a_turned_output_is_the_weighted_sum_and_its_title_says_its_kurtosis():
    x = laplace(2, 5000)
    fig = figures.turned(x, 90, kurtosis)
    assert fig.axes[1].get_title(loc="left") == f"angle 90°: kurtosis {float(kurtosis(x[1])):.2f}"


def test_densities_are_of_unit_variance_and_integrate_to_one():
    ax = figures.density({"loud": 50 * laplace(20000)}, plots.figure()[1])
    values, height = ax.lines[0].get_data()
    assert np.sum(height) * (values[1] - values[0]) == pytest.approx(1, abs=0.01)
    assert height[len(height) // 2] > 0.5  # a Laplacian of variance 1 has 0.71 at its tip


def test_a_stem_in_one_channel_lies_at_its_side_and_equal_channels_in_the_centre():
    one = torch.randn(40, 30, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    stems = {"vocals": torch.stack([one, one]), "drums": torch.stack([one, 0 * one])}
    ax = figures.directions(stems, plots.figure()[1])
    (angle, centre), (_, side) = (line.get_data() for line in ax.lines)
    assert angle[centre.argmax()] == pytest.approx(45, abs=2) and angle[
        side.argmax()
    ] == pytest.approx(0, abs=2)
    assert centre.max() == pytest.approx(100) and side.max() == pytest.approx(100)


def test_bins_are_coloured_by_the_speaker_who_leads():
    ax = figures.leading_speaker([5.0, -7.0, 60.0], [0.1, 0.2, 0.3], "bins", plots.figure()[1])
    first, second = ax.lines[:2]
    assert first.get_ydata().tolist() == [5, 30] and second.get_ydata().tolist() == [-7]


def test_methods_show_mean_interval_and_every_song():
    values = {"ica": [1.0, 2.0, 6.0], "irm1": [7.0, 8.0, 9.0]}
    rows = [
        (name, "vocals", f"song {k}", v)
        for name, three in values.items()
        for k, v in enumerate(three)
    ]
    frame = pd.DataFrame(rows, columns=["separator", "target", "track", "value"])
    ax = figures.methods(frame, list(values), ["vocals"], "uSDR (dB)").axes[0]
    songs, interval, mean = ax.lines[:3]
    assert songs.get_xdata().tolist() == values["ica"] and mean.get_xdata()[0] == pytest.approx(3)
    assert 1 <= interval.get_xdata()[0] < 3 < interval.get_xdata()[1] <= 6
    assert [text.get_text() for text in ax.texts] == ["3.0", "8.0"]  # the means, beside the songs
    assert ax.get_xlim()[1] > 10  # room for them
    assert ax.get_xlabel() == "uSDR (dB)" and [t.get_text() for t in ax.get_yticklabels()] == [
        "ica",
        "irm1",
    ]


def test_one_song_has_no_interval_and_nan_is_left_out():
    middle, low, high = figures.interval([4.0, float("nan")])
    assert middle == 4 and np.isnan(low) and np.isnan(high)
    assert figures.interval([1.0, 2.0, 30.0], statistic="median")[0] == 2


def test_parts_have_the_name_of_the_stem_that_gives_most():
    W, H = torch.rand(20, 3) + 0.1, torch.rand(3, 30)
    held = {"vocals": [1.0, 3.0, 0.0], "drums": [3.0, 1.0, 0.0]}  # the third is silent
    fig = figures.parts(W, H, 16000, 100.0, held)
    left, right = fig.axes
    assert [text.get_text() for text in right.texts] == ["drums 75%", "vocals 75%", "vocals 0%"]
    assert right.get_xlim() == (0, 0.3) and len(left.collections) == len(right.collections) == 3
