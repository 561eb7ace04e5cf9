"""A chapter's figures as slides, one each, with their captions."""

from __future__ import annotations

import html
import re
from typing import Any

from nbformat.v4 import new_markdown_cell, new_notebook

#: Where reveal.js is loaded from when the slides are shown; nbconvert's own choice.
REVEAL = "https://unpkg.com/reveal.js@4.0.2"


def slides(notebook: Any, reveal: str = REVEAL) -> str:
    """Make an HTML page of a notebook's stored figures.

    Parameters
    ----------
    notebook : NotebookNode
    reveal : str
        Address or folder of reveal.js; a folder beside the page needs no network.
    """
    from nbconvert import SlidesExporter

    title = notebook.cells[0].source.partition("\n")[0]
    cells = [new_markdown_cell(title)]
    cells += [new_markdown_cell(_slide(*figure)) for figure in figures(notebook)]
    for index, cell in enumerate(cells):
        cell["id"] = f"s{index}"
        cell.metadata["slideshow"] = {"slide_type": "slide"}
    exporter = SlidesExporter(reveal_url_prefix=reveal, reveal_scroll=True)
    return exporter.from_notebook_node(new_notebook(cells=cells))[0]


def figures(notebook: Any) -> list[tuple[str, str]]:
    """Find the stored figures: (base64 of the PNG, caption in plain text)."""
    found = []
    for cell in notebook.cells:
        image = None
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                image = data["image/png"]
            elif image and "text/plain" in data:
                found.append((image, data["text/plain"]))
                image = None
    return found


def _slide(image, caption):
    caption = html.escape(re.sub(r"\s+", " ", caption).strip())
    png = "".join(image.split())
    return (
        f'<img src="data:image/png;base64,{png}" alt="{caption}" style="max-height:70vh">\n\n'
        f'<p style="font-size:60%">{caption}</p>'
    )
