"""The simulation against closed forms: chunk tests hold without song effects, not with them."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sepkit.errors import SepkitError
from sepkit.files import provenance
from sepkit.learn.ch08.false_positives import (
    SISEC_2018,
    Spread,
    as_scores,
    false_positives,
    in_blocks,
    songs_like,
    spread,
)
from sepkit.reproduce.claims import evaluate, load_claims

SISEC = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "facts", "sisec18_track_medians.csv")
TRAINED = ["TAU1", "TAK1", "TAK2", "TAK3", "UHL1", "UHL2", "UHL3"]


def rates(table, **options):
    found = false_positives(table, **{"trials": 1000, **options})
    return {
        (row.test, row.unit, row.overlap if row.unit == "chunk" else None): row
        for row in found.itertuples()
    }


def share_beyond(alpha, deviation):
    """How often a z of standard deviation `deviation`, taken for 1, is significant at `alpha`."""
    return 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / deviation)


def test_equal_scores_keep_the_nominal_rate_but_for_the_overlap():
    """No method suits any song better: paired chunks are right; overlap alone triples the rate.

    Chunks that share half their audio correlate by 1/2 with each neighbour, so the variance of
    their mean is twice what independence says (2 - 1/chunks, at the ends).
    """
    table = np.random.default_rng(0).normal(0, 3, (50, 1)) + np.zeros((50, 4))
    found = rates(table, shared=0.6, trials=2000)
    assert found["paired z", "chunk", 0.0].rate == pytest.approx(0.05, abs=0.017)
    assert found["paired z", "chunk", 0.5].rate == pytest.approx(
        share_beyond(0.05, math.sqrt(2 - 1 / 55)), abs=0.027
    )
    assert found["unpaired z", "chunk", 0.0].rate < 0.01, (
        "what both methods share is noise to the unpaired test"
    )
    assert found["sign flip", "song", None].rate == pytest.approx(0.05, abs=0.017)
    assert found["Wilcoxon", "song", None].rate == pytest.approx(0.05, abs=0.017)


def test_song_effects_inflate_as_the_design_effect_says():
    """Paired, no overlap: the variance is larger by 1 + (chunks - 1) * intraclass correlation."""
    songs, size = 50, 0.8
    signs = np.where(np.arange(songs) % 2, 1.0, -1.0)
    # differences of +-size, of median 0
    table = np.stack([size * signs / 2, -size * signs / 2], axis=1)
    found = rates(table, chunks=21, within=2.0, shared=0.5, trials=2000)
    chunks, within = 11, 2 * 2.0**2 * (1 - 0.5)
    design = 1 + (chunks - 1) * size**2 / (size**2 + within)
    assert found["paired z", "chunk", 0.0].rate == pytest.approx(
        share_beyond(0.05, math.sqrt(design)), abs=0.03
    )
    assert found["sign flip", "song", None].rate == pytest.approx(0.05, abs=0.017)


def test_more_chunks_make_it_worse_and_more_scatter_better():
    table = songs_like(Spread(2.4, 0.9))
    paired = {
        chunks: rates(table, chunks=chunks, trials=400)["paired z", "chunk", 0.0].rate
        for chunks in (5, 21, 201)
    }
    assert 0.05 < paired[5] < paired[21] < paired[201]
    loose, tight = (
        rates(table, within=within, trials=400)["paired z", "chunk", 0.0].rate
        for within in (8.0, 1.0)
    )
    assert loose < tight - 0.1


def test_rows_say_what_was_counted():
    found = false_positives(
        songs_like(Spread(2.0, 1.0), songs=10, methods=3), chunks=7, trials=50, seed=3
    )
    assert list(found.columns) == ["test", "unit", "overlap", "n", "rate", "low", "high"]
    assert dict(zip(zip(found.unit, found.overlap.fillna(-1)), found.n)) == {
        ("chunk", 0.5): 70,
        ("chunk", 0.0): 40,
        ("song", -1): 10,
    }
    assert ((found.low <= found.rate) & (found.rate <= found.high) & (found.low < found.high)).all()
    for row in found.itertuples():
        assert (row.low, row.high) == pytest.approx(
            stats.binomtest(round(50 * row.rate), 50).proportion_ci(method="wilson")
        )
    again = false_positives(
        songs_like(Spread(2.0, 1.0), songs=10, methods=3), chunks=7, trials=50, seed=3
    )
    pd.testing.assert_frame_equal(found, again)


def test_better_methods_are_made_equal_first():
    table = songs_like(Spread(2.0, 1.0), songs=21, methods=3)
    moved = false_positives(table + [0.0, 5.0, -9.0], chunks=5, trials=200)
    pd.testing.assert_frame_equal(moved, false_positives(table, chunks=5, trials=200))


@pytest.mark.parametrize("songs", [4, 14])
def test_sign_flips_in_the_simulation_are_never_surer_than_they_can_be(songs):
    """999 flips and the observed one: p is at least 0.001, and about 2 / 2^songs or more."""
    table = songs_like(Spread(2.0, 1.0), songs=songs, methods=3)
    alpha = {4: 0.08, 14: 0.0009}[songs]
    assert rates(table, chunks=3, trials=5000, alpha=alpha)["sign flip", "song", None].rate == 0


def test_spread_finds_the_components_it_was_drawn_from():
    found = spread(songs_like(Spread(3.0, 0.7), songs=2000, methods=6, seed=1))
    assert found.song == pytest.approx(3.0, rel=0.05) and found.interaction == pytest.approx(
        0.7, rel=0.03
    )
    found = spread(songs_like(Spread(0.5, 2.0), songs=5000, methods=4, seed=2))
    assert found.song == pytest.approx(0.5, rel=0.15), (
        "what the interaction adds to a song's mean is taken out"
    )
    table = songs_like(Spread(3.0, 0.7), songs=30)
    assert spread(table + np.arange(7)) == pytest.approx(spread(table)), (
        "better methods are no interaction"
    )
    assert spread(2 * table) == pytest.approx(Spread(*(2 * value for value in spread(table))))
    assert spread([[1, 2], [2, 3], [3, 4]]) == pytest.approx(Spread(1.0, 0.0))
    assert spread([[1, -1], [-1, 1], [0, 0]]).song == 0, "songs that differ less than by chance"


@pytest.mark.skipif(
    not SISEC.is_file(), reason="SEPKIT_SOURCES has no scores of SiSEC 2018 by song"
)
@pytest.mark.parametrize("target", SISEC_2018)
def test_real_scores(target):
    """Paired tests on chunks of real songs raise a false alarm in half of all cases or more."""
    table = pd.read_csv(SISEC)
    songs = table[table.target == target].pivot_table(
        index="track", columns="method", values="SDR"
    )[TRAINED]
    assert spread(songs) == pytest.approx(SISEC_2018[target], abs=0.005)
    found = rates(songs, trials=500)
    assert all(0.55 < found["paired z", "chunk", overlap].rate < 0.9 for overlap in (0.0, 0.5))
    assert found["unpaired z", "chunk", 0.5].rate > 0.1
    assert found["Wilcoxon", "song", None].low < 0.05 < found["sign flip", "song", None].high + 0.02


def test_refusals():
    with pytest.raises(SepkitError, match=r"at least 2 methods and 2 complete songs, got \(5, 1\)"):
        false_positives(np.zeros((5, 1)))
    with pytest.raises(SepkitError, match=r"got \(1, 2\)"):
        spread([[1, 2], [math.nan, 1]])
    table = songs_like(Spread(1, 1), songs=5, methods=2)
    for options in ({"chunks": 2}, {"within": 0}, {"shared": 1.5}, {"trials": 0}, {"alpha": 5}):
        with pytest.raises(SepkitError, match="expected chunks >= 3, within > 0"):
            false_positives(table, **options)


def test_blocks_are_independent_parts_of_the_simulation():
    table = songs_like(SISEC_2018["drums"])
    found = in_blocks(table, trials=400, blocks=4, seed=3, chunks=9)
    rates = found.pivot(index="block", columns="test", values="rate")
    assert rates.shape == (4, 6) and np.allclose(rates * 100, (rates * 100).round())
    tests = ["unpaired z, chunks, overlapping", "sign flip, songs"]
    assert rates[tests[0]].nunique() > 1, "other trials in each"
    whole = false_positives(table, trials=100, seed=3 * 4 + 1, chunks=9)
    assert rates.loc[1, tests[1]] == whole[whole.test == "sign flip"].rate.item()


def test_the_published_test_fails_its_promise_as_a_claim_over_blocks():
    """S4.8 by hand: a rate far above 5 % in each of eight blocks."""
    found = in_blocks(songs_like(SISEC_2018["vocals"]), trials=400)
    origin = provenance(device="cpu", seed=0, profile="smoke", blocks=8)
    made = [replace(score, provenance=origin) for score in as_scores(found, "vocals")]
    (claim,) = [one for one in load_claims() if one.id == "S4.8"]
    (outcome,) = evaluate([claim], {"08_sdr": made})
    published = found[found.test == claim.higher].rate
    assert outcome.comparison.effect == pytest.approx(published.mean()) and outcome.where.endswith(
        "blocks"
    )
    assert outcome.verdict == "fails" and published.mean() > 0.3
