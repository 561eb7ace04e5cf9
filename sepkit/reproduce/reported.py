"""Published numbers: the CSV files of data/reported, each row with its source."""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

from ..errors import SepkitError
from ..files import shipped

COLUMNS = ("system", "target", "value", "dataset", "metric", "extra_training_data", "source")
#: Metrics as published -> as measured here, and how songs are summarised.
METRICS = {"cSDR": ("csdr", statistics.median), "uSDR": ("usdr", statistics.fmean), "siSDR": ("si_sdr", statistics.fmean)}


@dataclass(frozen=True)
class Reported:
    """One published number: a row of a CSV file in data/reported."""

    system: str
    target: str
    value: float
    dataset: str
    metric: str
    extra_training_data: bool
    source: str


def load_reported(path=None):
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
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise SepkitError(f"{path}: cannot be read ({error.strerror})") from None
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise SepkitError(f"{path}: column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")
    found = {}
    for line, row in enumerate(rows, start=2):
        entry = _reported(row, f"{path}: line {line}")
        key = (entry.system, entry.target, entry.dataset, entry.metric, entry.extra_training_data)
        if key in found:
            raise SepkitError(f"{path}: line {line}: {entry.system}, {entry.target} is stated twice for {entry.dataset}")
        found[key] = entry
    return list(found.values())


def _reported(row, where):
    if not (row["source"] or "").strip():
        raise SepkitError(f"{where}: {row['system']} has no source; a number without provenance is refused")
    if row["metric"] not in METRICS:
        raise SepkitError(f"{where}: unknown metric {row['metric']!r}: choose from {', '.join(METRICS)}")
    try:
        value = float(row["value"])
    except (TypeError, ValueError):
        raise SepkitError(f"{where}: value {row['value']!r} is not a number") from None
    fields = {key: row[key].strip() for key in ("system", "target", "dataset", "metric", "source")}
    return Reported(**fields, value=value, extra_training_data=row["extra_training_data"].strip() == "yes")
