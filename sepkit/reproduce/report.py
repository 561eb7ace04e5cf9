"""``build/report.html``: one page, complete in itself, of everything a batch produced."""

import statistics
from html import escape
from pathlib import Path

from ..files import atomic_path, provenance
from . import batch, claims, findings, ledger, published
from .findings_html import ledger_html, legend_html
from .ledger import LedgerTable
from .published import Printed, Reported

#: What a number's tooltip and the foot of its table say about it.
FACTS = ("profile", "seed", "device", "commit", "sepkit", "torch", "machine", "date", "command")
#: A card names the songs of a mean if they are no more.
NAMED_SONGS = 12
_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2330; --soft: #667085; --line: #d9dde5; --paper: #fbfbfd; --card: #fff;
  --good: #1a7f4e; --bad: #b3312c; --accent: #3256a8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7e9ee; --soft: #98a1b3; --line: #333a48; --paper: #14171d; --card: #1b1f27;
    --good: #5bd699; --bad: #ff8a80; --accent: #8fb1ff;
  }
}
body {
  font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem;
}
h1 { font-size: 1.9rem; margin: 0 0 .2rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
p, .foot { color: var(--soft); max-width: 46rem; }
a { color: var(--accent); }
.scroll {
  overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td {
  padding: .42rem .8rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line);
}
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: .84rem; }
th:first-child, td:first-child, .left { text-align: left; }
td small { color: var(--soft); margin-left: .35rem; }
tr.ours td:first-child { font-weight: 600; }
.done { color: var(--good); }
.failed { color: var(--bad); white-space: normal; }
.foot { font-size: .84rem; margin: .5rem .2rem; }
details { margin-top: 1rem; }
summary { cursor: pointer; font-weight: 600; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sepkit report</title><style>{style}</style></head><body>
<h1>sepkit report</h1>
<p>Made {made}.</p>
<h2>The findings of the five documents</h2>
<p>All of them, with what became of each. An effect is a mean difference in favour of what the
document says, with its 95 % interval.</p>
{legend}
{findings}
<h2>Chapters</h2>
{chapters}
{ours}
<h2>Claims</h2>
{claims}
<h2>Published numbers</h2>
<p>As their sources state them; nothing here was measured in this run. They are shown beside our
numbers above only where data set and metric are the same.</p>
{theirs}
<h2>The five documents</h2>
<p>Every number that they print in a table, and those of their findings, with the line of the
document's text.</p>
{documents}
</body></html>
"""


def write_report(out: str | Path, reported: list[Reported] | None = None) -> Path:
    """Write ``report.html`` into the output folder of a batch.

    Parameters
    ----------
    out : str or Path
        Holds manifest.json, executed/ and results/.
    reported : list of Reported, optional
        Published numbers; by default those that sepkit ships.

    Returns
    -------
    Path

    Raises
    ------
    SepkitError
        If a number lacks provenance or stands in the wrong place, see `ledger`.
    """
    out = Path(out)
    chapters = batch.load_manifest(out)["chapters"]
    measured = ledger.load_measured(out / "results") | ledger.load_experiments()
    tables = ledger.tables(ledger.load_reported() if reported is None else reported, measured)
    ours = [table_html(table) for table in tables if table.measured]
    theirs = [table_html(table) for table in tables if not table.measured]
    outcomes = claims.evaluate(claims.load_claims(), measured)
    entries = findings.judge(findings.load_findings(), outcomes, measured)
    executed = {name[:2]: _address(entry) for name, entry in chapters.items()}
    page = _PAGE.format(
        style=_STYLE,
        made=_made(),
        legend=legend_html(entries),
        findings=ledger_html(entries, executed.get),
        chapters=chapters_html(chapters),
        ours="".join(ours) or "<h2>Scores</h2><p>No chapter has written Scores yet.</p>",
        claims=claims_html(outcomes),
        theirs="".join(f"<details>{part}</details>" for part in theirs),
        documents=documents_html(published.load_printed()),
    )
    with atomic_path(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / "report.html"


def _made():
    facts = provenance()
    commit = f" at {escape(facts['commit'])}" if facts.get("commit") else ""
    version, machine = escape(facts["sepkit"]), escape(facts["machine"])
    return f"{escape(facts['date'])} with sepkit {version}{commit} on {machine}"


def chapters_html(chapters: dict[str, dict]) -> str:
    """The table of chapters: outcome, time, memory, and a link to the executed notebook."""
    names = ("chapter", "outcome", "time", "memory", "profile", "weights", "data", "seed")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = [_chapter_html(name, entry) for name, entry in sorted(chapters.items())]
    return _scrolling(head, "".join(rows))


def _chapter_html(name, entry):
    parameters, address = entry["parameters"], _address(entry)
    link = escape(name)
    if address:
        link = f'<a href="{escape(address, quote=True)}">{link}</a>'
    state = "done" if entry["status"] == "done" else escape(entry["error"])
    cells = (
        _seconds(entry.get("seconds")),
        _memory(entry.get("peak_mb")),
        escape(entry["profile"]),
        escape(str(parameters["weights"])),
        escape(Path(str(parameters["data"])).name),
        escape(str(parameters["seed"])),
    )
    outcome = f'<td class="left {escape(entry["status"])}">{state}</td>'
    return f"<tr><td>{link}</td>{outcome}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _address(entry):
    """The executed notebook, if it is a file beside the report; None for an address elsewhere."""
    executed = entry.get("executed")
    return executed if executed and ":" not in executed else None


def table_html(table: LedgerTable) -> str:
    """One table of the ledger; ours beside the published number with the difference."""
    targets = "".join(f"<th>{escape(target)}</th>" for target in table.targets)
    head = f'<th>system</th>{targets}<th>songs</th><th class="left">source</th>'
    rows = "".join(_row_html(row, table) for row in table.rows)
    heading = "h2" if table.measured else "summary"
    foot = f"Metric card: {escape(card_text(table))}." if table.card else ""
    systems: dict[str, list[str]] = {}  # provenance -> the systems that share it
    for row in table.rows:
        if row.ours:
            systems.setdefault(provenance_text(row.provenance), []).append(row.system)
    for text, names in systems.items():
        foot += f"<br>{escape(', '.join(names))}: {escape(text)}."
    return (
        f"<{heading}>{escape(table.title)}</{heading}>{_scrolling(head, rows)}"
        f'<p class="foot">{foot}</p>'
    )


def claims_html(outcomes: list[claims.Outcome]) -> str:
    """The claims that were tested, with their verdicts; those without Scores in a list below."""
    run = [outcome.row() for outcome in outcomes if outcome.verdict != claims.NOT_RUN]
    idle = [outcome.claim for outcome in outcomes if outcome.verdict == claims.NOT_RUN]
    compared = sum(outcome.comparison is not None for outcome in outcomes)
    items = (f"{claim.id}: {claim.statement} ({claim.how})" for claim in idle)
    listed = "".join(f"<li>{escape(item)}</li>" for item in items)
    table = _text_table(run[0], [row.values() for row in run]) if run else ""
    return (
        f"<p>{compared} comparison{'s' * (compared != 1)}: mean paired differences with 95 % "
        "intervals, and p of the bar, adjusted by Holm's method for all comparisons of a family. "
        "Trained arms: over songs and seeds, t test; one training is one network, and five seeds "
        "make a verdict. Others: over songs, bootstrap and sign flips. Undecided is not the same "
        "as no difference.</p>"
        f"{table}<details><summary>{len(idle)} claims without Scores in this run</summary>"
        f"<ul>{listed}</ul></details>"
    )


def documents_html(rows: list[Printed]) -> str:
    """What the documents print, one table per document to unfold."""
    names, parts = ("table", "item", "quantity", "metric", "printed", "line", "claim"), []
    for number, document in published.DOCUMENTS.items():
        own = [[getattr(row, name) for name in names] for row in rows if row.document == number]
        parts.append(
            f"<details><summary>{escape(document.reference)}: {len(own)} numbers</summary>"
            f"{_text_table(names, own)}</details>"
        )
    return "".join(parts)


def _text_table(names, rows):
    head = "".join(f'<th class="left">{escape(name)}</th>' for name in names)
    lines = ("".join(f'<td class="left">{escape(str(text))}</td>' for text in row) for row in rows)
    return _scrolling(head, "".join(f"<tr>{line}</tr>" for line in lines))


def _scrolling(head, body):
    """A table that scrolls sideways on narrow screens."""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
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


def _row_html(row, table):
    cells = "".join(f"<td>{_cell_html(row, table, target)}</td>" for target in table.targets)
    source = row.source or f"chapter {row.provenance.get('chapter', '')}"
    extra = "<small>extra training data</small>" if row.extra_training_data else ""
    hint = escape(provenance_text(row.provenance) if row.ours else row.source, quote=True)
    return (
        f'<tr class="{"ours" if row.ours else ""}" title="{hint}">'
        f"<td>{escape(row.system)}{extra}</td>{cells}"
        f'<td>{row.songs or ""}</td><td class="left">{escape(source)}</td></tr>'
    )


def _cell_html(row, table, target):
    ours, reported = row.ours.get(target), row.reported.get(target)
    if ours is None:
        return "" if reported is None else f"{reported:.2f}"
    if reported is None:
        return f"{ours:.2f}"
    verdict = escape(table.verdict(row, target))
    difference = f"{row.difference(target):+.2f}"
    return f"{ours:.2f}<small>reported {reported:.2f}, {difference}: {verdict}</small>"


def _seconds(seconds):
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _memory(megabytes):
    if not megabytes:
        return ""
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
