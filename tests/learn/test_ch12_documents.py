"""Tables of the documents with our column: marks, sums, columns and errata."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sepkit.learn.ch12 import documents
from sepkit.metrics.cards import METRICS, card_for
from sepkit.metrics.scores import Score
from sepkit.metrics.statistics import Comparison
from sepkit.reproduce import errata
from sepkit.reproduce.claims import Outcome, load_claims
from sepkit.reproduce.findings import judge, load_findings
from sepkit.reproduce.published import DOCUMENTS

CHAPTER = Path(__file__).parents[2] / "notebooks" / "12_tables.ipynb"


def arm(experiment, name, songs, seeds=(0, 1), value=5.0):
    """Scores of an experiment's arm in the three metrics, `value` + seed for every song."""
    return [
        Score(
            song, "vocals", metric, value + seed, name, "band, 16 kHz mono",
            card_for(metric, ("vocals",)), {"seed": seed, "experiment": experiment},
        )
        for metric in ("csdr", "usdr", "si_sdr")
        for seed in seeds
        for song in songs
    ]  # fmt: skip


def measured(songs=("x", "y"), **more):
    found = {}
    for experiment, name in documents.STEPS.values():
        own = found.setdefault(f"experiment {experiment}", [])
        own += arm(experiment, name, more.get(name.replace(" ", "_"), songs))
    return found


def test_a_cross_stands_where_an_erratum_says_so():
    """The misprinted numbers of Tables 5.1, 5.3 and 5.4, by hand."""
    wrong = {
        "Table 5.1": {("p", "cSDR")},
        "Table 5.3": {("t", "SI-SDR"), ("se", "SI-SDR")},
        "Table 5.4": {("se", "uSDR"), ("se", "SI-SDR")},
    }
    for table, expected in wrong.items():
        frame = documents.recomputed(table)
        marked = {
            (quantity, metric)
            for (metric, head), column in frame.items()
            for quantity, text in column.items()
            if head == "recomputed" and "✘" in text
        }
        assert marked == expected, table


def test_recomputed_numbers_are_those_of_the_printed_moments():
    frame = documents.recomputed("Table 5.3")
    assert frame.loc["se", ("SI-SDR", "recomputed")].startswith("0.083")
    low, high = map(float, frame.loc["t", ("uSDR", "recomputed")].split(" to "))
    assert low < (7.13 - 6.9897) / (2.63 / 2772**0.5) < high
    assert frame.loc["mean", ("cSDR", "printed")] == "7.00 dB"
    assert "e-" in documents.recomputed("Table 5.4").loc["p", ("cSDR", "recomputed")]


def test_the_billed_hours_are_summed():
    table = documents.bills()
    assert table.loc["sum", "total"] == pytest.approx(262.5)
    months = table.drop("sum")
    assert table.loc["sum", "of none of the three"] == pytest.approx(262.5 - 257.4)
    assert list(months.index) == ["Apr 2024", "Mar 2024", "Feb 2024", "Jan 2024", "Dec 2023"]


def test_sizes_are_printed_beside_counted():
    table = documents.sizes()
    assert len(table) == 10
    assert list(table.loc["SCNet"])[:2] == ["10.08", "10.58"]
    assert table.loc["MDX", "counted here (M)"] == ""


def test_a_printout_has_a_column_for_each_ratio():
    first, second = documents.printout(1), documents.printout(2)
    assert list(first.columns) == list(second.columns) == ["SDR", "SIR", "ISR", "SAR"]
    assert list(first.loc["accompaniment"]) == ["3.522", "140.229", "3.522", "140.228"]
    assert second.loc["vocals", "SDR"] == "-1.775"


def test_loading_is_told_before_and_after():
    table = documents.loading()
    assert list(table["GPU use"]) == ["at most 10 %", "40 %"]
    assert list(table["time an epoch"]) == ["20 min", "13 min"]
    assert list(table["batch size"]) == ["16", "1"]


def test_a_column_holds_one_metric_of_one_data_set():
    table = documents.steps(measured())
    heads = {"MUSDB18-HQ, printed", "band, 16 kHz mono, 2 songs, 2 seeds, ours"}
    assert {head for _, head in table.columns} == heads
    assert [metric for metric, _ in table.columns][::2] == ["cSDR", "uSDR", "SI-SDR"]
    start = table.iloc[0]
    assert start["uSDR", "MUSDB18-HQ, printed"] == "6.88 ± 2.49 dB"
    assert start["uSDR"].iloc[1] == "5.50 ± 0.71 dB"


def test_means_are_over_the_songs_that_all_arms_share():
    more = measured(augmented_x7=("x", "y", "z"), remix_probability_0=("x",))
    (head,) = {head for _, head in documents.steps(more).columns if head.endswith("ours")}
    assert head.startswith("band, 16 kHz mono, 2 songs")
    few = measured(augmented_x7=("x",))
    (head,) = {head for _, head in documents.steps(few).columns if head.endswith("ours")}
    assert head.startswith("band, 16 kHz mono, 1 song,")


def test_without_experiments_the_tables_show_what_is_printed_alone():
    table = documents.steps({})
    assert {head for _, head in table.columns} == {"MUSDB18-HQ, printed", "not run here"}
    assert (table.xs("not run here", axis=1, level=1) == "").all(axis=None)
    assert documents.by_heart({}).shape == (1, 6)


