"""What holds for every blind method, by its name."""

import math

import pytest
import torch

from sepkit import evaluation, separation
from sepkit.datasets import MemoryTrack
from sepkit.errors import SepkitError
from sepkit.metrics.sdr import usdr
from sepkit.separation.blind import METHODS
from sepkit.separation.streaming import separate_at, stream

RATE = 8000
NAMES = tuple(METHODS)
COMPONENTS = ("pca", "ica", "iva", "nmf")
SMALL = {  # windows that suit 8 kHz
    "iva": {"n_fft": 512, "hop": 128, "iterations": 10},
    "nmf": {"n_fft": 512, "hop": 256, "iterations": 30, "count": 6},
    "nmf-supervised": {"n_fft": 512, "hop": 256, "iterations": 30, "count": 4},
    "hpss": {"n_fft": 512, "hop": 128},
    **{
        name: {"n_fft": 512, "hop": 256, "sample_rate": RATE}
        for name in ("repet", "repet-sim", "centre")
    },
}


def make(name, **options):
    return separation.get(name, **{**SMALL.get(name, {}), **options})


def separated(name, track, mixture=None):
    """The estimates; of the supervised method with the true stems, of the others without."""
    mixture = track.mixture() if mixture is None else mixture
    return make(name).separate(mixture, track.references() if name == "nmf-supervised" else None)


@pytest.fixture(scope="module")
def song(toy_song):
    return toy_song()


def test_names_and_targets():
    assert NAMES == (
        "pca",
        "ica",
        "iva",
        "nmf",
        "nmf-supervised",
        "hpss",
        "repet",
        "repet-sim",
        "centre",
    )
    assert set(NAMES) < set(separation.known())
    targets = {name: separation.get(name).targets for name in NAMES}
    assert targets["hpss"] == ("drums", "harmonic")
    assert all(
        targets[name] == ("vocals", "accompaniment") for name in ("repet", "repet-sim", "centre")
    )
    for name in (*COMPONENTS, "nmf-supervised"):
        assert targets[name] is None and separation.get(name).uses_references


def test_methods_that_need_the_stems_say_so():
    for name in NAMES:
        told = str(separation.get(name).describe())
        assert ("true stems" in told) == (name in (*COMPONENTS, "nmf-supervised"))


@pytest.mark.parametrize("name", NAMES)
def test_estimates_sum_to_the_mixture(name, song):
    estimates = separated(name, song)
    assert all(
        torch.isfinite(x).all() and x.shape == song.mixture().shape and x.dtype == torch.float32
        for x in estimates.values()
    )
    torch.testing.assert_close(sum(estimates.values()), song.mixture(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_level_plays_no_part(name, song):
    mixture = song.mixture()
    once, louder, fainter = (separated(name, song, gain * mixture) for gain in (1, 64, 1e-3))
    for target in once:
        torch.testing.assert_close(louder[target] / 64, once[target], rtol=0, atol=1e-3)
        torch.testing.assert_close(fainter[target] / 1e-3, once[target], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_gives_the_same_estimates(name, song):
    first, again = separated(name, song), separated(name, song)
    assert all(torch.equal(first[target], again[target]) for target in first)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("iva", "nmf-supervised")])
def test_exchanged_channels_exchange_the_estimates(name, song):
    there, back = separated(name, song), separated(name, song, song.mixture().flip(0))
    names = list(there)
    for target, estimate in there.items():
        swapped = target
        if name == "ica":  # ordered from left to right
            swapped = names[len(names) - 1 - names.index(target)]
        torch.testing.assert_close(back[swapped].flip(0), estimate, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_is_evaluated_on_a_song(name, song):
    scores = evaluation.evaluate(make(name), [song], metrics=("usdr", "si_sdr"), notice=None)
    two = {"vocals", "accompaniment"}  # the song's accompaniment is the sum of its other stems
    assert {s.target for s in scores} == {
        "hpss": {"drums"},
        "repet": two,
        "repet-sim": two,
        "centre": two,
    }.get(name, set(song.stems))
    assert all(math.isfinite(s.value) for s in scores) and {s.separator for s in scores} == {name}


@pytest.mark.parametrize("name", ["nmf-supervised", "hpss", "repet", "centre"])
def test_methods_that_fit_the_song_beat_the_mixture(name, song):
    estimates = make(name).separate(song.mixture(), song.references())
    for target in set(estimates) & set(song.stems):
        stem = song.stem(target)
        assert usdr(stem, estimates[target]) > usdr(stem, song.mixture()) + 3


@pytest.mark.parametrize("name", NAMES)
def test_chunks_rates_and_residuals(name, toy_song):
    song = toy_song(7.0, 11025)
    separator = make(name, residual="residual")
    blocks = list(stream(separator, song, chunk=4.0, overlap=1.0))
    estimates = {target: torch.cat([block[target] for block in blocks], -1) for target in blocks[0]}
    assert "residual" in estimates and all(
        x.shape == song.mixture().shape for x in estimates.values()
    )
    torch.testing.assert_close(sum(estimates.values()), song.mixture(), rtol=0, atol=1e-5)


# --- bad input


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_are_refused(name, value, song):
    mixture = song.mixture()
    mixture[0, 99] = value
    with pytest.raises(SepkitError, match="holds NaN or infinite samples; mend the audio first"):
        separated(name, song, mixture)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 9000), (9000,), (2, 0)])
