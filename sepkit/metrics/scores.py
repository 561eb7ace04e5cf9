"""Scores: one number each, with its metric card and its provenance.

The card says exactly what was measured, so that numbers which mean different
things never share a column; the provenance says who measured it, and how to get
it again. Every chapter writes Scores; the ledger and the tables read them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import torch

from ..errors import SepkitError, unknown
from ..files import read_json, write_json
from .bsseval import TAPS, bss_eval
from .sdr import USDR_DELTA, framewise_sdr, pair, si_sdr, usdr

METRICS = ("csdr", "usdr", "si_sdr", "isr", "sir", "sar")
DEFAULT_METRICS = METRICS[:3]
_FILTERED = ("isr", "sir", "sar")
REQUIRED_PROVENANCE = ("sepkit", "commit", "command", "device", "seed", "profile")
_FORMAT = "sepkit scores 1"


@dataclass(frozen=True)
class MetricCard:
    """The definition of a number.

    Attributes
    ----------
    metric : str
        One of `METRICS`, or the name that a published table uses.
    version : str
        Which definition of it, such as ``"BSSEval v4 images"``.
    window, hop : float or None
        Frames, in seconds; None for whole tracks.
    taps : int or None
        Length of the distortion filters; None where there are none.
    aggregation : str
        How one value a track came about.
    target_set : tuple of str
        The targets scored together, sorted: they decide which frames count as silent.
        Empty where every target is scored by itself.
    silent_frames : str
        What is done where a reference or an estimate is silent.
    delta : float or None
        What is added to both energies.
    """

    metric: str
    version: str
    window: float | None = None
    hop: float | None = None
    taps: int | None = None
    aggregation: str = "whole track"
    target_set: tuple = ()
    silent_frames: str = "counted"
    delta: float | None = None


@dataclass(frozen=True)
class Score:
    """One row: what was scored, the value (dB, NaN where undefined), and where it comes from.

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


def card_for(metric, targets, window=1.0, hop=1.0):
    """The card of a metric as `score_track` computes it, for a set of targets."""
    targets = tuple(sorted(targets))
    if metric == "csdr" or metric in _FILTERED:
        return MetricCard(
            metric, "BSSEval v4 images", float(window), float(hop), None if metric == "csdr" else TAPS, "median over frames",
            targets, "left out for all targets when any reference or estimate is silent", 0.0,
        )  # fmt: skip
    if metric == "usdr":
        return MetricCard(metric, "MDX song SDR", delta=USDR_DELTA)
    if metric == "si_sdr":
        return MetricCard(metric, "joint over channels, mean kept", silent_frames="NaN for a silent track", delta=0.0)
    raise unknown("metric", metric, METRICS)


