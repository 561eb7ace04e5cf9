"""What the documents misprint, and where they contradict themselves: found, recomputed, explained.

An erratum is no reproach. Every number here was recomputed from other numbers of the
same document, which only a document that prints its numbers allows. Chapter 08.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import SepkitError
from ..files import shipped
from ..metrics.published_tests import (
    FIVE_TIMES,
    as_printed,
    one_sample_z,
    rounding_range,
    two_sample_t,
)
from .published import DOCUMENTS, Printed, load_printed, read_rows

COLUMNS = ("document", "place", "printed", "recomputed", "why", "claim")
#: Overlapping chunks of 6 s of 50 songs: the n of every test in the thesis.
CHUNKS = 2772
THESIS = "004"
START, TRAINED, DIFFERENCE, FINAL = "Table 5.1", "Table 5.3", "Table 5.4", "Table 5.6"


@dataclass(frozen=True)
class Erratum:
    """One row of errata.csv.

    `document` is a key of `reported.DOCUMENTS`, `place` a section or table of it, `claim` the
    finding that is touched, empty for a mere misprint.
    """

    document: str
    place: str
    printed: str
    recomputed: str
    why: str
    claim: str


@dataclass(frozen=True)
class Recomputed:
    """A printed number beside the range that the printed means and deviations allow.

    The range from `low` to `high` is that over all ways to round them.
    """

    table: str
    metric: str
    quantity: str
    printed: str
    low: float
    high: float
    fits: bool


def load_errata(path: str | Path | None = None) -> list[Erratum]:
    """Read the errata, in the order of the documents.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `COLUMNS`; by default the one that sepkit ships.

    Returns
    -------
    list of Erratum

    Raises
    ------
    SepkitError
        For a missing file or column, an unknown document, an empty cell other than the
        claim, or the same place twice. Names the line.
    """
    found = {}
    for where, row in read_rows(Path(path or shipped("reported", "errata.csv")), COLUMNS):
        erratum = Erratum(**{column: row[column].strip() for column in COLUMNS})
        if erratum.document not in DOCUMENTS:
            raise SepkitError(
                f"{where}: unknown document {erratum.document!r}: "
                f"choose from {', '.join(DOCUMENTS)}"
            )
        empty = [column for column in COLUMNS[:-1] if not getattr(erratum, column)]
        if empty:
            raise SepkitError(
                f"{where}: {empty[0]} is empty; an erratum says what is printed, what is right, "
                "and why"
            )
        if (erratum.document, erratum.place) in found:
            raise SepkitError(f"{where}: {erratum.document}, {erratum.place} is stated twice")
        found[erratum.document, erratum.place] = erratum
    return list(found.values())


def check_thesis(printed: list[Printed] | None = None) -> list[Recomputed]:
    """Recompute the t, se, p, differences and percentages in four tables of the thesis.

    The tables are 5.1, 5.3, 5.4 and 5.6, the tests those of its sections 4.5.3 and 4.5.4, with its
    n of 2772. What does not fit is a misprint: no means and deviations that round to the printed
    ones give it.

    Parameters
    ----------
    printed : list of Printed, optional
        By default `load_printed()`.

    Returns
    -------
    list of Recomputed
        In the order of the tables.
    """
    rows = [
        row for row in (load_printed() if printed is None else printed) if row.document == THESIS
    ]
    numbers = {(row.table, row.metric, row.quantity): _printed_number(row.printed) for row in rows}
    found = []
    for row in rows:
        allowed = _allowed(numbers, row.table, row.metric, row.quantity)
        if allowed:
            low, high = as_printed(_printed_number(row.printed))
            fits = low <= allowed[1] and allowed[0] <= high
            place = (row.table, row.metric, row.quantity, row.printed)
            found.append(Recomputed(*place, allowed[0], allowed[1], fits))
    return found


def _allowed(numbers, table, metric, quantity):
    """(low, high) of one printed quantity, or None where it is not a result of others."""

    def moments(table):
        return numbers[table, metric, "mean"], numbers[table, metric, "sd"]

    if table in (START, TRAINED) and quantity in ("t", "se", "p"):
        ranges = rounding_range(
            lambda mean, sd: one_sample_z(mean, sd, CHUNKS, FIVE_TIMES), *moments(table)
        )
    elif table == DIFFERENCE and quantity in ("t", "se", "p"):
        ranges = rounding_range(
            lambda mean, sd, mean_0, sd_0: two_sample_t(mean, sd, CHUNKS, mean_0, sd_0, CHUNKS),
            *moments(TRAINED),
            *moments(START),
        )
    elif table == DIFFERENCE:
        return rounding_range(
            lambda mean, mean_0: mean - mean_0, moments(TRAINED)[0], moments(START)[0]
        )
    elif table == FINAL and quantity.startswith("increase"):
        return rounding_range(
            lambda mean, mean_0: 100 * (mean / mean_0 - 1), moments(FINAL)[0], moments(START)[0]
        )
    else:
        return None
    return ranges[("t", "se", "p").index(quantity)]


def _printed_number(text):
    """The first number of a printed cell, its digits as they stand."""
    found = re.search(r"[-+]?(\d+\.?\d*|\.\d+)", text)
    return found[0] if found else text
