"""Figures of chapter 07: they show what was put in; tables keep songs and seeds apart."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from sepkit.errors import SepkitError
from sepkit.learn import plots
from sepkit.learn.ch07 import figures
from sepkit.metrics import Score, card_for, statistics
from sepkit.metrics.statistics import Comparison


def score(arm, seed, song, value, metric="usdr", dataset="band"):
    card = card_for(metric, ("accompaniment", "vocals"))
    return Score(song, "vocals", metric, value, arm, dataset, card, {"seed": seed})


ARMS = (("on", 2.0), ("off", 1.0))
SCORES = [
    score(arm, seed, f"song {k}", base + 10 * seed + k)
    for arm, base in ARMS
    for seed in (0, 1)
    for k in range(3)
]


def points(ax, marker):
    return [
        list(zip(line.get_xdata(), line.get_ydata()))
        for line in ax.lines
        if line.get_marker() == marker
    ]


def test_scores_become_a_table_by_arm_seed_and_song():
    table = figures.by_seed([*SCORES, score("on", 0, "song 0", 99.0, metric="si_sdr")])
    assert table["on"] == {
        0: {"song 0": 2, "song 1": 3, "song 2": 4},
        1: {"song 0": 12, "song 1": 13, "song 2": 14},
    }
    assert figures.by_song(table["on"]) == {"song 0": 7, "song 1": 8, "song 2": 9}
    np.testing.assert_array_equal(figures.differences(table["on"], table["off"]), np.ones((3, 2)))


def test_differences_pair_the_same_song_and_seed():
    a = {0: {"x": 1.0, "y": 2.0}, 1: {"x": 5.0, "y": 7.0}, 2: {"x": 0.0, "y": 0.0}}
    b = {1: {"y": 3.0, "x": 4.0}, 0: {"y": 0.0, "x": 0.5}}
    np.testing.assert_array_equal(figures.differences(a, b), [[0.5, 1.0], [2.0, 4.0]])


def test_scores_of_two_data_sets_are_not_joined():
    with pytest.raises(SepkitError, match="one data set"):
        figures.by_seed([*SCORES, score("on", 0, "song 0", 1.0, dataset="musdb18hq")])
    with pytest.raises(SepkitError, match="none"):
        figures.by_seed(SCORES, metric="csdr")


def test_curves_have_a_dot_for_every_seed_and_a_line_of_means():
    _, ax = plots.figure()
    figures.curves(figures.by_seed(SCORES), {"a": {4: "off", 8: "on"}}, ax)
    assert points(ax, "o") == [[(4, 2), (4, 12)], [(8, 3), (8, 13)]]
    assert points(ax, "None") == [[(4, 7), (8, 8)]]


def test_gains_that_may_be_zero_are_hollow():
    sure, unsure = (
        Comparison(1.0, 0.4, 1.6, 0.01, 8, 8, 0.01),
        Comparison(0.2, -0.3, 0.7, 0.4, 8, 5, 0.4),
    )
    _, ax = plots.figure()
    figures.gains({4: sure, 8: unsure}, ax)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [(list(dot.get_xdata()), list(dot.get_ydata())) for dot in dots] == [
        ([4], [1.0]),
        ([8], [0.2]),
    ]
    assert [dot.get_markerfacecolor() for dot in dots] == [plots.CYCLE[0], "white"]
    assert [list(line.get_ydata()) for line in ax.lines if line.get_linewidth() == 3] == [
        [0.4, 1.6],
        [-0.3, 0.7],
    ]


def test_songs_stand_in_the_order_of_their_means():
    _, ax = plots.figure()
    figures.by_song_and_seed([[3.0, 5.0], [-1.0, 1.0], [1.0, 2.0]], ax)
    seeds = [points(ax, mark)[0] for mark in figures.MARKS[:2]]
    assert [[y for _, y in line] for line in seeds] == [[-1, 1, 3], [1, 2, 5]]
    bars = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 1.6]
    assert bars == [0, 1.5, 4]
    assert [text.get_text() for text in ax.get_legend().texts] == [
        "seed 0: mean +1.00 dB",
        "seed 1: mean +2.67 dB",
    ]


def test_no_two_of_many_seeds_look_alike():
    _, ax = plots.figure()
    figures.by_song_and_seed(np.zeros((2, 24)), ax)
    looks = {
        (line.get_color(), line.get_marker()) for line in ax.lines if line.get_marker() != "None"
    }
    assert len(looks) == 24


def test_strips_draw_every_value_and_the_mean():
    _, ax = plots.figure()
    figures.strips({"a": [1.0, 2.0, 6.0], "b": [0.0]}, ax)
    assert [sorted(y for _, y in line) for line in points(ax, ".")] == [[1, 2, 6], [0]]
    assert all(round(x) == place for place, line in enumerate(points(ax, ".")) for x, _ in line)
    assert [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 2.5] == [3, 0]


def test_lanes_keep_the_order_of_the_stems_and_their_songs():
    _, ax = plots.figure()
    sounds = {"vocals": 0.5 * torch.ones(2, 4000), "drums": torch.ones(2, 4000)}
    figures.lanes(sounds, 1000, ax, notes={"drums": "song 3"}, peak=1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "vocals",
        "drums\nsong 3",
    ] and list(ax.get_yticks()) == [0, -1]
    soft, loud = (band.get_paths()[0].vertices[:, 1].max() for band in ax.collections)
    assert loud + 1 == pytest.approx(2 * soft) and loud < 0  # a lane of its own
    assert ax.get_xlim() == (0, 4)


def test_kept_segments_are_green_and_the_last_one_ends_with_the_song():
    # 18 chunks: segments from 0, 5 and 10, the last of 8 chunks
    energies = np.array([0.0] * 6 + [1.0] * 12)
    _, ax = plots.figure()
    figures.activity(energies, 1e-3, [1, 2], 0.5, ax)
    times = [bar.get_paths()[0].vertices[:, 0] for bar in ax.collections]
    bars = [
        (time.min(), time.max(), tuple(bar.get_facecolor()[0]))
        for time, bar in zip(times, ax.collections)
    ]
    green, grey = to_rgba("#009E73"), to_rgba("#d0d5dd")
    assert bars == [(0, 5, grey), (2.5, 7.5, green), (5, 9, green)]
    assert ax.lines[0].get_ydata()[0] == pytest.approx(-30)
    assert min(ax.patches[0].get_data().values) == pytest.approx(-50)  # silence counts as 1e-5


def test_the_comparison_of_songs_is_what_the_kit_tests():
    scores = [
        score(arm, seed, f"song {k}", base + 0.1 * k * base + seed)
        for arm, base in ARMS
        for seed in (0, 1)
        for k in range(8)
    ]
    table = figures.by_seed(scores)
    one = statistics.compare(*(figures.by_song(table[arm]) for arm in ("on", "off")))
    assert one.effect == pytest.approx(1.35) and one.n == 8 and one.wins == 8
