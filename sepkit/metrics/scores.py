"""Scores: one number each, with its metric card and its provenance.

The card says exactly what was measured, so that numbers which mean different
things never share a column; the provenance says who measured it, and how to get
it again. Every chapter writes Scores; the ledger and the tables read them.
"""

import math
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from ..errors import SepkitError, unknown
from ..files import read_json, write_json
from .cards import METRICS, RATIO, MetricCard

REQUIRED_PROVENANCE = ("sepkit", "commit", "command", "device", "seed", "profile")
#: Of older files: an object for each score.
_ROWS = "sepkit scores 1"
_FORMAT = "sepkit scores 2"
#: What tables add up.
_COUNTED = ("steps", "hours")
_SHARED = ("target", "metric", "separator", "dataset")
_LISTS = ("tracks", "values", "order")


@dataclass(frozen=True)
class Score:
    """One row: what was scored, the value (NaN where undefined), and where it comes from.

    `provenance` is `sepkit.files.provenance` with device, seed and profile; it also
    holds what else the writer knows, such as seconds or the checkpoint's hash.
    """

    track: str
    target: str
    metric: str
    value: float
    separator: str
    dataset: str
    card: MetricCard
    provenance: dict


def aggregate(scores, how: str = "median") -> float:
    """One number from the scores of many tracks, NaN left out.

    Parameters
    ----------
    scores : sequence of Score
        All of one card, data set and separator.
    how : str
        ``"median"`` (SiSEC's habit, with csdr) or ``"mean"`` (the Demixing
        Challenge's, with usdr). They differ by decibels: say which.

    Returns
    -------
    float
        NaN if every value is.

    Raises
    ------
    SepkitError
        If there are no scores, or they must not be mixed; it says what differs.
    """
    scores = list(scores)
    if how not in ("median", "mean"):
        raise unknown("aggregation", how, ("median", "mean"))
    if not scores:
        raise SepkitError("aggregate: there are no scores")
    if told := differences(scores):
        raise SepkitError(
            f"aggregate: these scores do not measure the same, they differ in {told}; "
            "select one kind first"
        )
    values = torch.tensor([s.value for s in scores], dtype=torch.float64)
    if how == "median":
        return median(values)
    return float(values[~values.isnan()].mean())


def differences(scores, fields_too=("metric", "dataset", "separator")) -> str:
    """What keeps scores from being averaged or compared, in words; empty if nothing does.

    Parameters
    ----------
    scores : sequence of Score
    fields_too : sequence of str
        Attributes of Score that must agree, besides the whole card.
    """
    found = {
        f"card.{f.name}": {getattr(s.card, f.name) for s in scores} for f in fields(MetricCard)
    }
    found |= {name: {getattr(s, name) for s in scores} for name in fields_too}
    return "; ".join(
        f"{name}: {' | '.join(sorted(map(str, values)))}"
        for name, values in found.items()
        if len(values) > 1
    )


def comparable(a, b) -> tuple[dict[str, float], dict[str, float]]:
    """Two lists of Scores as two dicts of track to value, if they may be compared.

    What `sepkit.metrics.statistics.compare` takes: one metric card, data set and
    target, one score per track in each list.

    Parameters
    ----------
    a, b : sequence of Score
        Such as those of two separators for the vocals.

    Returns
    -------
    values_a, values_b : dict of str to float
        {track: dB}, NaN included; tracks of only one of them included too.

    Raises
    ------
    SepkitError
        If either list is empty, the scores do not measure the same (it says what
        differs), or a list holds two scores of one track.
    """
    a, b = list(a), list(b)
    for name, scores in (("first", a), ("second", b)):
        if not scores:
            raise SepkitError(
                f"comparable: the {name} list holds no scores; "
                "select another separator, metric or target"
            )
    if told := differences([*a, *b], ("metric", "dataset", "target")):
        raise SepkitError(
            f"these scores cannot be compared, they differ in {told}; score both in the same way"
        )
    for scores in (a, b):
        tracks = [score.track for score in scores]
        if twice := [track for track in dict.fromkeys(tracks) if tracks.count(track) > 1]:
            raise SepkitError(
                f"comparable: {twice[0]!r} has {tracks.count(twice[0])} scores in one list; "
                "select one separator"
            )
    values_a, values_b = ({score.track: score.value for score in scores} for scores in (a, b))
    return values_a, values_b


