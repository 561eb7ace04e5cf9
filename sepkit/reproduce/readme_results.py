"""What the README shows of the stored experiments: its main table, and its picture.

``make readme`` writes both. A test compares them with the stored Scores, so that neither can go
stale.
"""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

from ..files import atomic_path
from ..metrics import Score
from .claims import Outcome
from .findings import STATES, plain

BEGIN, END = "<!-- results: written by `make readme` -->", "<!-- end of results -->"
#: Trainings of an arm from which on a comparison has a verdict.
SEEDS = 5
_ARM = "remix probability "


def results_table(outcomes: Iterable[Outcome]) -> str:
    """Every comparison with at least `SEEDS` seeds, in Markdown: what was said and what was found.

    Parameters
    ----------
    outcomes : list of Outcome
        Of the stored experiments, as `claims.evaluate` returns them.
    """
    lines = ["| what the documents say | verdict | effect (95 % interval) |", "|---|---|---|"]
    for outcome in outcomes:
        if outcome.comparison and outcome.seeds >= SEEDS:
            row, verdict = outcome.row(), plain(outcome.verdict)
            effect = f"{row['effect']} ({row['95 % interval']})"
            lines.append(f"| {row['statement']} | {STATES[verdict].symbol} {verdict} | {effect} |")
    return "\n".join(lines)


def remixing(scores: Iterable[Score]) -> dict[str, list[float]]:
    """Mean uSDR over the test songs, of each seed, by remix probability.

    Parameters
    ----------
    scores : list of Score
        Of the stored experiment ``mixing``.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for score in scores:
        if score.metric == "usdr" and score.separator.startswith(_ARM):
            seeds = found.setdefault(score.separator.removeprefix(_ARM), {})
            seeds.setdefault(score.provenance["seed"], []).append(score.value)
    return {
        probability: [round(statistics.fmean(values), 4) for _, values in sorted(seeds.items())]
        for probability, seeds in found.items()
    }


def draw(means: dict[str, list[float]], path: str | Path) -> None:
    """Draw uSDR against the probability of a remix, as SVG; the numbers lie in its description."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    ax = figure.subplots()
    x = [float(probability) for probability in means]
    ax.plot(x, [statistics.fmean(seeds) for seeds in means.values()], color="#0072B2", lw=2)
    for place, seeds in zip(x, means.values()):
        label = "one training" if place == x[0] else None
        ax.plot([place] * len(seeds), seeds, "o", color="#0072B2", alpha=0.45, ms=5, label=label)
    ax.set_xlabel("probability that a training example mixes stems of different songs")
    ax.set_ylabel("vocals, uSDR (dB)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="lower right")
    style = {"svg.fonttype": "none", "svg.hashsalt": "sepkit", "font.family": "sans-serif"}
    about = {"Description": json.dumps(means), "Date": None}
    with matplotlib.rc_context(style), atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, format="svg", metadata=about, facecolor="white")


def drawn(path: str | Path) -> dict[str, list[float]]:
    """The numbers that a picture of `draw` shows."""
    from xml.etree import ElementTree

    for element in ElementTree.parse(path).iter():
        if element.tag.endswith("}description") and element.text:
            return json.loads(element.text)
    return {}
