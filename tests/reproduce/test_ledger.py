"""The ledger: the right numbers side by side, and never two things in one column."""

import math
import statistics

import pytest

from sepkit.errors import SepkitError
from sepkit.files import provenance
from sepkit.metrics import Score, card_for
from sepkit.reproduce import ledger
from sepkit.stems import STEMS

from .tools import scores

HEAD = "system,target,value,dataset,metric,extra_training_data,source\n"


def test_the_shipped_numbers_are_complete_and_exact():
    """Spot values, straight from the published tables."""
    reported = {
        (r.system, r.target, r.dataset, r.metric, r.extra_training_data): r.value
        for r in ledger.load_reported()
    }
    assert reported["Open-Unmix UMX", "vocals", "MUSDB18", "cSDR", False] == 6.32
    assert reported["Open-Unmix UMXHQ", "other", "MUSDB18-HQ", "cSDR", False] == 4.28
    assert reported["Oracle IRM1", "bass", "MUSDB18", "cSDR", False] == 6.181
    assert reported["BSRNN", "vocals", "MUSDB18-HQ", "uSDR", False] == 10.04
    assert (
        reported["BSRNN (thesis, + validation data)", "vocals", "MUSDB18-HQ", "cSDR", False] == 7.94
    )
    assert len(reported) == len(ledger.load_reported()) == 161


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "UMX,vocals,6.3,MUSDB18,cSDR,no,\n", "line 2: UMX has no source"),
        (HEAD + "UMX,vocals,six,MUSDB18,cSDR,no,paper\n", "line 2: value 'six' is not a number"),
        (
            HEAD + "UMX,vocals,6.3,MUSDB18,SDR,no,paper\n",
            "line 2: unknown metric 'SDR': choose from cSDR, uSDR, SI-SDR",
        ),
        (
            HEAD + "UMX,vocals,6.3,MUSDB18,cSDR,no,a\nUMX,vocals,6.4,MUSDB18,cSDR,no,b\n",
            "line 3: UMX, vocals is stated twice",
        ),
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
    (ours, *rest) = ledger.tables(
        ledger.load_reported(), scores("irm1", [8.0, 8.5, 20.0, math.nan])
    )
    assert (ours.dataset, ours.metric) == ("MUSDB18", "cSDR") and ours.targets == STEMS
    (row,) = [row for row in ours.rows if row.ours]
    assert (
        row.system == "Oracle IRM1"
        and row.songs == 3
        and row.source == "SiSEC 2018 published scores"
    )
    assert row.ours["vocals"] == statistics.median([8.0, 8.5, 20.0])
    assert (
        row.difference("vocals") == pytest.approx(8.5 - 8.516) and row.difference("drums") is None
    )
    assert len(ours.rows) == len(
        {
            (r.system, r.extra_training_data)
            for r in ledger.load_reported()
            if (r.dataset, r.metric) == ("MUSDB18", "cSDR")
        }
    )
    assert not any(table.measured for table in rest), (
        "published tables without a number of ours follow"
    )


def test_a_mean_metric_is_summarised_by_the_mean():
    (table,) = ledger.tables([], scores("irm1", [1.0, 2.0, 9.0], metric="usdr"))
    assert table.metric == "uSDR" and table.rows[0].ours == {"vocals": 4.0}


def test_band_scores_never_enter_a_musdb_column():
    band = scores("irm1", [9.0], dataset="band")
    joined = ledger.tables(ledger.load_reported(), band)
    assert joined[0].dataset == "band" and not any(row.reported for row in joined[0].rows)
    assert not any(row.ours for table in joined[1:] for row in table.rows)
    with pytest.raises(
        SepkitError, match="irm1, song 0: measured on band, cannot enter a column of MUSDB18"
    ):
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
    assert not any(row.reported for row in other.rows), (
        "two-source scores follow another card than the published ones"
    )
    with pytest.raises(SepkitError, match="2 different metric cards or sets of songs"):
        ledger.table([], two, "MUSDB18", "cSDR")
    with pytest.raises(SepkitError, match="usdr cannot enter a column of cSDR"):
        ledger.table([], scores("irm1", [9.0], metric="usdr"), "MUSDB18", "cSDR")


