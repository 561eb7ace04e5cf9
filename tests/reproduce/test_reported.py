"""The numbers that the five documents print, checked against their text where it is at hand."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from sepkit.errors import SepkitError
from sepkit.reproduce.published import DOCUMENTS, PRINTED, load_printed, load_reported

SEEDS = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "seeds")
needs_text = pytest.mark.skipif(
    not SEEDS.is_dir(), reason="SEPKIT_SOURCES has no texts of the documents"
)


@pytest.fixture(scope="module")
def printed():
    return load_printed()


@pytest.fixture(scope="module")
def lines():
    return {
        path.name[:3]: path.read_text(encoding="utf-8").split("\n") for path in SEEDS.glob("*.txt")
    }


def of(printed, document, table):
    return [row for row in printed if (row.document, row.table) == (document, table)]


def test_every_table_is_there_with_all_its_numbers(printed):
    """Rows times columns, counted on the documents' pages."""
    counted = {
        ("000", "museval printout 1"): 2 * 4,
        ("000", "museval printout 2"): 2 * 4,
        ("003", "Table 1"): 5,
        ("004", "Table 2.1"): 10 * 4,
        ("004", "Table 5.1"): 3 * 5,
        ("004", "Table 5.2"): 3,
        ("004", "Table 5.3"): 3 * 5,
        ("004", "Table 5.4"): 3 * 4,
        ("004", "Table 5.5"): 3 * 2,
        ("004", "Table 5.6"): 3 * 3,
        ("004", "Figure 5.1"): 5 * 8,
    }
    found = Counter((row.document, row.table) for row in printed)
    assert {table: found[table] for table in counted} == counted
    assert set(DOCUMENTS) == {row.document for row in printed}
    keys = [
        (row.document, row.table, row.item, row.quantity, row.metric, row.value) for row in printed
    ]
    assert len(keys) == len(set(keys))


def test_spot_values(printed):
    """Read off the documents' pages."""
    found = {
        (row.document, row.table, row.item, row.quantity, row.metric): row.value for row in printed
    }
    assert (
        found["000", "VM setup", "ResUNet, one song, 2 vCPU and 4 GB", "separation time", ""]
        == 1160.948
    )
    assert found["000", "museval printout 2", "accompaniment", "value", "ISR"] == 35.266
    assert (
        found["003", "section 3.4.4", "Dual loss, first batch", "training loss", "dual loss"]
        == 13559.297
    )
    assert found["004", "Table 5.1", "starting checkpoint", "sd", "SI-SDR"] == 11.47
    assert found["004", "Table 5.3", "remix, 400 epochs, 5200 samples", "t", "SI-SDR"] == -12.8
    assert (
        found["004", "Table 5.4", "remix minus starting checkpoint", "difference of means", "cSDR"]
        == 0.33
    )
    assert found["004", "Table 2.1", "SCNet-large +235", "mean of four targets", "cSDR"] == 9.92
    assert found["004", "Figure 5.1", "Apr 2024, RTX A5000", "billed time", ""] == 67.8
    assert found["000", "museval printout 1", "vocals", "value", "SDR"] is None, "printed as nan"
    assert all(row.value is None and row.printed == "N/A" for row in of(printed, "003", "Table 1"))


def test_the_billed_hours_do_not_sum_to_those_of_the_text(printed):
    """An erratum that the table itself shows: 262.5 h in the figure, 266 h in the text."""
    hours = sum(
        row.value
        for row in of(printed, "004", "Figure 5.1")
        if row.item.endswith("total") and row.unit == "h"
    )
    (told,) = [row.value for row in printed if row.item == "of them rented"]
    assert (round(hours, 1), told) == (262.5, 266)


@needs_text
def test_titles_and_authors_stand_on_the_first_page(lines):
    for number, document in DOCUMENTS.items():
        page = " ".join(" ".join(lines[number][:40]).split()).casefold()
        for said in (document.title, *filter(None, document.authors.split(", "))):
            assert said.casefold() in page, (number, said)


@needs_text
def test_every_number_stands_in_the_line_that_it_names(printed, lines):
    for row in printed:
        assert row.printed in lines[row.document][row.line - 1], row


