"""Effects on stems: each against an independent reference; silence, scale, channels, batches."""

import math

import numpy as np
import pytest
import torch
from scipy import interpolate, signal

from sepkit.datasets import remix
from sepkit.datasets.remix import (
    Breath,
    Compose,
    Cut,
    Doubling,
    Draws,
    Drive,
    Equaliser,
    Gain,
    MixPlan,
    Reverb,
    SwapChannels,
)
from sepkit.errors import SepkitError
from sepkit.training.recipe import Recipe

STEMS = ("vocals", "drums", "bass", "other")
RATE = 8000
KINDS = (Doubling, Breath, Equaliser, Drive, Reverb)
#: A recipe with all of them, often.
EFFECTS = dict(doubling=0.7, breath=0.7, equaliser=0.5, drive=0.5, reverb=0.5)


def each_kind(prob=1.0, stem=None):
    return [kind(prob, RATE, stem) for kind in KINDS]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def phrases(batch=4, stems=4, channels=2, frames=8000, seed=0):
    """Noise that sounds in every other quarter of a second."""
    sounds = (torch.arange(frames) // (RATE // 4)) % 2 == 1
    return 0.1 * noise(batch, stems, channels, frames, seed=seed) * sounds


def sine(frequency, rate, frames):
    return torch.sin(2 * math.pi * frequency / rate * torch.arange(frames, dtype=torch.float64))


def build(**recipe):
    return remix.pipeline(Recipe(**{**dict(chunk_seconds=1.0), **recipe}), STEMS, "vocals", RATE)


# --- doubling -------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.010, 0.0237, 0.040])
def test_the_second_voice_comes_as_late_as_was_drawn(delay):
    audio = noise(1, 8000)
    second = Doubling(1, RATE).change(audio, delay, 0.0, -3.0, 0.0) - audio
    correlation = signal.correlate(second[0].numpy(), audio[0].numpy(), mode="full")
    lags = signal.correlation_lags(8000, 8000)
    assert abs(lags[correlation.argmax()] - delay * RATE) <= 0.5
    if delay != 0.0237:  # between two samples, interpolation dulls
        first = audio[:, : -round(delay * RATE)]
        level = 10 * torch.log10(second.square().sum() / first.square().sum())
        assert float(level) == pytest.approx(-3, abs=1e-4)


def test_the_delay_is_that_of_the_middle_and_drifts_evenly_with_the_detuning():
    """Windowed correlations at a quarter, a half and three quarters of four seconds."""
    rate, frames, cents = 44100, 4 * 44100, 10.0
    audio = noise(1, frames)
    second = (Doubling(1, rate).change(audio, 0.02, cents, 0.0, 0.0) - audio)[0].numpy()
    for middle in (frames // 4, frames // 2, 3 * frames // 4):
        here = slice(middle - 200, middle + 200)
        wide = audio[0, middle - 2200 : middle + 2200].numpy()
        lag = 2000 - signal.correlate(wide, second[here], mode="valid").argmax()
        drift = (2 ** (cents / 1200) - 1) * (middle - frames / 2)
        assert abs(lag - (0.02 * rate - drift)) <= 1.0


@pytest.mark.parametrize("cents", [-10.0, 3.0, 10.0])
def test_the_second_voice_is_detuned_by_as_many_cents_as_were_drawn(cents):
    rate, frames = 44100, 3 * 44100
    audio = sine(1000, rate, frames)[None].float()
    second = (Doubling(1, rate).change(audio, 0.02, cents, 0.0, 0.0) - audio)[0].double()
    inner = second[frames // 8 : -frames // 8].numpy()  # where it sounds from beginning to end
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), 16 * len(inner)))
    found = spectrum.argmax() * rate / (16 * len(inner))
    assert abs(1200 * math.log2(found / 1000) - cents) < 0.1


