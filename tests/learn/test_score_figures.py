"""Figures about scores: every value is drawn, and who is sure is coloured."""

import numpy as np

from sepkit.learn import plots, score_figures
from sepkit.metrics.statistics import Comparison


def test_dots_show_every_value_and_the_mean_and_leave_nan_out():
    ax = score_figures.dots({"ibm": {"vocals": [1.0, 2.0, np.nan]}, "irm1": {"vocals": [3.0]}})
    dots = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "."])
    means = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 1.6]
    assert sorted(dots) == [1, 2, 3] and means == [1.5, 3.0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ibm", "irm1"]


def test_intervals_that_hold_zero_are_grey():
    sure, unsure = (
        Comparison(1.0, 0.4, 1.6, 0.01, 8, 8, 0.01),
        Comparison(0.2, -0.3, 0.7, 0.4, 8, 5, 0.4),
    )
    ax = score_figures.intervals({"sure": sure, "unsure": unsure})
    bars = [line for line in ax.lines if line.get_linewidth() == 3]
    assert [list(bar.get_xdata()) for bar in bars] == [[0.4, 1.6], [-0.3, 0.7]]
    assert bars[0].get_color() == plots.CYCLE[0] and bars[1].get_color() == "#667085"
    assert "8 of 8 songs" in [text.get_text() for text in ax.texts]
