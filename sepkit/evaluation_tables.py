"""Scores as tables: one for each metric card and data set, separators down and targets across."""

import math
import statistics
from dataclasses import dataclass

from .metrics.statistics import bootstrap_interval

LABELS = {"csdr": "cSDR", "usdr": "uSDR", "si_sdr": "SI-SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
#: Song metrics are summarised by their mean, framewise ones by the median, as their authors do.
MEANS = ("usdr", "si_sdr")
#: Fewer songs than this have no interval: resampling a handful understates how far they scatter.
LEAST_SONGS = 5


@dataclass
class Table:
    """What a table shows: metric and data, the card in words, column names, rows of text."""

    title: str
    card: str
    columns: tuple
    rows: list


def tables(scores, songs=False, interval=False):
    """Scores by metric card and data set: what differs in either never shares a table.

    Parameters
    ----------
    scores : list of Score
    songs : bool
        One row a song, instead of one a separator.
    interval : bool
        Beside each summary its 95 % bootstrap interval over songs, from five songs on.

    Returns
    -------
    list of Table
        NaN is left out of summaries; a cell that summarises fewer songs than the
        row's says of how many; ``nan`` means that no song has a number.
    """
    groups = {}
    for score in scores:
        groups.setdefault((score.metric, score.dataset, score.card), []).append(score)
    return [_table(*key, group, songs, interval) for key, group in groups.items()]


def to_table(scores, songs=False, interval=False):
    """`tables` as plain text, columns aligned."""
    blocks = []
    for table in tables(scores, songs, interval):
        rows = [table.columns, *table.rows]
        widths = [max(len(row[k]) for row in rows) for k in range(len(table.columns))]
        lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in rows]
        blocks.append("\n".join([f"{table.title}: {table.card}", *lines]))
    return "\n\n".join(blocks)


def _table(metric, dataset, card, scores, songs, interval):
    targets = list(dict.fromkeys(score.target for score in scores))
    together = set(card.target_set) not in (set(), set(targets))
    how = "mean" if metric in MEANS else "median"
    frames = "" if card.window is None else f"median over frames of {card.window:g} s" + (f" every {card.hop:g} s" if card.hop != card.window else "")
    details = [
        card.version, frames, f"scored together with {', '.join(t for t in card.target_set if t not in targets)}" if together else "",
        "" if songs else f"{how} over songs",
    ]  # fmt: skip
    title = f"{LABELS.get(metric, metric)}{f' on {dataset}' if dataset else ''} (dB)"
    names = dict.fromkeys((s.separator, s.track) if songs else (s.separator,) for s in scores)
    values = {}
    for score in scores:
        values.setdefault(((score.separator, score.track) if songs else (score.separator,), score.target), []).append(score.value)
    rows = []
    for name in names:
        count = max(len(values.get((name, target), ())) for target in targets)
        cells = [_cell(values.get((name, target), []), how, interval and not songs, count) for target in targets]
        rows.append((*name, *cells) if songs else (*name, *cells, str(count)))
    return Table(title, ", ".join(detail for detail in details if detail), ("system", "song", *targets) if songs else ("system", *targets, "songs"), rows)


def _cell(values, how, interval, count):
    """The summary of one target's songs as text."""
    heard = [value for value in values if not math.isnan(value)]
    if not heard:
        return "nan" if values else ""
    cell = f"{getattr(statistics, how)(heard):.2f}"
    if interval and len(heard) >= LEAST_SONGS and all(map(math.isfinite, heard)):
        cell += " [{:.2f}, {:.2f}]".format(*bootstrap_interval(heard, statistic=how))
    return cell if len(heard) == count else f"{cell} (of {len(heard)})"
