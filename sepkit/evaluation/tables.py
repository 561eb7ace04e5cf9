"""Scores as tables: one for each metric card and data set, separators down and targets across."""

import math
import statistics
from dataclasses import dataclass

from ..metrics.statistics import bootstrap_interval

LABELS = {
    "csdr": "cSDR",
    "usdr": "uSDR",
    "si_sdr": "SI-SDR",
    "isr": "ISR",
    "sir": "SIR",
    "sar": "SAR",
}
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
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
                ]
            )
            for row in rows
        ]
        blocks.append("\n".join([f"{table.title}: {table.card}", *lines]))
    return "\n\n".join(blocks)


def _table(metric, dataset, card, scores, songs, interval):
    targets = list(dict.fromkeys(score.target for score in scores))
    how = "mean" if metric in MEANS else "median"
    values = {}  # {(separator,) or (separator, track): {target: [dB]}}
    for score in scores:
        name = (score.separator, score.track) if songs else (score.separator,)
        values.setdefault(name, {}).setdefault(score.target, []).append(score.value)
    rows = []
    for name, found in values.items():
        count = max(map(len, found.values()))
        cells = [
            _cell(found.get(target, []), how, interval and not songs, count) for target in targets
        ]
        rows.append((*name, *cells) if songs else (*name, *cells, str(count)))
    title = f"{LABELS.get(metric, metric)}{f' on {dataset}' if dataset else ''} (dB)"
    columns = ("system", "song", *targets) if songs else ("system", *targets, "songs")
    return Table(
        title, _in_words(card, targets) + ("" if songs else f", {how} over songs"), columns, rows
    )


def _in_words(card, targets):
    """What a reader has to know of a card beside the columns of the table."""
    words = [card.version]
    if card.window is not None:
        words.append(
            f"median over frames of {card.window:g} s"
            + (f" every {card.hop:g} s" if card.hop != card.window else "")
        )
    if others := [target for target in card.target_set if target not in targets]:
        words.append(f"scored together with {', '.join(others)}")
    elif card.target_set and set(card.target_set) != set(targets):
        words.append(f"scored together: {', '.join(card.target_set)}")
    return ", ".join(words)


def _cell(values, how, interval, count):
    """The summary of one target's songs as text."""
    heard = [value for value in values if not math.isnan(value)]
    if not heard:
        return "nan" if values else ""
    cell = f"{getattr(statistics, how)(heard):.2f}"
    if interval and len(heard) >= LEAST_SONGS and all(map(math.isfinite, heard)):
        cell += " [{:.2f}, {:.2f}]".format(*bootstrap_interval(heard, statistic=how))
    return cell if len(heard) == count else f"{cell} (of {len(heard)})"
