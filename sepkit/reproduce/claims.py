"""What the documents claim, and whether it holds.

The direction is the document's, not one that the numbers suggest.

sepkit/assets/reported/claims.csv says for every finding of the five documents which of two arms
should score higher, in which metric. `evaluate` looks the arms up among the Scores that
the chapters wrote, compares them song by song, and gives a verdict. Chapter 12.
"""

import re
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SepkitError
from ..files import shipped
from ..metrics import statistics as songwise
from ..metrics.cards import FILTERED
from ..metrics.scores import Score
from .ledger import check_provenance
from .published import DOCUMENTS, METRICS, read_number, read_rows

COLUMNS = (
    "id",
    "document",
    "line",
    "words",
    "statement",
    "how",
    "chapter",
    "metric",
    "target",
    "higher",
    "lower",
    "direction",
    "least",
    "extent",
)
DIRECTIONS = ("greater", "same")
EXTENTS = ("songs", "excerpts", "blocks", "trainings")
NOT_RUN = "not run"
_DECIBELS = (*FILTERED, *(ours for ours, _ in METRICS.values()))


@dataclass(frozen=True)
class Claim:
    """One row of claims.csv.

    Attributes
    ----------
    id, document, line, words : str, str, int, str
        Which finding, of which of `DOCUMENTS`, and the words of that line which state it. A letter
        at the end of the id tells the parts of one finding.
    statement, how : str
        The finding and its test in the kit's words.
    chapter : str
        Where the Scores that count come from: numbers of chapters, names of experiments, such as
        ``"04 variants"``; from everywhere when empty.
    metric, target : str
        Of the Scores. Without a target, a song's score is the mean over those that both arms have.
    higher, lower : str
        Names of separators. A ``*`` stands for the same text in both. Without `lower`, the
        scores of `higher` are themselves the differences. Without `higher`, no chapter measures
        the claim yet.
    direction : str
        ``"greater"``: `higher` exceeds `lower` by more than `least`. ``"same"``: they differ by
        no more than `least`.
    least : float
        In the unit of the metric.
    extent : str
        What was scored: whole ``"songs"``, ``"excerpts"`` of them, ``"blocks"`` of a
        measurement, or ``"trainings"``.
    """

    id: str
    document: str
    line: int
    words: str
    statement: str
    how: str
    chapter: str
    metric: str
    target: str
    higher: str
    lower: str
    direction: str
    least: float
    extent: str = "songs"

    @property
    def finding(self) -> str:
        """The id without the letter of its part."""
        return re.sub(r"(?<=\d)[a-z]$", "", self.id)


@dataclass(frozen=True)
class Outcome:
    """A claim on one data set: `comparison` is None where nothing could be compared.

    `p` is adjusted by Holm's method for all comparisons of the same finding, `seeds` counts the
    trainings behind an arm, `verdict` is "holds", "fails", "undecided", "undecided: why" or
    "not run".
    """

    claim: Claim
    verdict: str
    dataset: str = ""
    where: str = ""
    comparison: songwise.Comparison | None = None
    p: float | None = None
    seeds: int = 0

    def row(self) -> dict[str, str]:
        """As a table shows it: strings, empty where there is nothing."""
        shown = {
            "claim": self.claim.id,
            "statement": self.claim.statement,
            "measured on": ", ".join(part for part in (self.dataset, self.where) if part),
            **dict.fromkeys(("effect", "95 % interval", "p (Holm)", "songs", "seeds"), ""),
            "verdict": self.verdict,
        }
        if self.comparison:
            unit = " dB" if self.claim.metric in _DECIBELS else ""
            effect, low, high, *_ = self.comparison
            shown |= {
                "effect": f"{effect:+.2f}{unit}",
                "95 % interval": f"{low:+.2f} to {high:+.2f}",
                "p (Holm)": f"{self.p:.3f}",
                "songs": str(self.comparison.n),
                "seeds": str(self.seeds),
            }
        return shown


def load_claims(path: str | Path | None = None) -> list[Claim]:
    """Read the claims, in the order of the documents.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns `COLUMNS`; by default the one that sepkit ships.

    Returns
    -------
    list of Claim

    Raises
    ------
    SepkitError
        For a missing column, an id stated twice, an unknown document, direction or
        extent, or an arm without its metric. Names the line.
    """
    found = {}
    for where, row in read_rows(Path(path or shipped("reported", "claims.csv")), COLUMNS):
        if row["document"] not in DOCUMENTS:
            raise SepkitError(
                f"{where}: unknown document {row['document']!r}: choose from {', '.join(DOCUMENTS)}"
            )
        for column, known in (("direction", DIRECTIONS), ("extent", EXTENTS)):
            if row[column] not in known:
                raise SepkitError(
                    f"{where}: unknown {column} {row[column]!r}: choose from {', '.join(known)}"
                )
        if row["id"] in found:
            raise SepkitError(f"{where}: {row['id']} is stated twice")
        if row["higher"] and not row["metric"]:
            raise SepkitError(f"{where}: {row['id']} names separators but no metric")
        texts: dict = {key: row[key] for key in COLUMNS if key not in ("line", "least")}
        line, least = (read_number(row[key], where) for key in ("line", "least"))
        found[row["id"]] = Claim(**texts, line=int(line), least=least)
    return list(found.values())


