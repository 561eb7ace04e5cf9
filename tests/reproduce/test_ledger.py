"""The ledger: the right numbers side by side, and never two things in one column."""

import math
import statistics

import pytest

from sepkit.errors import SepkitError
from sepkit.files import provenance
from sepkit.metrics.scores import Score, card_for
from sepkit.reproduce import ledger

HEAD = "system,target,value,dataset,metric,extra_training_data,source\n"
FOUR = ("vocals", "drums", "bass", "other")


def scores(separator, values, dataset="musdb18", metric="csdr", target="vocals", targets=FOUR, **said):
    origin = provenance(device="cpu", seed=0, profile="smoke", **said)
    card = card_for(metric, targets)
    return [Score(f"song {i}", target, metric, value, separator, dataset, card, origin) for i, value in enumerate(values)]


def test_the_shipped_numbers_are_complete_and_exact():
    """Spot values, straight from the published tables."""
    reported = {(r.system, r.target, r.dataset, r.metric, r.extra_training_data): r.value for r in ledger.load_reported()}
    assert reported["Open-Unmix UMX", "vocals", "MUSDB18", "cSDR", False] == 6.32
    assert reported["Open-Unmix UMXHQ", "other", "MUSDB18-HQ", "cSDR", False] == 4.28
    assert reported["Oracle IRM1", "bass", "MUSDB18", "cSDR", False] == 6.181
    assert reported["BSRNN", "vocals", "MUSDB18-HQ", "uSDR", False] == 10.04
    assert reported["BSRNN (thesis, + validation data)", "vocals", "MUSDB18-HQ", "cSDR", False] == 7.94
    assert len(reported) == len(ledger.load_reported()) == 153


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "UMX,vocals,6.3,MUSDB18,cSDR,no,\n", "line 2: UMX has no source"),
        (HEAD + "UMX,vocals,six,MUSDB18,cSDR,no,paper\n", "line 2: value 'six' is not a number"),
        (HEAD + "UMX,vocals,6.3,MUSDB18,SDR,no,paper\n", "line 2: unknown metric 'SDR': choose from cSDR, uSDR, siSDR"),
        (HEAD + "UMX,vocals,6.3,MUSDB18,cSDR,no,a\nUMX,vocals,6.4,MUSDB18,cSDR,no,b\n", "line 3: UMX, vocals is stated twice"),
        ("system,target,value\nUMX,vocals,6.3\n", "column 'dataset' is missing"),
    ],
)
def test_reported_numbers_with_faults_are_refused(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(SepkitError, match=message) as caught:
        ledger.load_reported(path)
    assert str(path) in str(caught.value)


def test_reported_and_ours_meet_where_data_set_and_card_are_the_same():
    (ours, *rest) = ledger.tables(ledger.load_reported(), scores("irm1", [8.0, 8.5, 20.0, math.nan]))
    assert (ours.dataset, ours.metric) == ("MUSDB18", "cSDR") and ours.targets == FOUR
    (row,) = [row for row in ours.rows if row.ours]
    assert row.system == "Oracle IRM1" and row.songs == 3 and row.source == "SiSEC 2018 published scores"
    assert row.ours["vocals"] == statistics.median([8.0, 8.5, 20.0])
    assert row.difference("vocals") == pytest.approx(8.5 - 8.516) and row.difference("drums") is None
    assert len(ours.rows) == len({(r.system, r.extra_training_data) for r in ledger.load_reported() if (r.dataset, r.metric) == ("MUSDB18", "cSDR")})
    assert not any(table.measured for table in rest), "published tables without a number of ours follow"


def test_a_mean_metric_is_summarised_by_the_mean():
    (table,) = ledger.tables([], scores("irm1", [1.0, 2.0, 9.0], metric="usdr"))
    assert table.metric == "uSDR" and table.rows[0].ours == {"vocals": 4.0}


def test_band_scores_never_enter_a_musdb_column():
    band = scores("irm1", [9.0], dataset="band")
    joined = ledger.tables(ledger.load_reported(), band)
    assert joined[0].dataset == "band" and not any(row.reported for row in joined[0].rows)
    assert not any(row.ours for table in joined[1:] for row in table.rows)
    with pytest.raises(SepkitError, match="irm1, song 0: measured on band, cannot enter a column of MUSDB18"):
        ledger.table(ledger.load_reported(), band, "MUSDB18", "cSDR")
    with pytest.raises(SepkitError, match="labelled musdb18, but measured on band"):
        ledger.tables([], scores("irm1", [9.0], dataset="musdb18", data="band"))
    with pytest.raises(SepkitError, match="measured on musdb7s, cannot enter a column of MUSDB18"):
        ledger.table([], scores("irm1", [9.0], dataset="musdb7s"), "MUSDB18", "cSDR")


def test_cards_are_never_mixed():
    two = scores("irm1", [9.0], targets=("vocals", "accompaniment")) + scores("irm1", [8.0])
    tables = [table for table in ledger.tables(ledger.load_reported(), two) if table.measured]
    assert len(tables) == 2
    other = next(table for table in tables if "accompaniment" in table.card["target_set"])
    assert not any(row.reported for row in other.rows), "two-source scores follow another card than the published ones"
    with pytest.raises(SepkitError, match="2 different metric cards"):
        ledger.table([], two, "MUSDB18", "cSDR")
    with pytest.raises(SepkitError, match="usdr cannot enter a column of cSDR"):
        ledger.table([], scores("irm1", [9.0], metric="usdr"), "MUSDB18", "cSDR")


def test_a_number_without_provenance_is_refused():
    score = scores("irm1", [9.0])[0]
    bare = Score(**{**score.__dict__, "provenance": {"sepkit": "0.1.0"}})
    with pytest.raises(SepkitError, match="irm1, song 0, vocals: the score has no provenance .commit, command, device, seed, profile"):
        ledger.tables([], [bare])


def test_chapters_that_disagree_keep_a_row_each():
    same, other = scores("mixture", [1.0], dataset="band"), scores("mixture", [2.0], dataset="band")
    (table,) = ledger.tables([], {"01_a": same, "02_b": same, "03_c": other})
    assert [(row.system, row.ours["vocals"]) for row in table.rows] == [
        ("mixture (01_a)", 1.0), ("mixture (03_c)", 2.0),
    ]  # fmt: skip