def score_track(references, estimates, sample_rate, metrics=DEFAULT_METRICS, window=1.0, hop=1.0, frames=None):
    """Score the estimates of one track against its references, paired by name.

    Parameters
    ----------
    references, estimates : dict of name to (channels, samples)
        Every estimate needs the reference of its name; references without an
        estimate are left out. Estimates are cut or continued by zeros.
    sample_rate : int
        In Hz.
    metrics : sequence of str
        From `METRICS`. ``isr``, ``sir`` and ``sar`` need museval and ffmpeg.
    window, hop : float
        Frames of the framewise metrics, in seconds.
    frames : dict, optional
        Receives {metric: tensor (targets, frames)}: what the medians were taken of.

    Returns
    -------
    list of (target, metric, value, MetricCard)
        In the order of the references. A framewise metric is the median over
        frames, NaN left out: NaN if there is no frame in which all sources sound.

    Raises
    ------
    SepkitError
        For an estimate without reference, signals that do not fit together (naming
        the target), unknown metrics, and as the metrics raise.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    targets = _paired(references, estimates)
    pairs = {name: (references[name], estimates[name]) for name in targets}
    framewise = {}
    if set(metrics) & {"csdr", *_FILTERED}:
        stacked = _stack(pairs)
        if "csdr" in metrics:
            framewise["csdr"] = framewise_sdr(*stacked, sample_rate, window, hop)
        if set(metrics) & set(_FILTERED):
            framewise.update(zip(_FILTERED, map(torch.as_tensor, bss_eval(*stacked, sample_rate, window, hop)[1:])))
    if frames is not None:
        frames.update(framewise)
    rows = []
    for index, target in enumerate(targets):
        for metric in metrics:
            if metric in framewise:
                value = _median(framewise[metric][index])
            else:
                value = float(_named(target, usdr if metric == "usdr" else si_sdr, *pairs[target]))
            rows.append((target, metric, value, card_for(metric, targets, window, hop)))
    return rows


def aggregate(scores, how="median"):
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
    differ = {f"card.{f.name}": {getattr(s.card, f.name) for s in scores} for f in fields(MetricCard)}
    differ |= {name: {getattr(s, name) for s in scores} for name in ("metric", "dataset", "separator")}
    differ = {name: sorted(map(str, values)) for name, values in differ.items() if len(values) > 1}
    if differ:
        told = "; ".join(f"{name}: {' | '.join(values)}" for name, values in differ.items())
        raise SepkitError(f"aggregate: these scores do not measure the same, they differ in {told}; select one kind first")
    values = torch.tensor([s.value for s in scores], dtype=torch.float64)
    if how == "median":
        return _median(values)
    return float(values[~values.isnan()].mean())


def save_scores(path, scores, extra=None):
    """Write scores as JSON, atomically; cards and provenances are stored once each.

    NaN becomes null, infinity the string "inf". `extra` is a dict of further entries
    for the file, which `load_scores` does not read.

    Raises
    ------
    SepkitError
        If a score lacks part of its provenance (`REQUIRED_PROVENANCE`), or the
        file cannot be written.
    """
    cards, provenances, rows = [], [], []
    for score in scores:
        missing = [key for key in REQUIRED_PROVENANCE if key not in score.provenance]
        if missing:
            raise SepkitError(
                f"{path}: the {score.metric} of {score.target!r} in {score.track!r} has no provenance {', '.join(missing)}; "
                "use files.provenance(device=..., seed=..., profile=...)"
            )
        value = float(score.value)
        rows.append({
            "track": score.track, "target": score.target, "metric": score.metric,
            "value": str(value) if math.isinf(value) else value,
            "separator": score.separator, "dataset": score.dataset,
            "card": _place(cards, asdict(score.card)), "provenance": _place(provenances, dict(score.provenance)),
        })  # fmt: skip
    write_json(path, {**(extra or {}), "format": _FORMAT, "cards": cards, "provenance": provenances, "scores": rows})


def load_scores(path):
    """Read what `save_scores` wrote.

    Raises
    ------
    SepkitError
        Naming the file, when it is missing, broken, or holds no scores.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise SepkitError(f"{path}: not a file of sepkit scores; write it with save_scores")
    try:
        cards = [MetricCard(**{**card, "target_set": tuple(card["target_set"])}) for card in content["cards"]]
        return [
            Score(**{
                **row, "value": float("nan" if row["value"] is None else row["value"]),
                "card": cards[row["card"]], "provenance": content["provenance"][row["provenance"]],
            })
            for row in content["scores"]
        ]  # fmt: skip
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise SepkitError(f"{path}: a score is incomplete ({type(error).__name__}: {error}); write the file again") from None


def to_frame(scores):
    """A tidy pandas DataFrame, one row a score.

    Columns: track, target, metric, value, separator, dataset, then ``card.*`` and
    ``provenance.*``.
    """
    import pandas as pd

    rows = [
        {
            **{name: getattr(score, name) for name in ("track", "target", "metric", "value", "separator", "dataset")},
            **{f"card.{name}": value for name, value in asdict(score.card).items()},
            **{f"provenance.{name}": value for name, value in score.provenance.items()},
        }
        for score in scores
    ]
    plain = [f.name for f in fields(Score) if f.name not in ("card", "provenance")]
    return pd.DataFrame(rows, columns=None if rows else plain)


def _paired(references, estimates):
    """The targets to score, in the order of the references."""
    if not isinstance(references, Mapping) or not isinstance(estimates, Mapping) or not estimates:
        raise SepkitError("score_track: expected dicts of name to audio, with at least one estimate")
    extra = [name for name in estimates if name not in references]
    if extra:
        raise SepkitError(f"no reference for the estimate {', '.join(map(repr, extra))}; there are {', '.join(references)}")
    return [name for name in references if name in estimates]


def _stack(pairs):
    """References and estimates, each (sources, channels, samples), of the references' length."""
    checked = {name: _named(name, pair, *both, double=False) for name, both in pairs.items()}
    first, (reference, _) = next(iter(checked.items()))
    for name, (other, _) in checked.items():
        if other.shape != reference.shape:
            raise SepkitError(
                f"the references {first!r} and {name!r} differ in shape: {tuple(reference.shape)} and {tuple(other.shape)}; "
                "the stems of a track need one length and channel count"
            )
    return tuple(torch.stack([both[which] for both in checked.values()]) for which in (0, 1))


def _named(target, function, *arguments, **options):
    """Call, and put the target's name before what goes wrong."""
    try:
        return function(*arguments, **options)
    except SepkitError as error:
        raise SepkitError(f"{target}: {error}") from None


def _median(values):
    """Median without NaN, the mean of the middle two for an even count; torch's own takes the lower."""
    values = values[~values.isnan()].sort().values
    if not len(values):
        return math.nan
    low, high = float(values[(len(values) - 1) // 2]), float(values[len(values) // 2])
    return low if low == high else (low + high) / 2


def _place(known, entry):
    if entry not in known:
        known.append(entry)
    return known.index(entry)
