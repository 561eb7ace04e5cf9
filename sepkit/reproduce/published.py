"""Published numbers: the CSV files of sepkit/assets/reported, each row with its source."""

import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SepkitError
from ..files import shipped
from ..metrics.cards import FILTERED

COLUMNS = ("system", "target", "value", "dataset", "metric", "extra_training_data", "source")
PRINTED = (
    "document",
    "table",
    "line",
    "item",
    "quantity",
    "printed",
    "value",
    "unit",
    "dataset",
    "metric",
    "aggregation",
    "claim",
)
#: Metrics as published -> as measured here, and how songs are summarised.
METRICS: dict[str, tuple[str, Callable[[Iterable[float]], float]]] = {
    "cSDR": ("csdr", statistics.median),
    "uSDR": ("usdr", statistics.fmean),
    "SI-SDR": ("si_sdr", statistics.fmean),
}


def metric_name(name: str) -> str:
    """A metric as tables call it: ``usdr`` is ``uSDR``, ``sar`` is ``SAR``."""
    published = {ours: theirs for theirs, (ours, _) in METRICS.items()}
    return published.get(name, name.upper() if name in FILTERED else name.replace("_", " "))


@dataclass(frozen=True)
class Document:
    """One of the five documents that the kit repeats: a row of documents.csv.

    `number` is the key in all other files, `name` what the chapters call it, `title` as printed;
    `authors` and `year` are empty where the document does not say.
    """

    number: str
    name: str
    title: str
    authors: str
    year: str
    kind: str

    @property
    def reference(self) -> str:
        """Authors, year and title, as a reading list has them."""
        known = [part for part in (self.authors or "no author named", self.year) if part]
        return f"{', '.join(known)}: {self.title} ({self.kind})"


@dataclass(frozen=True)
class Reported:
    """One published number: a row of a CSV file in sepkit/assets/reported.

    `aggregation` is empty where songs were summarised as `METRICS` says, and tells
    how the number came about where not: such numbers keep a table of their own.
    """

    system: str
    target: str
    value: float
    dataset: str
    metric: str
    extra_training_data: bool
    source: str
    aggregation: str = ""


@dataclass(frozen=True)
class Printed:
    """One number as one of the `DOCUMENTS` prints it.

    `table` and `line` say where (lines of the document's text, from 1), `printed` is what stands
    there, and `value` the number in `unit`; None where the document has none ("N/A", "nan").
    `claim` is the finding that it belongs to (claims.csv).
    """

    document: str
    table: str
    line: int
    item: str
    quantity: str
    printed: str
    value: float | None
    unit: str
    dataset: str
    metric: str
    aggregation: str
    claim: str


def _load_documents():
    columns = tuple(Document.__dataclass_fields__)
    rows = read_rows(shipped("reported", "documents.csv"), columns)
    return {row["number"]: Document(**row) for _, row in rows}


def load_reported(path: str | Path | None = None) -> list[Reported]:
    """Read published numbers.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `COLUMNS`; by default the one that sepkit ships.

    Returns
    -------
    list of Reported

    Raises
    ------
    SepkitError
        For a missing file or column, a value that is no number, a row without its
        source, or the same number stated twice. Names the line.
    """
    path = Path(path or shipped("reported", "scores.csv"))
    found = {}
    for where, row in read_rows(path, COLUMNS):
        entry = _reported(row, where)
        key = (entry.system, entry.target, entry.dataset, entry.metric, entry.extra_training_data)
        if key in found:
            raise SepkitError(
                f"{where}: {entry.system}, {entry.target} is stated twice for {entry.dataset}"
            )
        found[key] = entry
    return list(found.values())


def load_printed(path: str | Path | None = None) -> list[Printed]:
    """Read what the five documents print: every numeric table, and the numbers of their findings.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `PRINTED`; by default the one that sepkit ships.

    Returns
    -------
    list of Printed

    Raises
    ------
    SepkitError
        For a missing file or column, an unknown document, or a row that does not say where it
        stands or what is printed there. Names the line.
    """
    found = []
    for where, row in read_rows(Path(path or shipped("reported", "printed.csv")), PRINTED):
        if row["document"] not in DOCUMENTS:
            raise SepkitError(
                f"{where}: unknown document {row['document']!r}: choose from {', '.join(DOCUMENTS)}"
            )
        if not (row["table"] and row["line"].isdigit() and row["printed"]):
            raise SepkitError(
                f"{where}: {row['item']} has no table, line or printed text; "
                "a number without provenance is refused"
            )
        value = read_number(row["value"], where) if row["value"] else None
        texts = {key: row[key] for key in PRINTED if key not in ("line", "value")}
        found.append(Printed(**texts, line=int(row["line"]), value=value))
    return found


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, each behind the words that name its line.

    Raises
    ------
    SepkitError
        For a missing file or column.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise SepkitError(f"{path}: cannot be read ({error.strerror})") from None
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise SepkitError(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(columns)}"
        )
    return [
        (f"{path}: line {line}", {key: value or "" for key, value in row.items()})
        for line, row in enumerate(rows, start=2)
    ]


def _reported(row, where):
    if not row["source"].strip():
        raise SepkitError(
            f"{where}: {row['system']} has no source; a number without provenance is refused"
        )
    if row["metric"] not in METRICS:
        raise SepkitError(
            f"{where}: unknown metric {row['metric']!r}: choose from {', '.join(METRICS)}"
        )
    fields = {
        key: row.get(key, "").strip()
        for key in ("system", "target", "dataset", "metric", "source", "aggregation")
    }
    return Reported(
        **fields,
        value=read_number(row["value"], where),
        extra_training_data=row["extra_training_data"].strip() == "yes",
    )


def read_number(text: str, where: str) -> float:
    """A cell's number; `where` names its line in the error."""
    try:
        return float(text)
    except ValueError:
        raise SepkitError(f"{where}: value {text!r} is not a number") from None


#: The five documents whose tables the kit repeats, by their number in all files.
DOCUMENTS: dict[str, Document] = _load_documents()
