"""Tests over songs, against scipy, brute force, and what they promise under the null hypothesis."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sepkit.errors import SepkitError
from sepkit.metrics import statistics as st

SISEC = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "facts", "sisec18_track_medians.csv")


def normal(n, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, n)


# -- aggregate and paired

FRAMES = {"a": [1.0, 2.0, 9.0], "b": [4.0, math.nan], "c": [math.nan], "d": [0.0, 0.0, 0.0, 10.0]}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("median of medians", 2.0),  # of 2, 4, 0
        ("mean of medians", 2.0),
        ("median of means", 4.0),  # of 4, 4, 2.5
        ("mean of means", 3.5),
        ("pooled median", 1.5),  # 0 0 0 1 2 4 9 10
        ("pooled mean", 3.25),
    ],
)
def test_aggregations_by_hand(how, expected):
    assert st.aggregate(FRAMES, how) == expected


def test_every_aggregation_follows_gain_and_offset():
    frames = {name: normal(n, seed=n) for name, n in (("a", 5), ("b", 30), ("c", 8))}
    moved = {name: 3 - 2 * values for name, values in frames.items()}
    for how in st.AGGREGATIONS:
        assert st.aggregate(moved, how) == pytest.approx(3 - 2 * st.aggregate(frames, how))


@pytest.mark.skipif(
    not SISEC.is_file(), reason="SEPKIT_SOURCES has no scores of SiSEC 2018 by song"
)
def test_aggregation_of_the_published_scores():
    """TAK1's vocals: 6.60 dB as the median, 5.12 as the mean of the same song medians."""
    table = pd.read_csv(SISEC)
    songs = table[(table.method == "TAK1") & (table.target == "vocals")]
    frames = {track: [value] for track, value in zip(songs.track, songs.SDR)}
    assert st.aggregate(frames, "median of medians") == pytest.approx(6.600, abs=0.001)
    assert st.aggregate(frames, "mean of medians") == pytest.approx(5.12, abs=0.005)


def test_aggregate_refuses():
    with pytest.raises(
        SepkitError, match="unknown aggregation 'mean': choose from median of medians"
    ):
        st.aggregate(FRAMES, "mean")
    with pytest.raises(SepkitError, match="no score in 1 tracks, all are NaN"):
        st.aggregate({"c": [math.nan]}, "pooled mean")
    with pytest.raises(SepkitError, match="no score in 0 tracks"):
        st.aggregate({}, "pooled mean")


def test_pairs_are_made_by_name_not_by_order():
    names, a, b = st.paired(
        {"x": 1, "y": 2, "z": 3, "only a": 9}, {"z": 30, "y": math.nan, "x": 10}
    )
    assert names == ["x", "z"] and a.tolist() == [1, 3] and b.tolist() == [10, 30]


def test_paired_refuses():
    with pytest.raises(SepkitError, match=r"no track is in both \(1 such as 'x', 1 such as 'y'\)"):
        st.paired({"x": 1.0}, {"y": 1.0})
    with pytest.raises(SepkitError, match="all 2 common tracks are NaN"):
        st.paired({"x": 1.0, "y": math.nan}, {"x": math.nan, "y": 1.0})


# -- sign_flip and wilcoxon

REJECTED = [
    ([1.0], "a single song was scored, at least 2"),
    ([math.nan], "0 of 1 songs have a value"),
    ([1.0, math.nan], "1 of 2 songs"),
    ([], "0 of 0 songs"),
    ([1.0, math.inf], "a value is infinite"),
]


