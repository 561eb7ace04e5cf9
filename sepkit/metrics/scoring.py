"""All metrics of one track at once: references and estimates in, values with their cards out. Chapter 02 uses it."""

from collections.abc import Mapping

import torch

from ..errors import SepkitError, unknown
from .bsseval import bss_eval
from .scores import DEFAULT_METRICS, FILTERED, METRICS, card_for, median
from .sdr import framewise_sdr, pair, si_sdr, usdr


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
        From `METRICS`. ``isr``, ``sir`` and ``sar`` take by far the longest.
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
    if set(metrics) & {"csdr", *FILTERED}:
        fitted = {name: _named(name, pair, *both, double=False) for name, both in pairs.items()}  # views, where lengths agree
        _check_shapes(fitted)
        if "csdr" in metrics:
            framewise["csdr"] = _framewise(fitted, sample_rate, window, hop)
        if set(metrics) & set(FILTERED):
            stacked = (torch.stack([both[which] for both in fitted.values()]) for which in (0, 1))
            framewise.update(zip(FILTERED, map(torch.as_tensor, bss_eval(*stacked, sample_rate, window, hop)[1:])))
    if frames is not None:
        frames.update(framewise)
    rows = []
    for index, target in enumerate(targets):
        for metric in metrics:
            if metric in framewise:
                value = median(framewise[metric][index])
            else:
                value = float(_named(target, usdr if metric == "usdr" else si_sdr, *pairs[target]))
            rows.append((target, metric, value, card_for(metric, targets, window, hop)))
    return rows


def _paired(references, estimates):
    """The targets to score, in the order of the references."""
    if not isinstance(references, Mapping) or not isinstance(estimates, Mapping) or not estimates:
        raise SepkitError("score_track: expected dicts of name to audio, with at least one estimate")
    extra = [name for name in estimates if name not in references]
    if extra:
        raise SepkitError(f"no reference for the estimate {', '.join(map(repr, extra))}; there are {', '.join(references)}")
    return [name for name in references if name in estimates]


def _check_shapes(pairs):
    first, (reference, _) = next(iter(pairs.items()))
    for name, (other, _) in pairs.items():
        if other.shape != reference.shape:
            raise SepkitError(
                f"the references {first!r} and {name!r} differ in shape: {tuple(reference.shape)} and {tuple(other.shape)}; "
                "the stems of a track need one length and channel count"
            )


def _framewise(pairs, *settings):
    """`framewise_sdr` of all targets together, without a copy of all audio: a frame that one target lacks, all lack."""
    values = torch.cat([framewise_sdr(reference[None], estimate[None], *settings) for reference, estimate in pairs.values()])
    return values.masked_fill(values.isnan().any(0), torch.nan)  # (targets, frames)


def _named(target, function, *arguments, **options):
    """Call, and put the target's name before what goes wrong."""
    try:
        return function(*arguments, **options)
    except SepkitError as error:
        raise SepkitError(f"{target}: {error}") from None