def save_scores(
    path: str | Path, scores, extra: dict | None = None, indent: int | None = 1
) -> None:
    """Write scores as JSON, atomically; cards and provenances are stored once each.

    Scores that differ only in track and value are one group, with the lists ``tracks``,
    ``values`` and ``order``: where each of them stands among all scores. NaN becomes null,
    infinity the string "inf". `extra` is a dict of further entries for the file, which
    `load_scores` does not read. `indent` is JSON's; None writes one line, for files of
    thousands of scores.

    Raises
    ------
    SepkitError
        If a score lacks part of its provenance (`REQUIRED_PROVENANCE`), or the
        file cannot be written.
    """
    cards: list[dict] = []
    provenances: list[dict] = []
    groups: dict[tuple, dict] = {}
    for place, score in enumerate(scores):
        missing = [key for key in REQUIRED_PROVENANCE if key not in score.provenance]
        if missing:
            raise SepkitError(
                f"{path}: the {score.metric} of {score.target!r} in {score.track!r} has no "
                f"provenance {', '.join(missing)}; "
                "use files.provenance(device=..., seed=..., profile=...)"
            )
        shared = {name: getattr(score, name) for name in _SHARED} | {
            "card": _place(cards, asdict(score.card)),
            "provenance": _place(provenances, dict(score.provenance)),
        }
        group = groups.setdefault(tuple(shared.values()), shared | {name: [] for name in _LISTS})
        value = float(score.value)
        group["tracks"].append(score.track)
        group["values"].append(str(value) if math.isinf(value) else value)
        group["order"].append(place)
    write_json(
        path,
        {
            **(extra or {}),
            "format": _FORMAT,
            "cards": cards,
            "provenance": provenances,
            "scores": list(groups.values()),
        },
        indent,
    )


