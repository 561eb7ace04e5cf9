"""How good a separation is: ratios in dB, and the Scores that carry them."""

from .bsseval import bss_eval, ffmpeg_available
from .scores import (
    DEFAULT_METRICS,
    METRICS,
    MetricCard,
    Score,
    aggregate,
    card_for,
    load_scores,
    save_scores,
    score_track,
    to_frame,
)
from .sdr import framewise_sdr, sdr, si_sdr, usdr

__all__ = [
    "DEFAULT_METRICS", "METRICS", "MetricCard", "Score", "aggregate", "bss_eval", "card_for", "ffmpeg_available",
    "framewise_sdr", "load_scores", "save_scores", "score_track", "sdr", "si_sdr", "to_frame", "usdr",
]  # fmt: skip