def test_other_shapes_are_refused(name, shape, song):
    with pytest.raises(SepkitError, match="channels|no samples"):
        separated(name, song, torch.zeros(shape))


@pytest.mark.parametrize("name", NAMES)
def test_silence_gives_silence(name, song):
    estimates = separated(name, song, torch.zeros_like(song.mixture()))
    assert estimates and not any(x.any() for x in estimates.values())


@pytest.mark.parametrize("name", NAMES)
def test_very_short_clips_are_separated_or_refused_plainly(name, song):
    for samples in (1, 2, 100, 700):
        mixture = song.mixture()[:, 4000 : 4000 + samples]
        references = {stem: song.stem(stem)[:, 4000 : 4000 + samples] for stem in song.stems}
        try:
            estimates = make(name).separate(
                mixture, references if name == "nmf-supervised" else None
            )
        except SepkitError as error:
            assert name in ("pca", "ica", "iva", "repet", "repet-sim")
            assert any(word in str(error) for word in ("too few", "too short", "constant"))
        else:
            torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["nmf", "hpss", "repet", "repet-sim"])
def test_constant_input_is_shared_out(name, song):
    constant = torch.full_like(song.mixture(), 0.3)
    estimates = separated(name, song, constant)
    torch.testing.assert_close(sum(estimates.values()), constant, rtol=0, atol=1e-5)
    if name.startswith("repet"):  # below what a voice can be
        assert estimates["vocals"].abs().max() < 1e-4
    if name == "hpss":  # it does not move: a horizontal line
        assert estimates["drums"].square().mean() < 0.01 * constant.square().mean()


@pytest.mark.parametrize("name", ["nmf", "hpss", "repet", "repet-sim"])
def test_mono_is_separated_where_one_channel_is_enough(name, song):
    mono = song.mixture().mean(0, keepdim=True)
    estimates = separated(name, song, mono)
    torch.testing.assert_close(sum(estimates.values()), mono, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["pca", "ica", "iva", "centre"])
def test_mono_is_refused_where_places_are_needed(name, song):
    with pytest.raises(SepkitError, match="cannot be unmixed|both channels are equal"):
        separate_at(make(name), song.mixture().mean(0, keepdim=True), RATE, notice=None)


def test_the_song_is_named_when_its_audio_cannot_be_unmixed():
    voice = (
        torch.ones(2, 1) * 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    )
    track = MemoryTrack("duet", {"vocals": voice, "other": 0.5 * voice}, RATE)
    with pytest.raises(SepkitError, match="duet: ica: the channels' covariance is singular"):
        evaluation.evaluate(make("ica"), [track], metrics=("usdr",), notice=None)


def test_unknown_options_are_refused():
    with pytest.raises(SepkitError, match="unknown option of ica 'sources'"):
        separation.get("ica", sources=4)


def test_seeds_of_ica_change_nothing_but_rounding(song):
    first, other = (make("ica", seed=seed).separate(song.mixture()) for seed in (0, 5))
    for target in first:
        torch.testing.assert_close(first[target], other[target], rtol=0, atol=1e-3)