def test_the_second_voice_is_panned_at_equal_power_and_mono_stays_in_the_middle():
    voice = noise(1, 2000).expand(2, -1)
    for angle in (0.0, 0.3, math.pi / 4, math.pi / 2):
        second = Doubling(1, RATE).change(voice, 0.01, 0.0, 0.0, angle) - voice
        left, right = second.square().sum(-1).sqrt()
        assert float(torch.atan2(right, left)) == pytest.approx(angle, abs=1e-4)
        assert torch.allclose(second.square().sum(), voice[:, :-80].square().sum(), rtol=1e-4)
        mono = Doubling(1, RATE).change(voice[:1], 0.01, 0.0, 0.0, angle) - voice[:1]
        torch.testing.assert_close(mono[:, 80:], voice[:1, :-80], atol=1e-6, rtol=1e-5)


def test_what_is_drawn_is_the_same_on_every_machine():
    """Runs are resumed elsewhere: these numbers must never change."""
    plan = MixPlan.of(torch.zeros(1, 1, 2, 8))
    Doubling(0.7, RATE, 0).decide(plan, Draws(42, 1, [70000]))
    assert plan.effects[0, 0][0].keywords == pytest.approx(
        dict(
            delay=0.0380184780112549,
            cents=-5.888121742427501,
            level_db=-1.9045653876400408,
            angle=1.4776953156963653,
        )
    )


# --- breath ---------------------------------------------------------------------------


def test_breath_is_heard_in_pauses_and_onsets_only_and_no_louder_than_drawn():
    audio = phrases()[0, 0]  # sounds from 2000 to 4000 and from 6000 to 8000
    added = Breath(1, RATE).change(audio, -30.0, 2000.0, 7) - audio
    torch.testing.assert_close(added[0], added[1], atol=1e-7, rtol=0)
    block = 160
    in_phrases = torch.cat([added[:, 2000 + 4 * block : 3900], added[:, 6000 + 4 * block :]], -1)
    assert in_phrases.abs().max() == 0
    assert added[:, :2000].abs().max() > 0 and added[:, 4200:6000].abs().max() > 0
    assert added[:, 2000:2160].abs().max() > 0  # the onset
    loudest = audio.unflatten(-1, (-1, block)).square().mean((0, 2)).sqrt().max()
    level = 20 * torch.log10(added[:, 200:1800].square().mean().sqrt() / loudest)
    assert -45 < float(level) < -30  # swelling and fading


def test_breath_is_noise_around_its_centre():
    rate = 44100
    audio = torch.zeros(1, 20 * rate)
    audio[:, :rate] = 1.0
    added = (Breath(1, rate).change(audio, 0.0, 2000.0, 3) - audio)[0, 2 * rate :].numpy()
    frequencies, power = signal.welch(added, rate, nperseg=4096)
    level = 10 * np.log10(np.interp([1000, 2000, 4000], frequencies, power))
    assert np.abs(level - level[1] - np.array([-4.34, 0, -4.34])).max() < 1.0


def test_a_voice_without_pauses_gets_no_breath():
    audio = noise(2, 8000)
    assert torch.equal(Breath(1, RATE).change(audio, 0.0, 2000.0, 3), audio)


# --- equaliser ------------------------------------------------------------------------


def test_the_equaliser_has_its_curve_as_measured_by_an_impulse():
    """Against scipy's cubic Hermite spline through the octaves, level at each: within 0.1 dB."""
    rate, frames = 44100, 2 * 44100
    gains = 6 * np.random.default_rng(0).standard_normal(10)
    impulse = torch.zeros(1, frames)
    impulse[0, frames // 2] = 1
    measured = np.fft.rfft(Equaliser(1, rate).change(impulse, gains.tolist())[0].double().numpy())
    frequencies = np.fft.rfftfreq(frames, 1 / rate)
    curve = interpolate.CubicHermiteSpline(np.arange(10), gains, np.zeros(10))
    octaves = np.log2(np.maximum(frequencies, 1e-9) / 31.25).clip(0, 9)
    difference = 20 * np.log10(np.abs(measured)) - curve(octaves)
    assert np.abs(difference).max() < 0.1
    turn = np.exp(-1j * np.pi * np.arange(len(measured)))  # of an impulse in the middle
    assert np.abs(np.angle(measured / turn)).max() < 0.01  # phases are kept


def test_gains_of_the_curve_are_normal_with_the_deviation_and_three_of_it_at_most():
    rng = np.random.default_rng(1)
    gains = [Equaliser(1, RATE, sd_db=5.0).draw(rng).keywords["gains_db"] for _ in range(2000)]
    assert abs(np.std(gains) - 5) < 0.15 and abs(np.mean(gains)) < 0.15
    assert 14 < np.abs(gains).max() <= 15


# --- drive ----------------------------------------------------------------------------


@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 12.0, 40.0])
def test_drive_is_tanh_of_the_stem_against_its_peak_at_the_level_before(gain_db):
    audio = noise(2, 3000)
    got = Drive(1, RATE).change(audio, gain_db).double().numpy()
    given = audio.double().numpy()
    driven = np.tanh(given / np.abs(given).max() * 10 ** (gain_db / 20))
    expected = driven * np.linalg.norm(given) / np.linalg.norm(driven)
    assert np.abs(got - expected).max() < 2e-6
    assert np.linalg.norm(got) == pytest.approx(np.linalg.norm(given), rel=1e-5)


