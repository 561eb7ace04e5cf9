"""Figures are drawn in the course's style, as in a chapter."""

import matplotlib
import pytest

from sepkit.learn import plots


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        plots.use_style()
        yield
