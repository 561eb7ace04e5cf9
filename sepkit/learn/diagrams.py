"""Diagrams of networks: boxes and arrows, drawn by code as SVG with a text for screen readers."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from xml.etree import ElementTree

from ..errors import SepkitError

_INK, _LINE, _SOFT = "#1d2939", "#667085", "#eef2f7"
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Diagram:
    """A drawing of `width` x `height` pixels; (0, 0) is its upper left corner.

    Parameters
    ----------
    width, height : float
        Pixels at natural size. Narrower pages scale the drawing down.
    alt : str
        What the diagram shows, in full sentences: all that a screen reader has of it.

    Raises
    ------
    SepkitError
        Without `alt`.
    """

    def __init__(self, width: float, height: float, alt: str):
        if not alt.strip():
            raise SepkitError("diagram: no text for screen readers; say in `alt` what it shows")
        self.alt = alt
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {width:g} {height:g}",
                "width": f"{width:g}",
                "height": f"{height:g}",
                "role": "img",
                "aria-labelledby": "title",
                "font-family": _FONT,
            },
        )
        self._add("title", {"id": "title"}, alt)
        self._add("rect", {"width": f"{width:g}", "height": f"{height:g}", "fill": "white"})

    def box(
        self,
        centre: tuple[float, float],
        size: tuple[float, float],
        text: str,
        tint: str = _SOFT,
        border: str = _LINE,
    ) -> None:
        """Draw a box with its name.

        Parameters
        ----------
        centre, size : (x, y), (width, height)
        text : str
            One line, or nothing. It may be wider than a narrow box.
        tint, border : str
            Colours, ``#rrggbb``.
        """
        (x, y), (width, height) = centre, size
        place = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height, "rx": 4}
        self._add(
            "rect",
            {key: f"{value:g}" for key, value in place.items()}
            | {"fill": tint, "stroke": border, "stroke-width": "1.2"},
        )
        if text:
            self.text((x, y), text, anchor="middle")

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: float = 13,
        anchor: str = "start",
        colour: str = _INK,
    ) -> None:
        """Write a line of text; `at` is its start, middle or end (`anchor`), at mid-height."""
        self._add(
            "text",
            {
                "x": f"{at[0]:g}",
                "y": f"{at[1]:g}",
                "font-size": f"{size:g}",
                "text-anchor": anchor,
                "dominant-baseline": "central",
                "fill": colour,
            },
            text,
        )

    def arrow(self, points: Sequence[tuple[float, float]], colour: str = _LINE) -> None:
        """Draw a line along `points`, with a head at its end.

        Raises
        ------
        SepkitError
            For fewer than two points.
        """
        if len(points) < 2:
            raise SepkitError(f"diagram: an arrow needs two points at least, got {len(points)}")
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._add(
            "polyline", {"points": path, "fill": "none", "stroke": colour, "stroke-width": "1.5"}
        )
        (x0, y0), (x, y) = points[-2:]
        length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
        along = ((x - x0) / length, (y - y0) / length)
        across = (-along[1], along[0])
        head = [(x, y)] + [
            (x - 8 * along[0] + side * across[0], y - 8 * along[1] + side * across[1])
            for side in (-4, 4)
        ]
        self._add(
            "polygon", {"points": " ".join(f"{a:.1f},{b:.1f}" for a, b in head), "fill": colour}
        )

    @property
    def svg(self) -> str:
        """The drawing as an SVG document."""
        return ElementTree.tostring(self._root, encoding="unicode")

    def __repr__(self):
        return self.alt

    def _repr_svg_(self):
        return self.svg

    def _repr_html_(self):
        source = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" style="max-width: 100%"'
            f' src="data:image/svg+xml;base64,{source}">'
        )

    def _add(self, tag, attributes, text=None):
        ElementTree.SubElement(self._root, tag, attributes).text = text
