"""Effects over songs and seeds: against two-way ANOVA by least squares, and by simulation."""

import re

import numpy as np
import pytest
from scipy import stats

from sepkit.errors import SepkitError
from sepkit.metrics.crossed import FEWEST_SEEDS, crossed, estimate, verdict


def experiment(seed, songs=12, seeds=5, of_songs=1.0, of_seeds=0.5, rest=0.7, mean=0.4):
    rng = np.random.default_rng(seed)
    d = mean + of_songs * rng.normal(size=(songs, 1)) + of_seeds * rng.normal(size=(1, seeds))
    return d + rest * rng.normal(size=(songs, seeds))


def residual(d, *factors):
    """Sum of squares that a linear model with these factors leaves, and its degrees of freedom."""
    songs, seeds = d.shape
    song, seed = np.divmod(np.arange(d.size), seeds)
    columns = [np.ones((d.size, 1))]
    columns += [np.eye(songs)[song]] * ("songs" in factors)
    columns += [np.eye(seeds)[seed]] * ("seeds" in factors)
    design = np.hstack(columns)
    rest = d.ravel() - design @ np.linalg.lstsq(design, d.ravel(), rcond=None)[0]
    return rest @ rest, d.size - np.linalg.matrix_rank(design)


@pytest.mark.parametrize("seed", range(3))
def test_variance_and_degrees_of_freedom_are_those_of_the_two_way_analysis(seed):
    """Mean squares as differences between what nested linear models leave unexplained."""
    d = experiment(seed, of_seeds=2.0)
    songs, seeds = d.shape
    both, df_rest = residual(d, "songs", "seeds")
    without_songs, without_seeds = residual(d, "seeds")[0], residual(d, "songs")[0]
    rest = both / df_rest
    of_songs = (without_songs - both) / (songs - 1)
    of_seeds = (without_seeds - both) / (seeds - 1)
    components = (of_songs - rest) / seeds, (of_seeds - rest) / songs, rest
    variance = components[0] / songs + components[1] / seeds + components[2] / d.size
    df = (of_songs + of_seeds - rest) ** 2 / (
        of_songs**2 / (songs - 1) + of_seeds**2 / (seeds - 1) + rest**2 / df_rest
    )
    found = crossed(d, against=0.1)
    reach = stats.t.ppf(0.975, df) * variance**0.5
    assert found.df == pytest.approx(df)
    assert (found.low, found.high) == pytest.approx((d.mean() - reach, d.mean() + reach))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(d.mean() - 0.1) / variance**0.5, df))


def test_where_seeds_do_not_differ_it_is_the_t_test_of_the_songs_means():
    d = experiment(1, of_seeds=0.0)
    d -= d.mean(0) - d.mean()  # every seed has the same mean
    expected = stats.ttest_1samp(d.mean(1), 0.0)
    found = crossed(d)
    interval = expected.confidence_interval(0.95)
    assert (found.p, found.df) == pytest.approx((expected.pvalue, 11))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_where_songs_do_not_differ_the_seeds_alone_decide():
    """Each song adds nothing new: the interval is that over the seeds' means."""
    d = np.repeat(np.array([[0.1, 0.9, 0.5, 1.3, 0.2]]), 20, axis=0)
    expected = stats.ttest_1samp(d[0], 0.0)
    found = crossed(d)
    assert (found.p, found.df) == pytest.approx((expected.pvalue, 4))


def test_order_does_not_matter_and_scale_and_shift_do_what_they_should():
    d = experiment(2)
    rng = np.random.default_rng(0)
    first = crossed(d, against=0.2)
    shuffled = crossed(rng.permutation(rng.permutation(d, axis=0), axis=1), against=0.2)
    assert shuffled[:4] == pytest.approx(first[:4])
    moved = crossed(3 - 2 * d, against=2.6)  # low and high change places
    assert (moved.effect, moved.low, moved.high) == pytest.approx(
        (3 - 2 * first.effect, 3 - 2 * first.high, 3 - 2 * first.low)
    )
    assert (moved.p, moved.df) == pytest.approx((first.p, first.df))


def test_p_and_interval_agree_about_every_value():
    d = experiment(3)
    found = crossed(d)
    assert crossed(d, against=found.low).p == pytest.approx(0.05)
    assert crossed(d, against=found.high).p == pytest.approx(0.05)


def test_seeds_that_disagree_widen_the_interval_however_many_songs_there_are():
    few, many = (crossed(experiment(4, songs, of_seeds=2.0)) for songs in (10, 1000))
    over_songs = stats.ttest_1samp(experiment(4, 1000, of_seeds=2.0).mean(1), 0.0)
    assert many.high - many.low > 0.5 * (few.high - few.low)
    assert many.p > 0.05 > over_songs.pvalue  # songs alone would be sure


