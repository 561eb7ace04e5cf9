"""``build/report.html``: the verdict on all findings first, then what was run and measured.

One page that is complete in itself, to be sent by mail and read on a phone; the chapters lie
beside it as pages of their own, in ``chapters/``.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import provenance
from ..metrics import Score
from . import claims, findings, ledger, pages
from .experiments import overview
from .experiments.catalogue import EXPERIMENTS
from .findings_html import ledger_html, verdict_html
from .ledger import LedgerTable
from .manifest import load_manifest
from .published import Reported
from .readme import title
from .tables_html import arms_html, card_text, comparisons_html, folded, rows_html, table_html

__all__ = ["card_text", "write_report"]

_BODY = """<style>{style}</style>
<h1>sepkit report</h1>
{verdict}
<nav aria-label="contents"><ol>{contents}</ol></nav>
<h2 id="findings">The findings of the five documents</h2>
<p>An effect is a mean difference in favour of what the document says, with its 95 % interval:
+0.3 dB means that the arm it prefers was better by as much.</p>
{findings}
<h2 id="run">What was run</h2>
{run}
{chapters}
{sections}
<p class="foot">Made {made}.</p>"""
_NO_PUBLISHED = (
    "Nothing in this run was measured on MUSDB18, so no published score stands beside ours: they "
    "are never shown beside scores of other songs. To measure the published networks: "
    "<code>sepkit reproduce --data musdb18hq --weights published</code>."
)
_ABOUT_CLAIMS = (
    "{count} comparisons: mean paired differences with 95 % intervals, and p of the bar, adjusted "
    "by Holm's method for all comparisons of a family. Trained arms: over songs and seeds, t "
    "test; one training is one network, and five seeds make a verdict. Others: over songs, "
    "bootstrap and sign flips. Undecided is not the same as no difference."
)


def write_report(out: str | Path, reported: list[Reported] | None = None) -> Path:
    """Write ``report.html``, and ``chapters/`` beside it, into the output folder of a batch.

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
    entries = load_manifest(out)["chapters"]
    own, stored = ledger.load_measured(out / "results"), ledger.load_experiments()
    reported = ledger.load_reported() if reported is None else reported
    outcomes = claims.evaluate(claims.load_claims(), own | stored)
    judged = findings.judge(findings.load_findings(), outcomes, own | stored)
    links = chapter_pages(entries, out)
    first = {_chapter_of(name, entries[name]): links[name] for name in reversed(links)}
    sections = {
        "published": ("Beside published scores", published_html(ledger.tables(reported, own))),
        "experiments": ("Experiments", experiments_html(stored)),
        "chapters": ("What the chapters measured", measured_html(own, reported, first)),
        "claims": ("Comparisons, one by one", claims_html(outcomes)),
    }
    named = {"findings": "The findings of the five documents", "run": "What was run"}
    named |= {address: heading for address, (heading, _) in sections.items()}
    body = _BODY.format(
        style=Path(__file__).with_name("report.css").read_text(encoding="utf-8"),
        verdict=verdict_html(judged),
        contents="".join(f'<li><a href="#{a}">{heading}</a></li>' for a, heading in named.items()),
        findings=ledger_html(judged, {name[:2]: link for name, link in first.items()}.get),
        run=run_html(entries, stored),
        chapters=chapters_html(entries, links),
        sections="".join(
            f'<h2 id="{address}">{heading}</h2>{content}'
            for address, (heading, content) in sections.items()
        ),
        made=_made(),
    )
    pages.write_document(out / "report.html", "sepkit report", body)
    return out / "report.html"


def chapter_pages(entries: dict[str, dict], out: Path) -> dict[str, str]:
    """Write the executed notebooks as pages; {chapter: address beside the report}.

    A page that is newer than its notebook is kept. A notebook that cannot become a page is linked
    itself.
    """
    found = {}
    for name, entry in entries.items():
        executed = entry.get("executed")
        if not executed or ":" in executed:  # an address elsewhere is not ours to link
            continue
        path = Path(executed)  # in a folder of its data set and seed, where there are several
        notebook, address = out / path, f"chapters/{'-'.join([*path.parts[:-2], path.stem])}.html"
        found[name] = address if _write_page(notebook, out / address) else executed
    return found


def _write_page(notebook, path):
    if not notebook.is_file():
        return False
    if path.is_file() and path.stat().st_mtime >= notebook.stat().st_mtime:
        return True
    try:
        page = pages.read_page(notebook)
    except SepkitError:  # a chapter of somebody's own, with a formula that no browser draws
        return False
    contents = f'<a href="../report.html">Report</a>{pages.contents_html(page)}'
    before = f'<nav class="contents" aria-label="contents">{contents}</nav>'
    pages.write_document(path, page.title, page.body, before)
    return True


def run_html(entries: dict[str, dict], stored: dict[str, list[Score]]) -> str:
    """What was run where, in a paragraph."""
    done = [entry for entry in entries.values() if entry["status"] == "done"]
    parts = []
    if entries:
        made = [entry.get("provenance", {}) for entry in entries.values()]
        minutes = sum(entry.get("seconds") or 0 for entry in entries.values()) / 60
        failed = sum(entry["status"] == "failed" for entry in entries.values())
        chapters = len({_chapter_of(name, entry) for name, entry in entries.items()})
        runs = "" if chapters == len(entries) else f"{_count(len(entries), 'run')}, "
        parts.append(
            f"{_count(chapters, 'chapter')} ({runs}{len(done)} finished"
            f"{f', {failed} failed' if failed else ''}), profile {_of(entries, 'profile')}, data "
            f"{_of(entries, 'data')}, weights {_of(entries, 'weights')}, device "
            f"{_of(entries, 'device')}, seed {_of(entries, 'seed')}: {minutes:.0f} minutes on "
            f"{_values(facts.get('machine') for facts in made)}, "
            f"{_values(str(facts.get('date', ''))[:10] for facts in made)}."
        )
    rows = overview(stored)
    if rows:
        hours = sum(row["hours"] for row in rows)
        machines = _values(s.provenance["machine"] for own in stored.values() for s in own[:1])
        parts.append(
            f"The {_count(len(rows), 'experiment')} come with sepkit: {hours:.1f} hours of "
            f"training on {machines}, up to {max(row['seeds'] for row in rows)} seeds an arm."
        )
    return f"<p>{escape(' '.join(parts))}</p>" if parts else ""


