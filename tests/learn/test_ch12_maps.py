"""The map of findings: a symbol for each, and effects where they belong."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from sepkit.learn.ch12.figures import starved
from sepkit.learn.ch12.maps import map_of_findings
from sepkit.metrics.statistics import Comparison
from sepkit.reproduce.claims import Claim, Outcome
from sepkit.reproduce.findings import STATES, Finding, judge, load_findings


def entries(effect=0.5, low=0.2, high=0.8, **claimed):
    finding = Finding("S4.5", "004", "It is so.", ("claim",), ("07",), "run it", "", ())
    own = {"direction": "greater", "least": 0.0} | claimed
    claim = Claim("S4.5", "004", 1, "so", "It is so", "", "", "usdr", "vocals", "a", "b", **own)
    compared = Comparison(effect, low, high, 0.01, 20, 0, 0.01)
    outcome = Outcome(claim, "holds", "band", "experiment mixing", compared, 0.01, 3)
    return judge([finding], [outcome], {})


def lines(fig):
    """x of everything drawn but the line at zero."""
    return [list(map(float, line.get_xdata())) for line in fig.axes[0].lines[:-1]]


def words(fig):
    """All that is written in the figure, at its left and in it."""
    ax = fig.axes[0]
    return " ".join(text.get_text() for text in (*ax.get_yticklabels(), *ax.texts)).split()


def test_every_finding_and_document_is_named():
    found = judge(load_findings(), [], {})
    told = words(map_of_findings(found))
    for entry in found:
        assert entry.finding.id in [word.strip(",") for word in told]
    assert sum(word in {state.symbol for state in STATES.values()} for word in told) == 35
    assert told.count("·") == 5


def test_an_effect_is_drawn_with_its_interval_beside_what_it_is_about():
    fig = map_of_findings(entries())
    assert lines(fig) == [[0.2, 0.8], [0.5]]
    assert " ".join(words(fig)).endswith("S4.5 It is so")


def test_every_network_has_its_line_and_its_name():
    (one,) = entries()
    (outcome,) = one.outcomes
    many = [replace(outcome, network=f"network-{number}") for number in range(12)]
    fig = map_of_findings(judge([one.finding], many, {}))
    heights = sorted(float(line.get_ydata()[0]) for line in fig.axes[0].lines[:-1:2])
    inches = fig.get_figheight() / np.ptp(fig.axes[0].get_ylim())
    assert len(heights) == 12 and inches * np.diff(heights).min() > 0.1
    assert [f"network-{number}" for number in range(12)] == words(fig)[-12:]


def test_the_bar_of_a_claim_is_at_zero_and_is_told():
    fig = map_of_findings(entries(16.0, 14.5, 17.0, least=15.0))
    drawn = lines(fig)
    assert np.allclose(drawn[0], [-0.5, 2.0]) and np.allclose(drawn[1], [1.0])
    assert "(bar: > 15 dB)" in " ".join(words(fig))


@pytest.mark.parametrize("effect", [0.3, 6.4, -64.0])
def test_whatever_an_effect_is_it_lies_within_the_frame(effect):
    fig = map_of_findings(entries(effect, effect - 1, effect + 1))
    left, right = fig.axes[0].get_xlim()
    assert all(left < x < right for line in lines(fig) for x in line)
    assert left <= -1 and right >= 1 and lines(fig)[1] == [effect]


def ground(fig):
    """From where to where the document is right, by the green ground of each row."""
    boxes = [patch.get_bbox() for patch in fig.axes[0].patches]
    return [(box.x0, box.x1) for box in boxes]


def test_the_ground_is_green_where_the_document_is_right():
    fig = map_of_findings(entries())
    assert ground(fig) == [(0, fig.axes[0].get_xlim()[1])]
    same = map_of_findings(entries(10.1, 9.8, 10.4, least=10.0, tolerance=1.0, direction="same"))
    assert ground(same) == [(-1.0, 1.0)]
    assert np.allclose(lines(same)[0], [-0.2, 0.4])


def test_a_verdict_is_told_without_colour_too():
    (one,) = entries()
    (outcome,) = one.outcomes
    marks = set()
    for verdict in ("holds", "fails", "undecided", "one network"):
        found = judge([one.finding], [replace(outcome, verdict=verdict)], {})
        mark = map_of_findings(found).axes[0].lines[1]
        marks.add((mark.get_marker(), mark.get_markerfacecolor() == "white"))
    assert len(marks) == 4


def test_effects_in_other_units_are_written_out():
    fig = map_of_findings(entries(unit="x"))
    assert lines(fig) == [] and "+0.50 x" in " ".join(words(fig))
    (framed,) = fig.axes[0].texts
    assert framed.get_ha() == "left" and framed.get_position()[0] > 1, "beside the axis of dB"
    assert to_hex(framed.get_bbox_patch().get_edgecolor()).upper() == STATES["holds"].colour


def test_a_starved_epoch_hides_what_a_step_costs():
    """A step of twice the cost: an epoch of which a tenth is computing takes a tenth longer."""
    ax = starved((1.0, 0.8, 1.2), {"before": 0.1, "after": 0.4}, 0.1).axes[0]
    curve, at_best, before, after = ax.lines
    assert np.allclose(curve.get_ydata(), 1 + np.asarray(curve.get_xdata()) / 100)
    # Loaded side by side: 40 % and twice that fit into the epoch, 75 % do not.
    best = dict(zip(at_best.get_xdata(), at_best.get_ydata()))
    assert [best[40], best[50], best[75], best[100]] == pytest.approx([1.0, 1.0, 1.5, 2.0])
    assert np.allclose([before.get_ydata()[0], after.get_ydata()[0]], [1.1, 1.4])
    assert [text.get_text() for text in ax.texts] == ["before: 1.10 times", "after: 1.40 times"]
