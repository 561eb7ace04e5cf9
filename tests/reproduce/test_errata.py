"""Errata: each number is computed again from other printed numbers, never read from errata.csv."""

import math
import os
import re
from pathlib import Path

import pytest

from sepkit.errors import SepkitError
from sepkit.metrics.published_tests import FIVE_TIMES, one_sample_z, two_sample_t
from sepkit.reproduce import sisec
from sepkit.reproduce.errata import CHUNKS, COLUMNS, check_thesis, load_errata
from sepkit.reproduce.published import load_printed, load_reported

SOURCES = Path(os.environ.get("SEPKIT_SOURCES", "/unset"))
METRICS = ("cSDR", "uSDR", "SI-SDR")
TARGETS = ("vocals", "drums", "bass", "other")
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e-\d+)?")


def printed(table, quantity, metric="", item="", document="004"):
    """One printed number, from printed.csv."""
    key = (document, table, quantity, metric)
    (row,) = [
        r
        for r in load_printed()
        if (r.document, r.table, r.quantity, r.metric) == key and item in r.item
    ]
    return row.value


def moments(table, metric):
    return printed(table, "mean", metric), printed(table, "sd", metric)


def mean_test(table, metric, n=CHUNKS):
    return one_sample_z(*moments(table, metric), n, FIVE_TIMES)


def difference_test(metric, n=CHUNKS):
    return two_sample_t(*moments("Table 5.3", metric), n, *moments("Table 5.1", metric), n)


def gain(table, metric):
    return printed(table, "mean", metric) - printed("Table 5.1", "mean", metric)


def spreads(metric):
    return [printed(f"Table 5.{number}", "sd", metric) for number in (1, 3, 5, 6)]


def mean_of_stems(system):
    (stems,) = [
        {r.target: r.value for r in load_reported() if r.system == system and r.metric == "cSDR"}
    ]
    return sum(stems[target] for target in TARGETS) / 4


def hours():
    return sum(
        r.value
        for r in load_printed()
        if (r.table, r.quantity) == ("Figure 5.1", "billed time") and r.item.endswith("total")
    )


def rented(month, quantity):
    return printed("Figure 5.1", quantity, item=f"{month}, RTX A4000")


def chunks_a_song():
    samples = {
        r.item: r.value for r in load_printed() if r.document == "004" and r.quantity == "samples"
    }
    return [printed("section 4.3", "chunks of the test set", item="") / 50, samples["initial"] / 86]


def ranks_of_umx():
    """Among SiSEC's supervised systems without extra data, by the shipped medians over songs."""
    table, kinds = sisec.summary(), sisec.methods()
    table = table[
        table.method.isin(
            kinds.index[(kinds.kind == "supervised") & (kinds.extra_training_data == "no")]
        )
    ]
    umx = {r.target: r.value for r in load_reported() if r.system == "Open-Unmix UMX"}
    return [
        1 + int((table[table.target == target]["median"] > umx[target]).sum()) for target in TARGETS
    ]


def spreads_over_songs():
    path = SOURCES / "facts" / "sisec18_track_medians.csv"
    if not path.is_file():
        pytest.skip("SEPKIT_SOURCES has no scores of SiSEC 2018 by song")
    table = sisec.load_sisec(path)
    return [
        table[(table.method == method) & (table.target == "vocals")].SDR.std()
        for method in ("TAK1", "RGT1", "HEL1")
    ]


def opposite():
    """The SDR of two targets when the mixture is the estimate of both: one is minus the other."""
    vocals, accompaniment = (
        printed("museval printout 2", "value", "SDR", item, "000")
        for item in ("vocals", "accompaniment")
    )
    return [(vocals - accompaniment) / 2, (accompaniment - vocals) / 2]


def half_of_bsrnn():
    (ours,) = {
        r.value
        for r in load_printed()
        if (r.item, r.quantity) == ("Band-split RNN", "mean of four targets")
    }
    theirs = printed("section 4.2.2", "mean of four targets", "SDR")
    return [ours, theirs, ours / theirs]


def increases():
    return [100 * (spreads(metric)[-1] / spreads(metric)[0] - 1) for metric in METRICS]


