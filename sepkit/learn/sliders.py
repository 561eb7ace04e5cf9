"""Sliders that redraw a figure, and sound, without what makes batch runs hang.

``ipywidgets.interact`` and ``Output`` now and then block a notebook that is run by
papermill or nbclient (nbclient issue 312). Here a slider calls `draw` and hands the
picture to an image widget, nothing else. Every cell with sliders has a plain call of
`draw` beside it: that is what is stored, tested and printed.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Any

import torch
from matplotlib.figure import Figure

from ..errors import SepkitError
from .loudness import PEAK
from .players import mp3
from .plots import without_formulas

PLACEHOLDER = "Run this cell to move the sliders."
#: JupyterLab takes keys on a slider's handle for its own: ``d d`` would delete the cell. What has
#: the focus must say itself that they are not, and ipywidgets can set no attribute; so an empty
#: style sheet sees to it once the panel is on the page.
_KEYS = """<style onload="this.closest('.widget-vbox').addEventListener('focusin',
    (event) => event.target.setAttribute('data-lm-suppress-shortcuts', 'true'))"></style>"""
_DPI = 90
_PAUSE = 0.03  # seconds that moves are gathered for


def sliders(
    draw: Callable[..., Figure],
    hear: Callable[..., torch.Tensor] | None = None,
    sample_rate: int = 0,
    **controls: Any,
) -> Panel:
    """Put controls above a figure that follows them, and above a player if there is sound.

    Parameters
    ----------
    draw : callable
        Called with the controls' values by name; returns a Figure, always of the same axes.
    hear : callable, optional
        Called likewise; returns the sound of these values, Tensor (channels, samples) or
        (samples,). It keeps its level, unless that is beyond full scale.
    sample_rate : int
        Of that sound, in Hz.
    **controls
        name=(lowest, highest, step, start), whole numbers if all are; name=True or
        False for a switch; name=[...] for a choice, the first at the start.

    Returns
    -------
    Panel
        With `values`, `set`, `picture` (PNG bytes) and `sound` (MP3 bytes) for use without a
        mouse.

    Raises
    ------
    SepkitError
        For `hear` without `sample_rate`.
    """
    if hear and sample_rate <= 0:
        raise SepkitError("sliders: hear needs sample_rate, in Hz")
    return Panel(draw, hear, sample_rate, controls)


class Panel:
    """What `sliders` returns; shown by the notebook."""

    def __init__(
        self,
        draw: Callable[..., Figure],
        hear: Callable[..., torch.Tensor] | None,
        sample_rate: int,
        controls: Mapping[str, Any],
    ):
        import ipywidgets

        self.draw, self.hear, self.sample_rate = draw, hear, sample_rate
        self.controls = {name: _widget(ipywidgets, name, given) for name, given in controls.items()}
        self._places: list[Any] = []  # where the first figure's axes are
        self._waiting: asyncio.TimerHandle | None = None
        self._image = ipywidgets.Image(format="png")
        self._image.layout.max_width, self._image.layout.align_self = "100%", "flex-start"
        keys = ipywidgets.HTML(_KEYS, layout={"display": "none"})
        shown = [*self.controls.values(), self._image, keys]
        if hear:
            self._audio = ipywidgets.Audio(format="mp3", autoplay=False, loop=False)
            shown.append(self._audio)
        self._box = ipywidgets.VBox(shown)
        self._redraw()
        for control in self.controls.values():
            control.observe(self._moved, names="value")

    def __repr__(self):
        return PLACEHOLDER

    @property
    def values(self) -> dict[str, Any]:
        """{name: value} of all controls."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def picture(self) -> bytes:
        """The figure as it is shown, PNG bytes."""
        return self._image.value

    @property
    def sound(self) -> bytes:
        """What is heard, MP3 bytes; empty for a panel without `hear`."""
        return self._audio.value if self.hear else b""

    def set(self, **values: Any) -> None:
        """Move controls as a hand would, and redraw at once."""
        for name, value in values.items():
            self.controls[name].value = value
        if self._waiting:
            self._waiting.cancel()
            self._redraw()

    def _moved(self, change):
        """Redraw soon: of the values that come in until then, the last one counts."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel, so nothing comes in meanwhile
            self._redraw()
            return
        if self._waiting is None:
            self._waiting = loop.call_later(_PAUSE, self._redraw)

    def _redraw(self):
        moved, self._waiting = bool(self._places), None
        values = self.values
        figure = self.draw(**values)
        if moved:  # measuring all labels again would cost more than drawing them
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, self._places):
                axes.set_position(place)
        picture, width = _picture(figure)
        self._places = [axes.get_position(original=True) for axes in figure.axes]
        self._image.layout.width = f"{width}px"
        self._image.value = picture
        if self.hear:
            self._audio.autoplay = moved  # who moves a slider wants to hear what it did
            self._audio.value = _sound(self.hear(**values), self.sample_rate)

    def _repr_mimebundle_(self, **options):
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": PLACEHOLDER}


def _picture(figure):
    """PNG bytes, packed quickly instead of tightly, and the picture's width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    without_formulas(figure)
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once, where savefig draws twice
    image = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="png", compress_level=1)
    return buffer.getvalue(), image.width


def _sound(x, sample_rate):
    x = torch.as_tensor(x).detach().cpu().float()
    x = x[None] if x.ndim == 1 else x
    peak = float(x.abs().max())
    return mp3(x * min(1.0, PEAK / peak) if peak else x, sample_rate)


def _widget(ipywidgets, name, given):
    label = {"description": name.replace("_", " "), "style": {"description_width": "9em"}}
    if isinstance(given, bool):
        return ipywidgets.Checkbox(value=given, **label)
    if isinstance(given, list):
        return ipywidgets.Dropdown(options=given, value=given[0], **label)
    low, high, step, start = given
    kind = (
        ipywidgets.IntSlider
        if all(isinstance(part, int) for part in given)
        else ipywidgets.FloatSlider
    )
    return kind(min=low, max=high, step=step, value=start, layout={"width": "30em"}, **label)
