"""Scores as tables: one for each metric card, data set and set of songs; separators down."""

import math
import statistics
from dataclasses import dataclass

from ..metrics.scores import Score
from ..metrics.statistics import bootstrap_interval

LABELS = {
    "csdr": "cSDR",
    "usdr": "uSDR",
    "si_sdr": "SI-SDR",
    "si_sar": "SI-SAR",
    "log_wmse": "log-WMSE",
    "mr_stft": "MR-STFT distance",
    "isr": "ISR",
    "sir": "SIR",
    "sar": "SAR",
}
#: Song metrics are summarised by their mean, framewise ones by the median, as their authors do.
MEANS = ("usdr", "si_sdr", "si_sar", "log_wmse", "mr_stft")
#: Fewer songs than this have no interval: resampling a handful understates how far they scatter.
LEAST_SONGS = 5


@dataclass
class ScoreTable:
    """What a table shows: metric and data, the card in words, column names, rows of text."""

    title: str
    card: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(scores: list[Score], songs: bool = False, interval: bool = False) -> list[ScoreTable]:
    """Scores by metric card, data set and songs: what differs in one never shares a table.

    Parameters
    ----------
    scores : list of Score
    songs : bool
        One row per song, instead of one per separator.
    interval : bool
        Beside each summary its 95 % bootstrap interval over songs, from five songs on.

    Returns
    -------
    list of ScoreTable
        NaN is left out of summaries; a cell that summarises fewer songs than the
        row's says of how many; ``nan`` means that no song has a number.
    """
    scored: dict[tuple, set[str]] = {}  # a row listing songs needs no common ones
    for score in scores if not songs else ():
        scored.setdefault(_row_of(score), set()).add(score.track)
    groups: dict[tuple, list[Score]] = {}
    for score in scores:
        same_songs = frozenset(scored.get(_row_of(score), ()))
        groups.setdefault((score.metric, score.dataset, score.card, same_songs), []).append(score)
    return [_table(group, songs, interval) for group in groups.values()]


def _row_of(score):
    """What becomes one row of a table."""
    return score.metric, score.dataset, score.card, score.separator


def to_table(scores: list[Score], songs: bool = False, interval: bool = False) -> str:
    """`tables` as plain text, columns aligned."""
    blocks = []
    for table in tables(scores, songs, interval):
        rows = [table.columns, *table.rows]
        widths = [max(len(row[k]) for row in rows) for k in range(len(table.columns))]
        lines = [f"{table.title}: {table.card}"]
        for first, *cells in rows:
            aligned = (cell.rjust(width) for cell, width in zip(cells, widths[1:]))
            lines.append("  ".join([first.ljust(widths[0]), *aligned]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _table(scores, songs, interval):
    """The table of scores of one metric, data set and card."""
    metric, dataset, card = scores[0].metric, scores[0].dataset, scores[0].card
    targets = list(dict.fromkeys(score.target for score in scores))
    how = "mean" if metric in MEANS else "median"
    values = {}  # {(separator,) or (separator, track): {target: [value]}}
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
    title = f"{LABELS.get(metric, metric)}{f' on {dataset}' if dataset else ''}"
    title += f" ({card.unit})" if card.unit else ""
    columns = ("system", "song", *targets) if songs else ("system", *targets, "songs")
    words = _in_words(card, targets) + ("" if songs else f", {how} over songs")
    return ScoreTable(title, words, columns, rows)


def _in_words(card, targets):
    """What a reader has to know of a card beside the columns of the table."""
    words = [card.version]
    if card.better == "lower":
        words.append("lower is better")
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
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return "nan" if values else ""
    cell = f"{getattr(statistics, how)(numbers):.2f}"
    if interval and len(numbers) >= LEAST_SONGS and all(map(math.isfinite, numbers)):
        cell += " [{:.2f}, {:.2f}]".format(*bootstrap_interval(numbers, statistic=how))
    return cell if len(numbers) == count else f"{cell} (of {len(numbers)})"
