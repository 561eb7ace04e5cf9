"""Chapter 04's figures: sizes come from the network, and the unit set by hand does remember."""

import numpy as np
import pytest
import torch

from sepkit.learn import plots
from sepkit.learn.ch04 import figures
from sepkit.models import build


def test_the_diagram_tells_the_sizes_of_the_network_it_is_given():
    diagram = figures.network(build("open-unmix", target="vocals", hidden=48))
    assert "fc1, batch normalisation, tanh: 48 numbers a frame" in diagram.alt
    assert "side by side: 96 numbers" in diagram.alt
    assert ">2974 x N<" in diagram.svg and ">4098 x N<" in diagram.svg  # 2 x 1487 and 2 x 2049


def test_the_unit_holds_a_note_from_its_beginning_to_its_end():
    begins, ends = torch.zeros(2, 30)
    begins[[3, 18]], ends[[10, 25]] = 1, 1
    heard, _ = figures.remembering_unit()(torch.stack([begins, ends], dim=-1))
    sounds = torch.zeros(30, dtype=torch.bool)
    sounds[3:10] = sounds[18:25] = True
    level = heard[:, 0].detach()
    assert (level[sounds] > 0.7).all() and (level[~sounds].abs() < 0.01).all()


def test_a_weight_beyond_the_border_is_drawn_at_it():
    ax = figures.descent({"wild": [0.0, 5.0, -9.0]}, 0.5, plots.figure()[1])
    assert ax.lines[0].get_ydata() == pytest.approx([0.0, 4.5, -3.5])


def test_gates_are_drawn_as_given():
    fig = figures.gates({"a note begins": [0, 1, 0]}, {"forget gate": [1, 1, 0]})
    (above, below) = fig.axes
    assert list(above.lines[0].get_xdata()) == [1]
    assert np.array_equal(below.lines[0].get_ydata(), [1, 1, 0])
