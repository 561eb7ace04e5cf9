"""An executed notebook as an HTML page that is complete in itself.

Text, code, figures, tables and players stand in one file, which needs no network and no other
file: formulas become MathML, which browsers draw by themselves. The report links to such pages,
and `book` makes a site of them.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import atomic_path

#: What is shown of an output, the first that it has.
_KINDS = ("text/html", "image/svg+xml", "image/png", "text/markdown", "text/plain")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_FUNCTIONS = "arccos|arcsin|cosh|cos|ln|log|max|min|sin|tanh|tan"
_DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
<a class="skip" href="#text">Skip to the text</a>
{before}<main id="text">
{body}
</main>
{after}</body></html>
"""


@dataclass(frozen=True)
class Heading:
    """A heading of a page; `id` is its address on the page, as JupyterLab forms it."""

    level: int
    id: str
    text: str


@dataclass(frozen=True)
class Page:
    """A notebook's contents.

    Attributes
    ----------
    name : str
        Of the notebook's file, without ending.
    body : str
        HTML.
    headings : list of Heading
        In order; the first of level 1 is the title.
    """

    name: str
    body: str
    headings: list[Heading] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The first heading of level 1, or the name."""
        return next((h.text for h in self.headings if h.level == 1), self.name)


def read_page(notebook: str | Path) -> Page:
    """Turn a notebook into HTML, with the outputs that are stored in it.

    Links to other notebooks lead to their pages: ``08_sdr.ipynb`` becomes ``08_sdr.html``.

    Raises
    ------
    SepkitError
        If the file is no notebook, or holds a formula that cannot be shown.
    """
    import nbformat

    path = Path(notebook)
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise SepkitError(f"{path}: no notebook ({str(error).splitlines()[0]})") from None
    markdown, headings = _markdown(path)
    parts = [
        f'<section class="text">{markdown(cell.source)}</section>'
        if cell.cell_type == "markdown"
        else _code_cell(cell, markdown)
        for cell in cells
        if cell.cell_type in ("markdown", "code") and cell.source.strip()
    ]
    body = re.sub(r'(href="[\w-]+)\.ipynb(?=["#])', r"\1.html", _scrolling("\n".join(parts)))
    return Page(path.stem, body, headings)


def write_page(notebook: str | Path, path: str | Path, before: str = "", after: str = "") -> Page:
    """Write a notebook as an HTML page, complete in itself.

    Parameters
    ----------
    notebook : str or Path
        Usually one that `batch.run` has executed, whose players hold their sounds.
    path : str or Path
        Of the page.
    before, after : str
        HTML before and after the text, such as links to other pages. Without `before` the page
        begins with its own contents.

    Returns
    -------
    Page
    """
    page = read_page(notebook)
    before = before or f'<nav class="contents" aria-label="contents">{contents_html(page)}</nav>\n'
    write_document(path, page.title, page.body, before, after)
    return page


def write_document(
    path: str | Path, title: str, body: str, before: str = "", after: str = ""
) -> None:
    """Write a page in the style of the course; `body`, `before` and `after` are HTML."""
    text = _DOCUMENT.format(
        title=html.escape(title), style=_style(), body=body, before=before, after=after
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def contents_html(page: Page, address: str = "", deepest: int = 2) -> str:
    """List of links to a page's headings; `address` is the page's own, if seen from another."""
    links = (
        f'<li><a href="{address}#{html.escape(h.id, quote=True)}">{html.escape(h.text)}</a></li>'
        for h in page.headings
        if 1 < h.level <= deepest
    )
    return f'<ol class="sections">{"".join(links)}</ol>'


def _style():
    from pygments.formatters import HtmlFormatter

    own = (Path(__file__).parent / "pages.css").read_text(encoding="utf-8")
    return own + HtmlFormatter(style="xcode").get_style_defs(".highlight")


# --- text ----------------------------------------------------------------------------------------


def _markdown(path):
    """A function from markdown to HTML, and the list of headings that it fills."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    headings: list[Heading] = []

    class Renderer(IPythonRenderer):
        """nbconvert's, with addresses for headings and MathML for formulas."""

        def heading(self, text: str, level: int, **attributes: Any) -> str:
            """Give the heading an address; a second one of the same name gets a number."""
            plain = html.unescape(re.sub(r"<[^>]+>", "", text))
            name = plain.replace(" ", "-")
            taken = sum(other.id == name for other in headings)
            headings.append(Heading(level, f"{name}-{taken + 1}" if taken else name, plain))
            return f'<h{level} id="{html.escape(headings[-1].id, quote=True)}">{text}</h{level}>\n'

        def inline_math(self, body: str) -> str:
            """Return a formula as MathML, in its line."""
            return formula(body, "inline", path.name)

        def block_math(self, body: str) -> str:
            """Return a formula as MathML, in a line of its own."""
            math = formula(body, "block", path.name)
            return math.replace("<math ", '<math tabindex="0" ', 1)  # wide ones scroll

    renderer = Renderer(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render, headings


def formula(tex: str, display: str = "inline", source: str = "") -> str:
    """Turn a TeX formula into MathML.

    Parameters
    ----------
    display : {"inline", "block"}
    source : str
        Where it stands, for the error.

    Raises
    ------
    SepkitError
        For a command that is not known.
    """
    from latex2mathml.converter import convert

    try:
        math = convert(tex.strip(), display=display)
    except Exception as error:  # its parser's errors have no common class
        raise SepkitError(f"{source}: formula {tex!r} cannot be read ({error!r})") from None
    if unknown := re.search(r">(\\\w+)<", math):
        raise SepkitError(f"{source}: formula {tex!r} has an unknown command, {unknown[1]}")
    # |X| is no relation, which would be set with space; functions stand apart from arguments.
    math = re.sub(r'<mo stretchy="false">&#x0007C;', '<mo stretchy="false" form="prefix">|', math)
    space = r'<mo form="prefix" lspace="0.17em" rspace="0.17em">\1</mo>'
    return re.sub(rf"<mi>({_FUNCTIONS})</mi>", space, math)


# --- code and its outputs ------------------------------------------------------------------------


def _code_cell(cell, markdown):
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers.python import PythonLexer

    code = highlight(cell.source, PythonLexer(), HtmlFormatter(wrapcode=True))
    code = code.replace("<pre>", '<pre tabindex="0">', 1)  # wide ones are scrolled by keys, too
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        code = f"<details><summary>Code</summary>{code}</details>"
    outputs = "\n".join(_output(output, markdown) for output in cell.get("outputs", []))
    return f'<section class="code">{code}{outputs}</section>'


def _output(output, markdown):
    from nbconvert.filters.ansi import ansi2html

    if output.output_type == "stream":
        return f'<pre class="output" tabindex="0">{ansi2html(output.text)}</pre>'
    if output.output_type == "error":
        lines = ansi2html("\n".join(output.traceback))
        return f'<pre class="output error" tabindex="0">{lines}</pre>'
    data: Mapping[str, Any] = output.data
    if _WIDGET in data:
        return '<p class="output"><em>Sliders: they move in the notebook.</em></p>'
    kind = next((kind for kind in _KINDS if kind in data), None)
    if kind is None:
        return ""
    value = data[kind]
    if kind == "text/plain":
        return f'<pre class="output" tabindex="0">{html.escape(value)}</pre>'
    if kind == "image/png":
        alt = output.metadata.get("image/png", {}).get("alt", "figure")
        source = f"data:image/png;base64,{value.strip()}"
        value = f'<img alt="{html.escape(alt, quote=True)}" src="{source}">'
    elif kind == "text/markdown":
        value = markdown(value)
    return f'<div class="output">{value}</div>'


def _scrolling(text):
    """Tables scroll sideways on narrow screens, by keys too; each is a region of its own name."""
    numbers = itertools.count(1)

    def boxed(table):
        name = f"table {next(numbers)} of this page"
        box = f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        return f"{box}{table[0]}</div>"

    return re.sub(r"<table.*?</table>", boxed, text, flags=re.DOTALL)
