"""NMF: known parts are found, the divergence is that of the definition, masks share the mixture."""

import math

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.sdr import sdr
from sepkit.separation import get
from sepkit.separation.blind import activations, factorise, learn_dictionaries

RATE = 8000
OPTIONS = {"n_fft": 512, "hop": 128}


def parts(bins=60, frames=300, count=3, seed=0):
    """Spectra with bins of their own, and sparse activations: a factorisation without another."""
    g = torch.Generator().manual_seed(seed)
    W = torch.zeros(bins, count)
    for k in range(count):
        W[k * bins // count : (k + 1) * bins // count, k] = 0.1 + torch.rand(
            bins // count, generator=g
        )
    H = torch.rand(count, frames, generator=g) * (torch.rand(count, frames, generator=g) > 0.5)
    return W / W.sum(0), H


def divergence(v, model):
    """Generalised Kullback-Leibler, for model > 0."""
    return float((v * (torch.where(v > 0, v / model, 1.0)).log() - v + model).sum())


def chords(seconds=3.0):
    """Two stems whose notes have spectra of their own: {name: (2, samples)}."""
    t = torch.arange(round(seconds * RATE)) / RATE
    stems = {}
    for name, (f, rate, place) in {
        "high": (900, 3, (0.1, 0.04)),
        "low": (230, 2, (0.05, 0.1)),
    }.items():
        tone = sum(torch.sin(2 * math.pi * f * k * t + k) / k for k in (1, 2, 3))
        stems[name] = torch.tensor(place)[:, None] * tone * ((t * rate) % 1 < 0.5)
    return stems


def test_parts_that_exist_are_found():
    W, H = parts()
    found, times = factorise(W @ H, 3, iterations=300)
    torch.testing.assert_close(found.sum(0), torch.ones(3))
    similarity = torch.nn.functional.cosine_similarity(found[:, :, None], W[:, None, :], dim=0)
    best = similarity.argmax(1)
    assert sorted(best.tolist()) == [0, 1, 2] and similarity.max(1).values.min() > 0.999
    torch.testing.assert_close(times, H[best], rtol=0, atol=0.01)


def test_more_rounds_never_diverge_more():
    v = torch.rand(40, 90, generator=torch.Generator().manual_seed(1)) + 0.01
    values = [
        divergence(v, torch.matmul(*factorise(v, 5, iterations=rounds)))
        for rounds in (1, 3, 10, 30, 100)
    ]
    assert (
        all(later <= earlier * (1 + 1e-4) for earlier, later in zip(values, values[1:]))
        and values[-1] < 0.8 * values[0]
    )


def test_activations_of_known_spectra_are_found_and_are_the_multiplicative_updates():
    W, H = parts()
    torch.testing.assert_close(activations(W @ H, W, iterations=200), H, rtol=0, atol=1e-3)
    v = torch.rand(60, 40, generator=torch.Generator().manual_seed(2)) + 0.05
    spectra = torch.rand(60, 3, generator=torch.Generator().manual_seed(3)) + 0.05
    h = torch.full((3, 40), 1.0, dtype=torch.float64)
    w, x = spectra.double(), v.double()
    for _ in range(400):  # Lee and Seung 2000, theorem 2
        h = h * (w.T @ (x / (w @ h))) / w.sum(0)[:, None]
    found = activations(v, spectra, iterations=400).double()
    assert divergence(x, w @ found) == pytest.approx(divergence(x, w @ h), rel=1e-4)


