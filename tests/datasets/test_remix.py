"""Remixing: what each augmentation does to the numbers, and that only its own draws move them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from sepkit.datasets import remix
from sepkit.datasets.remix import (
    Compose,
    Cut,
    Draws,
    Gain,
    MixPlan,
    Polarity,
    Silence,
    SpeechRemix,
    SwapChannels,
)
from sepkit.errors import SepkitError
from sepkit.training.recipe import Recipe

STEMS = ("vocals", "drums", "bass", "other")
PLAIN = dict(gains=None, swap=0.0)
ALL = dict(
    gains=None,
    gain_db=(-10, 10),
    gain_prob=0.5,
    swap=0.5,
    polarity=0.5,
    silence=0.2,
    cut_seconds=0.05,
    normalise=True,
    speech_prob=0.5,
    mix_prob=0.5,
)
RATE = 8000


class Voices:
    """Utterances of different lengths and levels; the last is silent."""

    def __init__(self, lengths=(90, 150, 300), sample_rate=RATE, levels=(0.1, 0.5, 1.7)):
        torch.manual_seed(3)
        self.sample_rate = sample_rate
        self.all = [level * torch.randn(1, n) for n, level in zip(lengths, levels, strict=True)]

    def __len__(self):
        return len(self.all)

    def utterance(self, index):
        return self.all[index].clone()


def noise(batch=4, stems=4, channels=2, frames=800, seed=0):
    return torch.randn(
        batch, stems, channels, frames, generator=torch.Generator().manual_seed(seed)
    )


def ones(batch, channels=2, frames=1):
    """Left is 1, right is 2."""
    return torch.arange(1.0, channels + 1)[:, None].expand(batch, 4, channels, frames).clone()


def many(count=500, seed=0):
    return Draws(seed, 0, range(count))


# --- draws ----------------------------------------------------------------------------


def test_draws_depend_on_seed_epoch_index_and_name_and_on_nothing_else():
    whole = Draws(1, 2, range(6))
    reference = whole.uniform("gain", 4, 2)
    assert reference.shape == (6, 4, 2) and reference.dtype == torch.float64
    whole.uniform("swap", 3)
    assert torch.equal(
        whole.uniform("gain", 4, 2), reference
    )  # asking elsewhere or again moves nothing
    assert torch.equal(Draws(1, 2, torch.tensor([5, 1])).uniform("gain", 4, 2), reference[[5, 1]])
    others = [
        Draws(2, 2, range(6)),
        Draws(1, 3, range(6)),
        Draws(1, 2, range(6, 12)),
        Draws(2, 1, range(6)),
    ]
    values = [reference, whole.uniform("niag", 4, 2)] + [
        draws.uniform("gain", 4, 2) for draws in others
    ]
    assert len(torch.cat([v.flatten() for v in values]).unique()) == 6 * 48


def test_draws_are_the_same_on_every_machine():
    """Runs are resumed elsewhere: these numbers must never change."""
    values = Draws(42, 1, [0, 70000]).uniform("gain", 2)
    assert values.tolist() == [
        [0.33327699356877916, 0.14131634400237048],
        [0.8173656706621094, 0.789318826827281],
    ]


def test_draws_are_uniform_and_independent_between_names_examples_and_epochs():
    draws = many(4000)
    first, second = draws.uniform("a", 2).unbind(1)
    series = [
        first,
        second,
        draws.uniform("b", 1)[:, 0],
        Draws(0, 1, range(4000)).uniform("a", 1)[:, 0],
        first.roll(1),
    ]
    for values in series:
        assert (
            stats.kstest(values.numpy(), "uniform").pvalue > 1e-3
            and 0 <= values.min()
            and values.max() < 1
        )
    correlation = np.corrcoef(torch.stack(series).numpy()) - np.eye(len(series))
    assert np.abs(correlation).max() < 4 / math.sqrt(4000)


def test_remixed_examples_are_as_many_as_asked_for():
    for prob in (0.0, 0.25, 1.0):
        assert (
            abs(Draws(0, 0, range(4000), prob).remixed.double().mean() - prob)
            < 4 * math.sqrt(prob * (1 - prob) / 4000) + 1e-12
        )
    few, more = (Draws(0, 0, range(500), prob).remixed for prob in (0.25, 0.8))
    assert (few <= more).all()  # a sweep over the probability only adds remixes


# --- one augmentation after another ---------------------------------------------------


def test_linear_gains_are_uniform_and_each_stem_has_its_own():
    gains = Gain(linear=(0.25, 1.25))(ones(500), many())[:, :, :, 0] / torch.tensor([1.0, 2.0])
    assert torch.equal(gains[..., 0], gains[..., 1])  # both channels alike
    assert stats.kstest(gains[..., 0].flatten().numpy(), "uniform", (0.25, 1.0)).pvalue > 1e-3
    assert len(gains[..., 0].unique()) > 1990


def test_gains_in_db_are_uniform_in_db():
    gains = Gain(db=(-10, 10))(ones(500), many())[:, :, 0, 0]
    assert stats.kstest((20 * gains.log10()).flatten().numpy(), "uniform", (-10, 20)).pvalue > 1e-3


def test_gains_with_a_probability_leave_the_others_untouched():
    always, sometimes = (
        Gain(db=(-10, 10), prob=prob)(ones(500), many())[:, :, 0, 0] for prob in (1.0, 0.5)
    )
    touched = sometimes != 1
    assert (
        torch.equal(sometimes[touched], always[touched])
        and abs(touched.double().mean() - 0.5) < 0.045
    )


def test_channels_are_exchanged_with_the_probability_and_mono_is_left_alone():
    out = SwapChannels(0.3)(ones(500), many())[..., 0]
    swapped = (out == torch.tensor([2.0, 1.0])).all(-1)
    assert (swapped | (out == torch.tensor([1.0, 2.0])).all(-1)).all() and abs(
        swapped.double().mean() - 0.3
    ) < 0.042
    mono = noise(channels=1)
    assert torch.equal(SwapChannels(1.0)(mono, many(4)), mono)


@pytest.mark.parametrize("kind, factor", [(Polarity, -1.0), (Silence, 0.0)])
def test_polarity_and_silence_strike_each_stem_with_the_probability(kind, factor):
    factors = kind(0.1)(ones(500), many())[:, :, :, 0] / torch.tensor([1.0, 2.0])
    struck = factors[..., 0] == factor
    assert torch.equal(factors, torch.where(struck[..., None], factor, 1.0).expand(-1, -1, 2))
    assert abs(struck.double().mean() - 0.1) < 0.027
    pairs = struck.double().T  # (S, B): stems are struck independently
    assert (torch.corrcoef(pairs) - torch.eye(4)).abs().max() < 4 / math.sqrt(500)
    assert torch.equal(kind(1.0)(noise(), many(4)), factor * noise())
    assert torch.equal(kind(0.0)(noise(), many(4)), noise())


def ramps(batch, frames):
    """Every sample is its own place."""
    return torch.arange(float(frames)).expand(batch, 4, 2, frames)


def test_cut_takes_all_places_equally_often_and_each_stem_of_a_remix_its_own():
    out = Cut(6)(ramps(600, 9), Draws(0, 0, range(600)))
    starts = out[:, :, 0, 0]
    assert torch.equal(
        out, (starts[..., None] + torch.arange(6.0))[:, :, None].expand(-1, -1, 2, -1)
    )  # whole, in order
    assert (
        stats.chisquare(torch.bincount(starts.flatten().long(), minlength=4).numpy()).pvalue > 1e-3
    )
    assert (torch.corrcoef(starts.T) - torch.eye(4)).abs().max() < 4 / math.sqrt(600)


def test_cut_keeps_real_mixtures_together():
    draws = Draws(0, 0, range(600), 0.5)
    starts = Cut(6)(ramps(600, 9), draws)[:, :, 0, 0]
    together = (starts == starts[:, :1]).all(1)
    assert together[~draws.remixed].all()
    assert together[draws.remixed].double().mean() < 0.05  # 1 in 64 by chance
    assert (
        stats.chisquare(
            torch.bincount(starts[~draws.remixed, 0].long(), minlength=4).numpy()
        ).pvalue
        > 1e-3
    )


def test_cut_to_the_whole_length_changes_nothing_and_longer_is_refused():
    assert torch.equal(Cut(800)(noise(), many(4)), noise())
    with pytest.raises(SepkitError, match="801 of 800 samples"):
        Cut(801)(noise(), many(4))


# --- together -------------------------------------------------------------------------

EACH = [
    Gain(linear=(0.25, 1.25)),
    Gain(db=(-10, 10), prob=0.5),
    SwapChannels(),
    Polarity(),
    Silence(0.3),
    Cut(300),
]
KIT = [Cut(300), Gain(db=(-10, 10), prob=0.5), SwapChannels(), Polarity(), Silence(0.3)]


def test_composed_augmentations_equal_one_after_the_other():
    stems, draws = noise(), Draws(0, 0, range(4), 0.5)
    expected = stems
    for item in KIT:
        expected = item(expected, draws)
    torch.testing.assert_close(Compose(KIT)(stems, draws), expected)
    torch.testing.assert_close(Compose(KIT[::-1])(stems, draws), expected)  # they commute
    assert torch.equal(Compose([])(stems, draws), stems)


def test_switching_one_off_leaves_the_draws_of_the_others():
    for left_out in range(len(KIT)):
        draws = Draws(0, 0, range(4), 0.5)
        whole, rest = MixPlan.of(noise()), MixPlan.of(noise())
        Compose(KIT).decide(whole, draws)
        Compose(KIT[:left_out] + KIT[left_out + 1 :]).decide(rest, draws)
        KIT[left_out].decide(rest, draws)
        assert torch.equal(whole.starts, rest.starts) and torch.equal(whole.swapped, rest.swapped)
        torch.testing.assert_close(whole.gains, rest.gains)


def test_what_strikes_a_stem_is_independent_of_the_other_stems_and_augmentations():
    def struck(item):
        plan = MixPlan.of(noise(500, frames=2))
        item.decide(plan, many())
        return ((plan.gains != 1) | plan.swapped).double().T  # (S, B)

    halves = torch.cat(
        [
            struck(kind)
            for kind in (Gain(db=(-10, 10), prob=0.5), SwapChannels(), Polarity(), Silence(0.5))
        ]
    )
    assert (torch.corrcoef(halves) - torch.eye(16)).abs().max() < 4.5 / math.sqrt(500)


@pytest.mark.parametrize("item", EACH + [Compose(KIT)], ids=lambda item: type(item).__name__)
def test_examples_do_not_depend_on_their_batch(item):
    stems, order = noise(6), [4, 0, 5]
    whole = item(stems, Draws(7, 3, range(6), 0.5))
    assert torch.equal(item(stems[order], Draws(7, 3, order, 0.5)), whole[order])
    single = [item(stems[i : i + 1], Draws(7, 3, [i], 0.5)) for i in range(6)]
    assert torch.equal(torch.cat(single), whole)


@pytest.mark.parametrize("item", EACH + [Compose(KIT)], ids=lambda item: type(item).__name__)
def test_inputs_are_left_alone_and_no_gradient_is_kept(item):
    stems = noise().requires_grad_()
    before = stems.detach().clone()
    out = item(stems, many(4))
    assert (
        torch.equal(stems.detach(), before) and not out.requires_grad and out.dtype == torch.float32
    )
    out.add_(1)
    assert torch.equal(stems.detach(), before)  # and what comes out is not a view of it


def test_mix_down_sums_what_the_augmentations_give():
    stems, draws = noise(), Draws(0, 0, range(4), 0.5)
    plan = MixPlan.of(stems)
    Compose(KIT).decide(plan, draws)
    done = Compose(KIT)(stems, draws)
    for index in range(4):
        mixture, target = remix.mix_down(stems, index, plan)
        torch.testing.assert_close(mixture, done.sum(1))
        assert torch.equal(target, done[:, index])
    mixture, target = remix.mix_down(stems, 2)
    torch.testing.assert_close(mixture.double(), stems.double().sum(1), atol=1e-6, rtol=1e-6)
    assert torch.equal(target, stems[:, 2])


def test_normalise_divides_both_by_the_larger_peak():
    mixture = torch.tensor([[[0.5, -2.0]], [[0.1, 0.2]], [[0.0, 0.0]]])
    target = torch.tensor([[[1.0, 0.5]], [[-0.8, 0.4]], [[0.0, 0.0]]])
    expected = (
        mixture / torch.tensor([2.0, 0.8, 1.0])[:, None, None],
        target / torch.tensor([2.0, 0.8, 1.0])[:, None, None],
    )
    before = mixture.clone(), target.clone()
    for got, want in zip(remix.normalise(mixture, target), expected, strict=True):
        assert torch.equal(got, want)
    assert torch.equal(mixture, before[0]) and torch.equal(target, before[1])
    quiet = torch.tensor([[[0.1, -0.25]]])  # a target that was dropped does not decide
    assert torch.equal(remix.normalise(quiet, torch.zeros(1, 1, 2))[0], 4 * quiet)
    tiny = torch.full((1, 1, 2), 1e-44)
    assert torch.equal(remix.normalise(tiny, tiny)[0], torch.ones(1, 1, 2))


# --- speech ---------------------------------------------------------------------------


def pair(batch=6, channels=2, frames=700):
    stems = noise(batch, 2, channels, frames)
    return stems.sum(1), stems[:, 0]


def snr_of(mixture, target):
    target = target.double()
    return 10 * torch.log10(
        target.square().sum((1, 2)) / (mixture.double() - target).square().sum((1, 2))
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_speech_has_the_drawn_snr_and_the_mixture_the_peak_one(channels):
    mixture, target = pair(200, channels)
    got, wanted = SpeechRemix(Voices(), 1.0)(mixture, target, many(200))
    drawn = -5 + 20 * many(200).uniform("speech", 2)[:, 1]
    assert (snr_of(got, wanted) - drawn).abs().max() < 1e-4
    assert torch.equal(got.abs().amax((1, 2)), torch.ones(200))
    assert stats.kstest(snr_of(got, wanted).numpy(), "uniform", (-5, 20)).pvalue > 1e-3


def test_long_examples_have_the_drawn_snr_too():
    stems = 0.05 * noise(2, 2, 2, 6 * 44100)
    mixture, target = stems.sum(1), stems[:, 0]
    got, wanted = SpeechRemix(Voices((200000, 90000, 50000)), 1.0)(mixture, target, many(2))
    drawn = -5 + 20 * many(2).uniform("speech", 2)[:, 1]
    assert (snr_of(got, wanted) - drawn).abs().max() < 1e-4


def test_speech_replaces_the_target_and_keeps_the_accompaniment():
    mixture, target = pair()
    voices = Voices()
    got, wanted = SpeechRemix(voices, 1.0)(mixture, target, many(6))
    assert torch.equal(wanted[:, 0], wanted[:, 1])  # mono speech in both channels
    for rest, before in zip(got - wanted, mixture - target, strict=True):
        factor = (rest * before).sum() / before.square().sum()
        torch.testing.assert_close(rest, factor * before, atol=2e-6, rtol=1e-4)


def test_utterances_follow_each_other_normalised_until_the_example_is_full():
    voices = Voices()
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    speech = SpeechRemix(voices, 1.0).utterances(700, rng)
    parts, total = [], 0
    while total < 700:
        parts.append(voices.all[again.integers(3)])
        total += parts[-1].shape[1]
    expected = torch.cat([part / part.abs().max() for part in parts], 1)[:, :700]
    assert len(parts) >= 3 and torch.equal(speech, expected)


def test_as_published_only_the_target_differs_by_the_gain_of_the_mixture():
    mixture, target = pair()
    scaled, wanted = SpeechRemix(Voices(), 1.0)(mixture, target, many(6))
    same, printed = SpeechRemix(Voices(), 1.0, as_published=True)(mixture, target, many(6))
    assert torch.equal(same, scaled)
    for i, rng in enumerate(many(6).generators("utterances")):
        speech = SpeechRemix(Voices(), 1.0).utterances(700, rng)
        assert torch.equal(printed[i], speech.expand(2, -1))  # as it was before mixing
        accompaniment = mixture[i] - target[i]
        snr = -5 + 20 * float(many(6).uniform("speech", 2)[i, 1])
        scale = math.sqrt(
            2 * float(speech.double().square().sum()) / float(accompaniment.double().square().sum())
        ) / 10 ** (snr / 20)
        peak = (speech + scale * accompaniment).abs().max()
        torch.testing.assert_close(wanted[i], speech.expand(2, -1) / peak)


def test_speech_comes_as_often_as_asked_and_leaves_the_others_alone():
    mixture, target = pair(500, 1, 20)
    got, wanted = SpeechRemix(Voices(), 0.3)(mixture, target, many(500))
    changed = (got != mixture).flatten(1).any(1)
    assert abs(changed.double().mean() - 0.3) < 0.085
    assert torch.equal(wanted[~changed], target[~changed])
    always = SpeechRemix(Voices(), 1.0)(mixture, target, many(500))
    assert torch.equal(got[changed], always[0][changed]) and torch.equal(
        wanted[changed], always[1][changed]
    )


def test_speech_of_an_example_does_not_depend_on_its_batch_and_inputs_stay():
    mixture, target = pair()
    before = mixture.clone(), target.clone()
    whole = torch.stack(SpeechRemix(Voices(), 0.6)(mixture, target, Draws(1, 1, range(6))))
    order = [5, 2, 0]
    part = torch.stack(
        SpeechRemix(Voices(), 0.6)(mixture[order], target[order], Draws(1, 1, order))
    )
    assert torch.equal(part, whole[:, order])
    assert torch.equal(mixture, before[0]) and torch.equal(target, before[1])


@pytest.mark.parametrize("levels", [(0.0, 0.0, 0.0), (0.1, 0.5, 1.7), (1e-30, 1e-30, 1e-30)])
@pytest.mark.parametrize("loud", [0.0, 1.0, 1e-30])
def test_silence_makes_no_nan(levels, loud):
    mixture, target = (loud * x for x in pair())
    for as_published in (False, True):
        got, wanted = SpeechRemix(Voices(levels=levels), 1.0, as_published=as_published)(
            mixture, target, many(6)
        )
        assert got.isfinite().all() and wanted.isfinite().all()
        if levels[0] == 0:
            assert wanted.eq(0).all()
        if loud == 0:
            assert torch.equal(got - wanted, torch.zeros_like(got)) or as_published


# --- the pipeline ---------------------------------------------------------------------


def build(speech=None, **recipe):
    return remix.pipeline(
        Recipe(**{**dict(chunk_seconds=0.1), **recipe}), STEMS, "vocals", RATE, speech or Voices()
    )


@pytest.mark.parametrize(
    "recipe, kinds",
    [
        (PLAIN, []),
        (dict(), [Gain, SwapChannels]),
        (dict(gains=None, gain_db=(-10, 10)), [Gain, SwapChannels]),
        (dict(gain_prob=0.0), [SwapChannels]),
        ({**PLAIN, "polarity": 0.5}, [Polarity]),
        ({**PLAIN, "silence": 0.1}, [Silence]),
        ({**PLAIN, "cut_seconds": 0.05}, [Cut]),
        (ALL, [Cut, Gain, SwapChannels, Polarity, Silence]),
    ],
)
def test_the_pipeline_holds_what_the_recipe_asks_for_and_nothing_else(recipe, kinds):
    made = build(**recipe)
    assert [type(item) for item in made.augmentation.objects] == kinds
    assert (made.speech is not None) == bool(
        recipe.get("speech_prob")
    ) and made.normalise == recipe.get("normalise", False)


def test_the_numbers_of_the_recipe_arrive():
    made = build(**ALL, speech_as_published=True, seed=5)
    cut, gain, swap, polarity, silence = made.augmentation.objects
    assert (cut.frames, gain.low, gain.high, gain.in_db, gain.prob) == (400, -10, 10, True, 0.5)
    assert (swap.prob, polarity.prob, silence.prob, made.speech.prob, made.speech.as_published) == (
        0.5,
        0.5,
        0.2,
        0.5,
        True,
    )
    assert (made.seed, made.mix_prob, made.target_index) == (5, 0.5, 0)


def test_a_cut_as_long_as_the_chunk_fits():
    made = build(
        **PLAIN, chunk_seconds=0.10012, cut_seconds=0.10012
    )  # 800.96 samples, of which chunks have 800
    assert made(noise(), range(4), 0)[0].shape[-1] == 800


def test_without_augmentation_the_mixture_is_the_sum():
    mixture, target = build(**PLAIN)(noise(), range(4), 0)
    torch.testing.assert_close(mixture, noise().sum(1))
    assert torch.equal(target, noise()[:, 0])


def test_the_pipeline_is_its_parts_in_order():
    stems, draws = noise(), Draws(9, 2, range(4), 0.5)
    made = build(**ALL, seed=9)
    stems_after = made.augmentation(stems, draws)
    expected = remix.normalise(
        *SpeechRemix(Voices(), 0.5)(stems_after.sum(1), stems_after[:, 0], draws)
    )
    before = stems.clone()
    for got, want in zip(made(stems, torch.arange(4), 2), expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    assert torch.equal(stems, before)


def test_batches_of_four_are_four_batches_of_one_in_any_order():
    made, stems = build(**ALL), noise(8)
    whole = torch.stack(made(stems, range(8), 3))
    singles = torch.cat([torch.stack(made(stems[i : i + 1], [i], 3)) for i in (6, 1, 3)], 1)
    assert torch.equal(singles, whole[:, [6, 1, 3]])
    assert not torch.equal(torch.stack(made(stems, range(8), 4)), whole)


@pytest.mark.parametrize("silent", [slice(None), slice(0, 1), slice(1, None)])
def test_silent_stems_stay_finite(silent):
    stems = noise()
    stems[:, silent] = 0
    for epoch in range(5):
        assert torch.stack(build(**ALL)(stems, range(4), epoch)).isfinite().all()


@pytest.mark.parametrize(
    "device",
    [
        pytest.param("meta", marks=pytest.mark.slow),  # importing its kernels takes seconds
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
        ),
    ],
)
def test_the_pipeline_stays_on_the_device_of_the_stems(device):
    mixture, target = build(**ALL)(noise().to(device), range(4), 0)
    assert (mixture.device.type, mixture.dtype, mixture.shape) == (
        device,
        torch.float32,
        (4, 2, 400),
    ) and target.shape == mixture.shape
    if device == "cuda":
        for got, want in zip((mixture, target), build(**ALL)(noise(), range(4), 0), strict=True):
            torch.testing.assert_close(got.cpu(), want, atol=1e-5, rtol=1e-5)


# --- mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Gain(), "Gain: linear=None, db=None: give one"),
        (lambda: Gain(linear=(0, 1), db=(0, 1)), "give one of them"),
        (lambda: Gain(db=(10, -10)), "must go from low to high"),
        (lambda: Gain(linear=(0, 1), prob=1.5), "Gain: prob=1.5"),
        (lambda: Silence(float("nan")), "Silence: prob=nan"),
        (lambda: Cut(0), "at least one sample"),
        (lambda: SpeechRemix(Voices(), 0.5, snr=(15, -5)), "a pair .low, high. in dB"),
        (lambda: Compose([Gain(db=(0, 1)), Gain(linear=(0, 1))]), "Gain occurs 2 times"),
        (
            lambda: remix.pipeline(Recipe(), STEMS, "voice", RATE),
            "unknown target 'voice': choose from vocals, drums",
        ),
        (
            lambda: remix.pipeline(Recipe(speech_prob=0.1), STEMS, "drums", RATE, Voices()),
            "stands in for vocals, but the target is drums",
        ),
        (
            lambda: remix.pipeline(Recipe(speech_prob=0.1), STEMS, "vocals", RATE),
            "no speech was given",
        ),
        (
            lambda: remix.pipeline(Recipe(speech_prob=0.1), STEMS, "vocals", 44100, Voices()),
            "8000 Hz for songs at 44100 Hz",
        ),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(SepkitError, match=message):
        make()


# --- voices ---------------------------------------------------------------------------


def test_playback_rate_moves_a_tone_of_the_vocals_and_nothing_else():
    rate, kept = 44100, 8192
    tone = torch.sin(
        2 * math.pi * 1000 * torch.arange(2 * kept, dtype=torch.float64) / rate
    ).float()
    stems = tone.expand(40, 4, 2, -1).clone()
    draws = many(40)
    out = Compose([remix.PlaybackRate(0, 4.0), Cut(kept)])(stems, draws)
    spectrum = torch.fft.rfft(out[:, :, 0] * torch.hann_window(kept), 8 * kept).abs()
    found = spectrum.argmax(-1) * rate / (8 * kept)  # (B, S) Hz
    chance, where = draws.uniform("playback rate", 2).unbind(-1)
    expected = torch.where(chance < 0.75, 1000 * 2 ** (4 * (2 * where - 1) / 12), 1000.0)
    assert (found[:, 0] - expected).abs().max() < 1.0 and (found[:, 1:] - 1000).abs().max() < 1.0
    assert 0.5 < (found[:, 0] - 1000).abs().gt(2).double().mean() < 0.95


def test_playback_rate_interpolates_a_line_exactly_and_keeps_other_stems_bit_for_bit():
    line = torch.arange(600.0).expand(50, 4, 1, 600)
    out = Compose([remix.PlaybackRate(2, 4.0), Cut(400)])(line, many(50))
    steps = out.diff(dim=-1)
    assert (steps - steps.mean(-1, keepdim=True)).abs().max() < 1e-3  # one slope each: the rate
    assert torch.equal(steps[:, [0, 1, 3]], torch.ones(50, 3, 1, 399))
    unchanged = Compose([remix.PlaybackRate(2, 4.0, prob=0.0), Cut(400)])(
        noise(frames=600), many(4)
    )
    assert torch.equal(unchanged, Compose([Cut(400)])(noise(frames=600), many(4)))


def test_a_faster_rate_needs_more_samples_than_there_are():
    with pytest.raises(SepkitError, match="use longer chunks"):
        Compose([remix.PlaybackRate(0, 4.0, prob=1.0), Cut(590)])(
            noise(batch=30, frames=600), many(30)
        )
    with pytest.raises(SepkitError, match="chunk_seconds above 3.78"):
        Recipe(chunk_seconds=3.5, cut_seconds=3.0, vocals_semitones=4.0)
    with pytest.raises(SepkitError, match="from 0 to 12"):
        remix.PlaybackRate(0, 13.0)


def test_vocals_may_have_gains_of_their_own():
    recipe = Recipe(gains=(0.25, 1.25), vocals_gains=(2.0, 3.0), swap=0.0)
    augmentation = remix.pipeline(recipe, STEMS, "vocals", RATE).augmentation
    gains = augmentation(torch.ones(200, 4, 1, 1), many(200))[..., 0, 0]
    assert gains[:, 0].min() >= 2.0 and gains[:, 0].max() <= 3.0
    assert gains[:, 1:].min() >= 0.25 and gains[:, 1:].max() <= 1.25
    usual = remix.pipeline(recipe.but(vocals_gains=None), STEMS, "vocals", RATE).augmentation
    assert torch.equal(usual(torch.ones(200, 4, 1, 1), many(200))[:, 1:, 0, 0], gains[:, 1:])
    with pytest.raises(SepkitError, match="gains or gain_db"):
        Recipe(gains=None, vocals_gains=(1, 2))


# --- playback rates of all stems ------------------------------------------------------


def rates_of(count=400, mix_prob=1.0, **recipe):
    """What playback rates a recipe draws, in semitones: (B, S)."""
    recipe = Recipe(chunk_seconds=0.1, cut_seconds=0.05, mix_prob=mix_prob, **recipe)
    plan = MixPlan.of(torch.zeros(count, 4, 1, 800))
    made = remix.pipeline(recipe, STEMS, "vocals", RATE)
    made.augmentation.decide(plan, Draws(0, 0, range(count), mix_prob))
    return 12 * plan.rates.log2()


def test_every_stem_has_a_rate_of_its_own_within_its_range():
    rates = rates_of(semitones=4, drums_semitones=0, bass_semitones=2)
    assert rates[:, 1].eq(0).all()
    for stem, semitones in ((0, 4), (2, 2), (3, 4)):
        played = rates[rates[:, stem] != 0, stem]
        assert abs(len(played) / 400 - 0.75) < 0.09
        assert stats.kstest(played.numpy(), "uniform", (-semitones, 2 * semitones)).pvalue > 1e-3
    others = torch.corrcoef(rates[:, [0, 2, 3]].T) - torch.eye(3)
    assert others.abs().max() < 4 / math.sqrt(400)
    only = rates_of(other_semitones=4)
    assert only[:, :3].eq(0).all() and torch.equal(only[:, 3], rates[:, 3])


def test_the_vocals_range_goes_before_that_of_all_and_draws_as_it_does_alone():
    alone, both = rates_of(vocals_semitones=4), rates_of(vocals_semitones=4, semitones=2)
    assert torch.equal(both[:, 0], alone[:, 0])
    assert alone[:, 1:].eq(0).all() and 1.9 < both[:, 1:].abs().max() <= 2


def test_a_real_song_is_played_as_a_whole():
    rates = rates_of(mix_prob=0.5, semitones=4)
    remixed = Draws(0, 0, range(400), 0.5).remixed
    assert (rates[~remixed] == rates[~remixed, :1]).all() and rates[~remixed].abs().max() > 3
    together = (rates[remixed] == rates[remixed, :1]).all(1)
    assert together.double().mean() < 0.05  # by chance, all four are left
    stems = noise(20, frames=800)
    stems[:, 1:] = stems[:, :1]  # they stay equal at the same place and rate
    out = Compose([remix.PlaybackRates([4.0] * 4), Cut(400)])(stems, Draws(0, 0, range(20), 0.0))
    assert torch.equal(out, out[:, :1].expand_as(out))


@pytest.mark.parametrize("frames", [1, 2, 300])
def test_silence_at_other_rates_stays_silence_and_examples_do_not_depend_on_their_batch(frames):
    item = Compose([remix.PlaybackRates([4.0, 2.0, 0.0, 1.0]), Cut(frames)])
    silent = item(torch.zeros(6, 4, 2, 800), many(6))
    assert torch.equal(silent, torch.zeros(6, 4, 2, frames))
    whole, order = item(noise(6), Draws(7, 3, range(6), 0.5)), [4, 0, 5]
    assert torch.equal(item(noise(6)[order], Draws(7, 3, order, 0.5)), whole[order])


def test_semitones_out_of_range_are_named():
    with pytest.raises(SepkitError, match="PlaybackRates: semitones=13: a number from 0 to 12"):
        remix.PlaybackRates([1, 13])