# --- reverb ---------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.2, 0.7, 1.5])
def test_reverberation_decays_by_sixty_decibels_in_its_time(seconds):
    """Schroeder's energy decay curve of the response, from -5 to -25 dB: within 10 %."""
    rate, frames = 16000, 2 * 16000
    impulse = torch.zeros(1, frames)
    impulse[0, 0] = 1
    response = Reverb(1, rate).change(impulse, seconds, 1.0, 5)[0].double().numpy()
    assert (response**2).sum() == pytest.approx(1, rel=1e-4)
    decay = 10 * np.log10((response**2)[::-1].cumsum()[::-1].clip(1e-30))
    part = (decay < -5) & (decay > -25)
    slope, _ = np.polyfit(np.arange(frames)[part] / rate, decay[part], 1)
    assert -60 / slope == pytest.approx(seconds, rel=0.1)


def test_reverb_is_a_convolution_mixed_with_the_stem_and_channels_have_noise_of_their_own():
    audio, room = noise(2, 3000), Reverb(1, RATE)
    impulses = torch.zeros(2, 3000)
    impulses[:, 0] = 1
    responses = room.change(impulses, 0.3, 1.0, 9).double().numpy()
    reverberation = np.stack(
        [np.convolve(*both)[:3000] for both in zip(audio.double().numpy(), responses, strict=True)]
    )
    got = room.change(audio, 0.3, 0.25, 9).double().numpy()
    assert np.abs(got - (0.75 * audio.numpy() + 0.25 * reverberation)).max() < 1e-5
    assert abs(np.corrcoef(responses)[0, 1]) < 0.1


# --- all of them ----------------------------------------------------------------------


def ids(item):
    return type(item).__name__


@pytest.mark.parametrize("item", each_kind(0.5), ids=ids)
def test_stems_are_struck_with_the_probability_and_independently(item):
    plan = MixPlan.of(torch.zeros(500, 4, 1, 1))
    item.decide(plan, Draws(0, 0, range(500)))
    struck = torch.zeros(4, 500)
    for example, stem in plan.effects:
        struck[stem, example] = 1
    assert abs(struck.mean() - 0.5) < 0.045
    assert (torch.corrcoef(struck) - torch.eye(4)).abs().max() < 4 / math.sqrt(500)


@pytest.mark.parametrize("item", each_kind(stem=2), ids=ids)
def test_only_the_stem_that_is_named_changes(item):
    stems = phrases()
    out = item(stems, Draws(0, 0, range(4)))
    assert torch.equal(out[:, [0, 1, 3]], stems[:, [0, 1, 3]])
    assert (out[:, 2] != stems[:, 2]).any((1, 2)).all()


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("item", each_kind(), ids=ids)
def test_silence_stays_silence_and_lengths_and_channels_stay(item, channels):
    for frames in (1, 2, 5, 700):
        silent = torch.zeros(2, 2, channels, frames)
        assert torch.equal(item(silent, Draws(0, 0, range(2))), silent)


