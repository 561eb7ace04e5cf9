"""``build/report.html``: one page, complete in itself, of everything a batch produced."""

import statistics
from html import escape
from pathlib import Path

from ..files import atomic_path, provenance
from . import batch, claims, ledger
from . import published as published

#: What a number's tooltip and the foot of its table say about it.
FACTS = ("profile", "seed", "device", "commit", "sepkit", "torch", "machine", "date", "command")
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --line: #d9dde5; --paper: #fbfbfd; --card: #fff;
  --good: #1a7f4e; --bad: #b3312c; --accent: #3256a8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #98a1b3; --line: #333a48; --paper: #14171d;
  --card: #1b1f27; --good: #5bd699; --bad: #ff8a80; --accent: #8fb1ff; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 64rem; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
p, .foot { color: var(--soft); max-width: 46rem; } a { color: var(--accent); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .42rem .8rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: .84rem; } 
th:first-child, td:first-child, .left { text-align: left; }
td small { color: var(--soft); margin-left: .35rem; }
tr.ours td:first-child { font-weight: 600; }
.done { color: var(--good); } .failed { color: var(--bad); white-space: normal; }
.foot { font-size: .84rem; margin: .5rem .2rem; }
details { margin-top: 1rem; } summary { cursor: pointer; font-weight: 600; }
"""


def write_report(out, reported=None):
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
    facts = provenance()
    ours = [table_html(table) for table in tables if table.measured]
    theirs = [table_html(table) for table in tables if not table.measured]
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>sepkit report</title><style>{_STYLE}</style></head><body>
<h1>sepkit report</h1>
<p>Made {escape(facts["date"])} with sepkit {escape(facts["sepkit"])}{_at(facts)} on {escape(facts["machine"])}.</p>
<h2>Chapters</h2>
{chapters_html(chapters)}
{"".join(ours) or "<h2>Scores</h2><p>No chapter has written Scores yet.</p>"}
<h2>Claims</h2>
{claims_html(claims.evaluate(claims.load_claims(), measured))}
<h2>Published numbers</h2>
<p>As their sources state them; nothing here was measured in this run. They are shown beside our numbers
above only where data set and metric are the same.</p>
{"".join(f"<details>{part}</details>" for part in theirs)}
<h2>The five documents</h2>
<p>Every number that they print in a table, and those of their findings, with the line of the document's text.</p>
{documents_html(published.load_documents())}
</body></html>
"""
    with atomic_path(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / "report.html"


def chapters_html(chapters):
    """The table of chapters: outcome, time, memory, and a link to the executed notebook."""
    rows = []
    for name, entry in sorted(chapters.items()):
        link = escape(name)
        if (
            entry.get("executed") and ":" not in entry["executed"]
        ):  # a file beside the report, no address
            link = f'<a href="{escape(entry["executed"], quote=True)}">{link}</a>'
        state = "done" if entry["status"] == "done" else escape(entry["error"])
        parameters = entry["parameters"]
        rows.append(
            f'<tr><td>{link}</td><td class="left '
            f'{escape(entry["status"])}">{state}</td><td>{_seconds(entry.get("seconds"))}</td>'
            f"<td>{_memory(entry.get('peak_mb'))}</td><td>{escape(entry['profile'])}</td><td>{escape(str(parameters['weights']))}</td>"
            f"<td>{escape(Path(str(parameters['data'])).name)}</td><td>{escape(str(parameters['seed']))}</td></tr>"
        )
    head = "".join(
        f"<th>{text}</th>"
        for text in ("chapter", "outcome", "time", "memory", "profile", "weights", "data", "seed")
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def table_html(table):
    """One table of the ledger; ours beside the published number with the difference."""
    head = "".join(f"<th>{escape(target)}</th>" for target in table.targets)
    rows = "".join(_row_html(row, table) for row in table.rows)
    heading = (
        f"h2>{escape(table.title)}</h2"
        if table.measured
        else f"summary>{escape(table.title)}</summary"
    )
    foot = f"Metric card: {escape(card_text(table))}." if table.card else ""
    origins = {}
    for row in table.rows:
        if row.ours:
            origins.setdefault(provenance_text(row.provenance), []).append(row.system)
    foot += "".join(
        f"<br>{escape(', '.join(systems))}: {escape(text)}." for text, systems in origins.items()
    )
    return (
        f'<{heading}><div class="scroll"><table><thead><tr><th>system</th>{head}<th>songs</th><th class="left">source</th>'
        f'</tr></thead><tbody>{rows}</tbody></table></div><p class="foot">{foot}</p>'
    )


def claims_html(outcomes):
    """The claims that were tested, with their verdicts; those without Scores in a list to unfold."""
    run = [outcome.row() for outcome in outcomes if outcome.verdict != claims.NOT_RUN]
    idle = [outcome.claim for outcome in outcomes if outcome.verdict == claims.NOT_RUN]
    compared = sum(outcome.comparison is not None for outcome in outcomes)
    return (
        f"<p>{compared} comparison{'s' * (compared != 1)}: mean paired differences over songs with 95 % bootstrap intervals; p from the "
        "sign-flip test, adjusted by Holm's method for all comparisons of the same finding. Undecided is not the same as no difference.</p>"
        f"{_text_table(run[0], [row.values() for row in run]) if run else ''}"
        f"<details><summary>{len(idle)} claims without Scores in this run</summary><ul>"
        f"{''.join(f'<li>{escape(claim.id)}: {escape(claim.statement)} ({escape(claim.how)})</li>' for claim in idle)}</ul></details>"
    )


def documents_html(rows):
    """What the documents print, a table each to unfold."""
    names, parts = ("table", "item", "quantity", "metric", "printed", "line", "claim"), []
    for number, title in published.DOCUMENTS.items():
        own = [[getattr(row, name) for name in names] for row in rows if row.document == number]
        parts.append(
            f"<details><summary>{escape(title)}: {len(own)} numbers</summary>{_text_table(names, own)}</details>"
        )
    return "".join(parts)


def _text_table(names, rows):
    head = "".join(f'<th class="left">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f'<td class="left">{escape(str(text))}</td>' for text in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def card_text(table):
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
    return "; ".join([*parts, *excerpts, f"{how} over songs"])


def provenance_text(provenance):
    """Where a number of ours comes from, in one line; the day is enough, so that rows of one run share a line."""
    facts = {"chapter": provenance.get("chapter"), **{key: provenance.get(key) for key in FACTS}}
    facts["date"] = facts["date"][:10] if facts["date"] else None
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)


def _row_html(row, table):
    cells = []
    for target in table.targets:
        ours, reported, difference = (
            row.ours.get(target),
            row.reported.get(target),
            row.difference(target),
        )
        if ours is None:
            cells.append(f"<td>{'' if reported is None else f'{reported:.2f}'}</td>")
        elif reported is None:
            cells.append(f"<td>{ours:.2f}</td>")
        else:
            verdict = escape(table.verdict(row, target))
            cells.append(
                f"<td>{ours:.2f}<small>reported {reported:.2f}, {difference:+.2f}: {verdict}</small></td>"
            )
    source = row.source or f"chapter {row.provenance.get('chapter', '')}"
    extra = "<small>extra training data</small>" if row.extra_training_data else ""
    hint = escape(provenance_text(row.provenance) if row.ours else row.source, quote=True)
    return (
        f'<tr class="{"ours" if row.ours else ""}" title="{hint}"><td>{escape(row.system)}{extra}</td>{"".join(cells)}'
        f'<td>{row.songs or ""}</td><td class="left">{escape(source)}</td></tr>'
    )


def _at(facts):
    return f" at {escape(facts['commit'])}" if facts.get("commit") else ""


def _seconds(seconds):
    return (
        ""
        if seconds is None
        else f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.1f} min"
    )


def _memory(megabytes):
    return (
        ""
        if not megabytes
        else f"{megabytes} MB"
        if megabytes < 1000
        else f"{megabytes / 1000:.1f} GB"
    )