def test_a_number_without_provenance_is_refused():
    score = scores("irm1", [9.0])[0]
    bare = Score(**{**score.__dict__, "provenance": {"sepkit": "0.1.0"}})
    with pytest.raises(
        SepkitError,
        match="irm1, song 0, vocals: the score has no provenance "
        ".commit, command, device, seed, profile",
    ):
        ledger.tables([], [bare])


def test_chapters_that_disagree_keep_a_row_each():
    same, other = scores("mixture", [1.0], dataset="band"), scores("mixture", [2.0], dataset="band")
    (table,) = ledger.tables([], {"01_a": same, "02_b": same, "03_c": other})
    assert [(row.system, row.ours["vocals"]) for row in table.rows] == [
        ("mixture (01_a)", 1.0),
        ("mixture (03_c)", 2.0),
    ]


def test_means_over_other_songs_have_tables_of_their_own():
    """A network scored on the first three songs, another on all eight: 3.0 and 5.5 dB."""
    values = [float(k) for k in range(2, 10)]
    three = scores("a", values[:3], dataset="band", metric="usdr")
    eight = scores("b", values, dataset="band", metric="usdr")
    many, few = ledger.tables([], {"04_x": three, "05_y": eight})
    assert (many.title, few.title) == ("uSDR on band (dB), 8 songs", "uSDR on band (dB), 3 songs")
    assert [row.system for row in many.rows] == ["b"] and [row.system for row in few.rows] == ["a"]
    assert few.songs == ("song 0", "song 1", "song 2")
    with pytest.raises(SepkitError, match="2 different metric cards or sets of songs"):
        ledger.table([], three + eight, "band", "uSDR")
    common = ledger.over_common_songs([three, eight])
    (one,) = ledger.tables([], [score for part in common for score in part])
    assert [row.ours["vocals"] for row in one.rows] == [3.0, 3.0] and one.songs == few.songs


def test_published_numbers_stand_beside_the_most_songs():
    tables = ledger.tables(ledger.load_reported(), irm1(0.0)[:4] + irm2(0.0))
    many, few = (table for table in tables if table.measured)
    assert len(many.songs) == 50 and any(row.difference("vocals") for row in many.rows)
    assert len(few.songs) == 4 and not any(row.reported for row in few.rows)


def test_a_song_that_one_system_has_no_score_for_counts_for_none():
    a = scores("a", [1.0, 5.0, math.nan], dataset="band", metric="usdr")
    b = scores("b", [2.0, 6.0, 40.0], dataset="band", metric="usdr")
    silent = scores("c", [math.nan] * 3, dataset="band", metric="usdr")
    (table,) = ledger.tables([], a + b + silent)
    found = {row.system: (row.ours, row.songs) for row in table.rows}
    assert found == {"a": ({"vocals": 3.0}, 2), "b": ({"vocals": 4.0}, 2), "c": ({}, 0)}


def test_versions_of_the_band_are_never_one_table():
    old = scores("a", [1.0], dataset="band", metric="usdr")
    new = scores("b", [2.0], dataset="band", metric="usdr", band=2)
    assert len(ledger.tables([], old + new)) == 2


def irm2(shift):
    """As `irm1`, for the other ratio mask."""
    return [Score(**{**vars(score), "separator": "irm2"}) for score in irm1(shift)]


def irm1(values, seed=0, **said):
    """Scores of the oracle on 50 songs: `values` shifts the published median."""
    card, origin = (
        card_for("csdr", STEMS),
        provenance(device="cpu", seed=seed, profile="smoke", **said),
    )
    values = [8.516 + values + (i % 2 - 0.5) * 1e-3 for i in range(50)]
    return [
        Score(f"song {i}", "vocals", "csdr", value, "irm1", "musdb18", card, origin)
        for i, value in enumerate(values)
    ]


