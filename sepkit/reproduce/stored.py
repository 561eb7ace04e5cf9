"""Run chapters and keep their outputs in notebooks/, small enough for git: ``make notebooks``.

What a notebook stores is what its reader sees first, on GitHub too: figures and
tables. Audio is taken out, because it is large and nobody can review it; the
cell says how to hear it. A chapter that fails stays as it was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat

from ..errors import SepkitError
from ..files import atomic_path
from .batch import find_chapters
from .notebook import run

#: Bytes that a stored notebook may have.
LIMIT = 700_000
SILENT = "Run this cell to listen."


def strip_audio(notebook):
    """Replace outputs that hold audio by a line that says so, in place; returns how many did.

    Live widgets go, and of figures the second form.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    """
    replaced = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if any("data:audio" in str(value) for value in output.get("data", {}).values()):
                output["data"] = {"text/html": f"<p><em>{SILENT}</em></p>", "text/plain": SILENT}
                output["metadata"] = {}
                replaced += 1
            # Without its kernel a widget is an error message; what it says of itself as text stays.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output["data"].pop("text/html", None)  # the same picture again
    return replaced


def store(chapter):
    """Execute a chapter with its own defaults and write it back, without audio.

    Parameters
    ----------
    chapter : Chapter

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    SepkitError
        If a cell fails, or the notebook would grow beyond `LIMIT`; the file stays as it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / chapter.path.name
        where = {
            "notebook": str(chapter.path),
            "output": str(output),
            "cwd": str(chapter.path.parent),
        }
        outcome = run({**where, "parameters": {}, "timeout": None}, lambda **_: None)
        if outcome["status"] != "done":
            raise SepkitError(
                f"{chapter.path.name}: cell {(outcome['cell'] or 0) + 1}: {outcome['error']}"
            )
        notebook = nbformat.read(output, as_version=4)
    strip_audio(notebook)
    text = nbformat.writes(notebook)
    if len(text.encode()) > LIMIT:
        size = len(text.encode())
        raise SepkitError(
            f"{chapter.path.name}: {size} bytes with its outputs, at most {LIMIT}; use smaller figures"
        )
    with atomic_path(chapter.path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return outcome["seconds"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", help="numbers or names; all by default")
    failed = 0
    try:
        chapters = find_chapters(parser.parse_args().chapters)
    except SepkitError as error:
        sys.exit(f"sepkit: error: {error}")
    for chapter in chapters:
        try:
            print(f"{chapter.name}  {store(chapter):.0f} s", flush=True)
        except SepkitError as error:
            print(f"sepkit: error: {error}", file=sys.stderr)
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
