"""Every finding of the documents has a state, and what its row names exists."""

import ast
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from sepkit.cli.commands import app
from sepkit.errors import SepkitError
from sepkit.metrics.statistics import Comparison
from sepkit.reproduce import claims, ledger
from sepkit.reproduce.claims import NOT_RUN, Claim, Outcome
from sepkit.reproduce.findings import (
    COLUMNS,
    STATES,
    Finding,
    judge,
    load_findings,
    plain,
    sentence,
)
from sepkit.reproduce.findings_html import ledger_html, legend_html
from sepkit.reproduce.numbers import NUMBERS
from sepkit.reproduce.published import DOCUMENTS, load_printed

from .tools import Page

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = load_findings()


def finding(kind="claim", tests=(), document="004", id="S4.5"):
    return Finding(id, document, "It is so.", tuple(kind.split()), ("07",), "run it", "", tests)


def outcome(verdict, part="", effect=0.4, seeds=3, songs=20):
    claim = Claim(
        f"S4.5{part}", "004", 1, "so", f"part {part}", "", "", "usdr", "vocals", "a", "b",
        "greater", 0.0,
    )  # fmt: skip
    compared = None
    if plain(verdict) != NOT_RUN and ":" not in verdict:
        compared = Comparison(effect, effect - 0.1, effect + 0.1, 0.01, songs, 0, 0.01)
    return Outcome(claim, verdict, "band", "experiment mixing", compared, 0.01, seeds)


def state(*outcomes, **more):
    (entry,) = judge([finding(**more)], outcomes, {})
    return entry.state


def test_no_finding_is_left_out():
    """Counted in the five documents: what each reports."""
    counted = {"000": 6, "001": 2, "002": 5, "003": 9, "004": 13}
    assert Counter(one.document for one in FINDINGS) == counted and sum(counted.values()) == 35
    assert all(one.id[1] == one.document[-1] for one in FINDINGS)
    assert [one.document for one in FINDINGS] == sorted(one.document for one in FINDINGS)
    told = {one.id for one in FINDINGS}
    assert {row.claim for row in load_printed()} - {""} <= told, "every printed number has a row"


def test_what_is_called_a_claim_is_tested_and_the_other_way_round():
    tested = {claim.finding: claim.document for claim in claims.load_claims()}
    assert {one.id: one.document for one in FINDINGS if "claim" in one.kind} == tested


def test_what_is_called_a_number_has_one_beside_it():
    assert {one.id for one in FINDINGS if "number" in one.kind} == set(NUMBERS)


@pytest.mark.parametrize("one", FINDINGS, ids=[one.id for one in FINDINGS])
def test_what_a_row_names_exists(one):
    assert one.chapters and all(list(ROOT.glob(f"notebooks/{n}_*.ipynb")) for n in one.chapters)
    for test in one.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
    for lines in (one.command, one.musdb18):
        for line in filter(None, lines.split(" && ")):
            parses(line)


def parses(line):
    """The command line is understood: commands, options and arguments are known; it is not run."""
    program, *words = shlex.split(line)
    assert program == "sepkit", line
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    if words == ["--help"]:
        return
    context = command.make_context(command.name, words)
    chapters = context.params.get("chapters") or ()
    assert all(list(ROOT.glob(f"notebooks/{n}_*.ipynb")) for n in chapters), line


def test_a_line_that_is_no_command_is_seen():
    with pytest.raises(KeyError):
        parses("sepkit reprodcue 04")
    with pytest.raises(Exception, match="No such option"):
        parses("sepkit experiment mixing --dta musdb18")
    with pytest.raises(AssertionError):
        parses("sepkit reproduce 99")


def test_with_the_stored_experiments_alone_every_finding_has_a_state_and_words():
    measured = ledger.load_experiments()
    entries = judge(FINDINGS, claims.evaluate(claims.load_claims(), measured), measured)
    assert [entry.finding for entry in entries] == FINDINGS
    assert all(entry.state in STATES and entry.lines for entry in entries)
    found = {entry.finding.id: entry for entry in entries}
    for entry in entries:
        if entry.state == NOT_RUN:
            assert entry.lines == [f"run {entry.finding.command}"]
    assert found["S2.3"].state == "feature" and found["S4.1"].state == "number"
    assert "tested: precision and recall are those of scikit learn" in found["S2.3"].lines


@pytest.mark.parametrize("verdict", ["holds", "fails", "undecided", "one network"])
def test_a_claim_of_one_verdict_has_that_state(verdict):
    assert state(outcome(verdict)) == verdict
    assert state(outcome(verdict, "a"), outcome(verdict, "b")) == verdict


def test_parts_of_different_verdicts_are_not_summed_up():
    assert state(outcome("holds", "a"), outcome("undecided", "b")) == "parts differ"
    assert state(outcome("holds", "a"), outcome("fails", "b")) == "parts differ"


def test_a_reason_is_no_other_verdict_and_what_was_not_run_says_nothing():
    assert state(outcome("undecided: 1 song", "a"), outcome("undecided", "b")) == "undecided"
    assert state(outcome("holds", "a"), outcome(NOT_RUN, "b")) == "holds"
    assert state(outcome(NOT_RUN)) == NOT_RUN == state()


def test_a_verdict_goes_before_a_number_and_a_number_before_a_feature():
    tests = ("tests/a.py::test_it_can",)
    assert state(outcome("fails"), kind="claim feature", tests=tests) == "fails"
    assert state(outcome(NOT_RUN), kind="claim feature", tests=tests) == "feature"
    (entry,) = judge([finding("number feature", tests, "000", "S0.2")], [], {})
    assert entry.state == "number" and entry.numbers