def test_songs_with_a_gap_are_left_out_and_wins_are_counted_by_song():
    d = experiment(5)
    gap = d.copy()
    gap[[2, 7], [0, 3]] = np.nan
    kept = np.delete(d, [2, 7], axis=0)
    assert crossed(gap) == crossed(kept)
    assert crossed(gap).wins == sum(row.mean() > 0 for row in kept) and crossed(gap).n == 10
    assert crossed(gap).by_seed == pytest.approx(kept.mean(0))


def test_no_difference_at_all_has_p_1_and_the_same_everywhere_p_0():
    assert crossed(np.zeros((6, 5))).p == 1.0
    assert crossed(np.ones((6, 5))).p == 0.0


@pytest.mark.parametrize(
    "d, message",
    [
        (np.zeros(6), r"expected differences \(songs, seeds\), got \(6,\)"),
        (np.zeros((6, 1)), "6 of 6 songs have a value for each of 1 seeds, at least 2 of both"),
        (np.full((6, 3), np.nan), "0 of 6 songs have a value for each of 3 seeds"),
        (np.full((6, 3), np.inf), "a difference is infinite .* leave that song out"),
    ],
)
def test_what_cannot_be_tested_is_refused(d, message):
    with pytest.raises(SepkitError, match=message):
        crossed(d)


def test_a_verdict_needs_songs_seeds_and_a_small_p():
    sure = 1 + 0.1 * np.sin(np.arange(54)).reshape(9, 6)
    assert verdict(crossed(sure)) == "holds" and verdict(crossed(-sure)) == "fails"
    assert verdict(crossed(sure[:, :4])) == "undecided: 4 of 5 seeds"
    assert verdict(crossed(sure[:5])) == "undecided"
    assert verdict(crossed(sure - 0.99)) == "undecided"


def false_positives(heavy, of_seeds, seeds, songs, repetitions, rng):
    """Share of experiments without any difference whose p is below 5 %, in per cent."""
    shape = (repetitions, songs, 1)
    effects = rng.standard_t(3, shape) / 3**0.5 if heavy else rng.normal(size=shape)
    d = effects + of_seeds * rng.normal(size=(repetitions, 1, seeds))
    d += rng.normal(size=(repetitions, songs, seeds))
    mean, error, df = estimate(d)
    return 100 * (2 * stats.t.sf(np.abs(mean) / error, df) < 0.05).mean()


def printed():
    """The table of the docstring: {(heavy, sd of seeds, seeds): [per cent by number of songs]}."""
    rows = re.findall(r"^ +(normal|heavy) +(\S+) +(\d) +(.+)$", crossed.__doc__, re.M)
    return {
        (kind == "heavy", float(sd), int(seeds)): [float(value) for value in values.split()]
        for kind, sd, seeds, values in rows
    }


@pytest.mark.slow
def test_five_percent_false_positives_are_five_percent():
    rng, found = np.random.default_rng(0), {}
    for heavy, of_seeds, seeds in printed():
        found[heavy, of_seeds, seeds] = [
            false_positives(heavy, of_seeds, seeds, songs, 20_000, rng) for songs in (6, 12, 24, 50)
        ]
    assert len(found) == 18
    for case, row in found.items():
        assert row == pytest.approx(printed()[case], abs=0.051), case
        heavy, _, seeds = case
        if seeds >= FEWEST_SEEDS:
            assert (3.4 if heavy else 4.0) <= min(row) and max(row) <= 6.5, case


def test_more_seeds_than_the_fewest_keep_the_level_where_three_do_not():
    """The reason for `FEWEST_SEEDS`, in little: seeds that differ as much as songs."""
    rng = np.random.default_rng(1)
    three, five = (false_positives(False, 1.0, seeds, 50, 4000, rng) for seeds in (3, 5))
    assert three > 6.5 > five > 4


def test_a_bootstrap_of_songs_and_seeds_is_more_lenient():
    """Why it is not what `crossed` does: 5 seeds, 24 songs, seeds that differ as much as songs."""
    rng = np.random.default_rng(2)
    d = rng.normal(size=(1000, 24, 1)) + rng.normal(size=(1000, 1, 5))
    d += rng.normal(size=(1000, 24, 5))
    songs = rng.multinomial(24, np.full(24, 1 / 24), 400) / 24  # (draws, songs)
    seeds = rng.multinomial(5, np.full(5, 1 / 5), 400) / 5
    means = np.einsum("bi,rij,bj->rb", songs, d, seeds, optimize=True)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    mean, error, df = estimate(d)
    ours = (2 * stats.t.sf(np.abs(mean) / error, df) < 0.05).mean()
    assert ((low > 0) | (high < 0)).mean() > 0.08 > 0.065 > ours
