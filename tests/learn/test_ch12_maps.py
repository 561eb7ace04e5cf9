"""The map of findings: a symbol for each, and effects where they belong."""

import numpy as np
import pytest

from sepkit.learn.ch12.figures import starved
from sepkit.learn.ch12.maps import SPAN, map_of_findings
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
    return [list(map(float, line.get_xdata())) for line in fig.axes[0].lines[1:]]


def texts(fig):
    return [text.get_text() for text in fig.axes[0].texts]


def test_every_finding_and_document_has_its_row():
    found = judge(load_findings(), [], {})
    told = texts(map_of_findings(found))
    for entry in found:
        assert entry.finding.id in told
    assert sum(text in {state.symbol for state in STATES.values()} for text in told) == 35
    assert sum("·" in text for text in told) == 5


def test_an_effect_is_drawn_with_its_interval():
    assert lines(map_of_findings(entries())) == [[0.2, 0.8], [0.5]]


def test_many_effects_of_a_finding_get_the_room_they_need():
    (one,) = entries()
    (outcome,) = one.outcomes
    (many,) = judge([one.finding], [outcome] * 12, {})
    drawn = map_of_findings([many]).axes[0].lines[1::2]
    heights = sorted(float(line.get_ydata()[0]) for line in drawn)
    assert len(heights) == 12 and np.diff(heights).min() > 0.3


def test_the_bar_of_a_claim_is_at_zero():
    drawn = lines(map_of_findings(entries(16.0, 14.5, 17.0, least=15.0)))
    assert np.allclose(drawn[0], [-0.5, 2.0]) and np.allclose(drawn[1], [1.0])


@pytest.mark.parametrize("effect, mark", [(6.4, ">"), (-6.4, "<")])
def test_an_effect_outside_of_the_frame_is_an_arrow_with_its_number(effect, mark):
    fig = map_of_findings(entries(effect, effect - 1, effect + 1))
    arrow = fig.axes[0].lines[-1]
    assert arrow.get_marker() == mark and abs(float(arrow.get_xdata()[0])) == SPAN
    assert f"{effect:+.1f}" in texts(fig)
    assert all(abs(x) <= SPAN for line in lines(fig) for x in line)


def test_a_claim_of_sameness_has_brackets_at_its_tolerance():
    drawn = entries(10.1, 9.8, 10.4, least=10.0, tolerance=1.0, direction="same")
    fig = map_of_findings(drawn)
    brackets = {
        t.get_text(): t.get_position()[0] for t in fig.axes[0].texts if t.get_text() in "[]"
    }
    assert brackets == {"[": -1.0, "]": 1.0}
    assert np.allclose(lines(fig)[0], [-0.2, 0.4])


def test_effects_in_other_units_are_written_out():
    fig = map_of_findings(entries(unit="x"))
    assert lines(fig) == [] and any("+0.50" in text for text in texts(fig))


def test_a_starved_epoch_hides_what_a_step_costs():
    """A step of twice the cost: an epoch of which a tenth is computing takes a tenth longer."""
    ax = starved((1.0, 0.8, 1.2), {"before": 0.1, "after": 0.4}, 0.1).axes[0]
    curve, before, after = ax.lines
    assert np.allclose(curve.get_ydata(), 1 + np.asarray(curve.get_xdata()) / 100)
    assert np.allclose([before.get_ydata()[0], after.get_ydata()[0]], [1.1, 1.4])
    assert [text.get_text() for text in ax.texts] == ["before: 1.10 times", "after: 1.40 times"]
