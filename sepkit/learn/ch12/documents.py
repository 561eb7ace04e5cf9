"""What a document prints, table by table, with our column beside; its claims and its errata.

A column holds one metric of one data set. Numbers of ours stand in columns of their
own, whose head says what they were measured on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import pandas as pd
from pandas.io.formats.style import Styler

from ...metrics.scores import Score
from ...reproduce import errata, ledger, numbers
from ...reproduce.claims import Outcome
from ...reproduce.findings import STATES, Entry
from ...reproduce.published import DOCUMENTS, METRICS, Printed, load_printed
from ..plots import as_html, styled

THESIS = "004"
#: Row of the thesis's Tables 5.1 to 5.6 -> (experiment, arm) that changes the same thing here.
STEPS = {
    "starting checkpoint": ("mixing", "remix probability 0.25"),
    "remix, 400 epochs, 5200 samples": ("mixing", "remix probability 0.8"),
    "remix and augmentation, 29k samples, 100 epochs": ("augmentation", "augmented x7"),
    "with validation data, 35k samples, 100 epochs": (
        "augmentation",
        "augmented x7, with the validation songs",
    ),
}
#: What may be bet on.
BETS = ("holds", "fails", "undecided")
#: Document -> its section of the chapter, and what its findings are about.
SECTIONS = {
    "000": (
        5,
        "What a network for vocals keeps besides the voice: horns, beatbox, claps, noise, a"
        " second speaker. What separating a song takes.",
    ),
    "001": (6, "Another loss and a filter for Open-Unmix; whether it can run as the music plays."),
    "002": (
        7,
        "Open-Unmix beside ICA and in the field of SiSEC 2018; what its recipe brings; long audio.",
    ),
    "003": (
        8,
        "Five variants of Open-Unmix: losses, what stands in the middle, waveform or spectrogram;"
        " what they cost; masks and codecs.",
    ),
    "004": (
        9,
        "What remixing brings a vocal network, and speech, and augmentation; how it was tested.",
    ),
}
#: Oracles that no published table has, named as those that it has (`ledger.SYSTEMS`).
ORACLES = {"psm": "Oracle PSM"}
#: Where the ledger stands in full.
LEDGER = "#The-ledger-in-full"
_STYLE = "text-align:left;vertical-align:top;white-space:normal;padding:.3em .6em"
_QUOTED = f'"{_STYLE}"'


def claims_table(outcomes: Iterable[Outcome], document: str) -> pd.DataFrame:
    """All outcomes of a document's claims: one row for each part, data set and place.

    A statement stands in the first of its rows only, and a column that would be empty is left
    out. The families of the Holm adjustment are left out too: they stand in claims.csv. The column
    ``n`` says how much was compared, and what: songs, excerpts, blocks or trainings.
    """
    own = [outcome for outcome in outcomes if outcome.claim.document == document]
    rows = [outcome.row() | {"songs": outcome.counted} for outcome in own]
    table = pd.DataFrame(rows).drop(columns="family").rename(columns={"songs": "n"})
    table["changed since it was fixed"] = [outcome.claim.changed for outcome in own]
    table.insert(2, "what is compared", [outcome.claim.how for outcome in own])
    again = table["claim"].eq(table["claim"].shift())
    texts = ["claim", "statement", "what is compared", "changed since it was fixed"]
    table.loc[again, texts] = ""
    return table.loc[:, (table != "").any()]


def claims_summary(outcomes: Iterable[Outcome], document: str) -> pd.DataFrame:
    """A document's claims, a row each: the statement, and each verdict with whom it is about."""
    rows = []
    own = (outcome for outcome in outcomes if outcome.claim.document == document)
    for name, part in groupby(own, key=lambda outcome: outcome.claim.id):
        verdicts: dict[str, list[str]] = {}
        for outcome in part:
            statement = outcome.claim.statement
            place = outcome.network or outcome.where.partition(",")[0]
            verdicts.setdefault(outcome.verdict, []).append(place)
        told = [
            f"{verdict} ({', '.join(dict.fromkeys(filter(None, places)))})"
            if any(places)
            else verdict
            for verdict, places in verdicts.items()
        ]
        rows.append({"claim": name, "statement": statement, "verdicts": "; ".join(told)})
    return pd.DataFrame(rows)


