"""Printed numbers with another one beside: recomputed, counted, looked up or measured.

One function for each finding whose answer is a number and no verdict. What needs no
Scores is always there; what does is left out until they are. Chapter 12.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from .. import models
from ..metrics.published_tests import FIVE_TIMES, one_sample_z, two_sample_t
from ..metrics.scores import Score
from ..models import scnet
from ..stems import STEMS
from .errata import CHUNKS, check_thesis
from .published import METRICS, load_printed
from .sisec_statements import umx_ranks

#: Songs in the test set of MUSDB18.
SONGS = 50
#: Entry of the thesis's Table 2.1 -> (network, settings) that the kit has of it.
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "Band-split RNN": ("bsrnn", dict(norm_frames=263)),
    "Sparse HT Demucs": ("htdemucs", {}),
    "SCNet": ("scnet", {}),
    "SCNet-large": ("scnet", scnet.SIZES["large"]),
}
#: Row of the third document's Table 1 -> arm of the experiment that fills it.
VARIANTS = {
    "Open-Unmix": "Open-Unmix, loss mse",
    "Time Domain": "Time domain",
    "Transformer": "Transformer",
    "L1 Loss": "Open-Unmix, loss l1",
    "Dual Loss": "Open-Unmix, loss dual",
}


@dataclass(frozen=True)
class Number:
    """A number of a document and the kit's, both as text with their unit.

    `where` says what `ours` is: a computation, or the data it was measured on.
    """

    item: str
    printed: str
    ours: str
    where: str

    def __str__(self):
        return f"{self.item}: {self.ours} (printed: {self.printed})"


def beside(finding: str, measured: dict[str, list[Score]]) -> list[Number]:
    """What stands beside the numbers of a finding; empty where nothing was measured yet.

    Parameters
    ----------
    finding : str
        Its id in findings.csv, such as ``"S4.1"``.
    measured : dict
        Chapter or experiment -> list of Score, as `ledger.load_measured` and
        `ledger.load_experiments` return them.
    """
    return NUMBERS[finding](measured) if finding in NUMBERS else []


def count_parameters(entry: str) -> int | None:
    """Parameters of the kit's network for an entry of the thesis's Table 2.1, None without one.

    The network is built without memory for its weights.
    """
    if _network(entry) not in COUNTED:
        return None
    network, settings = COUNTED[_network(entry)]
    with torch.device("meta"):
        return sum(p.numel() for p in models.build(network, **settings).parameters())


def mean_of_arm(scores: Iterable[Score], arm: str, metric: str) -> tuple[float, float] | None:
    """Mean over songs and seeds of an arm's scores, and the deviation over seeds of their means.

    The deviation is NaN with a single seed; None where there are no scores.
    """
    by_seed: dict[int, list[float]] = {}
    for score in scores:
        if (score.separator, score.metric) == (arm, metric) and score.value == score.value:
            by_seed.setdefault(score.provenance["seed"], []).append(score.value)
    means = [statistics.fmean(values) for values in by_seed.values()]
    if not means:
        return None
    return statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else math.nan


def about(scores: Iterable[Score]) -> str:
    """What Scores were measured on, such as ``band, 16 kHz mono, 24 songs, 3 seeds``."""
    scores = list(scores)
    data = ", ".join(dict.fromkeys(score.dataset for score in scores))
    counts = {
        "song": len({score.track for score in scores}),
        "seed": len({score.provenance["seed"] for score in scores}),
    }
    return ", ".join([data, *(f"{n} {what}{'s' * (n != 1)}" for what, n in counts.items())])


def in_db(found: tuple[float, float] | None) -> str:
    """What `mean_of_arm` found, as ``1.23 ± 0.04 dB``; empty for None."""
    if found is None:
        return ""
    mean, spread = found
    return f"{mean:.2f} dB" if math.isnan(spread) else f"{mean:.2f} ± {spread:.2f} dB"


def _speed(measured):
    """S0.1: seconds for a song of four minutes, by network and number of threads."""
    return [
        Number(
            f"{name}, song of 4 min",
            "1160.948 s on 2 virtual cores, 105.891 s on 8",
            f"{240 * factor:.0f} s",
            "from turns of a few seconds",
        )
        for name, factor in _medians(measured, "real_time_factor").items()
        if name.startswith("resunet")
    ]


def _busy(measured):
    """S3.3: how much of an epoch the training step works, by batch size and workers."""
    where = f"measured on {_devices(measured, 'busy')}: another device, so no comparison"
    return [
        Number(
            name,
            "at most 10 %, then 40 %, of a GPU",
            f"{100 * share:.0f} % of the time busy",
            where,
        )
        for name, share in _medians(measured, "busy").items()
    ]


def _epochs(measured):
    """S4.9: minutes an epoch, of as many examples as the thesis had."""
    printed = {"5200 examples": "10 min", "29000 examples": "1 h", "35000 examples": "1 h 20 min"}
    devices = _devices(measured, "epoch_seconds")
    return [
        Number(
            f"{name}, epoch of {track}",
            f"{text} on an RTX 3090",
            f"{_duration(seconds)} on {devices}",
            "from measured steps: another device, so no comparison",
        )
        for track, text in printed.items()
        for name, seconds in _medians(measured, "epoch_seconds", track).items()
    ]


def _duration(seconds):
    """Minutes, hours or days, whichever can be read at a glance."""
    for size, unit in ((86400, "days"), (3600, "h")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min"


def _museval(measured):
    """S0.2: two references of which one is three times the other."""
    ours = 20 * math.log10(3 / 2)
    return [Number("accompaniment SDR", "3.522 dB", f"{ours:.3f} dB", "20 log10(3/2)")]


def _ranks(measured):
    """S2.2: the rank of Open-Unmix among those trained on the same songs, and among all."""
    table = umx_ranks()
    return [
        Number(
            f"second in, {row.competitors}",
            "two of four",
            f"{row['second in']} of {len(STEMS)} targets",
            f"ranks {', '.join(str(row[target]) for target in STEMS)}",
        )
        for _, row in table.iterrows()
    ]


def _variants(measured):
    """S3.1: the table that was printed without a number."""
    scores = measured.get("experiment variants", [])
    return [
        Number(f"{row}, uSDR", "N/A", in_db(found), about(_of_arm(scores, arm)))
        for row, arm in VARIANTS.items()
        if (found := mean_of_arm(scores, arm, "usdr"))
    ]


def _sizes(measured):
    """S4.1: millions of parameters, for the networks that the kit has."""
    printed = {
        _network(row.item): row.printed
        for row in load_printed()
        if (row.table, row.quantity) == ("Table 2.1", "parameters")
    }
    return [
        Number(f"{name}, parameters", f"{printed[name]} M", f"{count / 1e6:.2f} M", "counted")
        for name in COUNTED
        if (count := count_parameters(name))
    ]


def _start(measured):
    """S4.2: of the tests of Table 5.1, how many follow from its means and deviations."""
    found = [row.fits for row in check_thesis() if row.table == "Table 5.1"]
    ours = f"{sum(found)} of them follow from its means and deviations"
    return [Number("t, se and p of Table 5.1", f"{len(found)} numbers", ours, "recomputed")]


def _as_songs(measured):
    """S4.8: the p values of the uSDR if its 50 songs are counted, and not their chunks."""
    moments = _moments("uSDR")
    after, before = moments["Table 5.3"], moments["Table 5.1"]
    above = one_sample_z(*after, SONGS, FIVE_TIMES)
    gain = two_sample_t(*after, SONGS, *before, SONGS)
    where = f"n = {SONGS} songs in place of {CHUNKS} chunks"
    return [
        Number(f"uSDR above 6.99 dB, n = {SONGS}, p", "0.0025", f"{above.p:.2f}", where),
        Number(f"uSDR after remixing against before, n = {SONGS}, p", "0.", f"{gain.p:.2f}", where),
    ]


def _threshold(measured):
    """S4.13: the threshold, and the statistic of the starting checkpoint."""
    mean, sd = _moments("uSDR")["Table 5.1"]
    chunks, songs = (one_sample_z(mean, sd, n, FIVE_TIMES) for n in (CHUNKS, SONGS))
    return [
        Number("the threshold", "6.9897 dB", f"{FIVE_TIMES:.4f} dB", "10 log10(5)"),
        Number("uSDR of the start, t", "-2.31", f"{chunks.statistic:.2f}", f"n = {CHUNKS} chunks"),
        Number(f"the same, n = {SONGS}", "-2.31", f"{songs.statistic:.2f}", f"n = {SONGS} songs"),
    ]


def _by_heart(measured):
    """S4.3: Table 5.2 beside every arm of the experiment."""
    scores = measured.get("experiment overfit", [])
    printed = {
        row.metric: row.printed
        for row in load_printed()
        if (row.document, row.table) == ("004", "Table 5.2")
    }
    return [
        Number(f"{arm}, {metric}", text, in_db(found), about(_of_arm(scores, arm)))
        for arm in dict.fromkeys(score.separator for score in scores)
        for metric, text in printed.items()
        if (found := mean_of_arm(scores, arm, METRICS[metric][0]))
    ]


def _network(entry):
    """The network of an entry of Table 2.1, whatever it was trained on."""
    return entry.partition(" +")[0].removesuffix(" semi-supervised")


def _medians(measured, metric, track=None):
    """{separator: median over the turns} of a metric, in all chapters."""
    values = {}
    for score in (score for scores in measured.values() for score in scores):
        if score.metric == metric and track in (None, score.track):
            values.setdefault(score.separator, []).append(score.value)
    return {name: statistics.median(found) for name, found in values.items()}


def _devices(measured, metric):
    """The devices that a metric was measured on, such as ``cpu``."""
    own = (s for scores in measured.values() for s in scores if s.metric == metric)
    return ", ".join(sorted({str(score.provenance.get("device", "?")) for score in own}))


def _of_arm(scores, arm):
    return [score for score in scores if score.separator == arm]


def _moments(metric):
    """{table of the thesis: (mean, deviation)}."""
    rows = [row for row in load_printed() if (row.document, row.metric) == ("004", metric)]
    values = {(row.table, row.quantity): row.value for row in rows if row.table[:7] == "Table 5"}
    tables = {table for table, quantity in values if quantity == "sd"}
    return {table: (values[table, "mean"], values[table, "sd"]) for table in tables}


#: Finding -> the numbers beside its own.
NUMBERS: dict[str, Callable[[dict[str, list[Score]]], list[Number]]] = {
    "S0.1": _speed,
    "S0.2": _museval,
    "S2.2": _ranks,
    "S3.1": _variants,
    "S3.3": _busy,
    "S4.1": _sizes,
    "S4.2": _start,
    "S4.3": _by_heart,
    "S4.8": _as_songs,
    "S4.9": _epochs,
    "S4.13": _threshold,
}
