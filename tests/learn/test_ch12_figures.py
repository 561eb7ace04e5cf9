"""The SiSEC figure: what stands where, with and without the scores by song."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sepkit.learn.ch12.figures import published_dots, sisec_figure
from sepkit.learn.plots import figure
from sepkit.reproduce import ledger, sisec
from sepkit.stems import STEMS

FACTS = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "facts", "sisec18_track_medians.csv")


def labels(fig):
    return [tick.get_text() for tick in fig.axes[-1].get_xticklabels()]


def medians(ax):
    """{x: dB} of the black median lines."""
    lines = [line for line in ax.lines if line.get_color() == "black"]
    return {
        round(float(np.mean(line.get_xdata())), 6): float(np.mean(line.get_ydata()))
        for line in lines
    }


def test_published_dots_stand_at_their_values_in_the_row_of_their_system():
    published = pd.DataFrame([vars(row) for row in ledger.load_reported()])
    _, ax = figure(1, 1)
    published_dots(ax, published, "MUSDB18-HQ")
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    dots = np.concatenate([marks.get_offsets() for marks in ax.collections])
    rows = published.query("dataset == 'MUSDB18-HQ' and metric == 'cSDR' and aggregation == ''")
    assert len(dots) == len(rows) and len({tuple(dot) for dot in dots.round(6)}) == len(dots)
    found = dots[np.rint(dots[:, 1]) == names.index("Hybrid Demucs")]
    assert sorted(found[:, 0]) == sorted(rows[rows.system == "Hybrid Demucs"].value)


def test_boxes_without_songs_show_the_shipped_medians_in_the_order_of_the_vocals():
    fig = sisec_figure()
    names = labels(fig)
    assert (
        len(names) == 32
        and names[:2] == ["IRM2", "MWF"]
        and names[-1] == "HPLP"
        and {"TAK2 +", "TAK1", "UMX"} < set(names)
    )
    assert names.index("UHL3 +") < names.index("UMX") < names.index("UHL2"), (
        "by the vocals: 6.51, 6.32, 5.93"
    )
    for ax, target in zip(fig.axes, STEMS):
        expected = sisec.summary(target).set_index("method")["median"]
        found = {names[int(x)].removesuffix(" +"): y for x, y in medians(ax).items()}
        assert found == pytest.approx(expected.to_dict()) and ax.get_title(loc="left") == target
        assert not ax.collections, "no violins without songs"


def test_stars_are_the_published_medians_of_open_unmix():
    stars = [[line for line in ax.lines if line.get_marker() == "*"] for ax in sisec_figure().axes]
    assert [float(star.get_ydata()[0]) for (star,) in stars] == [6.32, 5.73, 5.23, 4.02]


@pytest.mark.skipif(
    not FACTS.is_file(), reason="SEPKIT_SOURCES has no scores of SiSEC 2018 by song"
)
def test_violins_of_every_song_where_there_are_songs():
    songs = sisec.load_sisec(FACTS)
    fig = sisec_figure(songs, targets=("vocals", "drums"))
    for ax, target in zip(fig.axes, ("vocals", "drums")):
        bodies = [body.get_paths()[0].vertices[:, 1] for body in ax.collections]
        assert len(bodies) == songs[songs.target == target].method.nunique()
        assert max(body.max() for body in bodies) == pytest.approx(
            songs[songs.target == target].SDR.max()
        )


def test_ours_stand_among_them():
    songs = {f"song {i}": value for i, value in enumerate((6.0, 7.0, 8.0))}
    fig = sisec_figure(
        ours={"mine": {"vocals": songs, "drums": {"song 0": 1.5}}},
        targets=("vocals", "drums", "bass"),
    )
    names = labels(fig)
    place = names.index("mine")
    assert names[place - 1 : place + 2] == ["TAU1 +", "mine", "TAK3 +"], "7.15, 7.00 and 6.80 dB"
    assert [medians(ax).get(place) for ax in fig.axes] == [7.0, 1.5, None]
