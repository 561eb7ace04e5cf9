"""One chapter's notebook: found, and stored with its outputs.

``python -m sepkit.reproduce.notebook [CHAPTER ...]`` (``make notebooks``) runs chapters and
keeps their outputs in notebooks/, small enough for git: figures and tables, which a reader sees
first on GitHub. Audio is taken out, because it is large and nobody can review it, but for tones
and sweeps that are computed from formulas; the cell says how to hear it. A chapter that fails
stays as it was.
"""

import ast
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..console import print_error
from ..errors import SepkitError, unknown
from ..files import atomic_path, read_json, repo_root
from .execution import execute

#: Bytes that a stored notebook may have.
LIMIT = 900_000
SILENT = "Run this cell to listen."
#: Marks players whose sounds are computed from formulas alone: they may be stored.
SYNTHETIC = 'data-synthetic="true"'


@dataclass(frozen=True)
class Chapter:
    """A notebook of the course, such as ``01_stft``."""

    name: str
    path: Path

    @property
    def gathers(self) -> bool:
        """Whether the chapter reads what the others wrote, and so comes last."""
        return self.name.endswith("_tables")


def find_chapters(names: Iterable[str] = (), folder: str | Path | None = None) -> list[Chapter]:
    """The chapters called `names`, by number (``01``) or name (``01_stft``); all without names.

    A name may be several, with commas, as those of data sets and seeds. ``00_start``
    is no chapter, and found by its name alone.

    Raises
    ------
    SepkitError
        If there are no notebooks, or a name is unknown (lists those that exist).
    """
    folder = Path(folder) if folder else (repo_root() or Path()) / "notebooks"
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    chapters = [Chapter(path.stem, path.resolve()) for path in paths]
    if not chapters:
        raise SepkitError(
            f"{folder}: no chapters (01_*.ipynb ...) here; run from a checkout, "
            "or pass --notebooks DIR"
        )
    chosen: dict[Chapter, None] = {}  # in the order of the names, each once
    for name in (part.strip() for text in names for part in str(text).split(",")):
        found = [c for c in chapters if name in (c.name, c.name[:2], c.path.name)]
        if not found:
            raise unknown("chapter", name, [chapter.name for chapter in chapters])
        chosen |= dict.fromkeys(found)
    return list(chosen) or [chapter for chapter in chapters if chapter.name[:2] != "00"]


def check_parameters(chapter: Chapter, names: Iterable[str]) -> None:
    """Refuse parameters that the chapter does not declare: papermill itself would only warn.

    Raises
    ------
    SepkitError
        Naming the notebook, the parameter and those that exist.
    """
    declared = declared_parameters(chapter.path)
    missing = [name for name in names if name not in declared]
    if missing:
        known = ", ".join(declared) or "none (no cell is tagged 'parameters')"
        raise SepkitError(
            f"{chapter.path.name}: unknown parameter {missing[0]!r}: the chapter has {known}"
        )


def declared_parameters(notebook: Path) -> list[str]:
    """The names assigned in the cell tagged "parameters" of a notebook file, in their order."""
    for cell in read_json(notebook).get("cells", []):
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            nodes = ast.walk(ast.parse("".join(cell["source"])))
            names = (node for node in nodes if isinstance(node, ast.Name))
            return [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return []


def store(chapter: Chapter) -> float:
    """Execute a chapter with its own defaults and write it back, without audio.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    SepkitError
        If a cell fails, or the notebook would grow beyond `LIMIT`; the file stays as it was.
    """
    import nbformat

    name = chapter.path.name
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / name
        job = {
            "notebook": str(chapter.path),
            "output": str(output),
            "cwd": str(chapter.path.parent),
        }
        outcome = execute({**job, "parameters": {}, "timeout": None}, lambda **_: None)
        if outcome["status"] != "done":
            raise SepkitError(f"{name}: cell {(outcome['cell'] or 0) + 1}: {outcome['error']}")
        notebook = nbformat.read(output, as_version=4)
    strip_audio(notebook)
    text = nbformat.writes(notebook)
    if (size := len(text.encode())) > LIMIT:
        raise SepkitError(
            f"{name}: {size} bytes with its outputs, at most {LIMIT}; use smaller figures"
        )
    with atomic_path(chapter.path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return outcome["seconds"]


def strip_audio(notebook: Any) -> int:
    """Take audio out of outputs, in place; returns how many held some.

    What a player says of itself as text stays, with a line that tells how to hear it. Synthetic
    sounds stay. Live widgets and their state go, and of figures the second form.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    """
    replaced = 0
    notebook.metadata.pop("widgets", None)  # sliders keep their figures and sounds there
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        whole = "".join(map(str, output.get("data", {}).values()))
        if "data:audio" in whole and SYNTHETIC not in whole:
            text = output["data"].get("text/plain", "")
            output["data"] = {"text/plain": f"{text}\n{SILENT}".lstrip()}
            output["metadata"] = {}
            replaced += 1
        # Without its kernel a widget is an error message; what it says of itself as text stays.
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "image/png" in output.get("data", {}):
            output["data"].pop("text/html", None)  # the same picture again
    return replaced


def _store_all(names):
    """Store chapters one after the other; returns the exit code."""
    failed = 0
    try:
        chapters = find_chapters(names)
    except SepkitError as error:
        print_error(error)
        return 1
    for chapter in chapters:
        try:
            print(f"{chapter.name}  {store(chapter):.0f} s", flush=True)
        except SepkitError as error:
            print_error(error)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(_store_all(sys.argv[1:]))
