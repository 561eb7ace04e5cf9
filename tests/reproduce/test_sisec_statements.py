"""What the second document says of SiSEC 2018: ranks by hand, spreads and tests on known tables."""

import os
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sepkit.reproduce import sisec, sisec_statements
from sepkit.stems import STEMS

FACTS = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "facts", "sisec18_track_medians.csv")
needs_songs = pytest.mark.skipif(
    not FACTS.is_file(), reason="SEPKIT_SOURCES has no scores of SiSEC 2018 by song"
)


def test_ranks_of_open_unmix_depend_on_who_is_compared():
    """Counted by hand in the medians above 6.32, 5.73, 5.23 and 4.02 dB."""
    ranks = sisec_statements.umx_ranks().set_index("competitors")
    assert ranks[list(STEMS)].to_numpy().tolist() == [[2, 3, 1, 4], [2, 2, 1, 3], [6, 7, 4, 8]]
    assert list(ranks["second in"]) == [1, 2, 0] and list(ranks["two of four"]) == [
        "fails",
        "holds",
        "fails",
    ]


@needs_songs
def test_spreads_and_their_intervals():
    songs = sisec.load_sisec(FACTS)
    table = sisec_statements.scatter(songs).set_index(["against", "target", "measure"])
    pair = songs[songs.target == "bass"].pivot(index="track", columns="method", values="SDR")
    row = table.loc["RGT1", "bass", "standard deviation"]
    assert (
        row.spread == pytest.approx(statistics.stdev(pair.TAK1) - statistics.stdev(pair.RGT1))
        and row["larger spread"] == "holds"
    )
    assert row.low < row.spread < row.high and row["median"] == pytest.approx(
        statistics.median(pair.TAK1) - statistics.median(pair.RGT1)
    )
    vocals = table.loc["RGT1", "vocals", "standard deviation"]
    assert vocals.spread < 0 and vocals["larger spread"] == "undecided", (
        "songs without singing decide about this one"
    )
    offline = sisec_statements.scatter().set_index(["against", "target", "measure"])
    ranges = table.xs("interquartile range", level="measure")
    assert np.allclose(offline.droplevel("measure").spread, ranges.spread, atol=3e-4)
    assert list(offline) == ["median", "spread"]


def test_equal_methods_have_no_larger_spread():
    songs = pd.DataFrame(
        {"target": "x", "track": range(50), "SDR": np.random.default_rng(0).normal(size=50)}
    )
    twice = pd.concat(
        [
            songs.assign(method=name, target=target)
            for name in ("TAK1", "RGT1", "HEL1")
            for target in STEMS
        ]
    )
    table = sisec_statements.scatter(twice)
    assert (table.spread == 0).all() and set(table["larger spread"]) == {"undecided"}


@needs_songs
def test_friedman_sees_the_methods_differ():
    songs = sisec.load_sisec(FACTS)
    assert sisec_statements.friedman(songs, "vocals").p < 1e-200
    shuffled = songs[songs.target == "vocals"].copy()
    rng = np.random.default_rng(0)
    shuffled["SDR"] = shuffled.groupby("track").SDR.transform(
        lambda values: rng.permutation(values.to_numpy())
    )
    assert sisec_statements.friedman(shuffled, "vocals").p > 0.01, (
        "no method is better once the names are shuffled within songs"
    )
