"""Figures and tables of chapter 10: what is drawn is what was given."""

from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from sepkit.files import repo_root
from sepkit.learn import plots
from sepkit.learn.ch10 import figures, results
from sepkit.metrics import MetricCard, Score
from sepkit.models import build
from sepkit.models.roformer_layers import rotations
from sepkit.reproduce.experiments import race


def test_a_table_of_attention_says_its_numbers():
    ax = plots.figure()[1]
    image = figures.weights([[0.25, 0.75], [1, 0]], ("a", "b"), ("c", "d"), ax)
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.75", "1.00", "0.00"]
    assert image.get_array()[0].tolist() == [0.25, 0.75]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_attention_over_time_has_seconds_and_forgets_one_in_a_hundred():
    values = np.zeros((100, 100))
    values[0, :50] = 1.0
    ax = plots.figure()[1]
    image = figures.over_time(values, 0.02, ax)
    assert image.get_extent() == [0, 2.0, 0, 2.0]
    assert image.get_clim() == (0, 0)  # 50 of 10,000 exceed it


def test_hands_point_where_the_rotations_do():
    ax = plots.figure()[1]
    turn = rotations(4, 8, torch.ones(1))
    figures.hands(turn, (0, 2), ax)
    lines = ax.get_lines()
    assert len(lines) == 8 and len(ax.patches) == 8
    (x, x1), (y, y1) = lines[3].get_data()  # the first pair at position 3
    assert complex(x1 - x, y1 - y) / 0.36 == pytest.approx(np.exp(3j), abs=1e-6)
    assert lines[4].get_ydata()[0] == -1


def test_overlapping_bands_stand_in_two_lanes_at_their_frequencies():
    ax = plots.figure()[1]
    figures.band_rows({"mel": [(0, 4), (2, 6), (4, 9)]}, 16, 1600, ax)
    found = sorted((bar.get_x(), bar.get_width(), bar.get_y()) for bar in ax.patches)
    # lowest bin: 100 Hz
    assert [(x, w) for x, w, _ in found] == [(100, 300), (200, 400), (400, 500)]
    assert found[0][2] == found[2][2] != found[1][2]


@pytest.mark.parametrize("widths", [(4,), (4, 4, 4)])
def test_the_rows_of_scnet_are_those_of_its_encoder(widths):
    network = build("scnet", target="vocals", widths=widths, depths=(1, 1, 1), layers=2, n_fft=1024)
    rows = figures.compressed_rows(network)
    assert rows[0][0] == 0 and rows[-1][1] == 513
    assert all(before[1] == after[0] for before, after in zip(rows, rows[1:]))
    x = torch.zeros(1, 4, 513, 2)
    for stage in network.encoder:
        x, _ = stage(x)
    assert len(rows) == x.shape[2]


def test_a_bin_acts_on_the_row_that_it_belongs_to():
    network = build("scnet", target="vocals", widths=(4,), depths=(0, 0, 0), layers=2, n_fft=1024)
    rows, stage = figures.compressed_rows(network), network.encoder[0]
    x = torch.zeros(1, 4, 513, 1)
    _, silent = stage(x)
    for bin in (150, 300, 512):  # of the bands whose kernels are their strides
        x = torch.zeros(1, 4, 513, 1)
        x[:, :, bin] = 1.0
        changed = (stage(x)[1] - silent)[0, :, :, 0].abs().amax(0).nonzero().flatten().tolist()
        assert changed == [k for k, (low, high) in enumerate(rows) if low <= bin < high]


def test_rows_keep_the_energy_of_their_bins():
    magnitude = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    shown = figures.by_rows(magnitude, [(0, 1), (1, 2), (2, 6)])
    assert torch.equal(shown[:2], magnitude[:2]) and torch.equal(shown[2], shown[5])
    assert torch.allclose(shown.square().sum(0), magnitude.square().sum(0))


def test_stages_stand_at_their_numbers():
    ax = plots.figure()[1]
    figures.stages({"a": {"in": 1000, "out": 10}, "b": {"in": 20, "out": 2}}, ax, "places")
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[1000, 10], [20, 2]]
    assert [text.get_text() for text in ax.texts] == ["1,000", "10", "20", "2"]


def test_a_number_that_two_branches_share_is_written_once():
    ax = plots.figure()[1]
    figures.stages({"a": {"in": 4, "out": 10}, "b": {"in": 2, "out": 10}}, ax, "maps")
    assert [text.get_text() for text in ax.texts] == ["4", "10", "2"]


