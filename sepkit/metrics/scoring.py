"""All metrics of one track at once: references and estimates in, values with cards out.

Chapter 02 uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..errors import SepkitError, unknown
from .bsseval import Correlations, filters, frame_by_frame
from .cards import DEFAULT_METRICS, FILTERED, METRICS, card_for
from .log_wmse import song_log_wmse
from .mr_stft import song_mr_stft
from .scores import median
from .sdr import frame_samples, pair
from .signals import Products, Signals

_AGAINST_THE_MIXTURE = {"si_sar", "log_wmse"}


def score_track(
    references, estimates, sample_rate, metrics=DEFAULT_METRICS, window=1.0, hop=1.0, frames=None
):
    """Score the estimates of one track against its references, paired by name.

    Parameters
    ----------
    references, estimates : dict of name to (channels, samples)
        Every estimate needs the reference of its name; references without an estimate are
        parts of the mixture and nothing else. Estimates are cut or continued by zeros.
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
    check_metrics(metrics)
    targets = _paired(references, estimates)
    fitted = {
        name: _named(name, pair, references[name], estimates[name], double=False)
        for name in targets
    }  # views, if they can be
    _check_shapes(fitted)
    mixture = None
    if set(metrics) & _AGAINST_THE_MIXTURE and len(targets) < len(references):
        stems = {name: (torch.as_tensor(stem),) for name, stem in references.items()}
        _check_shapes(stems)
        mixture = sum(stem for (stem,) in stems.values())
    parts = ({name: both[which] for name, both in fitted.items()} for which in (0, 1))
    signals = Signals(*parts, mixture)
    measured = measure(signals, sample_rate, metrics, window, hop)
    if frames is not None:
        frames.update(measured.frames)
    return measured.rows(metrics, window, hop)


@dataclass
class Measured:
    """What was found about the signals of one song.

    `frames` holds {metric: (targets, frames)} of the framewise metrics, `silent` which frames of
    references and estimates are silent, (2, targets, frames); both are empty without such metrics.
    `songs` holds {metric: (targets,)} of those that read the whole song once more.
    """

    products: Products
    frames: dict = field(default_factory=dict)
    songs: dict = field(default_factory=dict)
    silent: torch.Tensor | None = None

    def rows(self, metrics, window=1.0, hop=1.0):
        """(target, metric, value, MetricCard) for each target and metric."""
        names = self.products.names
        cards = {metric: card_for(metric, names, window, hop) for metric in metrics}
        return [
            (name, metric, self._value(index, metric), cards[metric])
            for index, name in enumerate(names)
            for metric in metrics
        ]

    def _value(self, index, metric):
        if metric in self.frames:
            return median(self.frames[metric][index])
        if metric in self.songs:
            return float(self.songs[metric][index])
        return getattr(self.products, metric)(index)


def measure(signals, sample_rate, metrics=DEFAULT_METRICS, window=1.0, hop=1.0):
    """All that metrics and findings need of a song, in a few passes over its signals.

    Parameters
    ----------
    signals : Signals
    sample_rate, metrics, window, hop
        As for `score_track`.

    Returns
    -------
    Measured
    """
    frame_samples(sample_rate, window, hop)  # complains, where it must, before the work
    filtered, framewise = set(metrics) & set(FILTERED), set(metrics) & {"csdr", *FILTERED}
    correlations = Correlations() if filtered else None
    measured = Measured(Products(signals, correlations))
    if "log_wmse" in metrics:
        measured.songs["log_wmse"] = song_log_wmse(signals, sample_rate)
    if "mr_stft" in metrics:
        measured.songs["mr_stft"] = song_mr_stft(signals)
    if framewise:
        fits = filters(signals, correlations) if filtered else None
        sdr, measured.silent, ratios = frame_by_frame(signals, sample_rate, window, hop, fits)
        values = dict(zip(("csdr", *FILTERED), (sdr, *ratios)))
        measured.frames = {
            metric: x
            for metric, x in values.items()
            if metric in framewise or (metric in FILTERED and filtered)
        }
    return measured


def check_metrics(metrics):
    """Raise a `SepkitError` unless there is a metric, and all are known."""
    if not metrics:
        raise SepkitError(f"no metrics were named: choose from {', '.join(METRICS)}")
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)


def _paired(references, estimates):
    """The targets to score, in the order of the references."""
    if not isinstance(references, Mapping) or not isinstance(estimates, Mapping) or not estimates:
        raise SepkitError(
            "score_track: expected dicts of name to audio, with at least one estimate"
        )
    extra = [name for name in estimates if name not in references]
    if extra:
        raise SepkitError(
            f"no reference for the estimate {', '.join(map(repr, extra))}; "
            f"there are {', '.join(references)}"
        )
    return [name for name in references if name in estimates]


def _check_shapes(signals):
    """Of {name: (reference, ...)}."""
    first, (reference, *_) = next(iter(signals.items()))
    for name, (other, *_) in signals.items():
        if other.shape != reference.shape:
            raise SepkitError(
                f"the references {first!r} and {name!r} differ in shape: "
                f"{tuple(reference.shape)} and {tuple(other.shape)}; "
                "the stems of a track need one length and channel count"
            )


def _named(target, function, *arguments, **options):
    """Call, and put the target's name before what goes wrong."""
    try:
        return function(*arguments, **options)
    except SepkitError as error:
        raise SepkitError(f"{target}: {error}") from None
