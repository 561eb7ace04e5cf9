"""The table of all findings as HTML: in the report, and first in chapter 12."""

from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from itertools import groupby

from .findings import STATES, Entry
from .published import DOCUMENTS

_STYLE = """<style>
table.ledger { border-collapse: collapse; width: 100%; table-layout: fixed; font-size: 13px; }
table.ledger th, table.ledger td {
  vertical-align: top; white-space: normal; overflow-wrap: anywhere; line-height: 1.4;
  padding: .35em .6em; border-top: 1px solid #98a1b355;
}
table.ledger tr.document th { padding-top: 1.3em; font-size: 14px; }
table.ledger tr.document small { font-weight: normal; }
table.ledger ul { margin: 0; padding-left: 1.1em; }
table.ledger code { font-size: 11px; padding: 0; }
table.ledger small { opacity: .7; }
table.ledger .symbol { display: inline-block; min-width: 1.4em; font-weight: 700; }
</style>"""
#: In every cell: JupyterLab's own rule for tables, which aligns them right, is stronger than ours.
_LEFT = "text-align:left"
_HEAD = (("", 6), ("what was reported", 28), ("state", 12), ("what we found", 31), ("read on", 23))


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
    places = ", ".join(_chapter(number, address(number)) for number in finding.chapters)
    places += f"<br><code>{escape(finding.command)}</code>"
    if finding.musdb18:
        places += f"<br>with MUSDB18: <code>{escape(finding.musdb18)}</code>"
    return _cells(finding.id, escape(finding.reported), _state(entry.state), found, places)


def _cells(*cells):
    row = "".join(f'<td style="{_LEFT}">{cell}</td>' for cell in cells)
    return f"<tr>{row}</tr>"


def _state(name):
    state = STATES[name]
    return f'<span class="symbol" style="color:{state.colour}">{state.symbol}</span>{escape(name)}'


def _chapter(number, link):
    return f'<a href="{escape(link, quote=True)}">{number}</a>' if link else number