def test_dots_and_means_stand_side_by_side():
    ax = plots.figure()[1]
    figures.pairs_of_dots({"A": {"x": [1, 3], "y": [5]}, "B": {"x": [2]}}, "dB", ax)
    bars = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_lw() == 2.5]
    assert [line.get_ydata()[0] for line in bars] == [2, 5, 2]
    centres = [np.mean(line.get_xdata()) for line in bars]
    assert centres == pytest.approx([-0.18, 0.18, 0.82])


CARD = MetricCard("usdr", "test")


def scored(arm, values):
    """Scores of {(song, seed): SDR}."""
    return [
        Score(song, "vocals", "usdr", value, arm, "songs", CARD, {"seed": seed})
        for (song, seed), value in values.items()
    ]


def grid(level, spread=(0.1, -0.1, 0.3)):
    return {
        (f"song {i}", seed): level + i + 0.1 * seed + spread[(i + seed) % 3]
        for i in range(6)
        for seed in range(5)
    }


def test_the_race_is_placed_by_network_and_the_first_stands_in_both_columns():
    scores = scored("BSRNN", {("a", 0): 1.0, ("b", 0): 3.0, ("a", 1): 5.0, ("b", 1): float("nan")})
    scores += scored("SCNet, equal examples", {("a", 0): 4.0})
    assert results.placed(scores) == {
        "BSRNN": {"equal examples": [2.0, 5.0], "equal seconds": [2.0, 5.0]},
        "SCNet": {"equal examples": [4.0]},
    }


def test_differences_are_against_the_first_network_over_songs_and_seeds():
    assert results.against_first([]) == []
    scores = scored("BSRNN", grid(0.0)) + scored("SCNet, equal seconds", grid(2.0, (0.3, 0, 0)))
    (row,) = results.against_first(scores)
    assert row["network"] == "SCNet, equal seconds" and row["minus BSRNN (dB)"] == "+2.00"
    low, high = map(float, row["95 % interval"].split(" to "))
    assert 1.5 < low < 2 < high < 2.5


def pretraining_runs(gain):
    return [
        score
        for size, level in (("6 songs", 0.0), ("24 songs", 3.0))
        for start, more in (("from scratch", 0.0), ("pre-trained", gain))
        for score in scored(f"{size}, {start}", grid(level + more))
    ]


def test_pre_training_is_told_by_data_size_over_songs_and_seeds():
    assert results.by_pretraining([]) == []
    few, many = results.by_pretraining(pretraining_runs(-1.0))
    assert few["trained on"] == "6 songs" and many["trained on"] == "24 songs"
    mean = np.mean(list(grid(0.0).values()))
    assert few["from scratch (dB)"] == f"{mean:.2f}"
    assert many["pre-trained (dB)"] == f"{mean + 2:.2f}"
    assert {few["difference (dB)"], many["difference (dB)"]} == {"-1.00"}
    assert {few["verdict"], many["verdict"]} == {"worse"}


@pytest.mark.parametrize("stored", [True, False])
def test_the_race_tells_of_the_stored_runs_or_of_the_miniature(monkeypatch, capsys, stored):
    """The cells of section 8, with Scores of every arm that has five seeds, or without any."""
    arms = [arm.name for arm in race.race("student").arms]
    runs = [score for level, arm in enumerate(arms) for score in scored(arm, grid(level))]
    told, rows = [], []
    monkeypatch.setattr(plots, "show", lambda figure, caption: told.append(caption))
    monkeypatch.setattr(plots, "table", lambda frame, caption: rows.append((frame, caption)))
    space = {
        "experiments": SimpleNamespace(
            stored=lambda: {"race": runs, "pretraining": pretraining_runs(0.5)} if stored else {}
        ),
        "live": [score for score in runs if score.provenance["seed"] == 0],
        "display": lambda shown: None,
        **{"figures": figures, "pd": pd, "plots": plots, "results": results},
    }
    chapter = nbformat.read(repo_root() / "notebooks" / "10_attention.ipynb", as_version=4)
    cells = [cell.source for cell in chapter.cells if cell.cell_type == "code"]
    for source in [cell for cell in cells if "stored" in cell]:
        exec(source, space)
    printed, (caption,) = capsys.readouterr().out, told
    assert caption.startswith("Figure 11.") and ("the miniature above" in caption) != stored
    assert ("sepkit experiment race" in printed) != stored
    assert ("sepkit experiment pretraining" in printed) != stored
    if stored:
        (table, title), (learned, last) = rows
        assert title.startswith("Table 4.") and last.startswith("Table 6.") and printed == ""
        assert list(learned["difference (dB)"]) == ["+0.50", "+0.50"]
        assert list(table.index) == arms[1:] and set(table.verdict) == {"better"}
    else:
        assert not rows and "Table 4" in printed
