"""Executed notebooks as pages: everything in one file, formulas that need no script."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sepkit.errors import SepkitError

pytest.importorskip("latex2mathml", reason="no latex2mathml; pip install '.[notebooks]'")
from sepkit.reproduce.pages import formula, read_page, write_page

BOLD = '<b>bold</b> <a href="02_masking.ipynb">two</a>'


class Elements(HTMLParser):
    """All elements of a page, (name, attributes)."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def words(math):
    return "".join(ElementTree.fromstring(math).itertext())


@pytest.fixture
def notebook(tmp_path):
    def write(*cells):
        path = tmp_path / "07_some.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        return path

    return write


def test_a_page_holds_text_code_and_every_kind_of_output(notebook, tmp_path):
    outputs = [
        new_output("stream", text="1 < 2 \x1b[31mred\x1b[0m\n"),
        new_output("display_data", {"text/html": BOLD, "image/png": "AAAA"}),
        new_output("display_data", {"image/png": "BBBB"}, metadata={"image/png": {"alt": 'a "b"'}}),
        new_output(
            "execute_result",
            {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Run this cell"},
        ),
        new_output("execute_result", {"text/plain": "a <tag>"}),
        new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: v"]),
    ]
    path = notebook(
        new_markdown_cell("# 07 · Title\n\nSee [eight](08_sdr.ipynb#SNR) and $x_1$."),
        new_code_cell("print(1 < 2)", outputs=outputs),
        new_code_cell("hidden()", metadata={"jupyter": {"source_hidden": True}}),
    )
    page = write_page(path, tmp_path / "07_some.html")
    text = (tmp_path / "07_some.html").read_text()
    assert page.title == "07 · Title" and "<title>07 · Title</title>" in text
    assert "1 &lt; 2" in text and "\x1b" not in text and ">red<" in text
    assert "<b>bold</b>" in text and "AAAA" not in text, "HTML comes before its picture"
    assert 'alt="a &quot;b&quot;" src="data:image/png;base64,BBBB"' in text
    assert "they move in the notebook" in text and "Run this cell" not in text
    assert "a &lt;tag&gt;" in text and "<summary>Code</summary>" in text
    links = [a["href"] for tag, a in Elements(text).found if tag == "a"]
    assert {"08_sdr.html#SNR", "02_masking.html"} <= set(links)
    fetched = [a for tag, a in Elements(text).found if tag in ("link", "iframe", "script")]
    sources = [a["src"] for _, a in Elements(text).found if "src" in a]
    assert fetched == [] and all(source.startswith("data:") for source in sources)
    assert "url(" not in text and "@import" not in text


def test_headings_have_addresses_of_their_own(notebook, tmp_path):
    path = notebook(new_markdown_cell("# Title\n## Two `words`\n### deeper\n## Two words"))
    page = write_page(path, tmp_path / "page.html")
    assert [(h.level, h.id) for h in page.headings] == [
        (1, "Title"),
        (2, "Two-words"),
        (3, "deeper"),
        (2, "Two-words-2"),
    ]
    found = Elements((tmp_path / "page.html").read_text()).found
    ids = [a["id"] for _, a in found if "id" in a]
    inside = [a["href"][1:] for tag, a in found if tag == "a" and a["href"].startswith("#")]
    assert len(set(ids)) == len(ids) and inside == ["text", "Two-words", "Two-words-2"]


@pytest.mark.parametrize(
    "tex, said",
    [
        (r"|X| = 10\log_{10} a", "|X|=10log10a"),
        (r"\hat s = \tfrac{1}{2}(s_1 + s_2)", "s^=12(s1+s2)"),
        (r"\operatorname{Re}\left[x^\top y\right]", "Re[x⊤y]"),
        (r"a < b \text{ and } c", "a<b\xa0and\xa0c"),
    ],
)
def test_formulas_say_what_their_tex_says(tex, said):
    for display in ("inline", "block"):
        math = formula(tex, display)
        assert words(math) == said and f'display="{display}"' in math


@pytest.mark.parametrize("tex", [r"\sinn x", r"\frac{a}{\nosuch}"])
def test_a_command_that_is_unknown_is_named_not_printed(tex, notebook):
    path = notebook(new_markdown_cell(f"Look: ${tex}$."))
    command = re.escape(re.findall(r"\\(?:sinn|nosuch)", tex)[0])
    with pytest.raises(SepkitError, match=f"07_some.ipynb: formula .* unknown command, {command}"):
        read_page(path)


def test_what_is_no_notebook_is_refused_in_a_line(tmp_path):
    path = tmp_path / "no.ipynb"
    path.write_text("not json")
    with pytest.raises(SepkitError, match="no.ipynb: no notebook"):
        read_page(path)
