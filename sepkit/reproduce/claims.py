"""What the documents claim, and whether it holds.

The direction is the document's, not one that the numbers suggest.

sepkit/assets/reported/claims.csv says for every finding of the five documents which of two arms
should score higher, in which metric, by how much, and with which other tests it shares its level.
`evaluate` looks the arms up among the Scores that the chapters wrote, compares them song by song
(and seed by seed, where the arms were trained for it), and gives a verdict. Chapter 12.
"""

import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from ..errors import SepkitError
from ..files import shipped
from ..metrics import statistics as songwise
from ..metrics.crossed import FEWEST_SEEDS, Crossed, crossed
from ..metrics.scores import Score
from .ledger import check_provenance, data_version
from .published import DOCUMENTS, read_number, read_rows

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
    "tolerance",
    "unit",
    "trained",
    "family",
    "fixed_on",
    "changed",
)
DIRECTIONS = ("greater", "same")
EXTENTS = ("songs", "excerpts", "blocks", "trainings")
YES_NO = ("yes", "no")
NOT_RUN = "not run"
ONE_NETWORK = "one network"
#: The chance of a false verdict in a family of claims.
LEVEL = 0.05


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
        scores of `higher` are themselves the effects. Without `higher`, no chapter measures
        the claim yet.
    direction : str
        ``"greater"``: `higher` exceeds `lower` by more than `least`. ``"same"``: the effect is
        `least`, within `tolerance`.
    least, tolerance : float
        The bar, and how far beside it "the same" reaches; in `unit`.
    extent : str
        What was scored: whole ``"songs"``, ``"excerpts"`` of them, ``"blocks"`` of a
        measurement, or ``"trainings"``.
    unit : str
        Of the effect, such as ``"dB"``, or ``"x"`` for a ratio.
    trained : bool
        Whether the arms are ways of training, so that a verdict needs several seeds of each.
        Otherwise they are fixed: oracles, methods without training, a network that is given.
    family, fixed_on, changed : str
        Claims of one family share one level (Holm); the day on which that was settled, before the
        numbers were looked at; and what was changed later, with its day.
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
    tolerance: float = 0.0
    unit: str = "dB"
    trained: bool = False
    family: str = ""
    fixed_on: str = ""
    changed: str = ""

    @property
    def finding(self) -> str:
        """The id without the letter of its part."""
        return re.sub(r"(?<=\d)[a-z]$", "", self.id)

    @property
    def bar(self) -> str:
        """What the effect is held against, such as ``> 0 dB`` or ``1 ± 0.1 x``."""
        if self.direction == "same":
            return f"{self.least:g} ± {self.tolerance:g} {self.unit}"
        return f"> {self.least:g} {self.unit}"

    @property
    def signed(self) -> bool:
        """Whether an effect is a difference or a change: a level or a ratio has no plus sign."""
        return bool(self.lower) or self.least == 0

    def told(self, value: float) -> str:
        """A value of the effect as text, without its unit."""
        value = round(value, 2) + 0.0  # no "-0.00"
        return f"{value:+.2f}" if self.signed else f"{value:.2f}"

    def edge(self, effect: float) -> float:
        """The value that decides: the bar, or for "same" the end of the tolerance nearest to it."""
        return self.least + math.copysign(self.tolerance, effect - self.least)

    def agrees(self, effect: float) -> bool:
        """Whether an effect is as the document says."""
        if self.direction == "same":
            return abs(effect - self.least) < self.tolerance
        return effect > self.least