@pytest.mark.parametrize("level", [1e-44, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("item", each_kind(), ids=ids)
def test_all_that_comes_out_is_finite(item, level):
    impulse = torch.zeros(4, 4, 2, 900)
    impulse[..., 100] = 1
    for stems in (noise(4, 4, 2, 900), impulse, torch.ones(4, 4, 2, 900), noise(4, 4, 2, 1)):
        assert item(level * stems, Draws(0, 0, range(4))).isfinite().all()


@pytest.mark.parametrize("item", each_kind(), ids=ids)
def test_what_is_done_scales_with_the_stem(item):
    stems, draws = phrases(), Draws(0, 0, range(4))
    torch.testing.assert_close(item(8 * stems, draws), 8 * item(stems, draws), atol=1e-6, rtol=1e-5)
    if not isinstance(item, Breath):
        negative = item(-stems, draws)
        torch.testing.assert_close(negative, -item(stems, draws), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("item", [*each_kind(0.6), Compose(each_kind(0.6))], ids=ids)
def test_examples_do_not_depend_on_their_batch(item):
    stems, order = phrases(6), [4, 0, 5]
    whole = item(stems, Draws(7, 3, range(6), 0.5))
    assert torch.equal(item(stems[order], Draws(7, 3, order, 0.5)), whole[order])
    single = [item(stems[i : i + 1], Draws(7, 3, [i], 0.5)) for i in range(6)]
    assert torch.equal(torch.cat(single), whole)
    assert not torch.equal(item(stems, Draws(7, 4, range(6), 0.5)), whole)


@pytest.mark.parametrize("item", [*each_kind(), Compose(each_kind())], ids=ids)
def test_inputs_are_left_alone_and_no_gradient_is_kept(item):
    stems = phrases().requires_grad_()
    before = stems.detach().clone()
    out = item(stems, Draws(0, 0, range(4)))
    assert torch.equal(stems.detach(), before) and not out.requires_grad
    assert out.dtype == torch.float32


def test_effects_are_applied_in_order_behind_the_cut_and_before_exchange_and_gain():
    stems, draws = phrases(), Draws(0, 0, range(4), 0.5)
    items = [Cut(5000), *each_kind(0.7), Gain(db=(-10, 10)), SwapChannels()]
    expected = stems
    for item in items:
        expected = item(expected, draws)
    torch.testing.assert_close(Compose(items)(stems, draws), expected, atol=1e-6, rtol=1e-5)


def test_a_plan_can_be_carried_out_twice():
    plan = MixPlan.of(phrases())
    Compose(each_kind()).decide(plan, Draws(0, 0, range(4)))
    assert torch.equal(plan.stems(phrases()), plan.stems(phrases()))


# --- in recipes -----------------------------------------------------------------------


@pytest.mark.parametrize("part, kind", list(zip(EFFECTS, KINDS, strict=True)))
def test_each_effect_is_switched_by_a_part_of_the_recipe_and_disturbs_no_other(part, kind):
    objects = build(**{part: 0.3}).augmentation.objects
    assert [type(item) for item in objects] == [kind, Gain, SwapChannels]
    assert (objects[0].prob, objects[0].stem) == (
        0.3,
        0 if part in ("doubling", "breath") else None,
    )
    others = {name: prob for name, prob in EFFECTS.items() if name != part}
    without, whole = MixPlan.of(phrases()), MixPlan.of(phrases())
    build(**others).augmentation.decide(without, Draws(0, 0, range(4)))
    build(**EFFECTS).augmentation.decide(whole, Draws(0, 0, range(4)))
    kept = {
        place: [change.keywords for change in changes if type(change.func.__self__) is not kind]
        for place, changes in whole.effects.items()
    }
    assert {place: changes for place, changes in kept.items() if changes} == {
        place: [change.keywords for change in changes] for place, changes in without.effects.items()
    }
    assert torch.equal(whole.gains, without.gains)


def test_the_ranges_of_the_recipe_arrive():
    doubling, breath, equaliser, drive, reverb = build(
        **EFFECTS,
        gains=None,
        swap=0.0,
        doubling_ms=(15, 20),
        doubling_cents=5,
        doubling_db=(-6, -3),
        breath_db=(-60, -50),
        equaliser_db=2,
        drive_db=(3, 6),
        reverb_seconds=(0.1, 0.2),
        reverb_wet=(0.2, 0.3),
    ).augmentation.objects
    drawn = [
        item.draw(np.random.default_rng(seed)).keywords
        for item in (doubling, breath, equaliser, drive, reverb)
        for seed in range(200)
    ]
    for name, low, high in [
        ("delay", 0.015, 0.020),
        ("cents", -5, 5),
        ("angle", 0, math.pi / 2),
        ("centre", 1000, 4000),
        ("gain_db", 3, 6),
        ("seconds", 0.1, 0.2),
        ("wet", 0.2, 0.3),
    ]:
        values = [one[name] for one in drawn if name in one]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high >= max(values) > high - 0.1 * (high - low)
    levels = [one["level_db"] for one in drawn if "level_db" in one]
    assert -6 <= min(levels[:200]) <= max(levels[:200]) <= -3
    assert -60 <= min(levels[200:]) <= max(levels[200:]) <= -50
    assert equaliser.sd_db == 2


def test_the_mixture_is_the_sum_of_the_changed_stems():
    made, stems = build(**EFFECTS, cut_seconds=0.7, mix_prob=0.5), phrases()
    done = made.augmentation(stems, Draws(made.seed, 2, range(4), 0.5))
    mixture, target = made(stems, range(4), 2)
    torch.testing.assert_close(mixture, done.sum(1), atol=1e-6, rtol=1e-5)
    assert torch.equal(target, done[:, 0])


def test_batches_of_four_are_four_batches_of_one_in_any_order():
    made, stems = build(**EFFECTS, cut_seconds=0.7, mix_prob=0.5), phrases(8)
    whole = torch.stack(made(stems, range(8), 3))
    singles = torch.cat([torch.stack(made(stems[i : i + 1], [i], 3)) for i in (6, 1, 3)], 1)
    assert torch.equal(singles, whole[:, [6, 1, 3]])


@pytest.mark.parametrize(
    "device",
    [
        pytest.param("meta", marks=pytest.mark.slow),  # importing its kernels takes seconds
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
        ),
    ],
)
def test_effects_stay_on_the_device_of_the_stems(device):
    always = dict.fromkeys(EFFECTS, 1.0)
    mixture, target = build(**always)(phrases().to(device), range(4), 0)
    assert mixture.device.type == target.device.type == device
    if device == "cuda":
        for got, want in zip((mixture, target), build(**always)(phrases(), range(4), 0)):
            torch.testing.assert_close(got.cpu(), want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Drive(1.5, RATE), "Drive: prob=1.5: a probability from 0 to 1"),
        (lambda: Doubling(1, RATE, delay_ms=(40, 10)), "Doubling: delay_ms=.40, 10.: a pair"),
        (lambda: Doubling(1, RATE, delay_ms=(0, 2000)), "each a number from 0 to 1000 was"),
        (lambda: Doubling(1, RATE, cents=-1), "Doubling: cents=-1: a number from 0 to 100 was"),
        (lambda: Doubling(1, RATE, level_db=(0, 90)), "level_db=.*each a number from -100 to 20"),
        (lambda: Breath(1, RATE, level_db=(-9, 1)), "Breath: level_db=.*from -100 to 0 was"),
        (lambda: Equaliser(1, RATE, sd_db=math.nan), "Equaliser: sd_db=nan: .* from 0 to 24 was"),
        (lambda: Drive(1, RATE, gain_db=(0, 61)), "Drive: gain_db=.*from -40 to 60 was"),
        (lambda: Reverb(1, RATE, seconds=(0, 1)), "Reverb: seconds=.*from 0.01 to 20 was"),
        (lambda: Reverb(1, RATE, wet=(0.5, 1.1)), "Reverb: wet=.*from 0 to 1 was"),
        (lambda: Recipe(doubling=1.1), "doubling=1.1: a number from 0 to 1 was"),
        (lambda: Recipe(doubling_ms=(1, -1)), "doubling_ms=.*a pair .low, high., each .* 1000"),
        (lambda: Recipe(breath_db="loud"), "breath_db='loud': a pair"),
        (lambda: Recipe(reverb_seconds=3), "reverb_seconds=3: a pair"),
        (lambda: Recipe(drive=math.inf), "drive=inf: a number from 0 to 1 was"),
    ],
)
def test_mistakes_are_named_with_the_range(make, message):
    with pytest.raises(SepkitError, match=message):
        make()