#: (document, place) -> the numbers of the column `recomputed`, in order, from printed ones.
RECIPES = {
    ("000", "Evaluation, output on the stereo recording, accompaniment SDR and ISR"): lambda: [
        20 * math.log10(3 / 2)
    ],
    ("000", "Evaluation, expected output on a MUSDB18 stem file"): opposite,
    ("002", "4.2, rank of UMX by median SDR"): ranks_of_umx,
    ("002", "4.2, spread of RGT1 and HEL1 on vocals"): spreads_over_songs,
    ("004", "2.1, mean SDR of SCNet"): lambda: [mean_of_stems("SCNet")],
    ("004", "2.1.5, band-split ratios of SCNet"): lambda: [1 - 0.175 - 0.392],
    ("004", "Table 2.1, mean SDR of Sparse HT Demucs"): lambda: [
        mean_of_stems("Sparse HT Demucs +800")
    ],
    ("004", "4.2.2, mean SDR 4.99 dB of the first repository"): half_of_bsrnn,
    ("004", "4.3, chunks a song"): chunks_a_song,
    ("004", "4.5.4, n of uSDR in Table 5.3"): lambda: [
        50,
        *mean_test("Table 5.3", "uSDR", n=50)[::2],
    ],
    ("004", "4.5.4, n of uSDR in Table 5.4"): lambda: [50, *difference_test("uSDR", n=50)[::2]],
    ("004", "4.7, techniques in the last experiment"): lambda: [5 - 1],
    ("004", "5.1, hours on the rented computers"): lambda: [hours()],
    ("004", "5.1, hours in all"): lambda: [
        hours() + printed("section 5.1", "GPU time", item="overfit")
    ],
    ("004", "Figure 5.1, RTX A4000 in February"): lambda: [
        rented("Feb 2024", "amount")
        / (rented("Apr 2024", "amount") / rented("Apr 2024", "billed time"))
    ],
    ("004", "Table 5.1, cSDR p"): lambda: [mean_test("Table 5.1", "cSDR").p],
    ("004", "Table 5.3, SI-SDR t"): lambda: [mean_test("Table 5.3", "SI-SDR").statistic],
    ("004", "Table 5.3, SI-SDR se"): lambda: [mean_test("Table 5.3", "SI-SDR").se],
    ("004", "Table 5.4, uSDR se"): lambda: [difference_test("uSDR").se],
    ("004", "Table 5.4, SI-SDR se"): lambda: [difference_test("SI-SDR").se],
    ("004", "Table 5.4, p"): lambda: [difference_test(metric).p for metric in METRICS],
    ("004", "5.5, size of the augmented training data"): lambda: [
        printed("section 5.1", "samples", item="augmented")
        / printed("section 5.1", "samples", item="86 training songs")
    ],
    ("004", "5.5, size of the final training data"): lambda: [
        printed("section 5.5", "samples", item="augmented and validation data")
        / printed("section 5.5", "samples", item="initial")
    ],
    ("004", "5.5, SI-SDR Std from step to step"): lambda: spreads("SI-SDR"),
    ("004", "Table 5.6, uSDR increase"): lambda: [
        100 * gain("Table 5.6", "uSDR") / printed("Table 5.1", "mean", "uSDR")
    ],
    ("004", "Table 5.6, increase in percent"): lambda: [
        10 ** (gain("Table 5.6", metric) / 10) for metric in METRICS
    ],
    ("004", "6.1, stability"): increases,
    ("004", "6.2, gain from remixing"): lambda: [gain("Table 5.3", metric) for metric in METRICS],
}
#: Numbers that no arithmetic gives: the same document states them elsewhere, or the work that it
#: quotes.
QUOTED = {
    ("000", "Introduction against Results, saxophone in Cry me a river"),
    ("002", "4.1, ISR"),
    ("003", "2.3 against 3.4.2, one epoch of the transformer on Colab"),
    ("004", "1.1, on the leaderboard"),
    ("004", "2.1.3, gain of Hybrid Transformer over Hybrid Demucs"),
    ("004", "3.3, definitions of SI-SDR"),
    ("004", "Algorithm 1, loop and length"),
    ("004", "4.5.3, hypothesis"),
    ("004", "4.6, step of the probability"),
    ("004", "Table 5.1, cSDR Std"),
}


def test_every_number_is_recomputed_or_known_to_be_quoted():
    numeric = {(e.document, e.place) for e in load_errata() if NUMBER.search(e.recomputed)}
    assert numeric == set(RECIPES) | QUOTED and not set(RECIPES) & QUOTED


