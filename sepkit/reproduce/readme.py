"""The README's chapter table, from the notebooks and their measured budgets: ``make readme``."""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..console import print_error
from ..errors import SepkitError
from ..files import atomic_path, read_json, repo_root, write_json
from .batch import PROFILES, load_manifest
from .notebook import Chapter, find_chapters

BEGIN, END = "<!-- chapters: written by `make readme` -->", "<!-- end of chapters -->"
PLACEHOLDER = "ORG/REPO"
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
            budgets.setdefault(name, {})[entry["profile"]] = measured
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


def title(notebook: Path) -> str:
    """The topic of a chapter: its first heading, without the number."""
    for cell in read_json(notebook).get("cells", []):
        for line in "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else []:
            if line.startswith("# "):
                return _NUMBER.sub("", line[2:].strip())
    raise SepkitError(f"{notebook}: the first markdown cell needs a heading, '# 01 Title'")


def github_repo(root: Path) -> str:
    """``owner/name`` of the checkout's origin on GitHub, or the placeholder."""
    said = subprocess.run(
        ["git", "-C", str(root), "remote", "get-url", "origin"], capture_output=True, text=True
    ).stdout
    found = re.search(r"github\.com[:/]([^/\s]+/[^/\s]+?)(?:\.git)?\s*$", said)
    return found.group(1) if found else PLACEHOLDER


def rewrite(readme: Path, table: str, repo: str = PLACEHOLDER) -> None:
    """Put the table between the two markers of the README.

    The placeholder for the repository's name is replaced wherever it stands.

    Raises
    ------
    SepkitError
        If a marker is missing.
    """
    text = Path(readme).read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SepkitError(
            f"{readme}: the markers {BEGIN} and {END} are missing; put them around the table"
        )
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with atomic_path(readme) as temporary:
        page = f"{before}{BEGIN}\n{table}\n{END}{after}"
        temporary.write_text(page.replace(PLACEHOLDER, repo), encoding="utf-8")


def _budget(measured):
    if not measured:
        return ""
    seconds, memory = measured["seconds"], measured["peak_mb"]
    time = f"{max(1, round(seconds))} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"{time}, {memory / 1000:.1f} GB"


def main() -> None:
    """What ``make readme`` runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repo", help="owner/name on GitHub, for the Colab badges; by default that of origin"
    )
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
        repo = arguments.repo or github_repo(root)
        rewrite(root / "README.md", chapter_table(find_chapters(), budgets, repo), repo)
    except SepkitError as error:
        print_error(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
