"""The map of chapter 12: every finding with the symbol of its state and the effects behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...reproduce.claims import Outcome
from ...reproduce.findings import STATES, Entry, plain
from ...reproduce.published import DOCUMENTS
from ..plots import figure

#: dB to both sides of zero; what lies beyond gets an arrow.
SPAN = 3.0
_INK, _SOFT = "#344054", "#98a1b3"


def map_of_findings(entries: Sequence[Entry]) -> Figure:
    """Draw a row for every finding: its id, the symbol of its state, and its effects.

    Effects in dB are drawn with their 95 % interval, one line for each part of a claim. To the
    right of 0 the document is right; for a claim that two arms are the same the effect must lie
    between the brackets. Effects in other units, and numbers, are written out.

    Parameters
    ----------
    entries : list of Entry
        In the order of the documents, as `findings.judge` returns them.

    Returns
    -------
    Figure
    """
    rows: list[Entry | str] = []
    for entry in entries:
        if entry.finding.document not in rows:
            rows.append(entry.finding.document)
        rows.append(entry)
    heights = [1.0 if isinstance(row, str) else max(1.0, 0.45 * len(_drawn(row))) for row in rows]
    fig, ax = figure(1, 1, height=0.21 * sum(heights) + 0.9)
    ax.axvspan(0, SPAN, color="#f2f8f5", linewidth=0, zorder=0)
    ax.axvline(0, color="#667085", linewidth=0.8)
    for row, height, end in zip(rows, heights, np.cumsum(heights)):
        y = end - height / 2
        if isinstance(row, str):
            name = f"{row} · {DOCUMENTS[row].name}"
            ax.text(-SPAN - 2.75, y, name, va="center", weight="bold", color=_INK, fontsize=8.5)
        else:
            _draw(ax, y, height, row)
    ax.set(xlim=(-SPAN, SPAN), ylim=(sum(heights) + 0.2, -0.4), yticks=[])
    ax.set_xlabel("effect (dB), less the claim's bar; right of 0: as the document says")
    ax.spines[["left", "right", "top"]].set_visible(False)
    return fig


def _drawn(entry):
    """The outcomes that have an effect in dB."""
    return [outcome for outcome in entry.outcomes if outcome.comparison and _in_db(outcome)]


def _draw(ax: Axes, y: float, height: float, entry: Entry) -> None:
    """One finding: id and symbol at the left, its effects or a word at the right."""
    state = STATES[entry.state]
    text: dict[str, Any] = {"va": "center", "clip_on": False}
    ax.text(-SPAN - 2.0, y, entry.finding.id, color=_INK, fontsize=8, ha="right", **text)
    ax.text(
        -SPAN - 1.75,
        y,
        state.symbol,
        color=state.colour,
        fontsize=10,
        ha="center",
        weight="bold",
        **text,
    )
    ax.text(-SPAN - 1.5, y, entry.state, color=_INK, fontsize=7.5, **text)
    drawn = _drawn(entry)
    for place, outcome in enumerate(drawn):
        _interval(ax, y + 0.8 * height * ((place + 0.5) / len(drawn) - 0.5), outcome)
    if not drawn and entry.lines:
        words = entry.lines[0]
        ax.text(0.06, y, words[:62] + "…" * (len(words) > 62), color=_SOFT, fontsize=7, **text)


def _interval(ax, y, outcome):
    """An effect less its bar with the interval, cut at the frame; brackets for sameness."""
    comparison, claim = outcome.comparison, outcome.claim
    effect, low, high = (getattr(comparison, n) - claim.least for n in ("effect", "low", "high"))
    colour = STATES[plain(outcome.verdict)].colour
    ax.plot(np.clip([low, high], -SPAN, SPAN), [y, y], color=colour, linewidth=1.8)
    if abs(effect) <= SPAN:
        ax.plot(effect, y, "o", color=colour, markersize=3.5)
    else:
        side = SPAN if effect > 0 else -SPAN
        ax.plot(side, y, ">" if effect > 0 else "<", color=colour, markersize=5, clip_on=False)
        ax.annotate(
            f"{effect:+.1f}",
            (side, y),
            xytext=(-6 if effect > 0 else 6, 0),
            fontsize=6,
            textcoords="offset points",
            ha="right" if effect > 0 else "left",
            va="center",
        )
    if claim.direction == "same":
        for edge, mark in ((-claim.tolerance, "["), (claim.tolerance, "]")):
            ax.text(edge, y, mark, color=colour, fontsize=9, va="center", ha="center")


def _in_db(outcome: Outcome) -> bool:
    return outcome.claim.unit == "dB"
