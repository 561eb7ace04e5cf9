"""How good a separation is: ratios in dB, and the Scores that carry them."""

from .bsseval import bss_eval, ffmpeg_available
from .cards import DEFAULT_METRICS, METRICS, MetricCard, card_for
from .findings import Finding, examine
from .log_wmse import log_wmse
from .mr_stft import mr_stft
from .museval_files import load_museval, museval_frames
from .scores import Score, aggregate, comparable, load_scores, save_scores, to_frame
from .scoring import score_track
from .sdr import framewise_sdr, sdr, si_sar, si_sdr, silent_frames, usdr

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "Finding",
    "MetricCard",
    "Score",
    "aggregate",
    "bss_eval",
    "card_for",
    "comparable",
    "examine",
    "ffmpeg_available",
    "framewise_sdr",
    "load_museval",
    "load_scores",
    "log_wmse",
    "mr_stft",
    "museval_frames",
    "save_scores",
    "score_track",
    "sdr",
    "si_sar",
    "si_sdr",
    "silent_frames",
    "to_frame",
    "usdr",
]
