"""The table of all findings as HTML: in the report, and first in chapter 12."""

from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from itertools import groupby

from .findings import STATES, Entry
from .published import DOCUMENTS

_STYLE = """<style>
table.ledger { border-collapse: collapse; width: 100%; table-layout: fixed; font-size: 14px; }
table.ledger th, table.ledger td {
  vertical-align: top; white-space: normal; overflow-wrap: anywhere; line-height: 1.4;
  padding: .4em .6em; border-top: 1px solid #98a1b355; border-bottom: 0;
}
table.ledger tr.document th { padding-top: 1.3em; }
table.ledger tr.document small { font-weight: normal; }
table.ledger ul { margin: 0; padding-left: 1.1em; }
table.ledger code { font-size: 11px; padding: 0; }
table.ledger small { opacity: .8; }
.state {
  display: inline-block; padding: .05em .5em; border-left: .3em solid; border-radius: .2em;
  font-weight: 600; text-align: left;
}
.state b { display: inline-block; min-width: 1.3em; }
.states { display: flex; flex-wrap: wrap; gap: .4em; padding: 0; list-style: none; }
@media screen and (max-width: 44rem) {
  table.ledger, table.ledger tbody { display: block; }
  table.ledger thead { display: none; }
  table.ledger tr {
    display: grid; grid-template-columns: 3.4em 1fr; padding: .5em 0;
    border-top: 1px solid #98a1b355;
  }
  table.ledger :is(td, th) { border: 0; padding: .15em 0; }
  table.ledger tr.document th, table.ledger td:nth-child(n + 3) { grid-column: 1 / 3; }
  table.ledger td.verdict { grid-row: 1; grid-column: 2; text-align: right !important; }
  table.ledger td.said { grid-column: 1 / 3; }
}
@media print { table.ledger { font-size: 8.5pt; } table.ledger tr { break-inside: avoid; } }
</style>"""
#: In every cell: JupyterLab's own rule for tables, which aligns them right, is stronger than ours.
_LEFT = "text-align:left"
_HEAD = (
    ("", 7),
    ("what was reported", 28),
    ("verdict", 16),
    ("what we found", 34),
    ("read on", 15),
)
_CLASSES = ("", "said", "verdict", "found", "read")


def ledger_html(
    entries: Iterable[Entry], address: Callable[[str], str | None] = lambda chapter: None
) -> str:
    """All findings by document: what was reported, its state, what we found, where to read on.

    Parameters
    ----------
    entries : list of Entry
        In the order of the documents, as `findings.judge` returns them.
    address : callable
        Number of a chapter -> a link to it, or None.
    """
    head = "".join(f'<th style="{_LEFT};width:{width}%">{name}</th>' for name, width in _HEAD)
    body = ""
    for number, own in groupby(entries, key=lambda entry: entry.finding.document):
        document = DOCUMENTS[number]
        body += (
            f'<tr class="document"><th style="{_LEFT}" colspan="{len(_HEAD)}">{number} · '
            f"{escape(document.name)} <small>{escape(document.reference)}</small></th></tr>"
        )
        body += "".join(_row(entry, address) for entry in own)
    return (
        f'{_STYLE}<table class="ledger"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def verdict_html(entries: Iterable[Entry]) -> str:
    """The verdict in a sentence: how many findings there are, and how many of each state."""
    counts = Counter(entry.state for entry in entries)
    listed = "".join(f"<li>{_state(name, counts[name])}</li>" for name in STATES if counts[name])
    return (
        f'<p class="lead">Of {sum(counts.values())} findings of five documents:</p>'
        f'<ul class="states">{listed}</ul>'
        f"<details><summary>what the words mean</summary>{legend_html(entries)}</details>"
    )


def legend_html(entries: Iterable[Entry]) -> str:
    """What the states mean, each with the number of findings that have it."""
    counts = Counter(entry.state for entry in entries)
    rows = "".join(
        _cells(_state(name), str(counts[name]), escape(state.means))
        for name, state in STATES.items()
    )
    head = "".join(
        f'<th style="{_LEFT};width:{width}%">{name}</th>'
        for name, width in (("state", 16), ("findings", 10), ("meaning", 74))
    )
    return (
        f'{_STYLE}<table class="ledger"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(entry, address):
    finding = entry.finding
    lines = [escape(line) for line in entry.lines]
    found = lines[0] if len(lines) == 1 else f"<ul>{''.join(f'<li>{x}</li>' for x in lines)}</ul>"
    found += f"<div><small>{escape(entry.measured_on)}</small></div>" if entry.measured_on else ""
    chapters = ", ".join(_chapter(number, address(number)) for number in finding.chapters)
    commands = f"<code>{escape(finding.command)}</code>"
    if finding.musdb18:
        commands += f"<br>with MUSDB18: <code>{escape(finding.musdb18)}</code>"
    places = f"{chapters}<details><summary>command</summary>{commands}</details>"
    cells = (finding.id, escape(finding.reported), _state(entry.state), found, places)
    return _cells(*cells, classes=_CLASSES)


def _cells(*cells, classes=()):
    names = [f' class="{name}"' if name else "" for name in classes] or [""] * len(cells)
    row = "".join(f'<td{name} style="{_LEFT}">{cell}</td>' for name, cell in zip(names, cells))
    return f"<tr>{row}</tr>"


def _state(name, count=""):
    """A state in its colour, with a symbol for those who do not see colours."""
    state = STATES[name]
    style = f"border-color:{state.colour};background:{state.colour}26"
    number = f" {count}" if count else ""
    return f'<span class="state" style="{style}"><b>{state.symbol}</b>{escape(name)}{number}</span>'


def _chapter(number, link):
    return (
        f'<a href="{escape(link, quote=True)}">chapter {number}</a>'
        if link
        else f"chapter {number}"
    )
