"""``make course``: everything for teachers, in one folder.

``python -m sepkit.learn.course.build --out build/course`` writes ``student/``, ``solution/``,
``nbgrader/``, ``otter/``, ``slides/`` and ``guide.md`` from the chapters in ``notebooks/``.
"""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from ...errors import SepkitError
from ...files import atomic_path
from . import assignments
from .cells import exercises, read
from .guide import guide
from .slides import REVEAL, slides
from .versions import solved, student

_INTRODUCTION = """# Instructor's guide

Made by `make course` from the chapters. `student/` has them without solutions, `solution/` with
the solutions in the cells. `nbgrader/` is a course directory: `nbgrader generate_assignment
01_stft` there makes what students get. `otter/` has a folder for each chapter, with the notebook
and the hidden tests: `otter generate -t tests --no-environment` there packs them, and
`otter run -a autograder.zip NOTEBOOK` grades one. Hidden tests are the course's own checks, so
students see while they work what graders will see; `learn.progress().export()` writes what they
have solved. `slides/` has each chapter's figures; they load reveal.js from the network, or from the
folder that `--reveal` names.
"""


def build(
    notebooks: Sequence[Path], out: Path, answers: Path | None = None, reveal: str = REVEAL
) -> list[Path]:
    """Write the course.

    Parameters
    ----------
    notebooks : sequence of Path
        The chapters.
    out : Path
        Folder for all of it; files of an earlier build are replaced.
    answers : Path, optional
        Folder of answer tables, ``chNN.py`` with `ANSWERS`, for the guide's common errors.
    reveal : str
        See `slides`.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    SepkitError
        If there are no chapters, or an exercise is incomplete.
    """
    written, parts = [], [_INTRODUCTION]
    for path in notebooks:
        notebook = read(path)
        if not exercises(notebook):
            continue
        parts.append(guide(path, notebook, _answers(answers, path.stem[:2])))
        for place, content in _files(path.stem, notebook, reveal).items():
            written.append(_write(out / place, content))
    if not written:
        raise SepkitError(f"{out}: no chapter with exercises was given; is notebooks/ there?")
    written.append(_write(out / "nbgrader" / "nbgrader_config.py", assignments.CONFIG))
    written.append(_write(out / "guide.md", "\n".join(parts)))
    return written


def _files(name: str, notebook: Any, reveal: str) -> dict[str, Any]:
    """What one chapter becomes: place below the course's folder -> notebook or text."""
    otter, tests = assignments.for_otter(notebook, f"{name}.ipynb")
    return {
        f"student/{name}.ipynb": student(notebook),
        f"solution/{name}.ipynb": solved(notebook),
        f"nbgrader/source/{name}/{name}.ipynb": assignments.for_nbgrader(notebook),
        f"otter/{name}/{name}.ipynb": otter,
        **{f"otter/{name}/tests/{test}": content for test, content in tests.items()},
        f"slides/{name}.html": slides(notebook, reveal),
    }


def _answers(folder: Path | None, chapter: str) -> Mapping[int, Mapping[str, Any]]:
    path = None if folder is None else folder / f"ch{chapter}.py"
    return {} if path is None or not path.is_file() else runpy.run_path(str(path))["ANSWERS"]


def _write(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else nbformat.writes(content) + "\n"
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def main() -> None:
    """Build the course as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"))
    parser.add_argument("--out", type=Path, default=Path("build/course"))
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--reveal", default=REVEAL)
    parser.add_argument("chapters", nargs="*", help="such as 01 04; all without it")
    given = parser.parse_args()
    chapters = sorted(given.notebooks.glob("[0-9][0-9]_*.ipynb"))
    if given.chapters:
        chapters = [path for path in chapters if path.stem.startswith(tuple(given.chapters))]
    written = build(chapters, given.out, given.answers, given.reveal)
    print(f"{len(written)} files in {given.out}; begin with {given.out / 'guide.md'}")


if __name__ == "__main__":
    main()
