"""A reader's own line of claims.csv: written to a file, and read by the kit's own reader. Chapter
12, exercise 3.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...reproduce.claims import COLUMNS, Claim, load_claims

#: What stands in the line already; the reader fills in the rest.
GIVEN = {
    "id": "S3.99",
    "document": "003",
    "line": "1",
    "words": "the soft mask is clearly better than the binary one",
    "statement": "A soft mask beats a binary one (by how much: the bar)",
    "how": "uSDR of the vocals, oracle masks, song by song",
    "chapter": "",
    "extent": "songs",
    "tolerance": "0",
    "changed": "",
}
ASKED = tuple(column for column in COLUMNS if column not in GIVEN)


def as_claim(line: Mapping[str, Any]) -> Claim:
    """Read the line as `claims.load_claims` reads every line of claims.csv.

    Parameters
    ----------
    line : dict
        With the columns `ASKED`.

    Raises
    ------
    SepkitError
        As `claims.load_claims`.
    """
    row = GIVEN | {column: str(line.get(column, "")) for column in ASKED}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "claims.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerow({column: row[column] for column in COLUMNS})
        (claim,) = load_claims(path)
    return claim
