"""The report on a laptop, on a phone and on paper: nothing is clipped, nothing scrolls sideways."""

import json

import pytest

from sepkit.metrics.scores import save_scores
from sepkit.reproduce.report import write_report
from tests.reproduce.tools import scores

pytestmark = pytest.mark.slow

#: A laptop, a phone, and A4 between margins of a centimetre, in CSS pixels.
WIDTHS = {"laptop": 1280, "phone": 375, "paper": 718}
#: What lies beyond the right edge of the page, or of the box that hides it.
CLIPPED = """() => [...document.querySelectorAll("main *")].filter(one => {
    const box = one.getBoundingClientRect(), table = one.closest("table");
    if (!box.width || !box.height) return false;
    const room = table ? table.parentElement.getBoundingClientRect().right : innerWidth;
    return box.right > Math.min(room, innerWidth) + 1 || one.scrollWidth > one.clientWidth + 1
        && getComputedStyle(one).display !== "inline" && one.clientWidth > 0;
}).map(one => `${one.tagName}: ${one.textContent.slice(0, 60)}`)"""

#: Numbers of which a part stands in the next line.
BROKEN = """() => [...document.querySelectorAll("main td")].flatMap(cell => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode())
        for (const found of node.data.matchAll(/[+-]?\\d+\\.\\d+/g)) {
            const range = document.createRange();
            range.setStart(node, found.index);
            range.setEnd(node, found.index + found[0].length);
            if (new Set([...range.getClientRects()].map(box => box.top)).size > 1)
                broken.push(found[0]);
        }
    return broken;
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """One with six targets, long names, and all experiments that come with sepkit."""
    out = tmp_path_factory.mktemp("out")
    targets = ("vocals", "drums", "bass", "other", "accompaniment", "saxophone")
    system = "a-rather-long-name-of-a-network-without-any-blank-in-it.safetensors"
    parts = [scores(system, [5.25, -12.5], "band", target=target) for target in targets]
    parts.append(scores("irm1", [8.6, 8.1]))
    save_scores(out / "results" / "02_masking.json", sum(parts, []))
    parameters = {"weights": "shipped", "data": "musdb18", "seed": 0, "device": "auto"}
    entry = {"status": "failed", "executed": None, "error": "cell 3: " + "x" * 200}
    entry |= {"profile": "smoke", "parameters": parameters}
    (out / "manifest.json").write_text(json.dumps({"chapters": {"02_masking": entry}}))
    return write_report(out)


def open_at(page, report, where):
    page.set_viewport_size({"width": WIDTHS[where], "height": 900})
    page.emulate_media(media="print" if where == "paper" else "screen")
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


@pytest.mark.parametrize("where", WIDTHS)
def test_nothing_is_clipped(page, report, where):
    open_at(page, report, where)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[where]
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("where", WIDTHS)
def test_no_number_is_broken_in_two(page, report, where):
    open_at(page, report, where)
    assert page.evaluate(BROKEN) == []


@pytest.mark.parametrize("where", WIDTHS)
def test_each_verdict_is_in_sight_and_has_its_colour(page, report, where):
    open_at(page, report, where)
    verdicts = page.locator("table.ledger td.verdict .state")
    assert verdicts.count() == 35
    for number in (0, 34):
        box = verdicts.nth(number).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= WIDTHS[where]
    found = "one => [one.textContent, getComputedStyle(one).borderLeftColor]"
    colours = dict(
        page.evaluate(f"[...document.querySelectorAll('td.verdict .state')].map({found})")
    )
    assert len(set(colours.values())) == len(colours) > 4


def test_the_verdict_comes_first_on_a_phone(page, report):
    open_at(page, report, "phone")
    assert page.locator(".states li").first.bounding_box()["y"] < 200


def test_it_prints_on_a_few_sheets(page, report, tmp_path):
    page.goto(report.as_uri())
    pdf = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert pdf.startswith(b"%PDF") and 5 < pdf.count(b"/Type /Page\n") < 40
