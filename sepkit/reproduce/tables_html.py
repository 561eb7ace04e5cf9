"""Tables of measured numbers as HTML: they fit a laptop, a phone and a printed page.

On narrow screens each row becomes a block whose cells say what they are (report.css).
"""

import statistics
from collections.abc import Iterable, Sequence
from html import escape

from ..band import VERSION as BAND
from ..metrics import Score
from . import claims, ledger
from .experiments.scores import summary
from .ledger import LedgerTable
from .published import metric_name

#: What the foot of a table says of where its numbers come from.
FACTS = ("profile", "seed", "device", "commit", "sepkit", "torch", "machine", "date", "command")
#: A card names the songs of a mean if they are no more.
NAMED_SONGS = 12
EXACT_NOTE = (
    f"Above {ledger.EXACT:g} dB there is nothing but rounding: by this metric the estimate has no "
    "error. The mixture, for one, is the sum of the stems, so it has no artefacts (SAR), though "
    "nothing was separated."
)


def rows_html(names: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table; `rows` are cells of HTML, `names` text, `kind` a class of the table."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    labels = [escape(name, quote=True) for name in names]
    body = ""
    for row in rows:
        cells = (f'<td data-label="{label}">{cell}</td>' for label, cell in zip(labels, row))
        body += f"<tr>{''.join(cells)}</tr>"
    return (
        f'<table class="{f"rows {kind}".strip()}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def table_html(table: LedgerTable) -> str:
    """One table of the ledger; ours beside the published number with the difference.

    The songs stand below it; the metric card and the provenance of each system are folded.
    """
    joined = any(row.reported for row in table.rows)
    names = ("system", *table.targets, *(["source"] if joined else []))
    rows = [_cells(row, table, joined) for row in table.rows]
    values = [value for row in table.rows for value in row.ours.values()]
    note = _note(EXACT_NOTE) if table.standard and any(v > ledger.EXACT for v in values) else ""
    systems: dict[str, list[str]] = {}  # provenance -> the systems that share it
    for row in table.rows:
        if row.ours:
            systems.setdefault(provenance_text(row.provenance), []).append(row.system)
    made = "".join(
        f"<p>{escape(', '.join(own))}: {escape(text)}.</p>" for text, own in systems.items()
    )
    card = f"<p>Metric card: {escape(card_text(table))}.</p>" if table.card else ""
    return (
        f"<h4>{escape(table.title)}</h4>{rows_html(names, rows, 'numbers')}"
        f"{_songs_html(table.songs)}{note}{folded('metric card and provenance', card + made)}"
    )


def arms_html(scores: Sequence[Score]) -> str:
    """The arms of an experiment, with the mean over songs and seeds and its spread over seeds."""
    measured = [s for s in scores if s.provenance.get("derived") != s.separator]
    rows = summary(measured)
    # What is the same for all arms is said once, below.
    same = [name for name in rows[0] if len({row[name] for row in rows}) == 1]
    same = [name for name in same if name in ("seeds", "songs", "steps")]
    names = [name for name in rows[0] if name not in same]
    cells = [[escape(str(row[name])) for name in names] for row in rows]
    equal = ", ".join(_count(rows[0][name], name) for name in same if name != "songs")
    songs = sorted({s.track for s in measured if "trainings" not in s.provenance})
    facts = measured[0].provenance
    commits = sorted({score.provenance["commit"] or "none" for score in measured})
    version = ledger.data_version(measured[0])
    older = version < BAND and measured[0].dataset.startswith("band")
    note = f"Measured on the band's songs of version {version}; it renders version {BAND} now."
    made = f"{provenance_text({**facts, 'seed': None, 'commit': ', '.join(commits)})}."
    if len(songs) > NAMED_SONGS:
        made += f" Songs: {', '.join(songs)}."
    return (
        f"{rows_html([_column(name) for name in names], cells, 'numbers')}"
        f"{_songs_html(songs, equal)}{_note(note) if older else ''}"
        f"{folded('provenance', f'<p>{escape(made)}</p>')}"
    )


def comparisons_html(outcomes: Iterable[claims.Outcome]) -> str:
    """The claims that were tested: effect and interval, p, songs and seeds, verdict."""
    names = ("claim", "measured on", "effect", "p (Holm)", "verdict")
    run = [outcome for outcome in outcomes if outcome.verdict != claims.NOT_RUN]
    return rows_html(names, [_comparison(outcome) for outcome in run], "claims")


def _comparison(outcome):
    text = {key: escape(value) for key, value in outcome.row().items()}
    seeds = _count(outcome.seeds, "seeds") if outcome.comparison else ""
    counted = ", ".join(filter(None, (outcome.counted, seeds)))
    where = ", ".join(filter(None, (text["network"], text["measured on"])))
    bar = "" if text["bar"] == "&gt; 0 dB" else f"bar: {text['bar']}"
    return (
        f"<b>{text['claim']}</b> {text['statement']}{_small(text['family'])}",
        where + _small(counted),
        text["effect"] + _small(text["95 % interval"]) + _small(bar),
        text["p (Holm)"],
        text["verdict"] + _small(text["by seed"]),
    )


def card_text(table: LedgerTable) -> str:
    """A metric card in words."""
    words = {
        "window": "window {} s",
        "hop": "hop {} s",
        "taps": "filters of {} taps",
        "delta": "delta {}",
    }
    parts = []
    for key, value in table.card.items():
        if value in (None, "", ()) or key == "metric":
            continue
        text = ", ".join(value) if isinstance(value, (tuple, list)) else str(value)
        parts.append(words.get(key, key.replace("_", " ") + ": {}").format(text))
    how = "median" if ledger.summary_statistic(table.metric) is statistics.median else "mean"
    excerpts = ["excerpts of songs"] if table.excerpts else []
    few = len(table.songs) <= NAMED_SONGS
    songs = f": {', '.join(table.songs)}" if table.songs and few else ""
    return "; ".join([*parts, *excerpts, f"{how} over songs{songs}"])


def provenance_text(provenance: dict) -> str:
    """Where a number of ours comes from, in one line.

    The day is enough of the date, so that rows of one run share a line.
    """
    facts = {"chapter": provenance.get("chapter"), **{key: provenance.get(key) for key in FACTS}}
    facts["date"] = facts["date"][:10] if facts["date"] else None
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)


def folded(summary: str, content: str) -> str:
    """What is shown when somebody asks for it, and in print."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def _count(number, words):
    """``1 song``, ``2 songs``; `words` in the plural."""
    return f"{number} {words if number != 1 else words.removesuffix('s')}"


def _small(html):
    return f"<small>{html}</small>" if html else ""


def _note(text):
    return f'<p class="note">{escape(text)}</p>'


def _songs_html(songs, equal=""):
    """Which songs, and what else is `equal` in all rows."""
    if not songs:
        return ""
    named = f": {', '.join(songs)}" if len(songs) <= NAMED_SONGS else ""
    blocks = all(song.startswith("block ") for song in songs)  # of timed steps, no songs
    text = f"{_count(len(songs), 'blocks' if blocks else 'songs')}{named}."
    text += f" All arms: {equal}." if equal else ""
    return f'<p class="songs">{escape(text)}</p>'


def _cells(row, table, joined):
    extra = "<small>extra training data</small>" if row.extra_training_data else ""
    cells = [escape(row.system) + extra, *(_cell(row, table, target) for target in table.targets)]
    return [*cells, escape(row.source)] if joined else cells


def _cell(row, table, target):
    ours, reported = row.ours.get(target), row.reported.get(target)
    if ours is None:
        return "" if reported is None else f"{reported:.2f}<small>published</small>"
    shown = escape(table.shown(ours))
    if row.seeds > 1:
        shown += f"<small>{row.seeds} seeds, range {row.spread[target]:.2f}</small>"
    if reported is None:
        return shown
    verdict = escape(table.verdict(row, target))
    difference = f"{row.difference(target):+.2f}"
    return f"{shown}<small>published {reported:.2f}, {difference}: {verdict}</small>"


def _column(name):
    """Of a column of `summary`: ``usdr (dB, mean)`` is ``uSDR (dB, mean)``."""
    metric, bracket, unit = name.partition(" (")
    return f"{metric_name(metric)}{bracket}{unit}"
