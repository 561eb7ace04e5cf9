"""The book: a page per chapter, links that lead somewhere, executed chapters before stored ones."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sepkit.errors import SepkitError
from sepkit.reproduce import book

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIRST = "# 01 · First\n\nGo on to [two](02_b.ipynb#A-part).\n\n## A part\n\n| a |\n|---|\n| 1 |"
SECOND = "# 02 · Second\n\nBack to [one](01_a.ipynb), see [above](#A-part).\n\n## A part"


def write(folder, name, text, said=""):
    folder.mkdir(exist_ok=True)
    output = new_output("stream", text=said)
    cells = [new_markdown_cell(text), new_code_cell("print()", outputs=[output])]
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def chapters(tmp_path):
    write(tmp_path / "notebooks", "01_a", FIRST, "stored")
    write(tmp_path / "notebooks", "02_b", SECOND, "stored")
    write(tmp_path / "executed", "02_b", SECOND, "executed")
    write(tmp_path / "executed", "02_b.failed", "# Failed")
    return tmp_path / "executed", tmp_path / "notebooks", tmp_path / "book"


def links(path):
    return re.findall(r'href="([^"]*)"', path.read_text())


def test_every_chapter_has_a_page_executed_where_it_was(chapters):
    pages = book.write_book(*chapters)
    out = chapters[-1]
    assert [page.title for page in pages] == ["01 · First", "02 · Second"]
    names = ["01_a.html", "02_b.html", "index.html"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert ">stored<" in (out / names[0]).read_text()
    assert ">executed<" in (out / names[1]).read_text()
    assert links(out / "index.html") == [
        "#text",
        "01_a.html",
        "01_a.html#A-part",
        "02_b.html",
        "02_b.html#A-part",
    ]
    assert {"02_b.html#A-part", "02_b.html", "index.html", "#A-part"} < set(links(out / names[0]))


@pytest.mark.parametrize("target", ["03_c.ipynb", "02_b.ipynb#No-part", "#nowhere", "../a.txt"])
def test_a_link_that_leads_nowhere_stops_it(chapters, target):
    write(chapters[1], "01_a", f"# 01\n\n[a link]({target})")
    shown = target.replace("ipynb", "html")
    with pytest.raises(SepkitError, match=f"01_a.html: {re.escape(shown)}"):
        book.write_book(*chapters)


def test_links_elsewhere_are_left_alone(chapters):
    write(
        chapters[1],
        "01_a",
        "# 01\n\n[there](https://example.org/a#b) <me@example.org>\n\n## A part",
    )
    assert len(book.write_book(*chapters)) == 2


def test_without_chapters_it_says_what_to_run(tmp_path):
    with pytest.raises(SepkitError, match="no executed chapters; run: sepkit reproduce"):
        book.write_book(tmp_path, tmp_path, tmp_path / "book")


def test_all_formulas_and_links_of_the_course_can_be_read(tmp_path):
    pytest.importorskip("latex2mathml", reason="no latex2mathml; pip install '.[notebooks]'")
    pages = book.write_book(tmp_path / "none", NOTEBOOKS, tmp_path / "book")
    assert len(pages) == len(list(NOTEBOOKS.glob("*.ipynb")))
    body = "".join(page.body for page in pages)
    assert body.count("<math ") > 300 and "<merror" not in body
    assert "$$" not in re.sub(r"<pre.*?</pre>", "", body, flags=re.DOTALL)


def test_in_the_whole_every_address_is_its_chapters_own_and_nothing_sounds(chapters):
    player = '<audio controls src="data:audio/mpeg;base64,AA"></audio><script>go("a")</script>'
    output = new_output("display_data", {"text/html": f"<b>row</b>{player}"})
    notebook = new_notebook(cells=[new_markdown_cell(SECOND), new_code_cell("p", outputs=[output])])
    nbformat.write(notebook, chapters[0] / "02_b.ipynb")
    pages = book.write_book(*chapters)
    whole = book._contents(pages) + "".join(map(book._silent, pages))
    assert "<b>row</b>" in whole and "data:audio" not in whole and "<script" not in whole
    ids = re.findall(r'id="([^"]+)"', whole)
    targets = re.findall(r'href="#([^"]+)"', whole)
    assert len(set(ids)) == len(ids) and set(targets) <= set(ids)
    assert {"01_a", "02_b-A-part"} <= set(targets) and ".html" not in whole


def test_without_a_browser_there_is_no_pdf_and_that_is_said(chapters, monkeypatch, tmp_path):
    monkeypatch.setattr(book.shutil, "which", lambda name: None)
    assert not book.print_book(book.write_book(*chapters), tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()
