"""Renditions, sounds, costs and figures of chapter 11: what is held, counted and drawn."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sepkit.errors import SepkitError
from sepkit.learn import plots
from sepkit.learn.ch11 import costs, figures, leakage, own, renditions, sounds
from sepkit.models import build
from sepkit.separation import Separator


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path))
    return tmp_path


def test_horns_change_one_stem_and_leave_the_others_as_they_are(data):
    asked = dict(number=1, seconds=3.0, seed=5, genres=["ska"])
    first, second = (renditions.songs(**asked, horn_correlation=c)[0] for c in (0.0, 1.0))
    assert first.name == second.name
    one, two = first.references(), second.references()
    equal = {name: torch.equal(one[name], two[name]) for name in one}
    assert equal == {"vocals": True, "drums": True, "bass": True, "other": False}
    there = sorted(data.rglob("mixture.wav"))
    low = renditions.songs(**asked, horn_correlation=1.0, sample_rate=8000, channels=1)[0]
    assert (low.sample_rate, low.mixture().shape) == (8000, (1, 24000))
    assert sorted(data.rglob("mixture.wav")) == there, "rendered once"


def test_an_unknown_knob_is_refused(data):
    with pytest.raises(SepkitError, match="unknown band knob 'horns'"):
        renditions.songs(1, 3.0, horns=1.0)


@pytest.mark.parametrize("name", sounds.SOUNDS)
def test_sounds_have_their_level_and_are_repeatable(name):
    one, again, another = (sounds.sound(name, 2.0, seed) for seed in (1, 1, 2))
    assert one.shape == (2, 88200) and torch.equal(one, again)
    assert float(one.square().mean().sqrt()) == pytest.approx(sounds.LEVEL, rel=1e-4)
    assert not torch.allclose(one, another, atol=1e-3)


def test_the_beatbox_has_its_bass_and_its_hiss_where_the_question_looks_for_them():
    whole, low, high = {}, {}, {}
    for name in ("beatbox: b", "beatbox: ts"):
        sound = sounds.sound(name, 2.0)
        whole[name] = leakage.band_energy(sound, sounds.RATE)
        low[name] = leakage.band_energy(sound, sounds.RATE, 0, 200) / whole[name]
        high[name] = leakage.band_energy(sound, sounds.RATE, 6000) / whole[name]
    assert low["beatbox: b"] > 0.8 and high["beatbox: ts"] > 0.5


def test_an_unknown_sound_is_refused():
    with pytest.raises(SepkitError, match="unknown sound 'gong'"):
        sounds.sound("gong", 1.0)


class Toy(nn.Module):
    """y = relu(w x), and a squared error: the backward pass needs x, y, and the error."""

    sample_rate, channels = 100, 1

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(7))

    def loss(self, mixture, target):
        hidden = torch.relu(mixture[..., None] * self.w)  # (B, 1, T, 7)
        return (hidden.sum(-1) - target).square().mean()


def test_memory_counts_what_the_backward_pass_needs_once_and_the_weights_four_times():
    batch, samples = 2, 100
    needed = 4 * batch * samples * (1 + 7 + 1)  # mixture, relu's output, error
    assert costs.training_memory(Toy(), batch, 1.0) == needed + 16 * 7


def test_attention_as_written_keeps_matrices_that_grow_with_the_square():
    def memory(seconds, backend):
        net = build("open-unmix-transformer", hidden=32, layers=2, heads=4, sample_rate=16000)
        with sdpa_kernel(backend):
            return costs.training_memory(net, 1, seconds)

    for seconds in (4.0, 16.0):
        kept, blocks = memory(seconds, SDPBackend.MATH), memory(seconds, SDPBackend.FLASH_ATTENTION)
        frames = 1 + int(seconds * 16000) // 1024
        matrices = 4 * 4 * 2 * frames**2  # bytes, heads, layers
        assert kept - blocks > 0.9 * matrices


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), costs.threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


class Sleeper(Separator):
    """Takes 20 ms for whatever it gets, and remembers with how many threads."""

    def __init__(self):
        super().__init__("sleeper", ["vocals"], sample_rate=8000, channels=1)
        self.threads = []

    def separate(self, mixture, references=None):
        assert mixture.shape == (1, 4000)
        self.threads.append(torch.get_num_threads())
        time.sleep(0.02)
        return {"vocals": mixture}


def test_a_real_time_factor_is_computing_per_audio_in_every_turn_but_the_first():
    sleeper = Sleeper()
    factors = costs.real_time_factor(sleeper, 0.5, number=2, turns=3)
    assert len(factors) == 3 and min(factors) >= 0.02 / 0.5
    assert sleeper.threads == [2] * 4


def test_a_training_step_moves_the_weights():
    net = build("open-unmix", hidden=8, layers=1, n_fft=512, hop=256, bandwidth=8000)
    before = [p.detach().clone() for p in net.parameters()]
    costs.training_step(net, 1, 0.2, torch.device("cpu"))()
    assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters()))


def test_curves_are_means_over_songs_with_intervals_around_them():
    values = np.array([[0.0, 1.0, np.nan], [2.0, 5.0, 4.0], [4.0, 3.0, np.nan]])
    ax = figures.with_intervals(plots.figure()[1], [1, 2, 4], {"net": values}, log=True)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [2, 3, 4])
    outline = ax.collections[0].get_paths()[0].vertices
    first = outline[outline[:, 0] == 1][:, 1]
    assert 0 <= first.min() < 2 < first.max() <= 4
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "4"]


def test_curves_apart_stand_side_by_side_with_bars_at_their_points():
    curves = {name: np.array([[0.0, 1.0], [2.0, 5.0]]) for name in "ab"}
    ax = figures.with_intervals(plots.figure()[1], [1, 2], curves, apart=0.2)
    assert [list(line.get_xdata()) for line in ax.get_lines()] == [[0.9, 1.9], [1.1, 2.1]]
    places = [[segment[0, 0] for segment in bars.get_segments()] for bars in ax.collections]
    assert places == [[0.9, 1.9], [1.1, 2.1]]


def test_every_dot_is_a_value_in_the_row_of_its_sound():
    rows = {"claps": {"a": [-20.0, -10.0], "b": [-3.0]}, "voice": {"a": [-1.0], "b": [0.0]}}
    ax = figures.dots(plots.figure()[1], rows)
    drawn = [line for line in ax.get_lines() if line.get_marker() == "."]
    assert [list(line.get_xdata()) for line in drawn] == [[-20, -10], [-3], [-1], [0]]
    assert [round(float(line.get_ydata()[0])) for line in drawn] == [0, 0, 1, 1]
    bars = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linewidth() == 2.5]
    assert bars == [-15, -3, -1, 0]


def test_decibels_have_a_floor_and_no_reference_is_no_number():
    assert leakage.decibels(0, 1) == leakage.FLOOR
    assert math.isnan(leakage.decibels(1, 0))


class Through(Separator):
    """Gives the whole mixture for the vocals, so that all of `other` leaks."""

    def __init__(self):
        super().__init__("through", ["vocals"], sample_rate=44100, channels=2)

    def separate(self, mixture, references=None):
        return {"vocals": mixture}


ASKED = dict(number=2, seconds=3.0, seed=5, genres=["ska"], horn_correlation=0.0)


def test_a_study_of_ones_own_compares_the_same_songs_and_prints_what_is_to_be_read(data):
    found = own.study(dict(other_level=12.0), "rises", Through(), ASKED)
    assert found.seen[0] == "rises" and 0 < found.seen[1] <= found.seen[2] < 12
    assert found.seen[4] == 2 and str(found.seen) in str(found)
    for p, shown in ((0.0078125, 0.008), (0.00024, 0.0002), (1.0, 1.0)):  # a p is never 0
        assert replace(found, comparison=found.comparison._replace(p=p)).seen[3] == shown
    assert [name.split(",")[0] for name in found.heard] == ["mixture", "estimate"] * 2
    before, after = found.heard["mixture, as rendered"], found.heard["mixture, other_level = 12"]
    assert before.shape == after.shape and not torch.equal(before, after)


@pytest.mark.parametrize(
    "changed, prediction, because",
    [
        (dict(reverb=1.0, echo=1.0), "rises", "changes one thing"),
        (dict(tempo=60.0), "rises", "unknown knob for this study 'tempo'"),
        (dict(reverb=1.0), "more", "unknown prediction 'more'"),
    ],
)
def test_a_study_of_two_changes_or_of_other_songs_is_refused(changed, prediction, because):
    with pytest.raises(SepkitError, match=because):
        own.study(changed, prediction, Through(), ASKED)


def test_without_a_knob_or_a_prediction_there_is_no_study():
    assert own.study(..., ..., Through(), ASKED) is None
    assert own.study(dict(reverb=1.0), ..., Through(), ASKED) is None
