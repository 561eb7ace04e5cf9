"""``make readme``: the README's tables and its picture, and what all notebooks have in common.

The table of chapters is made from the notebooks and their measured budgets, the results from the
stored experiments. The repository's name is what
README says it is; another one is written wherever it stands.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..console import print_error
from ..errors import SepkitError
from ..files import atomic_path, read_json, repo_root, write_json
from . import readme_results
from .claims import evaluate, load_claims
from .grid import PROFILES
from .ledger import load_experiments
from .manifest import load_manifest
from .notebook import Chapter, find_chapters

BEGIN, END = "<!-- chapters: written by `make readme` -->", "<!-- end of chapters -->"
PICTURE = "docs/pages/remixing.svg"
#: Files with the repository's address, beside the notebooks.
ADDRESSED = ("README.md", "docs/hooks.py")
_NUMBER = re.compile(r"^(chapter\s+)?\d+[\s.:_·–—-]*", re.IGNORECASE)
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"


def update_budgets(path: Path, manifest: dict[str, Any]) -> dict[str, dict]:
    """Enter the time and memory that a batch measured into ``budgets.json``; returns all budgets.

    Parameters
    ----------
    path : Path
        ``{chapter: {profile: {"seconds", "peak_mb", "machine"}}}``; made when missing.
    manifest : dict
        As `batch.run` writes it. Chapters that failed are left out.
    """
    budgets = read_json(path) if Path(path).is_file() else {}
    for name, entry in manifest["chapters"].items():
        if entry["status"] == "done":
            measured = {key: entry[key] for key in ("seconds", "peak_mb")}
            measured["machine"] = (
                f"{entry['provenance']['machine']}, device {entry['parameters']['device']}"
            )
            budgets.setdefault(entry.get("chapter", name), {})[entry["profile"]] = measured
    if manifest["chapters"]:
        write_json(path, {name: budgets[name] for name in sorted(budgets)})
    return budgets


def chapter_table(chapters: list[Chapter], budgets: dict[str, dict], repo: str) -> str:
    """The table in Markdown: chapter and topic, budget of each profile, Colab badge."""
    lines = [
        f"| chapter | topic | {' | '.join(PROFILES)} | Colab |",
        f"|---|---|{'---|' * len(PROFILES)}---|",
    ]
    for chapter in chapters:
        measured = budgets.get(chapter.name, {})
        cells = " | ".join(_budget(measured.get(profile)) for profile in PROFILES)
        link = f"[{chapter.name}](notebooks/{chapter.path.name})"
        colab = (
            f"[![Open in Colab]({BADGE})]({COLAB}/{repo}/blob/main/notebooks/{chapter.path.name})"
        )
        lines.append(f"| {link} | {title(chapter.path)} | {cells} | {colab} |")
    return "\n".join(lines)


def course_table(chapters: list[Chapter], budgets: dict[str, dict]) -> str:
    """The table of ``00_start``: chapter and topic, minutes to read, measured time to run."""
    lines = ["| chapter | topic | to read | to run: smoke | student |", "|---|---|---|---|---|"]
    to_read = [_minutes_to_read(chapter.path) for chapter in chapters]
    for chapter, minutes in zip(chapters, to_read):
        measured = budgets.get(chapter.name, {})
        times = " | ".join(_time(measured.get(profile)) for profile in ("smoke", "student"))
        link = f"[{chapter.name}]({chapter.path.name})"
        lines.append(f"| {link} | {title(chapter.path)} | {minutes} min | {times} |")
    lines.append(f"| all | | {sum(to_read) / 60:.0f} h | | |")
    return "\n".join(lines)


def _minutes_to_read(notebook):
    found = re.search(r"Time to read:\*\* about (\d+) minutes", _first_text(notebook))
    if not found:
        raise SepkitError(f"{notebook}: the first cell needs '**Time to read:** about 60 minutes'")
    return int(found.group(1))


def _first_text(notebook):
    return "".join(read_json(notebook)["cells"][0]["source"])


def title(notebook: Path) -> str:
    """The topic of a chapter: its first heading, without the number."""
    for cell in read_json(notebook).get("cells", []):
        for line in "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else []:
            if line.startswith("# "):
                return _NUMBER.sub("", line[2:].strip())
    raise SepkitError(f"{notebook}: the first markdown cell needs a heading, '# 01 Title'")


def repository(readme: Path) -> str:
    """``owner/name`` on GitHub, as the README's first ``git clone`` has it.

    Raises
    ------
    SepkitError
        If there is none.
    """
    found = re.search(r"git clone https://github\.com/(\S+)", readme.read_text(encoding="utf-8"))
    if not found:
        raise SepkitError(f"{readme}: 'git clone https://github.com/OWNER/NAME' is missing")
    return found.group(1)


def rename(paths: Iterable[Path], before: str, after: str) -> None:
    """Write another name of the repository wherever its address stands.

    Parameters
    ----------
    paths : iterable of Path
        Text files, notebooks among them.
    before, after : str
        ``owner/name``.

    Raises
    ------
    SepkitError
        If `after` is no name of a repository.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", after):
        raise SepkitError(f"repository {after!r}: expected owner/name, as in REPO=ada/sepkit")
    address = re.compile(rf"(github\.com|google\.com/github)/{re.escape(before)}(?![\w-])")
    for path in paths:
        text = path.read_text(encoding="utf-8")
        changed = address.sub(lambda found: f"{found.group(1)}/{after}", text)
        if changed != text:
            with atomic_path(path) as temporary:
                temporary.write_text(changed, encoding="utf-8")