@pytest.mark.parametrize("place", RECIPES, ids=": ".join)
def test_recomputed_numbers(place):
    (erratum,) = [e for e in load_errata() if (e.document, e.place) == place]
    shown, computed = NUMBER.findall(erratum.recomputed), RECIPES[place]()
    assert len(shown) == len(computed)
    for text, value in zip(shown, computed):
        digits, _, power = text.partition("e")
        half = 0.5 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
        assert abs(float(text) - value) <= half * (1 + 1e-6), f"{text} should be {value}"


def test_the_thesis_is_checked_number_by_number():
    """What does not fit its own means and deviations is in the errata; all else does fit."""
    checks = check_thesis()
    assert len(checks) == 33
    assert {(c.table, c.metric, c.quantity) for c in checks if not c.fits} == {
        ("Table 5.1", "cSDR", "p"),
        ("Table 5.3", "SI-SDR", "t"),
        ("Table 5.3", "SI-SDR", "se"),
        ("Table 5.4", "uSDR", "se"),
        ("Table 5.4", "SI-SDR", "se"),
        ("Table 5.6", "uSDR", "increase over the start"),
    }
    places = " | ".join(e.place for e in load_errata())
    for check in checks:
        if not check.fits:
            assert f"{check.table}, {check.metric} {check.quantity.split()[0]}" in places


def test_a_corrected_print_passes_the_check():
    from dataclasses import replace

    right = {("Table 5.3", "SI-SDR", "t"): "-13.92", ("Table 5.3", "SI-SDR", "se"): "0.083"}
    rows = [
        replace(r, printed=right.get((r.table, r.metric, r.quantity), r.printed))
        for r in load_printed()
    ]
    assert all(c.fits for c in check_thesis(rows) if c.table == "Table 5.3")
    rows = [
        replace(r, printed="9.99 dB")
        if (r.table, r.metric, r.quantity) == ("Table 5.1", "uSDR", "mean")
        else r
        for r in rows
    ]
    wrong = [(c.table, c.quantity) for c in check_thesis(rows) if c.metric == "uSDR" and not c.fits]
    assert ("Table 5.1", "t") in wrong and ("Table 5.4", "difference of means") in wrong


def test_claims_exist_and_every_known_erratum_is_told():
    errata = load_errata()
    assert all(re.fullmatch(r"(S\d\.\d+)?", e.claim) for e in errata)
    assert {e.document for e in errata} == {"000", "001", "002", "003", "004"}
    assert {"S0.2", "S3.5", "S4.2", "S4.4", "S4.5", "S4.7", "S4.9"} <= {e.claim for e in errata}
    claims = SOURCES / "claims.md"
    if claims.is_file():
        assert {e.claim for e in errata} - {""} <= set(
            re.findall(r"^\| (S\d\.\d+) \|", claims.read_text(), re.MULTILINE)
        )


@pytest.mark.skipif(
    not (SOURCES / "seeds").is_dir(), reason="SEPKIT_SOURCES has no texts of the documents"
)
def test_what_is_called_printed_is_printed():
    """Each number of the column `printed` stands in the document."""
    texts = {path.name[:3]: path.read_text() for path in (SOURCES / "seeds").glob("*.txt")}
    for erratum in load_errata():
        for number in NUMBER.findall(erratum.printed):
            assert number in texts[erratum.document], f"{erratum.place}: {number}"


HEAD = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "005,Table 1,1,2,because,\n", "line 2: unknown document '005'"),
        (HEAD + "004,Table 1,1,2,,S4.1\n", "line 2: why is empty; an erratum says"),
        (
            HEAD + "004,Table 1,1,2,because,\n004,Table 1,1,3,because,\n",
            "line 3: 004, Table 1 is stated twice",
        ),
        ("document,place\n004,Table 1\n", "column 'printed' is missing"),
    ],
)
def test_faulty_files_are_refused(tmp_path, text, message):
    path = tmp_path / "errata.csv"
    path.write_text(text)
    with pytest.raises(SepkitError, match=message) as caught:
        load_errata(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SepkitError, match="nowhere.csv: cannot be read"):
        load_errata(tmp_path / "nowhere.csv")
