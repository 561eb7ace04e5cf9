"""All findings of the five documents, and what the kit can say about each of them.

sepkit/assets/reported/findings.csv has a row for everything that the documents report: in a
sentence, how it is repeated (a claim is tested, a number recomputed or measured, a feature has
tests), and where to read on. `judge` joins it with the outcomes of the claims and with `numbers`,
so that no row is silent. Chapter 12.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from ..files import shipped
from ..metrics.scores import Score
from .claims import NOT_RUN, Outcome
from .numbers import Number, beside
from .published import DOCUMENTS, metric_name, read_rows

COLUMNS = ("id", "document", "reported", "kind", "chapters", "command", "musdb18", "tests")
KINDS = ("claim", "number", "feature")


@dataclass(frozen=True)
class State:
    """What is known of a finding: a `symbol` beside the colour, and what the state `means`."""

    symbol: str
    colour: str
    means: str


#: In the order of a legend.
STATES = {
    "holds": State("✔", "#009E73", "as the document says, over songs and seeds"),
    "fails": State("✘", "#D55E00", "contrary to what the document says, over songs and seeds"),
    "parts differ": State(
        "◐", "#CC79A7", "it has parts, or was tested with several networks; verdicts differ"
    ),
    "undecided": State("○", "#E69F00", "more songs or seeds are needed; not the same as equal"),
    "one network": State("◇", "#56B4E9", "one training an arm: of networks, not of methods"),
    "number": State("#", "#0072B2", "a printed number, with ours or its recomputation beside it"),
    "feature": State("■", "#4d4d4d", "something that the kit can do, and that tests check"),
    NOT_RUN: State("–", "#98a1b3", "no Scores here; the command makes them"),
}


@dataclass(frozen=True)
class Finding:
    """One row of findings.csv.

    Attributes
    ----------
    id, document, reported : str
        Which finding, of which of `DOCUMENTS`, and what it says, in a sentence.
    kind : tuple of str
        Of `KINDS`: how the kit repeats it.
    chapters : tuple of str
        Numbers of the chapters to read on in.
    command, musdb18 : str
        What measures it anew; and what measures the document's own numbers, for which MUSDB18 is
        needed (empty where it is not).
    tests : tuple of str
        The tests of a feature, ``file::function``.
    """

    id: str
    document: str
    reported: str
    kind: tuple[str, ...]
    chapters: tuple[str, ...]
    command: str
    musdb18: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A finding with all that is known: its `state` is one of `STATES`.

    `outcomes` are those of its claims, part by part, and `numbers` the printed numbers that
    have another beside them.
    """

    finding: Finding
    state: str
    outcomes: tuple[Outcome, ...] = ()
    numbers: tuple[Number, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What was found, a line for each part, number or test; else what makes the Scores."""
        parts: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            parts.setdefault(outcome.claim.id, []).append(outcome)
        run = [own for own in parts.values() if own[0].verdict != NOT_RUN]
        found = list(dict.fromkeys(_line(own, len(parts) > 1) for own in run))
        found += [str(number) for number in self.numbers]
        if not found:
            found = [f"tested: {sentence(test)}" for test in self.finding.tests]
        elif "feature" in self.finding.kind:
            found.append("and a feature, which has tests")
        return found or [f"run {self.finding.command}"]

    @property
    def measured_on(self) -> str:
        """Metrics, data and places, such as ``uSDR on band, 16 kHz mono, experiment songs``."""
        found: dict[str, list[str]] = {}
        for outcome in self.outcomes:
            if outcome.verdict != NOT_RUN:
                metrics = found.setdefault(outcome.row()["measured on"], [])
                metrics.append(metric_name(outcome.claim.metric))
        return "; ".join(f"{', '.join(dict.fromkeys(m))} on {place}" for place, m in found.items())


def sentence(test: str) -> str:
    """The name of a test as the sentence that it is: ``a::test_it_is`` says "it is"."""
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def load_findings(path: str | Path | None = None) -> list[Finding]:
    """Read the findings, in the order of the documents.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `COLUMNS`; by default the one that sepkit ships.

    Returns
    -------
    list of Finding

    Raises
    ------
    SepkitError
        For a missing column, an id stated twice, an unknown document or kind, a feature without
        tests, or a row without its sentence or command. Names the line.
    """
    found: dict[str, Finding] = {}
    for where, row in read_rows(Path(path or shipped("reported", "findings.csv")), COLUMNS):
        kind = tuple(row["kind"].split())
        unknown = [one for one in kind if one not in KINDS] or ([] if kind else [""])
        if unknown:
            raise SepkitError(
                f"{where}: unknown kind {unknown[0]!r}: choose from {', '.join(KINDS)}"
            )
        if row["document"] not in DOCUMENTS:
            raise SepkitError(
                f"{where}: unknown document {row['document']!r}: choose from {', '.join(DOCUMENTS)}"
            )
        if row["id"] in found:
            raise SepkitError(f"{where}: {row['id']} is stated twice")
        lists = {column: tuple(row[column].split()) for column in ("kind", "chapters", "tests")}
        fields: dict[str, Any] = {column: row[column] for column in COLUMNS} | lists
        finding = Finding(**fields)
        if not (finding.reported and finding.command):
            raise SepkitError(f"{where}: {finding.id} has no sentence or no command")
        if "feature" in kind and not finding.tests:
            raise SepkitError(f"{where}: {finding.id} is a feature without a test")
        found[finding.id] = finding
    return list(found.values())


def judge(
    findings: Iterable[Finding], outcomes: Iterable[Outcome], measured: dict[str, list[Score]]
) -> list[Entry]:
    """Give every finding its state.

    A verdict goes before a number, and a number before a feature. Where a claim was tested in
    several places, the one with the most seeds stands for it, then the one with the most songs
    (or all that have as many): the choice does not look at the verdict.

    Parameters
    ----------
    findings : list of Finding
    outcomes : list of Outcome
        As `claims.evaluate` returns them.
    measured : dict
        Chapter or experiment -> list of Score, for the numbers.

    Returns
    -------
    list of Entry
    """
    parts: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        claim = outcome.claim
        parts.setdefault(claim.finding, {}).setdefault(claim.id, []).append(outcome)
    entries = []
    for finding in findings:
        chosen = tuple(
            outcome
            for same in parts.get(finding.id, {}).values()
            for outcome in same
            if _weight(outcome) == max(map(_weight, same))
        )
        numbers = tuple(beside(finding.id, measured)) if "number" in finding.kind else ()
        entries.append(Entry(finding, _state(finding, chosen, numbers), chosen, numbers))
    return entries


def plain(verdict: str) -> str:
    """A verdict without its reason: ``"undecided: 1 song"`` is ``"undecided"``."""
    return verdict.partition(":")[0]


def _weight(outcome):
    return outcome.seeds, outcome.comparison.n if outcome.comparison else 0


def _state(finding, outcomes, numbers):
    verdicts = {plain(outcome.verdict) for outcome in outcomes} - {NOT_RUN}
    if verdicts:
        return verdicts.pop() if len(verdicts) == 1 else "parts differ"
    if numbers:
        return "number"
    return "feature" if finding.tests else NOT_RUN


def _line(outcomes, several):
    """Effect, interval and bar of a part, behind its statement; or why there is none.

    Where it was measured with several networks, or in several places, each has its effect and
    its verdict.
    """
    first, claim = outcomes[0], outcomes[0].claim
    bar = "" if claim.bar == "> 0 dB" else f"bar: {claim.bar}"
    measured = [outcome for outcome in outcomes if outcome.comparison]
    if not measured:
        return first.verdict
    if len(measured) > 1:
        rows = [outcome.row() for outcome in measured]
        effects = ", ".join(
            f"{row['network'] or row['measured on']} {row['effect']} {plain(row['verdict'])}"
            for row in rows
        )
        found = f"{effects}{f' ({bar})' if bar else ''}"
        return f"{claim.statement}: {found}" if several else found
    row = first.row()
    effect = " ".join(filter(None, (row["network"], row["effect"])))
    found = f"{effect} ({'; '.join(filter(None, (row['95 % interval'], bar)))})"
    if several:
        return f"{claim.statement}: {found}, {first.verdict}"
    reason = first.verdict.partition(": ")[2]
    return f"{found}, {reason}" if reason else found
