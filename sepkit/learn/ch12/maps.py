"""The map of chapter 12: every claim with its effects, and what became of it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...reproduce.claims import Outcome
from ...reproduce.findings import STATES, Entry, plain
from ...reproduce.published import DOCUMENTS
from ..plots import figure

#: dB around zero in which the scale is even; beyond, equal steps are equal ratios.
EVEN = 1.0
#: Inches of a line, and of what stands between two rows.
LINE, GAP = 0.16, 0.1
#: Shape and filling of the mark of a verdict: told apart without colour too.
MARKS = {"holds": ("o", True), "fails": ("X", True), "undecided": ("o", False)}
_INK, _SOFT, _GROUND = "#344054", "#667085", "#e3f3ec"
#: A space at which no line is broken.
_FIXED = "\N{NO-BREAK SPACE}"
_TICKS = (-30, -10, -3, -1, -0.5, 0, 0.5, 1, 3, 10, 30)


def map_of_findings(entries: Sequence[Entry]) -> Figure:
    """Draw a row for every part of a claim, and name below them the findings without a claim.

    Effects in dB are drawn with their 95 % interval, one line for each network or place. Where
    the ground is green the document is right: above the claim's bar, or for a claim that two
    arms are the same within its tolerance. Effects in other units are written out.

    Parameters
    ----------
    entries : list of Entry
        In the order of the documents, as `findings.judge` returns them.

    Returns
    -------
    Figure
    """
    documents = dict.fromkeys(entry.finding.document for entry in entries)
    rows = [
        row
        for document in documents
        for row in _rows([e for e in entries if e.finding.document == document], document)
    ]
    heights = [_height(row) for row in rows]
    ends = np.cumsum(heights)
    fig, ax = figure(1, 1, height=ends[-1] + 0.9)
    ax.set(xlim=_limits(entries), ylim=(ends[-1], 0))
    ax.set_xscale("symlog", linthresh=EVEN, linscale=0.6)
    for (_, part), height, end in zip(rows, heights, ends):
        _draw(ax, end - height / 2, height, part)
    ax.axvline(0, color=_SOFT, linewidth=0.8)
    _labels(ax, rows, ends - np.array(heights) / 2)
    _legend(fig, {plain(outcome.verdict) for _, part in rows for outcome in part or ()})
    return fig


def _rows(entries, document):
    """(label, outcomes of one part) for each; the document's name first, without outcomes."""
    rows = [(f"{document} · {DOCUMENTS[document].name}", None)]
    for entry in entries:
        parts: dict[str, list[Outcome]] = {}
        for outcome in entry.outcomes:
            if outcome.comparison:
                parts.setdefault(outcome.claim.id, []).append(outcome)
        for name, part in parts.items():
            claim = part[0].claim
            bar = "" if claim.bar.startswith("> 0 ") else f" (bar: {claim.bar})"
            statement = textwrap.shorten(f"{name} {claim.statement}", 120, placeholder=" …")
            rows.append(
                (_wrapped(statement + bar.replace(" ", _FIXED).replace(_FIXED, " ", 1)), part)
            )
    rest = [entry for entry in entries if not any(o.comparison for o in entry.outcomes)]
    if rest:
        names = [f"{STATES[entry.state].symbol}{_FIXED}{entry.finding.id}" for entry in rest]
        rows.append((_wrapped(f"no effect: {', '.join(names)}"), ()))
    return rows


def _wrapped(label):
    """In lines, but for what `_FIXED` spaces hold together."""
    lines = textwrap.wrap(label, 40)
    return "\n".join(lines).replace(_FIXED, " ")


def _height(row):
    label, part = row
    return LINE * max(label.count("\n") + 1, len(part or ())) + GAP + 0.06 * (part is None)


def _limits(entries):
    """The frame: all effects and their intervals, and something on both sides of zero."""
    ends = [0.0]
    for outcome in (o for entry in entries for o in entry.outcomes if o.comparison and _in_db(o)):
        ends += _less_the_bar(outcome)
        ends += (-outcome.claim.tolerance, outcome.claim.tolerance)  # 0 but for "the same"
    return 1.4 * min(-EVEN, *ends), 1.4 * max(EVEN, *ends)


def _less_the_bar(outcome):
    comparison = outcome.comparison
    return [getattr(comparison, name) - outcome.claim.least for name in ("low", "effect", "high")]


def _draw(ax: Axes, y: float, height: float, part: Sequence[Outcome] | None) -> None:
    """The ground of a row, its effects, and the name of each network at the right."""
    if not part:
        return
    left, right = ax.get_xlim()
    claim = part[0].claim
    if not _in_db(part[0]):
        return _in_words(ax, y, part)
    low, high = (-claim.tolerance, claim.tolerance) if claim.direction == "same" else (0, right)
    ax.barh(y, high - low, 0.92 * height, low, color=_GROUND, zorder=0)
    for place, outcome in enumerate(part):
        at = y + LINE * (place - (len(part) - 1) / 2)
        _interval(ax, at, outcome)
        if outcome.network and len(part) > 1:
            place_of: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.01, at, outcome.network, color=_INK, fontsize=8, **place_of)


def _in_words(ax, y, part):
    """Effects in other units than the axis: right of it, framed in the verdict's colour."""
    rows = [outcome.row() for outcome in part]
    words = "\n".join(
        f"{plain(outcome.verdict)}: {row['effect']} ({row['95 % interval']})"
        for outcome, row in zip(part, rows)
    )
    # thick enough for a colour of its own, which a line of a pixel loses beside the white
    colour = STATES[plain(part[0].verdict)].colour
    frame = {"fc": "white", "ec": colour, "pad": 2, "lw": 1.8, "snap": True}
    ax.text(
        1.015,
        y,
        words,
        transform=ax.get_yaxis_transform(),
        fontsize=8.5,
        color=_INK,
        va="center",
        ha="left",
        bbox=frame,
    )


def _interval(ax, y, outcome):
    """An effect less its bar, with its interval, marked as its verdict is."""
    low, effect, high = _less_the_bar(outcome)
    colour = STATES[plain(outcome.verdict)].colour
    mark, filled = MARKS.get(plain(outcome.verdict), ("D", False))
    ax.plot([low, high], [y, y], color=colour, linewidth=1.8)
    ax.plot(effect, y, mark, color=colour, mfc=colour if filled else "white", markersize=5)


def _labels(ax, rows, middles):
    """What each row is about, at the left; the scale below, with a label per effect."""
    ax.set_yticks(middles, [label for label, _ in rows], fontsize=8.5, multialignment="left")
    for text, (_, part) in zip(ax.get_yticklabels(), rows):
        text.set_color(_INK if part is None or part else _SOFT)
        text.set_weight("bold" if part is None else "normal")
    left, right = ax.get_xlim()
    ticks = [tick for tick in _TICKS if left <= tick <= right]
    ax.set_xticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    ax.set_xlabel("effect less the claim's bar (dB)")
    ax.spines[["left", "right", "top"]].set_visible(False)


def _legend(fig, drawn):
    handles: list[Line2D | Patch] = []
    for name in (one for one in ("holds", "fails", "undecided", "one network") if one in drawn):
        colour = STATES[name].colour
        mark, filled = MARKS.get(name, ("D", False))
        face = colour if filled else "white"
        handles.append(
            Line2D([], [], color=colour, marker=mark, mfc=face, markersize=5, label=name)
        )
    handles.append(Patch(color=_GROUND, label="as the document says"))
    fig.legend(handles=handles, ncols=len(handles), loc="outside upper center")


def _in_db(outcome: Outcome) -> bool:
    return outcome.claim.unit == "dB"