@dataclass(frozen=True)
class Outcome:
    """A claim on one data set: `comparison` is None where nothing could be compared.

    `p` tests the claim's bar, adjusted by Holm's method for all comparisons of the claim's family;
    None where there is no verdict to be had. `seeds` counts the trainings behind an arm. `verdict`
    is "holds", "fails", "undecided", "undecided: why", "one network" or "not run". `network` is
    what the stars in the names of the arms stood for; empty without a star.
    """

    claim: Claim
    verdict: str
    dataset: str = ""
    where: str = ""
    comparison: songwise.Comparison | Crossed | None = None
    p: float | None = None
    seeds: int = 0
    network: str = ""

    @property
    def counted(self) -> str:
        """How much was compared, and what, such as ``24 songs`` or ``8 blocks``."""
        if not self.comparison:
            return ""
        number, what = self.comparison.n, self.claim.extent
        if what == "songs" and "speech of" in self.dataset:
            what = "speakers or pairs"
        return f"{number} {what if number != 1 else what.removesuffix('s')}"

    @property
    def by_seed(self) -> tuple[float, ...]:
        """The effect of each seed, where there are several."""
        return self.comparison.by_seed if isinstance(self.comparison, Crossed) else ()

    def row(self) -> dict[str, str]:
        """As a table shows it: strings, empty where there is nothing."""
        claim, comparison = self.claim, self.comparison
        shown = {
            "claim": claim.id,
            "statement": claim.statement,
            "network": self.network,
            "measured on": ", ".join(part for part in (self.dataset, self.where) if part),
            "bar": claim.bar,
            **dict.fromkeys(("effect", "95 % interval", "p (Holm)", "songs", "seeds"), ""),
            "by seed": "",
            "family": f"{claim.family}, {claim.fixed_on}"
            + (f"; changed {claim.changed}" if claim.changed else ""),
            "verdict": self.verdict,
        }
        if comparison:
            shown |= {
                "effect": f"{claim.told(comparison.effect)} {claim.unit}",
                "95 % interval": f"{claim.told(comparison.low)} to {claim.told(comparison.high)}",
                "p (Holm)": "" if self.p is None else _p_text(self.p),
                "songs": str(comparison.n),
                "seeds": str(self.seeds),
            }
        if self.by_seed:
            agree = sum(map(claim.agrees, self.by_seed))
            shown["by seed"] = (
                f"{claim.told(min(self.by_seed))} to {claim.told(max(self.by_seed))}; {agree} of "
                f"{len(self.by_seed)} as claimed"
            )
        return shown


def _p_text(p):
    """Three decimals; no p of a test is 0."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


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
        extent, an arm without its metric, a bar without a unit, "same" without a tolerance, a
        claim without a family and its day, or a trained arm whose units are no songs. Names the
        line.
    """
    found = {}
    for where, row in read_rows(Path(path or shipped("reported", "claims.csv")), COLUMNS):
        if row["document"] not in DOCUMENTS:
            raise SepkitError(
                f"{where}: unknown document {row['document']!r}: choose from {', '.join(DOCUMENTS)}"
            )
        for column, known in (("direction", DIRECTIONS), ("extent", EXTENTS), ("trained", YES_NO)):
            if row[column] not in known:
                raise SepkitError(
                    f"{where}: unknown {column} {row[column]!r}: choose from {', '.join(known)}"
                )
        if row["id"] in found:
            raise SepkitError(f"{where}: {row['id']} is stated twice")
        if row["higher"] and not row["metric"]:
            raise SepkitError(f"{where}: {row['id']} names separators but no metric")
        values: dict = dict(row) | {"trained": row["trained"] == "yes"}
        values |= {key: read_number(row[key], where) for key in ("line", "least", "tolerance")}
        claim = Claim(**{**values, "line": int(values["line"])})
        if fault := _fault(claim):
            raise SepkitError(f"{where}: {claim.id} {fault}")
        found[claim.id] = claim
    return list(found.values())


def _fault(claim):
    """What makes a claim one that cannot be tested, or that could be bent afterwards."""
    if not claim.unit:
        return "has no unit; say in what its bar is"
    if (claim.tolerance > 0) != (claim.direction == "same"):
        return "needs a tolerance above 0 for 'same', and 0 for 'greater'"
    if claim.trained and claim.extent not in ("songs", "excerpts"):
        return f"has trained arms, but compares {claim.extent}; those are no songs"
    if not _is_day(claim.fixed_on):
        return "needs the day on which its family was fixed, such as 2026-11-29"
    if claim.changed and not _is_day(claim.changed.partition(": ")[0]):
        return "needs the day of its change, such as '2026-11-29: two rows became one'"
    return "" if claim.family else "has no family; say with which claims it shares its level"


def _is_day(text):
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def evaluate(
    claims: Iterable[Claim], measured: dict[str, list[Score]], seed: int = 0
) -> list[Outcome]:
    """Test the claims on the Scores of the chapters.

    Both arms come from one version of one data set and one metric card. A claim that was measured
    on several, or whose star fits several networks, has an outcome for each.

    Arms that were trained pair by song and seed, and "holds" and "fails" need `FEWEST_SEEDS` of
    both, see `sepkit.metrics.crossed`; a single training says "one network". Fixed arms are
    compared over songs, see `sepkit.metrics.statistics.compare`.

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
        In the order of the claims; p adjusted over all comparisons of a family, that is
        over its parts, data sets and networks, where a verdict can be had.

    Raises
    ------
    SepkitError
        If a Score lacks provenance.
    """
    found = [outcome for claim in claims for outcome in _outcomes(claim, measured, seed)]
    families: dict[str, dict[int, float]] = {}
    for place, outcome in enumerate(found):
        if outcome.comparison and outcome.verdict != ONE_NETWORK:
            families.setdefault(outcome.claim.family, {})[place] = outcome.comparison.p
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
            outcome = _compare(claim, scores, others, seed)
            outcomes.append(replace(outcome, network=", ".join(key[1])))
    return outcomes or [Outcome(claim, NOT_RUN)]


