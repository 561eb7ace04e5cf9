"""The README's chapter table, from the notebooks and their measured budgets: ``make readme``."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from ..errors import SepkitError
from ..files import atomic_path, read_json, repo_root, write_json
from .batch import PROFILES, load_manifest
from .notebook import find_chapters

BEGIN, END = "<!-- chapters: written by `make readme` -->", "<!-- end of chapters -->"
PLACEHOLDER = "ORG/REPO"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


def update_budgets(path, manifest):
    """Enter the seconds and memory that a batch measured into ``budgets.json``; returns all budgets.

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


def chapter_table(chapters, budgets, repo):
    """The table in Markdown: chapter and topic, budget of each profile, Colab badge."""
    lines = [
        f"| chapter | topic | {' | '.join(PROFILES)} | Colab |",
        f"|---|---|{'---|' * len(PROFILES)}---|",
    ]
    for chapter in chapters:
        measured = budgets.get(chapter.name, {})
        cells = " | ".join(_budget(measured.get(profile)) for profile in PROFILES)
        colab = f"https://colab.research.google.com/github/{repo}/blob/main/notebooks/{chapter.path.name}"
        link = f"[{chapter.name}](notebooks/{chapter.path.name})"
        lines.append(
            f"| {link} | {title(chapter.path)} | {cells} | [![Open in Colab]({BADGE})]({colab}) |"
        )
    return "\n".join(lines)


def title(notebook):
    """The topic of a chapter: its first heading, without the number."""
    for cell in read_json(notebook).get("cells", []):
        for line in "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else []:
            if line.startswith("# "):
                return re.sub(
                    r"^(chapter\s+)?\d+[\s.:_·–—-]*", "", line[2:].strip(), flags=re.IGNORECASE
                )
    raise SepkitError(f"{notebook}: the first markdown cell needs a heading, '# 01 Title'")


def github_repo(root):
    """``owner/name`` of the checkout's origin on GitHub, or the placeholder."""
    said = subprocess.run(
        ["git", "-C", str(root), "remote", "get-url", "origin"], capture_output=True, text=True
    ).stdout
    found = re.search(r"github\.com[:/]([^/\s]+/[^/\s]+?)(?:\.git)?\s*$", said)
    return found.group(1) if found else PLACEHOLDER


def rewrite(readme, table, repo=PLACEHOLDER):
    """Put the table between the two markers of the README, and the repository's name wherever it is asked for.

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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repo", help="owner/name on GitHub, for the Colab badges; by default that of origin"
    )
    parser.add_argument(
        "--budgets", type=Path, help="manifest.json of a batch, whose budgets to enter first"
    )
    arguments = parser.parse_args()
    root = repo_root()
    try:
        manifest = (
            load_manifest(arguments.budgets.parent) if arguments.budgets else {"chapters": {}}
        )
        budgets = update_budgets(root / "sepkit" / "assets" / "budgets.json", manifest)
        repo = arguments.repo or github_repo(root)
        rewrite(root / "README.md", chapter_table(find_chapters(), budgets, repo), repo)
    except SepkitError as error:
        sys.exit(f"sepkit: error: {error}")


if __name__ == "__main__":
    main()