def evaluate(
    claims: Iterable[Claim], measured: dict[str, list[Score]], seed: int = 0
) -> list[Outcome]:
    """Test the claims on the Scores of the chapters.

    Both arms come from one data set and one metric card. A claim that was measured on several,
    or whose star fits several networks, has an outcome for each.

    Parameters
    ----------
    claims : list of Claim
    measured : dict
        Chapter name -> list of Score, as `ledger.load_measured` returns it, and experiments
        as `ledger.load_experiments` does.
    seed : int
        Of the resampling.

    Returns
    -------
    list of Outcome
        In the order of the claims; p adjusted over all comparisons of a finding, that is
        over its parts, data sets and networks.

    Raises
    ------
    SepkitError
        If a Score lacks provenance.
    """
    found = [outcome for claim in claims for outcome in _outcomes(claim, measured, seed)]
    families: dict[str, dict[int, float]] = {}
    for place, outcome in enumerate(found):
        if outcome.comparison:
            families.setdefault(outcome.claim.finding, {})[place] = outcome.comparison.p
    adjusted = {
        place: p for family in families.values() for place, p in songwise.holm(family).items()
    }
    return [
        _judge(outcome, adjusted[place]) if place in adjusted else outcome
        for place, outcome in enumerate(found)
    ]


def _outcomes(claim, measured, seed):
    arms = {
        side: _arm(claim, pattern, measured)
        for side, pattern in (("higher", claim.higher), ("lower", claim.lower))
        if pattern
    }
    if not arms:
        return [Outcome(claim, NOT_RUN)]
    outcomes = []
    for key, scores in arms["higher"].items():
        others = arms["lower"].get(key) or arms["lower"].get((key[0], ())) if claim.lower else ()
        if others is not None:
            outcomes.append(_compare(claim, scores, others, seed))
    return outcomes or [Outcome(claim, NOT_RUN)]


def _arm(claim, pattern, measured):
    """The Scores of an arm: {((dataset, card), what the stars stand for): [(chapter, Score)]}."""
    expression, found = re.compile(re.escape(pattern).replace(r"\*", "(.*)")), {}
    for chapter, scores in measured.items():
        if claim.chapter and _place(chapter)[1] not in claim.chapter.split():
            continue
        for score in scores:
            match = expression.fullmatch(score.separator)
            of_claim = (score.metric, _extent(score)) == (claim.metric, claim.extent)
            if match and of_claim and claim.target in ("", score.target):
                check_provenance(score)
                kind = (score.dataset, tuple(sorted(asdict(score.card).items())))
                found.setdefault((kind, match.groups()), []).append((chapter, score))
    return found


def _extent(score):
    """What was scored, one of `EXTENTS`."""
    for one in ("excerpt", "block", "training"):
        if one in score.provenance or f"{one}s" in score.provenance:
            return f"{one}s"
    return "songs"


def _compare(claim, scores, others, seed):
    targets = {score.target for _, score in scores}
    if others:
        targets &= {score.target for _, score in others}
    a, b = _by_song(scores, targets), _by_song(others, targets)
    b = b if claim.lower else dict.fromkeys(a, 0.0)
    places = sorted({" ".join(_place(chapter)) for chapter, _ in [*scores, *others] if chapter})
    where = ", ".join([*places, *([claim.extent] if claim.extent != "songs" else [])])
    facts = {
        "dataset": scores[0][1].dataset,
        "where": where,
        "seeds": len({score.provenance["seed"] for _, score in scores}),
    }
    try:
        return Outcome(claim, "", comparison=songwise.compare(a, b, seed), **facts)
    except SepkitError as error:  # too few songs in common, or infinite scores
        return Outcome(
            claim, f"undecided: {str(error).partition(': ')[2].partition(';')[0]}", **facts
        )


def _place(chapter):
    """("experiment", its name), or ("chapter", its number)."""
    kind, _, name = chapter.partition(" ")
    return (kind, name) if kind == "experiment" else ("chapter", chapter[:2])


def _by_song(scores, targets):
    """{track: mean over its targets, each the mean over seeds}; NaN where a target has none."""
    values = {}
    for _, score in scores:
        if score.target in targets:
            values.setdefault(score.track, {}).setdefault(score.target, []).append(score.value)
    return {
        track: statistics.fmean(
            statistics.fmean(found[target]) if target in found else float("nan")
            for target in targets
        )
        for track, found in values.items()
    }


def _judge(outcome, p):
    comparison, claim = outcome.comparison._replace(p=p), outcome.claim
    if claim.direction == "same":
        inside = -claim.least <= comparison.low and comparison.high <= claim.least
        outside = comparison.low > claim.least or comparison.high < -claim.least
        enough = comparison.n >= songwise.FEWEST
        verdict = "holds" if inside and enough else "fails" if outside and enough else "undecided"
    else:
        verdict = songwise.verdict(comparison, least=claim.least)
    return Outcome(**{**vars(outcome), "p": p, "verdict": verdict})