def test_the_most_seeds_speak_then_the_most_songs_whatever_they_say():
    few = outcome("holds", seeds=1, songs=50)
    many = outcome("undecided", seeds=3, songs=20)
    more = outcome("fails", seeds=3, songs=24)
    assert state(few, many) == state(many, few) == "undecided"
    assert state(few, many, more) == state(more, many, few) == "fails"
    other = outcome("holds", seeds=3, songs=24)
    assert state(few, more, other) == "parts differ", "two networks on the same songs: both speak"


def test_lines_tell_effect_interval_and_part():
    (entry,) = judge([finding()], [outcome("holds", "a"), outcome("fails", "b", -0.4)], {})
    assert entry.lines == [
        "part a: +0.40 dB (+0.30 to +0.50), holds",
        "part b: -0.40 dB (-0.50 to -0.30), fails",
    ]
    assert entry.measured_on == "uSDR on band, experiment mixing"
    (entry,) = judge([finding()], [outcome("holds")], {})
    assert entry.lines == ["+0.40 dB (+0.30 to +0.50)"]


def test_the_reason_of_an_undecided_claim_is_told():
    one = replace(outcome("undecided"), verdict="undecided: 3 of 5 seeds")
    (entry,) = judge([finding()], [one], {})
    assert entry.state == "undecided"
    assert entry.lines == ["+0.40 dB (+0.30 to +0.50), 3 of 5 seeds"]


def test_a_bar_other_than_zero_is_told():
    one = outcome("holds")
    claim = replace(one.claim, least=1.0, direction="same", tolerance=0.1, unit="x")
    (entry,) = judge([finding()], [replace(one, claim=claim)], {})
    assert entry.lines == ["+0.40 x (+0.30 to +0.50; bar: 1 ± 0.1 x)"]


def test_several_networks_share_a_line():
    found = [outcome("holds", "a", 0.4), outcome("undecided", "a", 0.1), outcome("holds", "a", 2)]
    found = [replace(one, network=name) for one, name in zip(found, ("UMX", "ResUNet", "BSRNN"))]
    (entry,) = judge([finding()], found, {})
    told = "UMX +0.40 dB holds, ResUNet +0.10 dB undecided, BSRNN +2.00 dB holds"
    assert entry.lines == [told]
    (entry,) = judge([finding()], [*found, outcome("fails", "b", -1)], {})
    assert entry.lines == [f"part a: {told}", "part b: -1.00 dB (-1.10 to -0.90), fails"]
    barred = [replace(one, claim=replace(one.claim, least=-3.0)) for one in found]
    (entry,) = judge([finding()], barred, {})
    assert entry.lines == [f"{told} (bar: > -3 dB)"]
    (entry,) = judge([finding()], found[:1], {})
    assert entry.lines == ["UMX +0.40 dB (+0.30 to +0.50)"]


def test_several_places_share_a_line():
    one = outcome("holds")
    (entry,) = judge([finding()], [one, replace(one, dataset="musdb18", verdict="undecided")], {})
    places = (
        "band, experiment mixing +0.40 dB holds",
        "musdb18, experiment mixing +0.40 dB undecided",
    )
    assert entry.lines == [", ".join(places)]


def test_names_of_tests_are_sentences():
    assert sentence("tests/x/test_y.py::test_silence_stays_silent") == "silence stays silent"


def test_the_page_has_a_row_for_each_and_is_well_formed():
    entries = judge(FINDINGS, [], {})
    page = Page(ledger_html(entries, lambda chapter: f"{chapter}.ipynb"))
    assert page.open == []
    rows = {row[0]: row for row in page.rows}
    assert set(rows) >= {one.id for one in FINDINGS}
    assert (
        rows["S4.12"][1].startswith("The question of the title") and rows["S4.12"][2] == "–not run"
    )
    assert any(one.name in row[0] for row in page.rows for one in DOCUMENTS.values())
    assert set(page.links) == {f"{n}.ipynb" for one in FINDINGS for n in one.chapters}
    legend = Page(legend_html(entries))
    counts = {re.sub(r"^\W+", "", row[0]): int(row[1]) for row in legend.rows[1:]}
    assert sum(counts.values()) == 35 and list(counts) == list(STATES)


def test_the_page_shows_what_documents_say_as_text():
    evil = Finding("S9", "004", "<b>&", ("claim",), ("07",), "<i>", "<u>", ())
    page = Page(ledger_html(judge([evil], [], {})))
    assert page.open == [] and ["S9", "<b>&", "–not run", "run <i>"] == page.rows[-1][:4]


ROW = dict(zip(COLUMNS, ("S9.1", "004", "So it is.", "claim", "07", "sepkit doctor", "", "")))


@pytest.mark.parametrize(
    "change, says",
    [
        ({"document": "009"}, "line 2: unknown document '009'"),
        ({"kind": "rumour"}, "line 2: unknown kind 'rumour'"),
        ({"kind": ""}, "line 2: unknown kind ''"),
        ({"reported": ""}, "line 2: S9.1 has no sentence or no command"),
        ({"command": ""}, "line 2: S9.1 has no sentence or no command"),
        ({"kind": "feature"}, "line 2: S9.1 is a feature without a test"),
    ],
)
def test_faulty_rows_are_refused(tmp_path, change, says):
    path = tmp_path / "findings.csv"
    path.write_text("\n".join((",".join(COLUMNS), ",".join((ROW | change).values()))) + "\n")
    with pytest.raises(SepkitError, match=re.escape(says)):
        load_findings(path)


def test_a_finding_that_is_stated_twice_is_refused(tmp_path):
    path = tmp_path / "findings.csv"
    path.write_text("\n".join((",".join(COLUMNS), *2 * [",".join(ROW.values())])) + "\n")
    with pytest.raises(SepkitError, match="line 3: S9.1 is stated twice"):
        load_findings(path)