def verdict(measured, system="Oracle IRM1"):
    table = ledger.table(ledger.load_reported(), measured, "MUSDB18", "cSDR")
    (row,) = [row for row in table.rows if row.ours]
    assert row.system == system
    return table.verdict(row, "vocals")


def test_inference_holds_within_a_tenth_of_a_decibel_on_all_songs():
    assert verdict(irm1(0.09)) == "holds" and verdict(irm1(-0.09)) == "holds"
    assert verdict(irm1(0.11)) == "fails" and verdict(irm1(-0.11)) == "fails"
    assert verdict(irm1(0.0)[:49]) == "undecided: 49 of 50 songs"


def test_a_retraining_is_judged_by_its_own_spread_over_seeds():
    def trained(*shifts):
        return [
            score
            for seed, shift in enumerate(shifts)
            for score in irm1(shift, seed, repeats="Open-Unmix UMX")
        ]

    gap = 6.32 - 8.516  # what brings the scores to UMX's published vocals
    assert verdict(trained(gap), "Open-Unmix UMX") == "undecided: 1 of 3 seeds"
    assert verdict(trained(gap, gap), "Open-Unmix UMX") == "undecided: 2 of 3 seeds"
    assert verdict(trained(gap, gap + 0.2, gap + 0.4), "Open-Unmix UMX") == "holds", (
        "mean 0.2 dB off, spread 0.4 dB"
    )
    assert verdict(trained(gap + 0.5, gap + 0.6, gap + 0.7), "Open-Unmix UMX") == "fails", (
        "mean 0.6 dB off, spread 0.2 dB"
    )
    table = ledger.table(
        ledger.load_reported(), trained(gap, gap + 0.2, gap + 0.4), "MUSDB18", "cSDR"
    )
    (row,) = [row for row in table.rows if row.ours]
    assert (
        row.ours["vocals"] == pytest.approx(6.52)
        and row.spread["vocals"] == pytest.approx(0.4)
        and (row.seeds, row.songs) == (3, 50)
    )


def test_two_published_systems_cannot_be_repeated_at_once():
    with pytest.raises(SepkitError, match="irm1: its scores claim to repeat A and B"):
        ledger.tables([], irm1(0, repeats="A") + irm1(0, repeats="B"))


def test_excerpts_keep_a_table_of_their_own_without_published_numbers():
    joined = ledger.tables(
        ledger.load_reported(), irm1(0.0) + irm1(1.0, excerpt="8 s from the middle")
    )
    whole, parts = sorted(
        (table for table in joined if table.measured), key=lambda table: table.excerpts
    )
    assert parts.title == "cSDR on MUSDB18 (dB), excerpts, 50 songs" and not any(
        row.reported for row in parts.rows
    )
    assert any(row.difference("vocals") is not None for row in whole.rows)


def test_a_mean_over_chunks_never_enters_a_column_of_medians():
    tables = [
        table
        for table in ledger.tables(ledger.load_reported(), [])
        if (table.dataset, table.metric) == ("MUSDB18-HQ", "cSDR")
    ]
    assert sorted(table.aggregation for table in tables) == [
        "",
        "mean over 2772 overlapping chunks of 6 s",
    ]
    (chunks,) = [table for table in tables if table.aggregation]
    assert all("thesis" in row.system for row in chunks.rows) and len(chunks.rows) == 4
    assert not any(
        "thesis" in row.system for table in tables if not table.aggregation for row in table.rows
    )
    assert chunks.title == "cSDR on MUSDB18-HQ (dB), mean over 2772 overlapping chunks of 6 s"


def test_published_numbers_stay_visible_when_ours_follow_another_card():
    two = scores("irm1", [9.0], targets=("vocals", "accompaniment"))
    published = [
        table for table in ledger.tables(ledger.load_reported(), two) if not table.measured
    ]
    assert any((table.dataset, table.metric) == ("MUSDB18", "cSDR") for table in published)
