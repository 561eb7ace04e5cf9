"""Diagrams: a document that can be parsed, with everything that was put in, and a text."""

import base64
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from sepkit.errors import SepkitError
from sepkit.learn.ch04.figures import network
from sepkit.learn.ch05.figures import two_networks
from sepkit.learn.ch06.figures import band_split_rnn
from sepkit.learn.ch07.figures import remixing, songs_and_seeds
from sepkit.learn.ch08.figures import three_metrics
from sepkit.learn.ch09.figures import two_branches
from sepkit.learn.diagrams import Diagram
from sepkit.models import build

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


CHAPTERS = {
    "04": lambda: network(build("open-unmix")),
    "05": two_networks,
    "06": band_split_rnn,
    "07, an example": remixing,
    "07, the table": songs_and_seeds,
    "08": three_metrics,
    "09": two_branches,
}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_diagrams_of_chapters_stay_on_their_page_and_their_boxes_apart(chapter):
    root = ElementTree.fromstring(CHAPTERS[chapter]().svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    boxes = []
    for box in list(root.iter(f"{SVG}rect"))[1:]:  # the first is the page
        x, y, w, h = (float(box.get(key)) for key in ("x", "y", "width", "height"))
        boxes.append((x, y, x + w, y + h))
    points = [
        tuple(map(float, point.split(",")))
        for line in root.iter(f"{SVG}polyline")
        for point in line.get("points").split()
    ]
    corners = [corner for box in boxes for corner in (box[:2], box[2:])]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points + corners)
    for one, other in combinations(boxes, 2):
        beside = one[2] <= other[0] or other[2] <= one[0]
        assert beside or one[3] <= other[1] or other[3] <= one[1], (one, other)
    for node in root.iter(f"{SVG}text"):  # about half an em for each character
        reach = float(node.get("font-size")) * 0.55 * len(node.text)
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[node.get("text-anchor")]
        assert float(node.get("x")) + (1 - share) * reach <= width, node.text
        assert float(node.get("x")) - share * reach >= 0, node.text