def _arm(claim, pattern, measured):
    """The Scores of an arm: {(what must agree, what the stars stand for): [(chapter, Score)]}.

    Trainings of two chapters are not one arm, though they have one name.
    """
    expression, found = re.compile(re.escape(pattern).replace(r"\*", "(.*)")), {}
    for chapter, scores in measured.items():
        if claim.chapter and _place(chapter)[1] not in claim.chapter.split():
            continue
        for score in scores:
            match = expression.fullmatch(score.separator)
            of_claim = (score.metric, _extent(score)) == (claim.metric, claim.extent)
            if match and of_claim and claim.target in ("", score.target):
                check_provenance(score)
                card = tuple(sorted(asdict(score.card).items()))
                place = _place(chapter) if claim.trained else ()
                kind = (score.dataset, data_version(score), card, place)
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
    a, b = _values(scores, targets), _values(others, targets)
    if not claim.lower:
        b = dict.fromkeys(a, 0.0)
    places = sorted({" ".join(_place(chapter)) for chapter, _ in [*scores, *others] if chapter})
    seeds = sorted({own for _, own in a} & {own for _, own in b}) if claim.trained else []
    facts = {
        "dataset": scores[0][1].dataset,
        "where": ", ".join([*places, *([claim.extent] if claim.extent != "songs" else [])]),
        "seeds": len(seeds) if claim.trained else len({own for _, own in a}),
    }
    if claim.trained and not seeds:
        return Outcome(claim, "undecided: the arms have no seed in common", **facts)
    try:
        if len(seeds) > 1:
            differences = _matrix(a, b, seeds)
            found = crossed(differences)
            found = crossed(differences, against=claim.edge(found.effect))
        else:  # fixed arms, or one training
            kept = seeds or sorted({own for _, own in [*a, *b]})
            found = _over_songs(claim, _means(a, kept), _means(b, kept), seed)
    except SepkitError as error:  # too few songs in common, or infinite scores
        return Outcome(
            claim, f"undecided: {str(error).partition(': ')[2].partition(';')[0]}", **facts
        )
    return Outcome(claim, ONE_NETWORK if len(seeds) == 1 else "", comparison=found, **facts)


def _over_songs(claim, a, b, seed):
    """Two fixed arms, song by song; p tests the value that decides."""
    found = songwise.compare(a, b, seed)
    edge = claim.edge(found.effect)
    shifted = {track: value + edge for track, value in b.items()}
    return found._replace(p=songwise.compare(a, shifted, seed).p) if edge else found


def _matrix(a, b, seeds):
    """Differences (songs, seeds) of two arms; NaN where a song has no score for a seed."""
    songs = sorted({track for track, _ in a} & {track for track, _ in b})

    def table(arm):
        return np.array([[arm.get((song, own), math.nan) for own in seeds] for song in songs])

    with np.errstate(invalid="ignore"):  # inf - inf is NaN: equally perfect, nothing to compare
        return (table(a) - table(b)).reshape(len(songs), len(seeds))


def _place(chapter):
    """("experiment", its name), or ("chapter", its number)."""
    kind, _, name = chapter.partition(" ")
    return (kind, name) if kind == "experiment" else ("chapter", chapter[:2])


def _values(scores, targets):
    """{(track, seed): mean over its targets}; NaN where a target has none."""
    values = {}
    for _, score in scores:
        if score.target in targets:
            found = values.setdefault((score.track, score.provenance["seed"]), {})
            found.setdefault(score.target, []).append(score.value)
    return {
        key: statistics.fmean(
            statistics.fmean(found[target]) if target in found else math.nan for target in targets
        )
        for key, found in values.items()
    }


def _means(values, seeds):
    """{track: mean over those seeds}."""
    by_track = {}
    for (track, own), value in values.items():
        if own in seeds:
            by_track.setdefault(track, []).append(value)
    return {track: statistics.fmean(found) for track, found in by_track.items()}


def _judge(outcome, p):
    """The verdict, where the interval lies on one side of the value that decides."""
    claim, found = outcome.claim, outcome.comparison
    edge = claim.edge(found.effect)
    if claim.trained and outcome.seeds < FEWEST_SEEDS:
        verdict = f"undecided: {outcome.seeds} of {FEWEST_SEEDS} seeds"
    elif found.n < songwise.FEWEST or p > LEVEL or found.low <= edge <= found.high:
        verdict = "undecided"
    else:
        verdict = "holds" if claim.agrees(found.effect) else "fails"
    return replace(outcome, p=p, verdict=verdict, comparison=found._replace(p=p))