def chapters_html(entries: dict[str, dict], links: dict[str, str]) -> str:
    """The table of chapters: outcome, time, memory, and a link to the executed chapter."""
    names = ("chapter", "outcome", "time", "memory", "profile", "weights", "data", "seed")
    rows = [_chapter(name, entry, links.get(name)) for name, entry in sorted(entries.items())]
    note = (
        '<p class="note">The chapters are pages in the folder <code>chapters</code> beside this '
        "one, with figures and players, and need no network. Sent without them, this page is "
        "complete but for these links.</p>"
    )
    return rows_html(names, rows) + note if rows else "<p>No chapter has run yet.</p>"


def _chapter(name, entry, address):
    parameters, link = entry["parameters"], escape(name)
    if address:
        link = f'<a href="{escape(address, quote=True)}">{link}</a>'
    state = escape(entry.get("error") or entry["status"])
    return (
        link,
        f'<span class="failed">{state}</span>' if entry["status"] == "failed" else state,
        _seconds(entry.get("seconds")),
        _memory(entry.get("peak_mb")),
        escape(entry["profile"]),
        escape(str(parameters["weights"])),
        escape(Path(str(parameters["data"])).name),
        escape(str(parameters["seed"])),
    )


def published_html(tables: Sequence[LedgerTable]) -> str:
    """The tables that hold published numbers and ours."""
    both = [table for table in tables if _is_joined(table)]
    return "".join(map(table_html, both)) or f"<p>{_NO_PUBLISHED}</p>"


def experiments_html(stored: dict[str, list[Score]]) -> str:
    """A question and a table for each experiment, the most important first."""
    text = ""
    for name, experiment in EXPERIMENTS.items():
        if scores := stored.get(f"experiment {name}"):
            text += f"<h3>{escape(experiment.question)} <small>{escape(name)}</small></h3>"
            text += arms_html(scores)
    return f"<p>Means over songs and seeds, ± the deviation over seeds.</p>{text}"


def measured_html(
    own: dict[str, list[Score]], reported: Sequence[Reported], links: dict[str, str]
) -> str:
    """What every chapter has measured, but for what stands beside published numbers already."""
    shown = {(t.dataset, t.metric) for t in ledger.tables(reported, own) if _is_joined(t)}
    text = ""
    for chapter, scores in own.items():
        tables = [t for t in ledger.tables([], {chapter: scores}) if t.measured]
        tables = [t for t in tables if (t.dataset, t.metric) not in shown]
        if tables:
            words = escape(_topic(chapter))
            if chapter in links:
                words = f'<a href="{escape(links[chapter], quote=True)}">{words}</a>'
            text += f"<h3>{words}</h3>{''.join(map(table_html, tables))}"
    return text or "<p>No chapter has written Scores yet.</p>"


def claims_html(outcomes: Sequence[claims.Outcome]) -> str:
    """The claims that were tested, with their verdicts; those without Scores folded."""
    idle = [outcome.claim for outcome in outcomes if outcome.verdict == claims.NOT_RUN]
    count = sum(outcome.comparison is not None for outcome in outcomes)
    items = (f"{claim.id}: {claim.statement} ({claim.how})" for claim in idle)
    listed = "".join(f"<li>{escape(item)}</li>" for item in items)
    without = folded(f"{len(idle)} claims without Scores in this run", f"<ul>{listed}</ul>")
    return (
        f"<p>{_ABOUT_CLAIMS.format(count=count)}</p>{comparisons_html(outcomes)}"
        f"{without if idle else ''}"
    )


def _is_joined(table):
    return table.measured and any(row.reported for row in table.rows)


def _topic(chapter):
    """``02 · Masks`` of ``02_masking``, from its notebook; the name where there is none."""
    from .notebook import find_chapters

    try:
        return f"{chapter[:2]} · {title(find_chapters([chapter])[0].path)}"
    except SepkitError:
        return chapter


def _made():
    facts = provenance()
    commit = f" at {escape(facts['commit'])}" if facts.get("commit") else ""
    version, machine = escape(facts["sepkit"]), escape(facts["machine"])
    return f"{escape(facts['date'])} with sepkit {version}{commit} on {machine}"


def _chapter_of(name, entry):
    """The chapter of a job: one of several data sets or seeds is called after these too."""
    return entry.get("chapter", name)


def _of(entries, parameter):
    """The values of a parameter in all chapters; of a folder its name."""
    found = (entry["parameters"].get(parameter, entry.get(parameter)) for entry in entries.values())
    return _values(Path(str(value)).name for value in found)


def _values(values: Iterable[Any]) -> str:
    return " and ".join(sorted({str(value) for value in values if value not in (None, "")}))


def _count(number, word):
    return f"{number} {word}{'s' * (number != 1)}"


def _seconds(seconds):
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _memory(megabytes):
    if not megabytes:
        return ""
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