@needs_text
def test_values_are_what_is_printed(printed):
    """The value, in the row's unit, is among the printed numbers; spelled-out ones are listed."""
    spelled = {
        "two out of four": 2,
        "four Nvidia GeForce RTX 3090s": 4,
        "1 hour and 20 minutes": 80,
        "29k": 29000,
        "35k": 35000,
        "about 20k": 20000,
        "1.0×10^{-3}": 0.001,
    }
    for row in printed:
        numbers = [
            float(text)
            for text in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", row.printed.replace(",", " "))
        ]
        if row.value is None:
            assert row.printed in ("nan", "N/A", "—"), row
        elif row.printed in spelled:
            assert row.value == spelled[row.printed]
        else:
            assert any(
                abs(row.value - number) < 1e-9 or abs(row.value + number) < 1e-9
                for number in numbers
            ), row


@needs_text
def test_tables_are_complete_cell_by_cell(printed, lines):
    """Every cell of every tab-separated table with a number in it, in the order of the page."""
    wanted = {}
    for number, line in enumerate(lines["004"], start=1):
        cells = line.split("\t")
        if (
            len(cells) > 1
            and number > 300
            and re.match(r"(cSDR|uSDR|siSDR|[A-Z][a-z]{2} 20\d\d)$", cells[0])
        ):
            wanted[number] = cells[1:]
        elif (
            len(cells) == 8 and cells[6].replace(".", "").isdigit()
        ):  # Table 2.1: model, size, ..., extra, ..., vocal, mean
            wanted[number] = [cells[1], cells[4], cells[6], cells[7]]
    for number, line in enumerate(lines["003"], start=1):
        if line.endswith("\tN/A"):
            wanted[1000 + number] = ["N/A"]
    found = {}
    for row in printed:
        if row.table.startswith("Table") or row.table == "Figure 5.1":
            found.setdefault(row.line + 1000 * (row.document == "003"), []).append(row.printed)
    assert found == wanted and len(wanted) == 5 + 10 + 6 * 3 + 5


@needs_text
def test_museval_printouts_are_complete(printed, lines):
    for number, line in enumerate(lines["000"], start=1):
        if "==> SDR:" in line:
            ratios = dict(re.findall(r"([A-Z]{3}):\s+(\S+)", line))
            assert ratios == {
                row.metric: row.printed
                for row in printed
                if (row.document, row.line) == ("000", number) and row.table.startswith("museval")
            }


def test_the_thesis_means_are_those_of_the_score_table(printed):
    """scores.csv repeats the means, and says that they are no medians."""
    names = {
        "starting checkpoint": "BSRNN (starting checkpoint of the thesis)",
        "with validation data, 35k samples, 100 epochs": "BSRNN (thesis, + validation data)",
        "remix, 400 epochs, 5200 samples": "BSRNN (thesis, remix)",
        "remix and augmentation, 29k samples, 100 epochs": "BSRNN (thesis, remix + augmentation)",
    }
    means = {
        (names[row.item], row.metric): row.value
        for row in printed
        if row.quantity == "mean" and row.item in names
    }
    repeated = {
        (row.system, row.metric): row.value
        for row in load_reported()
        if row.system in names.values()
    }
    assert means == repeated and len(means) == 12
    assert all(
        ("2772" in row.aggregation) == (row.system in names.values()) for row in load_reported()
    )


@pytest.mark.parametrize(
    "change, says",
    [
        ({"document": "009"}, "line 2: unknown document '009'"),
        ({"line": ""}, "line 2: UMX has no table, line or printed text"),
        ({"printed": ""}, "line 2: UMX has no table, line or printed text"),
        ({"value": "six"}, "line 2: value 'six' is not a number"),
    ],
)
def test_rows_without_provenance_are_refused(tmp_path, change, says):
    row = (
        dict.fromkeys(PRINTED, "")
        | {
            "document": "004",
            "table": "Table 9",
            "line": "7",
            "item": "UMX",
            "printed": "6.3",
            "value": "6.3",
        }
        | change
    )
    path = tmp_path / "printed.csv"
    path.write_text(",".join(PRINTED) + "\n" + ",".join(row[key] for key in PRINTED) + "\n")
    with pytest.raises(SepkitError, match=says):
        load_printed(path)