def load_scores(path: str | Path) -> list[Score]:
    """Read what `save_scores` wrote, this version or the first, which had an object per score.

    Raises
    ------
    SepkitError
        Naming the file, when it is missing, broken, or holds no scores; and the place in it where
        a value is no number or a name no text, or where one score is there twice.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") not in (_ROWS, _FORMAT):
        raise SepkitError(f"{path}: not a file of sepkit scores; write it with save_scores")
    try:
        cards = [_card(card, f"cards[{k}]", path) for k, card in enumerate(content["cards"])]
        provenances = content["provenance"]
        _check_provenances(provenances, path)
        rows = _rows if content["format"] == _ROWS else _grouped
        scores, seen = [], set()
        for where, nth, row in rows(content["scores"], path):
            known = (row["card"], row["provenance"])
            if not all(isinstance(index, int) and index >= 0 for index in known):
                raise TypeError(f"{where} names no card or provenance")
            for name in ("track", *_SHARED):
                if not isinstance(row[name], str):
                    raise TypeError(f"{where}.{name}{nth if name == 'track' else ''} is no text")
            key = (row["track"], *(row[name] for name in _SHARED), *known)
            if key in seen:
                raise SepkitError(
                    f"{path}: {where}: the {row['metric']} of {row['target']!r} in "
                    f"{row['track']!r} is there twice; keep one"
                )
            seen.add(key)
            own = {
                "value": _value(row["value"], f"{where}.value{nth}", path),
                "card": cards[known[0]],
                "provenance": provenances[known[1]],
            }
            scores.append(Score(**{**row, **own}))
        return scores
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise SepkitError(
            f"{path}: a score is incomplete ({type(error).__name__}: {error}); write the file again"
        ) from None


def _rows(rows, _):
    """(place, "", row) of each score of the first format."""
    for k, row in enumerate(rows):
        yield f"scores[{k}]", "", row


def _grouped(groups, path):
    """(place of the group, the end of a place in its lists, row) of each score, in their order."""
    found = []
    for k, group in enumerate(groups):
        where, lists = f"scores[{k}]", [group[name] for name in _LISTS]
        if not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
            raise TypeError(f"{where}: {', '.join(_LISTS)} are no lists of one length")
        shared = {name: value for name, value in group.items() if name not in _LISTS}
        for i, (track, value, order) in enumerate(zip(*lists)):
            row = {**shared, "track": track, "value": value}
            place = number_in(order, f"{where}.order[{i}]", path, null=False)
            found.append((place, where, f"s[{i}]", row))
    return [rest for _, *rest in sorted(found, key=lambda one: one[0])]


def _check_provenances(provenances, path):
    for k, one in enumerate(provenances):
        if not isinstance(one, dict):
            raise TypeError(f"provenance[{k}] is no object")
        for name in (*REQUIRED_PROVENANCE, *_COUNTED):
            if isinstance(one.get(name), (dict, list)):
                raise TypeError(
                    f"provenance[{k}].{name} is {type(one[name]).__name__}, no text or number"
                )
            if name in _COUNTED and name in one:
                number_in(one[name], f"provenance[{k}].{name}", path, null=False)


def number_in(value, where, source, infinite=False, null=True):
    """A number that a file of somebody else holds, as float; null is NaN.

    Parameters
    ----------
    value : object
        As it was read.
    where : str
        Its place in the file, for the error message.
    source : str or Path
        The file.
    infinite, null : bool
        Whether infinity, and null or NaN, may stand there.

    Raises
    ------
    SepkitError
        If the value is anything but a number, or too large for one.
    """
    number = math.nan if value is None else math.inf
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        with suppress(OverflowError):  # whole numbers of hundreds of digits
            number = float(value)
    valid = (
        isinstance(value, float) and infinite
        if math.isinf(number)
        else null or not math.isnan(number)
    )
    if not valid:
        shown = (
            str(value)[:40]
            if isinstance(value, float)
            else type(value).__name__
            if not isinstance(value, int)
            else str(value)[:20]
        )
        raise SepkitError(
            f"{source}: {where} is {shown}; expected a finite number{' or null' if null else ''}"
        )
    return number


def _value(value, where, path):
    """DB as `save_scores` writes them."""
    return float(value) if value in ("inf", "-inf") else number_in(value, where, path)


def _card(card, where, path):
    for name in ("window", "hop", "taps", "delta"):
        if (
            card[name] is not None
            and number_in(card[name], f"{where}.{name}", path, null=False) < 0
        ):
            raise SepkitError(
                f"{path}: {where}.{name} is below 0; expected seconds, taps or an energy"
            )
    if "better" not in card and card["metric"] in METRICS:  # of older files: all were ratios
        card = {**card, **RATIO}
    if card.get("better", "") not in ("higher", "lower", ""):
        raise SepkitError(
            f"{path}: {where}.better is {card['better']!r:.40}; expected higher or lower"
        )
    texts = [card[name] for name in ("metric", "version", "aggregation", "silent_frames")] + [
        card.get("unit", ""),
        *card["target_set"],
    ]
    if not all(isinstance(text, str) for text in texts) or not isinstance(card["target_set"], list):
        raise TypeError(f"{where} has something else where a text belongs")
    return MetricCard(**{**card, "target_set": tuple(card["target_set"])})


def to_frame(scores):
    """A tidy pandas DataFrame, one row per score.

    Columns: track, target, metric, value, separator, dataset, then ``card.*`` and
    ``provenance.*``.
    """
    import pandas as pd

    rows = [
        {
            **{
                name: getattr(score, name)
                for name in ("track", "target", "metric", "value", "separator", "dataset")
            },
            **{f"card.{name}": value for name, value in asdict(score.card).items()},
            **{f"provenance.{name}": value for name, value in score.provenance.items()},
        }
        for score in scores
    ]
    plain = [f.name for f in fields(Score) if f.name not in ("card", "provenance")]
    return pd.DataFrame(rows, columns=None if rows else plain)


def median(values: torch.Tensor) -> float:
    """Median without NaN; of an even count the mean of the middle two (torch takes the lower)."""
    values = values[~values.isnan()].sort().values
    if not len(values):
        return math.nan
    low, high = float(values[(len(values) - 1) // 2]), float(values[len(values) // 2])
    return low if low == high else (low + high) / 2


def _place(known, entry):
    if entry not in known:
        known.append(entry)
    return known.index(entry)