def bets_table(bets: Mapping[str, str], outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """A reader's verdicts beside the kit's, which stay hidden until there is a bet.

    Parameters
    ----------
    bets : dict of str to str
        Id of a claim -> ``"holds"``, ``"fails"`` or ``"undecided"``; anything else is no bet.
    outcomes : list of Outcome
        Of all claims. Where a claim was tested in several places, that with most seeds counts.

    Returns
    -------
    DataFrame
        A row per bet: claim, statement, bet and verdict.
    """
    found = {name: most_seeds(outcomes, name) for name in bets}
    rows = []
    for name, bet in bets.items():
        said = str(bet).strip().lower()
        verdict, effect = found[name].verdict, found[name].row()["effect"]
        shown = f"{verdict} ({effect})" if effect else verdict
        rows.append(
            {
                "claim": name,
                "statement": found[name].claim.statement,
                "your bet": said or "–",
                "found": shown
                if said in BETS
                else "write one of the three words"
                if said
                else "bet first",
                "": ("✔" if said == verdict else "✘") if {said, verdict} <= set(BETS) else "",
            }
        )
    return pd.DataFrame(rows)


def most_seeds(outcomes: Iterable[Outcome], name: str) -> Outcome:
    """The outcome of a claim; where it was tested in several places, that with most seeds."""
    return max((o for o in outcomes if o.claim.id == name), key=lambda outcome: outcome.seeds)


def map_html(entries: Iterable[Entry]) -> str:
    """All findings at a glance: a row per document, a mark per finding that leads to its section.

    Parameters
    ----------
    entries : list of Entry
        In the order of the documents, as `findings.judge` returns them.
    """
    heads = ("document", "what its findings are about", "findings, and what became of them")
    body = ""
    for number, own in groupby(entries, key=lambda entry: entry.finding.document):
        section, about = SECTIONS[number]
        name = DOCUMENTS[number].name
        title = f"{section}. The {name} ({number})"
        address = as_html(f"#{title.replace(' ', '-')}")
        marks = " ".join(_mark(entry, address if _told(entry) else LEDGER) for entry in own)
        place = f'{number} · {as_html(name)}<br><a href="{address}">section {section}</a>'
        cells = (place, as_html(about), f'<div style="line-height:2">{marks}</div>')
        body += f"<tr>{''.join(f'<td style={_QUOTED}>{cell}</td>' for cell in cells)}</tr>"
    head = "".join(f"<th style={_QUOTED}>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _told(entry):
    """Whether a finding's section speaks of it: features stand in the ledger alone."""
    return entry.finding.kind != ("feature",)


def _mark(entry, address):
    """A finding as its state's symbol and its own id, in the state's colour."""
    state, finding = STATES[entry.state], entry.finding
    told = as_html(f"{entry.state}: {finding.reported}").replace('"', "&quot;")
    return (
        f'<a href="{address}" title="{told}" style="white-space:nowrap;padding:.1em .4em;'
        f"border-left:.25em solid {state.colour};background:{state.colour}26;color:inherit;"
        f'text-decoration:none"><b>{state.symbol}</b> {finding.id}</a>'
    )


def shown(separator: str) -> str:
    """A separator as tables and figures name it: ``irm1`` is Oracle IRM1, as in print."""
    return (ledger.SYSTEMS | ORACLES).get(separator, separator)


def folded(summary: str, content: str) -> str:
    """HTML that a click unfolds."""
    return f"<details><summary>{as_html(summary)}</summary>{content}</details>"


def text_table(frame: pd.DataFrame) -> Styler:
    """A table of words: cells and heads at the left, no row numbers."""
    left = {"text-align": "left", "vertical-align": "top"}
    heads = [{"selector": "th", "props": "text-align: left"}]
    return styled(frame).hide(axis="index").set_properties(**left).set_table_styles(heads)


def errata_html(document: str) -> str:
    """A document's errata behind their number: unfolded by a click."""
    rows = [row for row in errata.load_errata() if row.document == document]
    names = ("place", "printed", "recomputed", "why")
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_STYLE}">{as_html(getattr(row, name))}</td>' for name in names)
        + "</tr>"
        for row in rows
    )
    return (
        f"<details><summary>{len(rows)} errata: as printed, recomputed, and why</summary>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def numbers_table(found: Iterable[numbers.Number]) -> pd.DataFrame:
    """Printed numbers and ours, a row each."""
    rows = [(one.item, one.printed, one.ours, one.where) for one in found]
    return pd.DataFrame(rows, columns=["number", "printed", "ours", "what ours is"])


def printout(number: int) -> pd.DataFrame:
    """One of the ResUNet report's two museval printouts, in dB, a column for each ratio."""
    rows = [row for row in load_printed() if row.table == f"museval printout {number}"]
    return _pivot(rows, lambda row: row.item, lambda row: row.metric)


def loading() -> pd.DataFrame:
    """The variants report on loading: before and after, as printed."""
    rows = [row for row in load_printed() if row.claim == "S3.3" and "Loading" in row.item]
    limit = {row: "at most " for row in rows if row.quantity.endswith(", at most")}
    return _pivot(
        rows,
        lambda row: row.item,
        lambda row: row.quantity.partition(",")[0],
        lambda row: f"{limit.get(row, '')}{row.value:g} {row.unit}".strip(),
    )


def sizes() -> pd.DataFrame:
    """The thesis's Table 2.1, with the parameters of the kit's networks counted beside."""
    rows = _of_thesis("Table 2.1")
    table = _pivot(rows, lambda row: row.item, lambda row: row.quantity)
    counted = {name: numbers.count_parameters(name) for name in table.index}
    ours = [f"{count / 1e6:.2f}" if (count := counted[name]) else "" for name in table.index]
    table.insert(1, "counted here (M)", ours)
    return table.rename(
        columns={
            "parameters": "parameters, printed (M)",
            "vocals": "vocals (cSDR, dB)",
            "mean of four targets": "mean of four (cSDR, dB)",
        }
    )


def recomputed(table: str) -> pd.DataFrame:
    """A table of the thesis with its t, se, p and differences recomputed from its own means.

    A pair of columns for each metric: as printed, and the range that the printed means and
    deviations allow, with a mark where the printed number lies outside.
    """
    allowed = {
        (row.metric, row.quantity): f"{_range(row)}{'' if row.fits else ' ✘'}"
        for row in errata.check_thesis()
        if row.table == table
    }
    rows = _of_thesis(table)
    columns = {}
    for metric in METRICS:
        own = {row.quantity: row.printed for row in rows if row.metric == metric}
        columns[metric, "printed"] = own
        columns[metric, "recomputed"] = {name: allowed.get((metric, name), "") for name in own}
    frame = pd.DataFrame(columns)
    frame.index.name = table
    return frame


def by_heart(measured: dict[str, list[Score]]) -> pd.DataFrame:
    """The thesis's Table 5.2 beside the arms of the experiment that repeats it."""
    scores = measured.get("experiment overfit", [])
    printed = {row.metric: row.printed for row in _of_thesis("Table 5.2")}
    rows: dict[str, tuple[dict, dict]] = {"thesis, the loss of the paper": (printed, {})}
    for arm in dict.fromkeys(score.separator for score in scores):
        rows[arm] = ({}, _means(scores, arm))
    return _two_by_two(rows, "MUSDB18-HQ, printed", _ours(scores))


def steps(measured: dict[str, list[Score]]) -> pd.DataFrame:
    """The thesis's Tables 5.1, 5.3, 5.5 and 5.6 as one, beside the arms that do the same here.

    Ours are means over the songs that all these arms were scored on. The deviations are not
    alike: the thesis's is that of its chunks, ours that of the means of several trainings.
    """
    printed = _of_thesis("Table 5")
    songs = _common_songs(measured)
    rows, used = {}, []
    for item, (experiment, arm) in STEPS.items():
        own = {(row.metric, row.quantity): row.printed for row in printed if row.item == item}
        texts = {
            metric: f"{own[metric, 'mean'].removesuffix(' dB')} ± {own[metric, 'sd']}"
            for metric in METRICS
        }
        scores = [
            score
            for score in measured.get(f"experiment {experiment}", [])
            if score.separator == arm and score.track in songs
        ]
        used += scores
        rows[f"{item}; here: {arm}"] = (texts, _means(scores, arm))
    return _two_by_two(rows, "MUSDB18-HQ, printed", _ours(used))


def bills() -> pd.DataFrame:
    """The thesis's Figure 5.1: hours of rented GPUs by month, with their sum.

    The last column is what the printed total has more than the three cards together.
    """
    rows = [row for row in _of_thesis("Figure 5.1") if row.quantity == "billed time"]
    places = {row: row.item.partition(", ") for row in rows}
    table = _pivot(
        rows, lambda row: places[row][0], lambda row: places[row][2], lambda row: row.value
    )
    cards = table.drop(columns="total").sum(axis=1)
    table["of none of the three"] = (table["total"] - cards).round(1)
    table.loc["sum"] = table.sum()
    return table


def _pivot(rows: Sequence[Printed], index, column, value=lambda row: row.printed) -> pd.DataFrame:
    """Printed numbers as a table, rows and columns in the order of the document."""
    cells: dict = {}
    for row in rows:
        cells.setdefault(index(row), {})[column(row)] = value(row)
    return pd.DataFrame.from_dict(cells, orient="index").fillna("")


def _of_thesis(table):
    return [row for row in load_printed() if row.document == THESIS and row.table.startswith(table)]


def _range(row):
    """The recomputed range with as many digits as are printed; one number where they agree."""
    digits = len(row.printed.removesuffix(" dB").rstrip("%").partition(".")[2])
    tiny = 0 < row.high < 0.001
    low, high = (f"{v:.0e}" if tiny else f"{v:.{max(digits, 2)}f}" for v in (row.low, row.high))
    return low if low == high else f"{low} to {high}"


def _means(scores, arm):
    """{metric as published: mean ± deviation over seeds} of an arm."""
    return {
        metric: numbers.in_db(numbers.mean_of_arm(scores, arm, ours))
        for metric, (ours, _) in METRICS.items()
    }


def _common_songs(measured):
    """The songs that every arm of `STEPS` was scored on."""
    arms = [
        {s.track for s in measured.get(f"experiment {name}", []) if s.separator == arm}
        for name, arm in STEPS.values()
    ]
    return set.intersection(*(songs for songs in arms if songs)) if any(arms) else set()


def _ours(scores):
    return f"{numbers.about(scores)}, ours" if scores else "not run here"


def _two_by_two(rows, theirs, ours):
    """Two columns for each metric, theirs and ours; `rows` maps a name to both cells."""
    columns = {
        (metric, head): {name: pair[place].get(metric, "") for name, pair in rows.items()}
        for metric in METRICS
        for place, head in enumerate((theirs, ours))
    }
    return pd.DataFrame(columns)
