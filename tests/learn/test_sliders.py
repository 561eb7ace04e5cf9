"""Sliders redraw, without the widgets that hang batch runs."""

import io

import numpy as np
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from sepkit.learn import plots
from sepkit.learn.sliders import PLACEHOLDER, sliders
from sepkit.reproduce.notebook import strip_audio


def draw(height, line, kind):
    fig, ax = plots.figure(width=2, height=2)
    ax.bar([0], [height], color=plots.CYCLE[0 if kind == "blue" else 1])
    ax.set_ylim(0, 10)
    ax.axis("off")
    return fig


def blue(panel):
    pixels = np.asarray(Image.open(io.BytesIO(panel.picture)).convert("RGB")).astype(int)
    return int(((pixels[..., 2] > 150) & (pixels[..., 0] < 50)).sum())


def test_the_picture_follows_the_controls():
    panel = sliders(draw, height=(0, 10, 1, 2), line=False, kind=["blue", "red"])
    assert panel.values == {"height": 2, "line": False, "kind": "blue"}
    small = blue(panel)
    panel.set(height=8)
    assert 3 < blue(panel) / small < 5
    panel.set(kind="red")
    assert blue(panel) == 0


def test_what_is_stored_says_how_to_use_it():
    bundle = sliders(
        draw, height=(0.0, 1.0, 0.1, 0.5), line=True, kind=["blue"]
    )._repr_mimebundle_()
    assert (
        bundle["text/plain"] == PLACEHOLDER and "application/vnd.jupyter.widget-view+json" in bundle
    )


def test_whole_numbers_stay_whole():
    panel = sliders(lambda a, b: plots.figure()[0], a=(0, 4, 1, 1), b=(0, 4, 0.5, 1))
    assert isinstance(panel.values["a"], int) and isinstance(panel.values["b"], float)


def test_a_stored_notebook_keeps_the_words_and_not_the_widget():
    output = new_output(
        "execute_result",
        data=sliders(draw, height=(0, 10, 1, 2), line=False, kind=["blue"])._repr_mimebundle_(),
    )
    strip_audio(new_notebook(cells=[new_code_cell("sliders(draw)", outputs=[output])]))
    assert output.data == {"text/plain": PLACEHOLDER}
