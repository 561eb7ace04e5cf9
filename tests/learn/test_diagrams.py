"""Diagrams: a document that can be parsed, with everything that was put in, and a text."""

import base64
import re
from xml.etree import ElementTree

import pytest

from sepkit.errors import SepkitError
from sepkit.learn.diagrams import Diagram

SVG = "{http://www.w3.org/2000/svg}"


def drawn():
    diagram = Diagram(200, 100, 'A box "x < y" and an arrow.')
    diagram.box((60, 30), (80, 20), "x < y & z")
    diagram.arrow([(10, 80), (110, 80)])
    return diagram


def test_names_are_escaped_and_boxes_stand_where_they_were_put():
    root = ElementTree.fromstring(drawn().svg)
    assert root.get("viewBox") == "0 0 200 100"
    assert [node.text for node in root.iter(f"{SVG}text")] == ["x < y & z"]
    box = list(root.iter(f"{SVG}rect"))[1]
    assert [float(box.get(key)) for key in ("x", "y", "width", "height")] == [20, 20, 80, 20]


def test_the_head_of_an_arrow_points_along_its_last_piece():
    diagram = Diagram(200, 100, "An arrow.")
    diagram.arrow([(10, 10), (100, 10), (100, 60)])
    head = next(ElementTree.fromstring(diagram.svg).iter(f"{SVG}polygon")).get("points")
    corners = [tuple(map(float, corner.split(","))) for corner in head.split()]
    assert corners[0] == (100, 60) and {corners[1], corners[2]} == {(96, 52), (104, 52)}
    with pytest.raises(SepkitError, match="two points"):
        diagram.arrow([(1, 1)])


def test_its_text_reaches_screen_readers_in_both_forms():
    diagram = drawn()
    root = ElementTree.fromstring(diagram.svg)
    assert root.get("role") == "img" and root.find(f"{SVG}title").text == diagram.alt
    page = diagram._repr_html_()
    assert 'alt="A box &quot;x &lt; y&quot; and an arrow."' in page
    inside = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]).decode()
    assert inside == diagram.svg
    with pytest.raises(SepkitError, match="screen readers"):
        Diagram(10, 10, " ")