def brute_force(differences, alternative):
    flipped = [
        math.fsum(s * d for s, d in zip(signs, differences))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    observed = math.fsum(differences)
    wanted = {
        "two-sided": lambda value: abs(value) >= abs(observed) - 1e-9,
        "greater": lambda value: value >= observed - 1e-9,
        "less": lambda value: value <= observed + 1e-9,
    }[alternative]
    return sum(map(wanted, flipped)) / len(flipped)


@pytest.mark.parametrize("alternative", st.ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_sign_flip_equals_enumeration(n, alternative):
    for differences in (
        normal(n, 0.5, seed=n),
        np.arange(n) - 0.5,
        np.zeros(n),
        [0.1] * n,
        [-1.0] + [0.0] * (n - 1),
    ):
        test = st.sign_flip(differences, alternative)
        assert test.method == "exact" and test.n == n
        assert test.p == brute_force(list(differences), alternative)
        assert test.statistic == pytest.approx(np.mean(differences))


@pytest.mark.parametrize("alternative", st.ALTERNATIVES)
def test_sign_flip_equals_scipy(alternative):
    differences = normal(12, 0.4, seed=4)
    reference = stats.permutation_test(
        (differences,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=np.inf,
    )
    assert st.sign_flip(differences, alternative).p == pytest.approx(reference.pvalue, rel=1e-12)


def test_many_songs_are_drawn_and_agree_with_the_exact_answer(monkeypatch):
    differences = normal(15, 0.5, seed=1)
    exact = st.sign_flip(differences)
    assert exact.method == "exact"
    monkeypatch.setattr(st, "EXACT_FLIPS", 2**14)
    drawn = st.sign_flip(differences, resamples=40_000)
    assert drawn.method == "Monte Carlo, 40000 draws"
    assert drawn.p == pytest.approx(exact.p, abs=5 * math.sqrt(exact.p / 40_000))
    monkeypatch.setattr(st, "_DRAWS_AT_ONCE", 15 * 1000)
    assert st.sign_flip(differences, resamples=40_000).p == pytest.approx(
        exact.p, abs=5 * math.sqrt(exact.p / 40_000)
    ), "in blocks"
    assert st.sign_flip(np.arange(1, 41), resamples=999).p == 1 / 1000, (
        "the observed pattern counts: never 0"
    )


def test_seeds_decide_the_draw():
    differences = normal(30, 0.2)
    for function in (st.sign_flip, st.bootstrap_interval):
        assert (
            function(differences, seed=1)
            == function(differences, seed=1)
            != function(differences, seed=2)
        )


@pytest.mark.parametrize("function", [st.sign_flip, st.wilcoxon])
def test_order_scale_and_sign_of_the_differences(function):
    d = normal(11, 0.4, seed=2)
    p = function(d).p
    assert (
        function(d[::-1]).p == pytest.approx(p)
        and function(1000 * d).p == pytest.approx(p)
        and function(-d).p == pytest.approx(p)
    )
    assert function(d, "greater").p == pytest.approx(function(-d, "less").p)
    assert function([*d, math.nan]).p == pytest.approx(p) and function([*d, math.nan]).n == 11


def test_wilcoxon_equals_scipy_and_survives_zeros():
    d = normal(20, 0.5, seed=5)
    assert st.wilcoxon(d, "greater").p == stats.wilcoxon(d, alternative="greater").pvalue
    assert st.wilcoxon([0.0, 0.0, 0.0]) == (1.0, 3, 0.0, "every difference is 0")
    assert st.wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).p == 2 / 2**6


@pytest.mark.parametrize("function", [st.sign_flip, st.wilcoxon, st.bootstrap_interval])
@pytest.mark.parametrize(("values", "message"), REJECTED)
def test_too_little_to_test(function, values, message):
    with pytest.raises(SepkitError, match=f"{function.__name__}: .*{message}"):
        function(values)


def test_unknown_options_are_refused():
    for function in (st.sign_flip, st.wilcoxon):
        with pytest.raises(
            SepkitError, match="unknown alternative 'bigger': choose from two-sided, greater, less"
        ):
            function([1.0, 2.0], "bigger")
    with pytest.raises(SepkitError, match="unknown statistic 'mode': choose from mean, median"):
        st.bootstrap_interval([1.0, 2.0], statistic="mode")
    with pytest.raises(SepkitError, match="level is 95; give a share between 0 and 1"):
        st.bootstrap_interval([1.0, 2.0], level=95)
    with pytest.raises(SepkitError, match="resamples is 0"):
        st.sign_flip(np.arange(40), resamples=0)


def test_p_is_uniform_under_the_null():
    """Without an effect p <= alpha in a share alpha of cases, here with skewed magnitudes."""
    rng = np.random.default_rng(0)
    p = [st.sign_flip(rng.choice([-1, 1], 10) * rng.exponential(size=10)).p for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.08


# -- bootstrap


def test_bootstrap_equals_scipy_within_the_draw():
    values = np.random.default_rng(3).exponential(size=40)
    for name, function in (("mean", np.mean), ("median", np.median)):
        reference = stats.bootstrap(
            (values,), function, method="percentile", confidence_level=0.9, rng=0
        ).confidence_interval
        assert st.bootstrap_interval(values, 0.9, statistic=name) == pytest.approx(
            reference, abs=0.02
        )


def test_bootstrap_follows_offset_and_scale():
    values = normal(25, seed=8)
    low, high = st.bootstrap_interval(values)
    assert st.bootstrap_interval(5 + 2 * values) == pytest.approx((5 + 2 * low, 5 + 2 * high))
    assert low < values.mean() < high
    wider = st.bootstrap_interval(values, level=0.99)
    assert wider[0] < low and wider[1] > high
    assert st.bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_bootstrap_covers_as_its_docstring_says():
    rng = np.random.default_rng(1)
    for songs, expected in ((10, 0.90), (50, 0.94)):
        intervals = [
            st.bootstrap_interval(rng.normal(size=songs), resamples=500, seed=i) for i in range(600)
        ]
        assert np.mean([low <= 0 <= high for low, high in intervals]) == pytest.approx(
            expected, abs=0.035
        )


# -- holm and friedman


def test_holm_by_hand():
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 pulled up to the one before it."""
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert (
        st.holm([0.6, 0.9]) == [1.0, 1.0]
        and st.holm([0.2]) == [0.2]
        and st.holm([]) == []
        and st.holm({}) == {}
    )


def test_holm_keeps_the_promise_and_beats_bonferroni():
    p = np.random.default_rng(0).uniform(size=(2000, 6))
    adjusted = np.array([st.holm(row) for row in p])
    assert 0.035 < (adjusted.min(1) <= 0.05).mean() < 0.065, "any false alarm among six"
    assert (adjusted <= np.minimum(1, 6 * p) + 1e-12).all() and (adjusted >= p).all()
    for row, fixed in zip(p[:50], adjusted):
        assert (np.diff(fixed[np.argsort(row)]) >= 0).all(), "adjusting never changes the order"


@pytest.mark.parametrize("wrong", [1.2, -0.1, math.nan])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(SepkitError, match=f"holm: {wrong} is not a p value"):
        st.holm([0.1, wrong])


def test_friedman_equals_scipy_and_its_formula():
    table = np.random.default_rng(2).normal(size=(9, 4))
    test = st.friedman(table)
    reference = stats.friedmanchisquare(*table.T)
    assert (test.p, test.statistic, test.n) == (reference.pvalue, reference.statistic, 9)
    ranks = table.argsort(1).argsort(1).sum(0) + 9
    assert test.statistic == pytest.approx(12 / (9 * 4 * 5) * (ranks**2).sum() - 3 * 9 * 5)
    assert st.friedman(np.exp(table)).p == test.p, "ranks only"
    assert st.friedman(np.vstack([table, [math.nan, 1, 2, 3]])) == test
    assert st.friedman(np.ones((5, 3))).p == 1.0


def test_friedman_refuses():
    with pytest.raises(
        SepkitError, match=r"at least 3 methods, got \(5, 2\); for two use sign_flip"
    ):
        st.friedman(np.zeros((5, 2)))
    with pytest.raises(SepkitError, match="1 songs are complete"):
        st.friedman([[1, 2, 3], [1, math.nan, 3]])


# -- compare and verdict


def test_compare_is_about_a_minus_b():
    b = {f"song {i}": value for i, value in enumerate(normal(20, seed=6))}
    a = {name: value + 1 + 0.1 * i for i, (name, value) in enumerate(b.items())}
    a["song 0"] = b["song 0"] - 0.2
    found = st.compare(a, b)
    differences = [a[name] - b[name] for name in b]
    assert found.effect == pytest.approx(np.mean(differences)) and (found.n, found.wins) == (20, 19)
    assert found.p == st.sign_flip(differences).p and found.p_wilcoxon == st.wilcoxon(differences).p
    assert (found.low, found.high) == st.bootstrap_interval(differences)
    back = st.compare(b, a)
    assert back.effect == pytest.approx(-found.effect) and back.wins == 1
    assert st.verdict(found) == "holds" and st.verdict(back) == "fails"
    assert (
        st.verdict(found, least=0.5) == "holds"
        and st.verdict(found, least=found.effect) == "undecided"
    )
    assert st.verdict(found, least=9.0) == "fails"


def test_songs_that_are_not_common_decide_nothing():
    a, b = {"x": 1.0, "y": 2.0, "z": 4.0}, {"x": 0.5, "y": 1.0, "z": 1.0}
    assert st.compare({**a, "w": 99.0, "v": math.nan}, {**b, "u": -99.0, "v": 1.0}) == st.compare(
        a, b
    )


def test_equally_perfect_songs_are_left_out_and_one_sided_perfection_refused():
    a, b = {"x": math.inf, "y": 2.0, "z": 4.0}, {"x": math.inf, "y": 1.0, "z": 1.0}
    assert st.compare(a, b).n == 2
    with pytest.raises(SepkitError, match="a value is infinite"):
        st.compare(a, {**b, "x": 1.0})


def test_five_songs_never_suffice():
    """The smallest p of five songs is 2 / 32: a large and steady effect stays undecided."""
    found = st.compare({i: 10.0 + i for i in range(5)}, dict.fromkeys(range(5), 0.0))
    assert found.p == 2 / 32 and found.low > 0 and st.verdict(found) == "undecided"
    assert st.verdict(found, alpha=0.1) == "undecided", "five songs are too few for any verdict"
    worse = found._replace(effect=-found.effect, low=-found.high, high=-found.low)
    assert st.verdict(worse) == "undecided" and st.verdict(worse._replace(n=8)) == "undecided", (
        "no failure without a small p either"
    )
    assert st.verdict(worse._replace(n=8, p=0.01)) == "fails"
    assert (
        st.verdict(st.compare({i: 10.0 + i for i in range(6)}, dict.fromkeys(range(6), 0.0)))
        == "holds"
    )
