"""What the ledger lays side by side: rows of systems, in tables of one data set and one metric card."""

from dataclasses import dataclass, field

from .published import METRICS

#: BSSEval's other ratios, in dB like those of `METRICS`.
FILTERED = ("isr", "sir", "sar")
#: Songs in the test set of the data sets with published numbers: a verdict needs them all.
TEST_SONGS = {"MUSDB18": 50, "MUSDB18-HQ": 50}
#: dB by which inference with published weights, or an oracle, may differ from its published score.
INFERENCE_TOLERANCE = 0.1
#: A retraining may differ by its own spread over seeds, once there are this many.
SEEDS = 3


@dataclass
class Row:
    """One system of a table: published values, ours, or both.

    `reported` and `ours` map target -> dB; `counts` has the songs behind each of `ours`, and
    `songs` the most of them. With several seeds, counted by `seeds`, `ours` is the mean over
    them and `spread` the largest minus the smallest. `retrained` tells networks trained here
    from inference with published weights: the provenance of their Scores names the published
    system as ``repeats``.
    """

    system: str
    reported: dict = field(default_factory=dict)
    ours: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    extra_training_data: bool = False
    source: str = ""
    provenance: dict = field(default_factory=dict)
    seeds: int = 0
    spread: dict = field(default_factory=dict)
    retrained: bool = False

    @property
    def songs(self):
        return max(self.counts.values(), default=0)

    def difference(self, target):
        """Ours minus reported, or None where one is missing."""
        if self.ours.get(target) is None or self.reported.get(target) is None:
            return None
        return self.ours[target] - self.reported[target]

    def tolerance(self, target):
        """DB that the difference may have; None where it is a spread over seeds that is not known."""
        if not self.retrained:
            return INFERENCE_TOLERANCE
        return self.spread.get(target) if self.seeds >= SEEDS else None

    def verdict(self, target, songs):
        """What the difference says: "holds", "fails" or "undecided: ..."; empty where there is none.

        Parameters
        ----------
        target : str
        songs : int
            Of the whole test set; a part of it decides nothing.
        """
        difference, tolerance = self.difference(target), self.tolerance(target)
        if difference is None:
            return ""
        if self.counts.get(target, 0) < songs:
            return f"undecided: {self.counts.get(target, 0)} of {songs} songs"
        if tolerance is None:
            return f"undecided: {self.seeds} of {SEEDS} seeds"
        return "holds" if abs(difference) <= tolerance + 1e-9 else "fails"


@dataclass
class Table:
    """One data set, one metric card, systems by targets.

    `aggregation` is empty unless the numbers were summarised in another way than `summary` says.
    """

    dataset: str
    metric: str
    card: dict
    rows: list
    targets: tuple
    excerpts: bool = False
    aggregation: str = ""

    @property
    def title(self):
        """For a heading, such as ``cSDR on band (dB)``."""
        what = f"{self.metric} on {self.dataset}{' (dB)' if self.standard else ''}"
        return (
            what
            + (", excerpts" if self.excerpts else "")
            + (f", {self.aggregation}" if self.aggregation else "")
        )

    def verdict(self, row, target):
        """The verdict on a row's difference from the published number; see `Row.verdict`."""
        return row.verdict(target, TEST_SONGS.get(self.dataset, 0))

    @property
    def standard(self):
        """Whether the metric is one of the field's, rather than a chapter's own."""
        return self.metric in (*METRICS, *FILTERED)

    @property
    def measured(self):
        """Whether any row holds a number of ours."""
        return any(row.ours for row in self.rows)