def test_arms_that_learn_by_heart_get_rows_of_their_own():
    scores = arm("overfit", "L1", ["x"], seeds=(0,), value=10.0)
    table = documents.by_heart({"experiment overfit": scores})
    assert list(table.index) == ["thesis, the loss of the paper", "L1"]
    assert list(table.loc["L1"]) == ["", "10.00 dB"] * 3


@pytest.mark.parametrize("number", DOCUMENTS)
def test_errata_are_folded_behind_their_number(number):
    page = documents.errata_html(number)
    own = [row for row in errata.load_errata() if row.document == number]
    assert f"<details><summary>{len(own)} errata" in page and page.endswith("</details>")
    assert page.count("<tr>") == 1 + len(own)
    assert not re.search(r"\$\d", page), "a price is no formula"


def test_metrics_that_the_tables_name_are_known():
    assert {"csdr", "usdr", "si_sdr"} <= set(METRICS)


def outcome(name, verdict, effect=0.4, **more):
    claim = next(claim for claim in load_claims() if claim.id == name)
    compared = Comparison(effect, effect - 0.1, effect + 0.1, 0.01, 20, 0, 0.01)
    return Outcome(claim, verdict, "band", "", compared, 0.01, **more)


def test_a_statement_stands_once_and_no_column_is_empty():
    found = [
        outcome("S0.3a", "holds", network="one"),
        outcome("S0.3a", "undecided", network="two"),
        outcome("S0.3b", "holds", network="one"),
        outcome("S1.1", "holds"),
    ]
    table = documents.claims_table(found, "000")
    assert list(table["claim"]) == ["S0.3a", "", "S0.3b"]
    assert list(table["statement"] != "") == [True, False, True]
    how = {claim.id: claim.how for claim in load_claims()}
    assert list(table["what is compared"]) == [how["S0.3a"], "", how["S0.3b"]]
    assert list(table["network"]) == ["one", "two", "one"]
    assert "by seed" not in table and "family" not in table
    assert "network" not in documents.claims_table(found, "001")


def test_the_table_says_what_was_counted():
    found = [outcome(name, "holds") for name in ("S4.5", "S4.8", "S4.4c", "S4.3a")]
    counted = ["20 songs", "20 blocks", "20 trainings", "20 excerpts"]
    table = documents.claims_table(found, "004")
    assert list(table["n"]) == counted and "songs" not in table
    of_speech = replace(outcome("S0.4a", "holds"), dataset="speech of the band")
    assert list(documents.claims_table([of_speech], "000")["n"]) == ["20 speakers or pairs"]


def test_an_oracle_has_one_name():
    names = [documents.shown(name) for name in ("irm1", "psm", "ica", "Oracle IRM1")]
    assert names == ["Oracle IRM1", "Oracle PSM", "ica", "Oracle IRM1"]


def test_a_verdict_is_hidden_until_there_is_a_bet():
    found = [
        outcome("S3.2b", "one network", 1.0, seeds=1),
        outcome("S3.2b", "holds", 1.8, seeds=8),
        outcome("S2.4b", "fails", -0.2, seeds=8),
    ]
    table = documents.bets_table({"S3.2b": "", "S2.4b": "perhaps"}, found)
    assert list(table["found"]) == ["bet first", "write one of the three words"]
    assert list(table[""]) == ["", ""]
    table = documents.bets_table({"S3.2b": " Holds ", "S2.4b": "holds"}, found)
    assert list(table["found"]) == ["holds (+1.80 dB)", "fails (-0.20 dB)"]
    assert list(table[""]) == ["✔", "✘"]


def test_the_map_leads_every_finding_to_the_section_of_its_document():
    shown = documents.map_html(judge(load_findings(), [], {}))
    marks = re.findall(
        r'<a href="(#[^"]+)" title="[^"]+" style="[^"]+"><b>.</b> (S\d\.\d+)</a>', shown
    )
    assert [name for _, name in marks] == [finding.id for finding in load_findings()]
    places = {name: place for place, name in marks}
    features = {one.id for one in load_findings() if one.kind == ("feature",)}
    assert {places[name] for name in features} == {"#The-ledger-in-full"}, "no section has them"
    assert {
        place for name, place in places.items() if name[:3] == "S4." and name not in features
    } == {"#9.-The-remixing-thesis-(004)"}
    headings = [
        line.lstrip("#").strip().replace(" ", "-")
        for cell in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
        for line in "".join(cell["source"]).splitlines()
        if line.startswith(("## ", "### "))
    ]
    assert {place.removeprefix("#") for place, _ in marks} <= set(headings)


def test_a_claim_has_one_line_with_each_verdict_and_whom_it_is_about():
    table = documents.claims_summary(
        [
            outcome("S0.3a", "holds", network="one"),
            outcome("S0.3a", "undecided", network="two"),
            outcome("S0.3a", "holds", network="three"),
            outcome("S0.3b", "fails", network="one"),
            outcome("S1.1", "holds"),
        ],
        "000",
    )
    assert list(table.claim) == ["S0.3a", "S0.3b"]
    assert list(table.verdicts) == ["holds (one, three); undecided (two)", "fails (one)"]
