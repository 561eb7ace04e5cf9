"""How far a reader has come: the best verdict on every exercise, kept beside the results.

`sepkit.learn.chapter.begin` says where: ``<out_dir>/progress``, one small file a chapter.
Without it (in tests, in a bare Python) nothing is written.
"""

from __future__ import annotations

import html
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import parse_json, write_json

#: What an exercise may be, from nothing to all.
STATUSES = ("not attempted", "wrong", "partly right", "right")

_folder: Path | None = None
_LOST = {"status": STATUSES[0], "credit": 0.0, "tries": 0, "hints": 0}


def keep_in(folder: str | Path | None) -> None:
    """Keep what follows in a folder; None keeps nothing."""
    global _folder
    _folder = None if folder is None else Path(folder)


def note(exercise: str, status: str, credit: float) -> None:
    """Keep a verdict: the best counts, and how often the exercise was tried."""
    if status != STATUSES[0]:
        _change(exercise, lambda row: _better(row, status, credit))


def note_hint(exercise: str) -> None:
    """Count a hint that was asked for."""
    _change(exercise, lambda row: {**row, "hints": row["hints"] + 1})


def progress(folder: str | Path | None = None) -> Progress:
    """Show how far one has come, in all chapters.

    Parameters
    ----------
    folder : str or Path, optional
        Where the files lie; by default where the chapter that was begun keeps them, or
        ``build/progress``.

    Returns
    -------
    Progress
        A table in a notebook; `Progress.export` writes it into one file.
    """
    if folder is None and _folder is None:
        from .chapter import default

        folder = Path(str(default("out_dir"))) / "progress"
    return Progress(Path(folder or _folder or "."))


class Progress:
    """The state of every exercise.

    Attributes
    ----------
    rows : dict of str to dict
        Exercise, such as ``"1.4"`` -> ``status``, ``credit`` (0 to 1), ``tries``, ``hints``.
    """

    def __init__(self, folder: Path):
        self.rows: dict[str, dict[str, Any]] = {}
        for chapter in chapters():
            kept = _read(folder / f"{chapter}.json")
            numbers = import_module(f"{__package__}.ch{chapter}.exercises").exercises.numbers
            for exercise in (f"{int(chapter)}.{number}" for number in numbers):
                self.rows[exercise] = {**_LOST, **kept.get(exercise, {})}

    @property
    def credit(self) -> float:
        """Exercises that are right, those in part by their share."""
        return sum(row["credit"] for row in self.rows.values())

    def export(self, path: str | Path = "progress.json") -> Path:
        """Write the state of every exercise into one JSON file, to hand in or to keep."""
        write_json(path, {"credit": self.credit, "of": len(self.rows), "exercises": self.rows})
        return Path(path)

    def __str__(self):
        lines = []
        for chapter, rows in self._by_chapter().items():
            signs = " ".join(f"{exercise} {row['status']}," for exercise, row in rows.items())
            lines.append(f"chapter {chapter}: {signs.rstrip(',')}")
        return "\n".join([*lines, f"{self.credit:.1f} of {len(self.rows)} exercises"])

    __repr__ = __str__

    def _repr_html_(self):
        signs = dict(zip(STATUSES, "○✗◐✓"))
        rows = "".join(
            f"<tr><th>{chapter}</th><td style='text-align:left'>"
            + " ".join(
                f'<span title="{html.escape(exercise)}: {row["status"]}">{signs[row["status"]]}'
                f" {html.escape(exercise)}</span>"
                for exercise, row in found.items()
            )
            + f"</td><td>{sum(row['credit'] for row in found.values()):.1f} of {len(found)}</td>"
            "</tr>"
            for chapter, found in self._by_chapter().items()
        )
        return (
            "<table><thead><tr><th>chapter</th>"
            "<th>exercises (○ not attempted, ✗ wrong, ◐ partly"
            f" right, ✓ right)</th><th>right</th></tr></thead><tbody>{rows}</tbody></table>"
            f"<b>{self.credit:.1f} of {len(self.rows)} exercises</b>"
        )

    def _by_chapter(self):
        found: dict[str, dict] = {}
        for exercise, row in self.rows.items():
            found.setdefault(exercise.split(".")[0].zfill(2), {})[exercise] = row
        return found


def chapters() -> list[str]:
    """Find the chapters that have exercises: ``["01", "02", ...]``."""
    found = Path(__file__).parent.glob("ch[0-9][0-9]/exercises.py")
    return sorted(path.parent.name[2:] for path in found)


def _better(row, status, credit):
    best = max(row["status"], status, key=STATUSES.index)
    return {**row, "status": best, "credit": max(row["credit"], credit), "tries": row["tries"] + 1}


def _change(exercise, change):
    if _folder is None:
        return
    path = _folder / f"{exercise.split('.')[0].zfill(2)}.json"
    rows = _read(path)
    rows[exercise] = change({**_LOST, **rows.get(exercise, {})})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, rows)
    except (OSError, SepkitError):
        pass  # a folder that cannot be written to is no reason to withhold the verdict


def _read(path):
    """Rows of one chapter that are whole; a file that somebody else has changed counts as none."""
    try:
        rows = parse_json(path.read_text(encoding="utf-8"), path)
    except (OSError, SepkitError, UnicodeDecodeError):
        return {}
    return {key: row for key, row in rows.items() if _whole(row)} if isinstance(rows, dict) else {}


def _whole(row):
    return (
        isinstance(row, dict)
        and row.keys() == _LOST.keys()
        and row["status"] in STATUSES
        and all(isinstance(row[name], (int, float)) for name in ("credit", "tries", "hints"))
        and 0 <= row["credit"] <= 1
    )
