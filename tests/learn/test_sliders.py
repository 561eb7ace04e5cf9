"""Sliders redraw, without the widgets that hang batch runs."""

import asyncio
import io
import json
import time

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from sepkit.errors import SepkitError
from sepkit.learn import plots
from sepkit.learn.ch03.figures import turned
from sepkit.learn.sliders import PLACEHOLDER, sliders
from sepkit.reproduce.notebook import strip_audio

IN_A_KERNEL = """
import time
from sepkit.learn import plots
from sepkit.learn.sliders import sliders

drawn = []

def draw(n):
    drawn.append(n)
    time.sleep(0.1)
    return plots.figure()[0]

panel = sliders(draw, n=(0, 50, 1, 0))
print(panel.controls["n"].model_id)
"""


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


def test_of_moves_in_a_row_the_last_one_is_drawn():
    drawn = []

    def count(height):
        drawn.append(height)
        return draw(height, False, "blue")

    async def move():  # as a kernel does, which takes in values while it runs a loop
        panel = sliders(count, height=(0, 10, 1, 2))
        for height in range(3, 9):
            panel.controls["height"].value = height
        assert drawn == [2]
        await asyncio.sleep(0.3)
        assert drawn == [2, 8]
        panel.set(height=5)
        assert drawn == [2, 8, 5], "set draws at once"
        await asyncio.sleep(0.1)
        assert drawn == [2, 8, 5]
        return panel

    panel = asyncio.run(move())
    panel.set(height=1)
    assert drawn[-1] == 1


@pytest.mark.slow
def test_in_a_kernel_moves_that_pile_up_are_skipped():
    manager = pytest.importorskip("jupyter_client.manager", reason="no jupyter_client here")
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    said = []

    def run(code):
        def keep(message):
            said.append(message["content"].get("text") or message["content"].get("evalue", ""))

        client.execute_interactive(code, output_hook=keep, timeout=120)
        return "".join(filter(None, said))

    try:
        number = run(IN_A_KERNEL).strip()
        for value in range(1, 31):  # as a browser does while a handle is dragged
            update = {"method": "update", "state": {"value": value}, "buffer_paths": []}
            message = client.session.msg("comm_msg", {"comm_id": number, "data": update})
            client.shell_channel.send(message)
            time.sleep(0.01)
        said.clear()
        drawn = json.loads(run("import asyncio; await asyncio.sleep(2); print(drawn)"))
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert drawn[0] == 0 and drawn[-1] == 30
    assert len(drawn) < 15 and drawn == sorted(drawn)


def test_the_layout_of_the_first_figure_stays_and_the_picture_has_its_own_size():
    figures = []

    def labelled(size):
        fig, axes = plots.figure(1, 2, width=5, height=2)
        axes[0].set_ylabel("a label", fontsize=size)
        figures.append(fig)
        return fig

    plots.use_style()
    panel = sliders(labelled, size=(5, 30, 1, 10))
    panel.set(size=30)
    first, second = (np.array([ax.get_position().bounds for ax in fig.axes]) for fig in figures)
    assert np.allclose(first, second) and first[0, 0] > 0.05
    assert Image.open(io.BytesIO(panel.picture)).size == (450, 180)
    assert panel._image.layout.width == "450px"


def test_a_move_draws_once_and_lays_nothing_out_anew(monkeypatch):
    """What a move costs in seconds is measured in tests/bench/bench_sliders.py."""
    drawn, laid_out = [], []
    draw, execute = FigureCanvasAgg.draw, ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        FigureCanvasAgg, "draw", lambda self, *rest: (drawn.append(1), draw(self, *rest))
    )
    monkeypatch.setattr(
        ConstrainedLayoutEngine,
        "execute",
        lambda self, fig: (laid_out.append(1), execute(self, fig)),
    )
    x = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)).double()
    panel = sliders(lambda angle: turned(x, angle, lambda y: (y**4).mean()), angle=(0, 90, 1, 1))
    assert len(drawn) == 1 and laid_out  # labels are measured in the first picture
    drawn.clear(), laid_out.clear()
    for moves, angle in enumerate((20, 40, 60), 1):
        panel.set(angle=angle)
        assert len(drawn) == moves and not laid_out


def test_what_is_heard_follows_the_controls_and_keeps_its_level():
    tone = torch.sin(2 * torch.pi * 400 / 16000 * torch.arange(16000))
    panel = sliders(
        lambda gain: plots.figure()[0],
        hear=lambda gain: gain * tone,
        sample_rate=16000,
        gain=(0.0, 4.0, 0.1, 0.1),
    )
    for gain, peak in ((0.1, 0.1), (0.5, 0.5), (4.0, 0.89)):
        panel.set(gain=gain)
        x, rate = soundfile.read(io.BytesIO(panel.sound))
        assert rate == 16000 and np.abs(x[2000:-2000]).max() == pytest.approx(peak, rel=0.06)
    panel.set(gain=0.0)
    assert not soundfile.read(io.BytesIO(panel.sound))[0].any()
    assert sliders(lambda a: plots.figure()[0], a=(0, 1, 1, 0)).sound == b""
    with pytest.raises(SepkitError, match="hear needs sample_rate"):
        sliders(lambda a: plots.figure()[0], hear=lambda a: tone, a=(0, 1, 1, 0))
