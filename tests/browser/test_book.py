"""The book from the disk: complete, readable on a telephone, and asking nobody for anything."""

import re

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sepkit.files import repo_root
from sepkit.learn import plots
from sepkit.learn.players import players
from sepkit.reproduce import book

pytestmark = pytest.mark.slow
RATE = 22050
TEXT = r"""# {title}

Some $x_{{n+1}} = \sqrt{{x_n}}$, and

$$\mathrm{{SDR}} = 10\log_{{10}}\frac{{\|s\|^2}}{{\|s - \hat s\|^2}}\;\text{{dB}}
  = 20\log_{{10}}\|s\| - 20\log_{{10}}\|s - \hat s\| + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0$$

## A table

| a quite long heading | a second long heading | a third long heading | a fourth one |
|---|---|---|---|
| 1 | 2 | 3 | 4 |
"""


def shown(thing, **more):
    data = {"text/html": thing._repr_html_(), "text/plain": repr(thing), **more}
    return new_output("execute_result", data)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A book of two chapters, with what chapters show; its folder and pages."""
    pytest.importorskip("latex2mathml", reason="no latex2mathml here")
    folder = tmp_path_factory.mktemp("book")
    time = torch.arange(5 * RATE) / RATE
    row = players({"a tone": 0.3 * torch.sin(2 * torch.pi * 440 * time)}, RATE, title="Tone")
    figure, ax = plots.figure()
    ax.plot([0, 1])
    for name in ("01_one", "02_two"):
        cells = [
            new_markdown_cell(TEXT.format(title=name)),
            new_code_cell("a = [" + "1, " * 60 + "]", outputs=[shown(row)]),
            new_code_cell("plot()", outputs=[shown(plots.Picture(figure, "A line"))]),
        ]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder / "site", book.write_book(folder, folder, folder / "site")


def test_the_book_is_read_and_heard_from_the_disk(page, watch, pages):
    site, _ = pages
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="01_one").click()
    assert page.title() == "01_one" and page.locator("math").count() == 2
    formula = page.locator("math[display=block]").bounding_box()
    assert formula["height"] > 30, "a fraction stands in two lines"
    page.locator(".play").click()
    page.wait_for_function(
        "Number(document.querySelector('.sepkit-players').dataset.position) > 0.5"
    )
    page.get_by_role("link", name="02_two").first.click()
    assert page.title() == "02_two"
    assert all(url.startswith(("file:", "data:")) for url in watch.requests)


def test_a_telephone_shows_it_and_axe_finds_nothing_serious(page, pages):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here")
    site, _ = pages
    page.set_viewport_size({"width": 360, "height": 740})
    for name in ("index.html", "01_one.html", "02_two.html"):  # 01 with a live player
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        found = axe.Axe().run(page).response["violations"]
        assert [one for one in found if one["impact"] in ("serious", "critical")] == []


#: The chapters as they are stored, and the page of contents.
STORED = [path.stem for path in sorted((repo_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A book of all chapters with the outputs that are in the repository; its folder."""
    pytest.importorskip("latex2mathml", reason="no latex2mathml here")
    pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here")
    site = tmp_path_factory.mktemp("stored")
    book.write_book(site / "none", repo_root() / "notebooks", site)
    return site


#: Half a minute a page: with players and sliders, with tables, and the contents; the rest is long.
OFTEN = ("00_start", "04_open_unmix", "12_tables", "index")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in OFTEN else pytest.mark.long)
        for name in [*STORED, "index"]
    ],
)
def test_axe_finds_nothing_serious_on_any_page_of_the_course(page, stored, name):
    from axe_playwright_python.sync_playwright import Axe

    page.set_default_timeout(120_000)
    page.goto((stored / f"{name}.html").as_uri())
    found = Axe().run(page).response["violations"]
    # a corner of a table of two indices is empty, which axe calls minor
    assert [one["id"] for one in found if one["impact"] != "minor"] == []


def test_the_pdf_has_a_page_per_chapter_and_an_outline(pages, tmp_path, browser):
    assert book.print_book(pages[1], tmp_path / "book.pdf")
    raw = (tmp_path / "book.pdf").read_bytes()
    assert raw.startswith(b"%PDF-") and b"/Outlines" in raw
    assert len(re.findall(rb"/Type\s*/Page\b", raw)) >= 3
