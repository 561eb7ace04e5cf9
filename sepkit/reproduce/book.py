"""The course as a book: its executed chapters as a site that is read from the disk, and as a PDF.

``python -m sepkit.reproduce.book`` (``make book``) writes one page per chapter, complete in
itself, with all players, formulas and figures; nothing in them asks for a network. The PDF is of
the text, without sound; it is printed by Chromium where there is one.
"""

import argparse
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..console import print_error, print_line, print_note
from ..errors import SepkitError
from ..files import atomic_path, repo_root
from .pages import Page, contents_html, read_page, write_document

TITLE = "Music source separation: a course"
ABOUT = (
    "Every chapter is a page with its code, its figures and its sounds, as they came out of one"
    " run. The pages need no network. To change something and hear what becomes of it, open the"
    " notebooks: <code>make lab</code>."
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PRINT_SECONDS = 600


def write_book(executed: str | Path, notebooks: str | Path, out: str | Path) -> list[Page]:
    """Write ``index.html`` and a page per notebook into a folder.

    Parameters
    ----------
    executed : str or Path
        Notebooks with outputs and sounds, as `batch.run` leaves them in ``executed/``.
    notebooks : str or Path
        The chapters as they are stored; their pages stand in for those that were not executed.
    out : str or Path
        Of the site. Its pages replace those of an earlier one.

    Returns
    -------
    list of Page
        In order.

    Raises
    ------
    SepkitError
        If there are no notebooks, one cannot be shown, or a link leads nowhere.
    """
    sources = {
        path.name: path
        for folder in (notebooks, executed)
        for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
        if not path.name.endswith(".failed.ipynb")
    }
    if not sources:
        raise SepkitError(f"{executed}: no executed chapters; run: sepkit reproduce")
    pages = [read_page(sources[name]) for name in sorted(sources)]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for index, page in enumerate(pages):
        sections = f'<nav class="contents" aria-label="sections">{contents_html(page)}</nav>\n'
        before = _along(pages, index, "chapters") + sections
        after = _along(pages, index, "chapters, from the end of the page")
        write_document(out / f"{page.name}.html", page.title, page.body, before, after)
    write_document(out / "index.html", TITLE, _index(pages))
    if broken := broken_links(out):
        raise SepkitError(f"{out}: links that lead nowhere: {', '.join(broken)}")
    return pages


def _index(pages):
    items = "".join(
        f'<li><a href="{page.name}.html">{html.escape(page.title)}</a>'
        f"<details><summary>Sections</summary>{contents_html(page, f'{page.name}.html')}</details>"
        "</li>"
        for page in pages
    )
    return f'<h1>{TITLE}</h1>\n<p>{ABOUT}</p>\n<ul class="chapters">{items}</ul>'


def _along(pages, index, name):
    """Links to the page before, to all, and to the page behind."""
    before = pages[index - 1] if index else None
    behind = pages[index + 1] if index + 1 < len(pages) else None
    links = [
        f'<a rel="prev" href="{before.name}.html">{html.escape(before.title)}</a>'
        if before
        else "",
        '<a href="index.html">All chapters</a>',
        f'<a rel="next" href="{behind.name}.html">{html.escape(behind.title)}</a>'
        if behind
        else "",
    ]
    return f'<nav class="along" aria-label="{name}">{" ".join(filter(None, links))}</nav>\n'


# --- links ---------------------------------------------------------------------------------------


class _Links(HTMLParser):
    """Addresses that a page has, and those that it leads to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        self.targets |= {given[key] for key in ("href", "src") if given.get(key)}


def broken_links(folder: str | Path) -> list[str]:
    """Links between the pages of a folder that lead nowhere, as ``page: address``.

    Addresses elsewhere (https, mail) are not followed.
    """
    pages = {
        path.name: _Links(path.read_text(encoding="utf-8"))
        for path in sorted(Path(folder).glob("*.html"))
    }
    return [
        f"{name}: {target[:80]}"
        for name, page in pages.items()
        for target in sorted(page.targets)
        if not _leads_somewhere(target, name, pages, Path(folder))
    ]


def _leads_somewhere(target, name, pages, folder):
    parts = urlsplit(target)
    if parts.scheme:
        return parts.scheme in ("https", "http", "data", "mailto")
    other = unquote(parts.path) or name
    if other not in pages:
        return not parts.fragment and (folder / other).is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[other].ids


# --- the PDF -------------------------------------------------------------------------------------


def print_book(pages: list[Page], path: str | Path) -> bool:
    """Print the pages into one PDF, without sound; False where there is no Chromium.

    Raises
    ------
    SepkitError
        If the browser fails.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return False
    body = f"<h1>{TITLE}</h1>\n{_contents(pages)}\n"
    body += "\n".join(_silent(page) for page in pages)
    with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
        source = Path(folder) / "book.html"
        write_document(source, TITLE, body)
        # As root, which CI is, the browser's sandbox does not start; the page is our own.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [browser, "--headless", *sandbox, f"--user-data-dir={folder}/profile"]
        command += ["--no-pdf-header-footer", "--generate-pdf-document-outline"]
        command += [f"--print-to-pdf={temporary.resolve()}", source.as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=_PRINT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise SepkitError(f"{path}: {browser} did not print it ({error})") from None
        if not temporary.is_file() or temporary.read_bytes()[:5] != b"%PDF-":
            raise SepkitError(f"{path}: {browser} wrote no PDF")
    return True


def _contents(pages):
    items = (
        f'<li><a href="#{page.name}">{html.escape(page.title)}</a>'
        f"{_prefixed(contents_html(page), page)}</li>"
        for page in pages
    )
    return f'<ul class="chapters">{"".join(items)}</ul>'


def _silent(page):
    """A page as part of the whole: no sounds, no scripts, and addresses of its own."""
    body = re.sub(r"<script>.*?</script>", "", page.body, flags=re.DOTALL)
    body = re.sub(r"<audio [^>]*></audio>", "", body)
    body = re.sub(r'href="([\w-]+)\.html#([^"]*)"', r'href="#\1-\2"', _prefixed(body, page))
    body = re.sub(r'href="([\w-]+)\.html"', r'href="#\1"', body)
    return f'<div id="{page.name}">{body}</div>'


def _prefixed(text, page):
    """Addresses of headings begin with the chapter's name, as two chapters may have the same."""
    text = re.sub(r'(<h\d id=")', rf"\g<1>{page.name}-", text)
    return re.sub(r'(<a href="#)', rf"\g<1>{page.name}-", text)


def main() -> None:
    """What ``make book`` runs."""
    root = repo_root() or Path()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executed", type=Path, default=root / "build" / "executed")
    parser.add_argument("--notebooks", type=Path, default=root / "notebooks")
    parser.add_argument("--out", type=Path, default=root / "build" / "book")
    arguments = parser.parse_args()
    try:
        pages = write_book(arguments.executed, arguments.notebooks, arguments.out)
        print_line(f"{arguments.out / 'index.html'}: {len(pages)} chapters")
        pdf = arguments.out / "book.pdf"
        if print_book(pages, pdf):
            print_line(str(pdf))
        else:
            print_note("no PDF: there is no Chromium here; apt-get install chromium")
    except SepkitError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