def test_scale_goes_into_the_activations():
    W, H = parts()
    small, large = factorise(W @ H, 3), factorise(1e4 * (W @ H), 3)
    torch.testing.assert_close(large[0], small[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(large[1], 1e4 * small[1], rtol=1e-3, atol=1e-2)


def test_supervised_nmf_separates_with_dictionaries_from_other_recordings():
    learnt_from = chords(2.0)
    stems = {name: 0.7 * torch.roll(x, 1234, -1) for name, x in chords().items()}
    mixture = sum(stems.values())
    dictionaries = learn_dictionaries(learnt_from, components=4, **OPTIONS)
    separator = get("nmf-supervised", dictionaries=dictionaries, sample_rate=RATE, **OPTIONS)
    assert (
        not separator.uses_references
        and separator.targets == ("high", "low")
        and separator.describe()["dictionaries"] == "given"
    )
    estimates = separator.separate(mixture)
    for name, stem in stems.items():
        assert sdr(stem, estimates[name]) > 15 and sdr(stem, mixture) < 6
    exchanged = get(
        "nmf-supervised",
        dictionaries={"high": dictionaries["low"], "low": dictionaries["high"]},
        **OPTIONS,
    )
    torch.testing.assert_close(
        exchanged.separate(mixture)["low"], estimates["high"], rtol=0, atol=1e-3
    )
    louder = {**dictionaries, "low": dictionaries["low"] * 1.001}  # as little is another separator
    other = get("nmf-supervised", dictionaries=louder, sample_rate=RATE, **OPTIONS)
    assert other.describe() != separator.describe()


def test_without_dictionaries_supervised_nmf_is_an_oracle_and_says_so():
    stems = chords()
    separator = get("nmf-supervised", count=4, **OPTIONS)
    assert separator.uses_references and "oracle" in separator.describe()["dictionaries"]
    estimates = separator.separate(sum(stems.values()), stems)
    assert all(sdr(stems[name], estimates[name]) > 15 for name in stems)
    with pytest.raises(
        SepkitError, match="nmf-supervised knows no spectra; give dictionaries=learn_dictionaries"
    ):
        separator.separate(sum(stems.values()))


def test_a_silent_reference_gets_silence():
    stems = {**chords(), "silent": torch.zeros(2, 3 * RATE)}
    estimates = get("nmf-supervised", count=4, **OPTIONS).separate(sum(stems.values()), stems)
    assert float(estimates["silent"].square().sum()) < 1e-6 * float(stems["low"].square().sum())


def test_unsupervised_nmf_with_as_many_parts_as_notes():
    stems = chords()
    mixture = sum(stems.values())
    separator = get("nmf", count=2, iterations=200, **OPTIONS)
    estimates = separator.separate(mixture, stems)
    assert all(sdr(stems[name], estimates[name]) > 12 for name in stems)
    blind = separator.separate(mixture)
    assert list(blind) == ["component 1", "component 2"]
    torch.testing.assert_close(sum(blind.values()), mixture, rtol=0, atol=1e-6)


def test_seeds_decide():
    mixture = sum(chords(1.0).values())
    first, again, other = (
        get("nmf", count=3, seed=seed, **OPTIONS).separate(mixture)["component 1"]
        for seed in (4, 4, 5)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_nmf_cannot_take():
    v = torch.rand(20, 30)
    for wrong in (0 * v, -v, v * float("nan")):
        with pytest.raises(SepkitError, match="silent, negative, NaN or infinite"):
            factorise(wrong, 2)
    with pytest.raises(SepkitError, match="0 components asked for"):
        factorise(v, 0)
    with pytest.raises(SepkitError, match=r"nmf: count=0"):
        get("nmf", count=0)
    with pytest.raises(SepkitError, match="real magnitude"):
        factorise(v[0], 2)
    with pytest.raises(SepkitError, match="same number of bins: learn them with the same n_fft"):
        activations(v, torch.rand(21, 2))
    with pytest.raises(
        SepkitError, match=r"dictionary of 'drums' has shape \(20, 2\); expected \(257 bins"
    ):
        get("nmf-supervised", dictionaries={"drums": torch.rand(20, 2)}, **OPTIONS)
    with pytest.raises(SepkitError, match="'drums' is silent in all its recordings"):
        learn_dictionaries({"drums": [torch.zeros(1, 4000)] * 2})
    assert torch.isfinite(factorise(v, 40)[0]).all()  # more components than frames