def begin_alike(paths: list[Path], repo: str) -> None:
    """Give all chapters the set-up and the parameter cell of the first, and their link to Colab."""
    import nbformat

    first = _code(nbformat.read(paths[0], as_version=4))
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        for cell, model in zip(_code(notebook)[:2], first):
            cell.source = model.source
        title = notebook.cells[0]
        link = (
            f"**Colab:** [open this chapter there]({COLAB}/{repo}/blob/main/notebooks/{path.name})"
        )
        text = re.sub(r"(?m)^\*\*Colab:\*\*.*\n?", "", title.source).rstrip()
        title.source = f"{text}\n\n{link}"
        _write(notebook, path)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def rewrite(readme: Path, table: str, begin: str = BEGIN, end: str = END) -> None:
    """Put a table between its two markers in the README, by default that of the chapters.

    Raises
    ------
    SepkitError
        If a marker is missing.
    """
    text = _between(readme.read_text(encoding="utf-8"), table, readme, begin, end)
    with atomic_path(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


def rewrite_start(notebook: Path, table: str) -> None:
    """Put the table between the two markers in a cell of ``00_start``."""
    import nbformat

    page = nbformat.read(notebook, as_version=4)
    for cell in page.cells:
        if BEGIN in cell.source:
            cell.source = _between(cell.source, table, notebook)
    _write(page, notebook)


def rewrite_results(root: Path) -> None:
    """Write the README's main table and its picture anew, from the stored experiments."""
    stored = load_experiments()
    outcomes = evaluate(load_claims(), stored)
    begin, end = readme_results.BEGIN, readme_results.END
    rewrite(root / "README.md", readme_results.results_table(outcomes), begin, end)
    means = readme_results.remixing(stored["experiment mixing"])
    readme_results.draw(means, root / PICTURE)


def _between(text, table, path, begin=BEGIN, end=END):
    if begin not in text or end not in text:
        raise SepkitError(
            f"{path}: the markers {begin} and {end} are missing; put them around the table"
        )
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{table}\n{end}{after}"


def _write(notebook, path):
    import nbformat

    with atomic_path(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def _budget(measured):
    return f"{_time(measured)}, {measured['peak_mb'] / 1000:.1f} GB" if measured else ""


def _time(measured):
    if not measured:
        return ""
    seconds = measured["seconds"]
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def main() -> None:
    """What ``make readme`` runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", help="owner/name on GitHub, if it is to be another from now on")
    parser.add_argument(
        "--budgets", type=Path, help="manifest.json of a batch, whose budgets to enter first"
    )
    arguments = parser.parse_args()
    root = repo_root() or Path()
    try:
        manifest = (
            load_manifest(arguments.budgets.parent) if arguments.budgets else {"chapters": {}}
        )
        budgets = update_budgets(root / "sepkit" / "assets" / "budgets.json", manifest)
        notebooks = sorted((root / "notebooks").glob("*.ipynb"))
        before = repository(root / "README.md")
        repo = arguments.repo or before
        rename([*(root / name for name in ADDRESSED), *notebooks], before, repo)
        chapters = find_chapters()
        begin_alike([chapter.path for chapter in chapters], repo)
        rewrite_start(root / "notebooks" / "00_start.ipynb", course_table(chapters, budgets))
        rewrite(root / "README.md", chapter_table(chapters, budgets, repo))
        rewrite_results(root)
    except SepkitError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
