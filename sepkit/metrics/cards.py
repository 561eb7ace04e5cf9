"""What a number means: the metrics that are computed here, and the card of each."""

from dataclasses import dataclass
from typing import Any

from ..errors import unknown
from .bsseval import TAPS
from .sdr import USDR_DELTA

METRICS = ("csdr", "usdr", "si_sdr", "si_sar", "log_wmse", "mr_stft", "isr", "sir", "sar")
DEFAULT_METRICS = METRICS[:3]
FILTERED = ("isr", "sir", "sar")
RATIO: dict[str, Any] = {"unit": "dB", "better": "higher"}


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
        How one value per track came about.
    target_set : tuple of str
        The targets scored together, sorted: they decide which frames count as silent.
        Empty where every target is scored by itself.
    silent_frames : str
        What is done where a reference or an estimate is silent.
    delta : float or None
        What is added to both energies.
    unit : str
        ``"dB"``, or empty: a number without unit, or one whose author named none.
    better : str
        ``"higher"`` for a ratio, ``"lower"`` for a distance, or empty.
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
    unit: str = ""
    better: str = ""


def card_for(metric: str, targets, window: float = 1.0, hop: float = 1.0) -> MetricCard:
    """The card of a metric as `sepkit.metrics.score_track` computes it, for a set of targets."""
    targets = tuple(sorted(targets))
    if metric == "csdr" or metric in FILTERED:
        return MetricCard(
            metric,
            "BSSEval v4 images",
            float(window),
            float(hop),
            None if metric == "csdr" else TAPS,
            "median over frames",
            targets,
            "left out for all targets when any reference or estimate is silent",
            0.0,
            **RATIO,
        )
    if metric == "usdr":
        return MetricCard(metric, "MDX song SDR", delta=USDR_DELTA, **RATIO)
    if metric == "si_sdr":
        return MetricCard(
            metric,
            "joint over channels, mean kept",
            silent_frames="NaN for a silent track",
            delta=0.0,
            **RATIO,
        )
    if metric == "si_sar":
        return MetricCard(
            metric,
            "one gain a stem, joint over channels; the mixture counts as one",
            target_set=targets,
            silent_frames="NaN for a silent track",
            delta=0.0,
            **RATIO,
        )
    if metric == "log_wmse":
        return MetricCard(metric, "logWMSE 0.2, against the mixture", better="higher")
    if metric == "mr_stft":
        return MetricCard(
            metric,
            "Parallel WaveGAN's three resolutions, joint over channels",
            silent_frames="NaN for a silent reference",
            better="lower",
        )
    raise unknown("metric", metric, METRICS)
