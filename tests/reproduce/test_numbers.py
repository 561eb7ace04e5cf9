"""Numbers beside those of the documents: counted, recomputed and averaged as they say."""

import math
import statistics

import pytest
from scipy import stats

from sepkit.metrics.scores import Score
from sepkit.reproduce import numbers
from sepkit.reproduce.experiments import catalogue
from sepkit.reproduce.numbers import NUMBERS, about, beside, count_parameters, in_db, mean_of_arm
from sepkit.reproduce.published import load_printed

from .tools import scores


def of(finding, measured=None):
    return {number.item: number for number in beside(finding, measured or {})}


def arm(name, by_seed, metric="usdr"):
    """Scores of an arm: {seed: values of the songs}."""
    found = []
    for seed, values in by_seed.items():
        for score in scores(name, values, "band"):
            changed = {"metric": metric, "provenance": score.provenance | {"seed": seed}}
            found.append(Score(**{**vars(score), **changed}))
    return found


@pytest.mark.parametrize(
    "entry, parameters",
    [
        # As the public implementations of the networks count themselves.
        ("Band-split RNN", 32_414_628),
        ("Band-split RNN semi-supervised", 32_414_628),
        ("SCNet", 10_578_768),
        ("SCNet +235", 10_578_768),
        ("SCNet-large +235", 42_181_232),
        ("Sparse HT Demucs +800", 41_984_456),
        ("MDX", None),
        ("Pac-HuBERT +890h self-supervised", None),
    ],
)
def test_networks_of_the_thesis_table_are_counted_where_the_kit_has_them(entry, parameters):
    assert count_parameters(entry) == parameters


def test_sizes_stand_beside_those_that_are_printed():
    found = of("S4.1")["SCNet, parameters"]
    assert (found.printed, found.ours) == ("10.08 M", "10.58 M")


def test_a_mean_is_one_over_songs_and_then_over_seeds():
    some = arm("a", {0: [1.0, 2.0, 6.0], 1: [4.0, 4.0]}) + arm("b", {0: [9.0]})
    mean, spread = mean_of_arm(some, "a", "usdr")
    assert mean == pytest.approx((3 + 4) / 2), "a seed counts as much as another"
    assert spread == pytest.approx(statistics.stdev([3, 4]))
    assert mean_of_arm(some, "a", "csdr") is None and mean_of_arm(some, "c", "usdr") is None


def test_songs_without_a_score_are_left_out_and_one_seed_has_no_spread():
    mean, spread = mean_of_arm(arm("a", {0: [1.0, float("nan"), 3.0]}), "a", "usdr")
    assert mean == 2 and math.isnan(spread)
    assert in_db((mean, spread)) == "2.00 dB" and in_db((2.0, 0.5)) == "2.00 ± 0.50 dB"
    assert in_db(None) == ""


def test_what_was_measured_on_counts_songs_and_seeds():
    assert about(arm("a", {0: [1.0, 2.0], 1: [1.0, 2.0]})) == "band, 2 songs, 2 seeds"
    assert about(arm("a", {0: [1.0]})) == "band, 1 song, 1 seed"


def test_the_museval_printout_is_a_ratio_of_levels():
    assert of("S0.2")["accompaniment SDR"].ours == "3.522 dB"
    assert abs(20 * math.log10(1.5) - 3.522) < 0.0005


def test_the_table_that_was_printed_empty_is_filled_arm_by_arm():
    names = [row.item for row in load_printed() if (row.document, row.table) == ("003", "Table 1")]
    assert list(numbers.VARIANTS) == names
    arms = {one.name for one in catalogue.design("variants").arms}
    assert set(numbers.VARIANTS.values()) <= arms
    some = {"experiment variants": arm("Transformer", {0: [1.0, 2.0], 1: [3.0, 4.0]})}
    (found,) = beside("S3.1", some)
    assert (found.item, found.printed) == ("Transformer, uSDR", "N/A")
    assert found.ours == in_db((2.5, statistics.stdev([1.5, 3.5])))


def test_without_scores_there_are_no_measured_numbers():
    assert beside("S3.1", {}) == beside("S4.3", {}) == beside("S4.5", {}) == []


def test_p_values_over_songs_are_scipys():
    """Of the uSDR in Tables 5.1 and 5.3 of the thesis, with n = 50."""
    found = of("S4.8")
    above = stats.norm.sf((7.13 - 10 * math.log10(5)) / (2.63 / math.sqrt(50)))
    gain = stats.ttest_ind_from_stats(7.13, 2.63, 50, 6.88, 2.49, 50, equal_var=False)
    assert found["uSDR above 6.99 dB, n = 50, p"].ours == f"{above:.2f}"
    normal = stats.norm.sf(gain.statistic)  # the thesis takes the normal distribution
    assert found["uSDR after remixing against before, n = 50, p"].ours == f"{normal:.2f}"


def test_the_threshold_is_five_times_the_energy():
    found = of("S4.13")
    assert found["the threshold"].ours == "6.9897 dB"
    z = (6.88 - 10 * math.log10(5)) / (2.49 / math.sqrt(50))
    assert found["the same, n = 50"].ours == f"{z:.2f}"


def test_learning_by_heart_stands_beside_every_arm():
    some = {"experiment overfit": arm("L1", {0: [9.0, 11.0]}) + arm("minus SDR", {0: [20.0, 22.0]})}
    found = of("S4.3", some)
    assert found["L1, uSDR"].ours == "10.00 dB" and found["L1, uSDR"].printed == "10.06 dB"
    assert found["minus SDR, uSDR"].ours == "21.00 dB" and len(found) == 2


def test_costs_are_medians_over_turns_by_network():
    name = "resunet-subbandtime, full size, 1 thread"
    some = {
        "11_field_studies": arm(name, {0: [4.0, 5.0, 60.0]}, "real_time_factor")
        + arm("bsrnn, 1 thread", {0: [9.0]}, "real_time_factor")
        + arm("batch 16, 0 workers", {0: [0.35]}, "busy")
    }
    (speed,) = beside("S0.1", some)
    assert speed.item == f"{name}, song of 4 min" and speed.ours == "1200 s", "5 x 240 s"
    (busy,) = beside("S3.3", some)
    assert (busy.item, busy.ours) == ("batch 16, 0 workers", "35 % of the time busy")


def test_epochs_are_compared_at_the_sizes_of_the_thesis():
    one = arm("BSRNN, full size", {0: [1200.0]}, "epoch_seconds")[0]
    other = Score(**{**vars(one), "track": "29000 examples", "value": 7200.0})
    first = Score(**{**vars(one), "track": "5200 examples"})
    last = Score(**{**vars(one), "track": "35000 examples", "value": 7.25 * 86400})
    found = beside("S4.9", {"11_field_studies": [other, first, last]})
    assert [(number.printed, number.ours) for number in found] == [
        ("10 min on an RTX 3090", "20 min on cpu"),
        ("1 h on an RTX 3090", "2.0 h on cpu"),
        ("1 h 20 min on an RTX 3090", "7.2 days on cpu"),
    ]


def test_every_function_says_printed_and_ours():
    for finding in NUMBERS:
        for number in beside(finding, {}):
            assert number.item and number.printed and number.ours and number.where
            assert str(number) == f"{number.item}: {number.ours} (printed: {number.printed})"
