"""The instructor's guide: aims, time, what to hear, and what goes wrong in each exercise."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..chapter import budgets
from .assignments import POINTS
from .cells import Exercise, exercises


def guide(path: Path, notebook: Any, answers: Mapping[int, Mapping[str, Any]]) -> str:
    """Write a chapter's part of the guide, in Markdown.

    Parameters
    ----------
    path : Path
        The notebook's.
    notebook : NotebookNode
    answers : dict of int to dict
        Exercise -> ``{"right": [...], "wrong": [(answer, reason), ...]}``, such as
        `tests/learn/answers` holds; empty without them.
    """
    opening = notebook.cells[0].source
    title, _, rest = opening.partition("\n")
    aims = re.search(r"\*\*You will be able to\*\*\s*(.*?)\n\n", rest + "\n\n", re.DOTALL)
    before = re.search(r"\*\*Before:\*\*.*?(?=\n\n|\Z)", rest, re.DOTALL)
    parts = [
        f"## {title.lstrip('# ')}",
        f"**Aims**\n\n{aims.group(1)}" if aims else "",
        before.group(0) if before else "",
        _time(path.stem, opening),
        _heard(notebook),
        *(_exercise(found, answers.get(found.number, {})) for found in exercises(notebook)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _time(chapter, opening):
    reading = re.search(r"\*\*Time to read:\*\*\s*(.*?)\.", opening)
    told = [f"reading {reading.group(1)}"] if reading else []
    told += [
        f"profile {profile} {found['seconds']:.0f} s and {found['peak_mb'] / 1000:.1f} GB"
        for profile, found in budgets(chapter).items()
    ]
    return f"**Time.** {'; '.join(told)}; as measured, on two cores." if told else ""


def _heard(notebook):
    """What the players are called, and what the text asks to listen for."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += _players(cell.source)
        else:
            paragraphs = cell.source.split("\n\n")
            found += [" ".join(p.split()) for p in paragraphs if re.search(r"\*\*Listen", p)]
    return "**What to hear**\n\n" + "\n".join(f"- {line}" for line in found) if found else ""


def _players(source):
    code = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "players":
            words = {word.arg: word.value for word in node.keywords}
            told = [_text(words[name]) for name in ("title", "listen") if name in words]
            if told:
                yield ": ".join(told)


def _text(node):
    """A string's text; what an f-string puts in stays in braces."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}"
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _exercise(exercise: Exercise, answers: Mapping[str, Any]) -> str:
    home = import_module(f"sepkit.learn.ch{exercise.chapter}.exercises").exercises
    heading, _, question = exercise.question.partition("\n")
    kind = ", heard" if exercise.number in home.heard else ""
    parts = [
        f"#### {heading.lstrip('# ')} ({POINTS} points{kind})",
        question.strip(),
        f"```python\n{exercise.solution}\n```",
        exercise.remark,
        _mistakes(home, exercise, answers),
    ]
    return "\n\n".join(part for part in parts if part)


def _mistakes(home, exercise, answers):
    """What students who go wrong are told: the checks are asked themselves."""
    check = getattr(home.check, exercise.name)
    told: dict[str, str] = {}
    for answer, *_ in answers.get("wrong", ()):
        for line in check(answer).text.splitlines():
            if "not attempted" not in line:
                told.setdefault(line, _shown(answer))
    if not told:
        return ""
    lines = [f"- {shown}{line}" for line, shown in told.items()]
    return "Common errors, and what the check says:\n\n" + "\n".join(lines)


def _shown(answer):
    """An answer of plain values, if it is short: ``"`(4, 144)`: "``."""
    text = repr(answer)
    plain = len(text) <= 40 and not re.search(r"[<\[\n]|tensor|array|\d\.\d{5}", text)
    return f"`{text}`: " if plain else ""
