"""Sliders that redraw a figure, without what makes batch runs hang.

``ipywidgets.interact`` and ``Output`` now and then block a notebook that is run by
papermill or nbclient (nbclient issue 312). Here a slider calls `draw` and hands the
picture to an image widget, nothing else. Every cell with sliders has a plain call of
`draw` beside it: that is what is stored, tested and printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from .plots import png

PLACEHOLDER = "Run this cell to move the sliders."


def sliders(draw: Callable[..., Figure], **controls: Any) -> Panel:
    """Put controls above a figure that follows them.

    Parameters
    ----------
    draw : callable
        Called with the controls' values by name; returns a Figure.
    **controls
        name=(lowest, highest, step, start), whole numbers if all are; name=True or
        False for a switch; name=[...] for a choice, the first at the start.

    Returns
    -------
    Panel
        With `values`, `set` and `picture` (PNG bytes) for use without a mouse.
    """
    return Panel(draw, controls)


class Panel:
    """What `sliders` returns; shown by the notebook."""

    def __init__(self, draw: Callable[..., Figure], controls: Mapping[str, Any]):
        import ipywidgets

        self.draw = draw
        self.controls = {name: _widget(ipywidgets, name, given) for name, given in controls.items()}
        self._image = ipywidgets.Image(format="png")
        self._box = ipywidgets.VBox([*self.controls.values(), self._image])
        for control in self.controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

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

    def set(self, **values: Any) -> None:
        """Move controls as a hand would."""
        for name, value in values.items():
            self.controls[name].value = value

    def _redraw(self, change=None):
        self._image.value = png(self.draw(**self.values))

    def _repr_mimebundle_(self, **options):
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        return {"application/vnd.jupyter.widget-view+json": view, "text/plain": PLACEHOLDER}


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
    return kind(
        min=low,
        max=high,
        step=step,
        value=start,
        continuous_update=False,
        layout={"width": "30em"},
        **label,
    )
