"""The thesis's arithmetic, against scipy on data that have exactly the moments given."""

import math

import numpy as np
import pytest
from scipy import stats

from sepkit.errors import SepkitError
from sepkit.metrics.published_tests import (
    FIVE_TIMES,
    as_printed,
    one_sample_z,
    rounding_range,
    two_sample_t,
)


def data(mean, sd, n, seed):
    values = np.random.default_rng(seed).normal(size=n)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


def test_threshold():
    assert FIVE_TIMES == pytest.approx(6.9897, abs=5e-6) and 10 ** (
        FIVE_TIMES / 10
    ) == pytest.approx(5)


def test_one_sample_z_equals_scipy():
    test = one_sample_z(7.13, 2.63, 2772, 6.9897)
    reference = stats.ttest_1samp(data(7.13, 2.63, 2772, 0), 6.9897, alternative="greater")
    assert test.statistic == pytest.approx(reference.statistic) and test.se == pytest.approx(
        2.63 / math.sqrt(2772)
    )
    assert test.p == pytest.approx(0.5 * math.erfc(test.statistic / math.sqrt(2)))
    assert test.p == pytest.approx(reference.pvalue, rel=0.02), (
        "normal instead of Student's t, at n = 2772"
    )


def test_two_sample_t_equals_scipy():
    test = two_sample_t(7.13, 2.63, 2772, 6.88, 2.49, 900)
    reference = stats.ttest_ind(
        data(7.13, 2.63, 2772, 0), data(6.88, 2.49, 900, 1), equal_var=False, alternative="greater"
    )
    assert test.statistic == pytest.approx(reference.statistic)
    assert (
        test.p
        == pytest.approx(0.5 * math.erfc(test.statistic / math.sqrt(2)))
        == pytest.approx(reference.pvalue, rel=0.05)
    )
    swapped = two_sample_t(6.88, 2.49, 900, 7.13, 2.63, 2772)
    assert swapped.statistic == -test.statistic and swapped.p == pytest.approx(1 - test.p)


def test_four_times_the_chunks_double_the_statistic():
    assert one_sample_z(8, 2, 400, 7).statistic == pytest.approx(
        2 * one_sample_z(8, 2, 100, 7).statistic
    )


def test_rounding_range_covers_all_that_prints_the_same():
    low, high = rounding_range(lambda a, b: a / b, "1.0", "4.00")
    assert (low, high) == pytest.approx((0.95 / 4.005, 1.05 / 3.995))
    assert rounding_range(lambda a: 2 * a, 3.0) == (6.0, 6.0), "numbers are exact"
    ranges = rounding_range(
        lambda mean, sd: one_sample_z(mean, sd, 2772, FIVE_TIMES), "7.13", "2.63"
    )
    rng = np.random.default_rng(0)
    for mean, sd in zip(rng.uniform(7.125, 7.135, 200), rng.uniform(2.625, 2.635, 200)):
        for value, (low, high) in zip(one_sample_z(mean, sd, 2772, FIVE_TIMES), ranges):
            assert low <= value <= high


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("6.67", (6.665, 6.675)),
        (".33", (0.325, 0.335)),
        ("0.", (-0.5, 0.5)),
        ("-12.8", (-12.85, -12.75)),
        ("+19", (18.5, 19.5)),
    ],
)
def test_as_printed(text, interval):
    assert as_printed(text) == pytest.approx(interval)


def test_refusals_name_the_number():
    with pytest.raises(SepkitError, match="sd is 0; a standard deviation must be above 0"):
        one_sample_z(1.0, 0, 10, 0.0)
    with pytest.raises(SepkitError, match="sd_b is -1"):
        two_sample_t(1, 1, 10, 1, -1, 10)
    with pytest.raises(SepkitError, match="n_a is 1; at least 2"):
        two_sample_t(1, 1, 1, 1, 1, 10)
    with pytest.raises(SepkitError, match="mean is nan; a finite number"):
        one_sample_z(math.nan, 1, 10, 0.0)
    with pytest.raises(SepkitError, match="'6.67 dB' is not a number as printed"):
        rounding_range(abs, "6.67 dB")
