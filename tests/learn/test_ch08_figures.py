"""Figures about scores: what they show is what was put in."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from sepkit.errors import SepkitError
from sepkit.learn.ch08 import figures

ENERGIES = {"reference": 4.0, "spatial": 0.04, "interference": 1.0, "artefacts": 0.25}


def arrows(ax):
    return [text for text in ax.texts if text.arrow_patch is not None]


def test_sweeps_hold_what_lies_outside_on_the_border():
    ax = figures.sweep([1, 2, 3], {"SDR": [1, 2, 3], "SAR": [np.inf, 150, -90]})
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == {"SDR": [1, 2, 3], "SAR": [60, 60, -30]}


def test_measures_beyond_the_border_are_drawn_at_it_and_named():
    ax = figures.measures({"SDR": 3.25, "SIR": 138.0, "SAR": -50.0}, figures.figure()[1])
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([3.25, 60, -30])
    assert [text.get_text() for text in ax.texts] == ["3.2", "> 60", "-50.0"]


def test_the_staircase_is_drawn_to_scale():
    ax = figures.staircase(ENERGIES)
    ends = {tuple(np.round(np.subtract(arrow.xy, arrow.xyann), 6)) for arrow in arrows(ax)}
    assert (1.0, 0.0) in ends  # the stem
    # square roots of the energies, against the stem's
    assert (0.1, 0.0) in ends and (0.275, 0.19) in ends and (0.0, 0.25) in ends
    assert (1.375, 0.44) in ends  # the estimate is the sum of all steps
    # an estimate that is too quiet is shorter than the stem
    quiet = figures.staircase(ENERGIES, gain=0.9)
    ends = {tuple(np.round(np.subtract(arrow.xy, arrow.xyann), 6)) for arrow in arrows(quiet)}
    assert (-0.1, 0.0) in ends and (0.9 + 0.275, 0.44) in ends
    with pytest.raises(SepkitError, match="no energy of artefacts"):
        figures.staircase({key: value for key, value in ENERGIES.items() if key != "artefacts"})


def test_frames_without_a_score_are_shaded():
    ax = figures.frames({"vocals": [1.0, np.nan, 3.0], "drums": [2.0, np.nan, np.nan]}, hop=2.0)
    grey = [patch for patch in ax.patches if patch.get_facecolor() == to_rgba("#e4e7ec")]
    shaded = [patch.get_extents().transformed(ax.transData.inverted()).bounds[0] for patch in grey]
    assert shaded == pytest.approx([2.0])
    assert ax.get_xlim() == (0, 6)


def test_ranks_put_the_best_first():
    table = pd.DataFrame({"uSDR": [5.0, 7.0], "SI-SDR": [6.0, 4.0]}, index=["one", "two"])
    ax = figures.ranks(table)
    assert [list(line.get_ydata()) for line in ax.lines] == [[2, 1], [1, 2]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"] and list(
        ax.get_yticks()
    ) == [2, 1]
    tied = figures.ranks(pd.DataFrame({"SI-SDR": [1.001, 1.0, 2.0]}, index=list("abc")))
    assert [line.get_ydata()[0] for line in tied.lines] == [2.5, 2.5, 1]
    assert {"5.0", "7.0", "6.0", "4.0"} <= {text.get_text() for text in ax.texts}


def test_false_alarms_stand_beside_the_promise():
    ax = figures.false_alarms({"chunks": 0.6, "songs": 0.051})
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([60, 5.1])
    assert ax.lines[0].get_xdata()[0] == pytest.approx(5)
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()


def test_in_panels_the_axis_of_a_distance_runs_backwards():
    table = pd.DataFrame({"SDR (dB)": [6.0, -6.0], "distance": [0.5, 0.0]}, index=["a", "b"])
    _, (ratio, distance) = figures.panels(table, lower=("distance",))
    assert list(ratio.lines[0].get_xdata()) == [6.0, -6.0]
    assert np.diff(ratio.get_xlim()) > 0 > np.diff(distance.get_xlim())
    assert [ax.get_xlabel() for ax in (ratio, distance)] == [
        "SDR (dB)",
        "distance\n(lower is better)",
    ]
