"""REPET and REPET-SIM: the period is found, what repeats exactly is background."""

import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.separation import get
from sepkit.separation.blind import (
    beat_spectrum,
    repeating_period,
    repet_mask,
    repet_sim_mask,
    similar_frames,
)

RATE = 8000
OPTIONS = {"n_fft": 512, "hop": 128, "sample_rate": RATE}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pattern(bins, period, repeats, seed=0):
    """A random magnitude that repeats exactly, (bins, period * repeats)."""
    return torch.rand(bins, period, generator=generator(seed)).repeat(1, repeats) ** 3


def band_and_voice(seconds=8.0, period=0.96):
    """A pattern of notes and noises that repeats every 60 frames exactly, and a gliding voice."""
    once = round(period * RATE)
    t = torch.arange(once) / RATE
    notes = [(0.0, 300), (0.24, 410), (0.48, 520), (0.72, 365)]
    bar = sum(
        torch.sin(2 * math.pi * f * t) * torch.exp(-9 * (t - start)) * (t >= start)
        for start, f in notes
    )
    bar = bar + torch.randn(once, generator=generator(1)) * torch.exp(-40 * ((t * 4 / period) % 1))
    samples = round(seconds * RATE)
    band = 0.1 * bar.repeat(-(-samples // once))[:samples]
    t = torch.arange(samples) / RATE
    pitch = 900 + 400 * torch.sin(2 * math.pi * 0.31 * t + 0.4 * t**1.5)
    voice = 0.04 * torch.sin(2 * math.pi * torch.cumsum(pitch, 0) / RATE)
    return torch.stack([band, 0.6 * band]), torch.stack([voice, voice])


def decibels(signal, error):
    return float(10 * torch.log10(signal.square().sum() / error.square().sum()))


# --- the period


def test_the_beat_spectrum_is_the_mean_autocorrelation():
    v = torch.rand(7, 50, generator=generator(), dtype=torch.float64)
    power = (v**2).numpy()
    rows = np.stack([np.correlate(row, row, "full")[49:] / np.arange(50, 0, -1) for row in power])
    np.testing.assert_allclose(beat_spectrum(v).numpy(), rows.mean(0) / rows.mean(0)[0], rtol=1e-10)


@pytest.mark.parametrize("period", [13, 20, 37, 50])
def test_an_exact_period_is_found(period):
    v = pattern(30, period, 8) + 0.05 * torch.rand(30, 8 * period, generator=generator(9))
    assert repeating_period(beat_spectrum(v), 10, 60) == period


def test_bounds_are_kept_and_longer_patterns_may_hold_shorter_ones():
    v = pattern(30, 20, 12)
    assert repeating_period(beat_spectrum(v), 30, 70) in (40, 60)
    assert 5 <= repeating_period(beat_spectrum(v), 5, 15) <= 15


def test_the_period_does_not_depend_on_the_level():
    v = pattern(30, 17, 9) + 0.2 * torch.rand(30, 153, generator=generator(3))
    assert repeating_period(beat_spectrum(1e-4 * v), 8) == repeating_period(beat_spectrum(v), 8)


# --- the masks


def test_what_repeats_exactly_is_all_background():
    v = pattern(30, 20, 6)
    torch.testing.assert_close(repet_mask(v, 20), torch.ones_like(v))
    # The last pattern cut off.
    torch.testing.assert_close(repet_mask(v[:, :113], 20), torch.ones(30, 113))


def test_what_comes_once_is_foreground():
    v = pattern(30, 20, 7) + 0.1
    once = torch.zeros_like(v)
    once[12, 63:66] = 0.5
    expected = v / (v + once)
    for mask in (repet_mask(v + once, 20), repet_sim_mask(v + once, apart=5, neighbours=6)):
        torch.testing.assert_close(mask, expected, rtol=1e-5, atol=1e-6)


def test_repet_sim_needs_no_fixed_period():
    # Eight frames, in any order, twenty times each.
    order = torch.randperm(160, generator=generator(2)) % 8
    v = (torch.rand(40, 8, generator=generator(4)) ** 4)[:, order] + 0.01
    loud = torch.zeros_like(v)
    loud[torch.randint(40, (160,), generator=generator(5)), torch.arange(160)] = 0.5
    sim, fixed = repet_sim_mask(v + loud, apart=1, neighbours=9), repet_mask(v + loud, 20)
    expected = v / (v + loud)
    assert (sim - expected).abs().mean() < 0.02 < 0.1 < (fixed - expected).abs().mean()


def test_similar_frames_are_exact_copies_and_a_frame_itself():
    v = pattern(30, 20, 7) + 0.1
    found = similar_frames(v, apart=5, neighbours=7)
    for j in (0, 33, 139):
        assert sorted(found[:, j].indices.tolist()) == list(range(j % 20, 140, 20))
    some = similar_frames(v, apart=5, neighbours=3)
    assert (np.diff(some.indptr) == 3).all() and (some.diagonal() == 1).all()


def test_neighbours_lie_apart_from_each_other():
    v = torch.rand(6, 200, generator=generator(7)).repeat_interleave(4, dim=1)  # long notes
    found = similar_frames(v, apart=9, neighbours=20)
    for j in range(0, 800, 37):
        gaps = np.diff(sorted(found[:, j].indices))
        assert ((gaps > 9) | (gaps <= 3)).all()  # within a note all frames are equally alike


def test_masks_are_shares():
    v = torch.rand(25, 200, generator=generator()) * (
        torch.rand(25, 200, generator=generator(1)) > 0.3
    )
    for mask in (repet_mask(v, 31), repet_sim_mask(v, 10)):
        assert mask.min() >= 0 and mask.max() <= 1 and (mask[v == 0] == 1).all()
    torch.testing.assert_close(repet_mask(1e-3 * v, 31), repet_mask(v, 31))


# --- the separators


@pytest.mark.parametrize("name, least", [("repet", 9), ("repet-sim", 3)])
def test_a_voice_over_a_band_that_repeats(name, least):
    band, voice = band_and_voice()
    separator = get(name, **OPTIONS)
    estimates = separator.separate(band + voice)
    assert decibels(voice, estimates["vocals"] - voice) > least + decibels(voice, band)
    assert decibels(band, estimates["accompaniment"] - band) > least + decibels(band, voice)
    if name == "repet":
        seen = separator.stft(band + voice).abs().square().mean(0).sqrt()
        assert repeating_period(beat_spectrum(seen), 50, 500) % 60 == 0


@pytest.mark.parametrize("name", ["repet", "repet-sim"])
def test_what_lies_below_is_accompaniment(name):
    t = torch.arange(6 * RATE) / RATE
    low = 0.2 * torch.sin(2 * math.pi * 50 * t * (1 + 0.02 * t)).expand(2, -1)
    vocals = get(name, lowest=200.0, **OPTIONS).separate(low)["vocals"]
    assert float(vocals.square().sum()) < 1e-4 * float(low.square().sum())


@pytest.mark.parametrize("name, seconds", [("repet", "2.4"), ("repet-sim", "1.5")])
def test_too_short_to_repeat(name, seconds):
    x = 0.1 * torch.randn(2, 1 * RATE, generator=generator())
    with pytest.raises(
        SepkitError,
        match=f"{name}: 1.00 s are too short to find what repeats; "
        f"use a recording of {seconds} s or more",
    ):
        get(name, **OPTIONS).separate(x)


def test_functions_refuse_what_does_not_fit():
    v = torch.rand(10, 40)
    with pytest.raises(
        SepkitError,
        match="40 frames are too short for a pattern of 14 frames or more to come three times",
    ):
        repeating_period(beat_spectrum(v), 14)
    for period in (0, 41):
        with pytest.raises(
            SepkitError, match=f"a period of {period} in 40 frames; expected 1 to 40"
        ):
            repet_mask(v, period)
    with pytest.raises(
        SepkitError, match="40 frames with similar ones 14 apart.*expected at least 42 frames"
    ):
        repet_sim_mask(v, 14)
    assert not beat_spectrum(torch.zeros(10, 40)).any()
