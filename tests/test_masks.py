import numpy as np
import pytest
import sklearn.metrics
import torch

from sepkit.errors import SepkitError
from sepkit.masks import KINDS, ideal_binary, oracle_mask, oracle_masks, precision_recall
from sepkit.metrics.sdr import sdr
from sepkit.stft import STFT


def spectrograms(sources=4, seed=0, dtype=torch.complex128):
    generator = torch.Generator().manual_seed(seed)
    levels = torch.rand(sources, 2, 17, 9, generator=generator) ** 3
    return (
        torch.randn(sources, 2, 17, 9, generator=generator, dtype=torch.complex128) * levels
    ).to(dtype)


def test_closed_forms_on_bins_made_by_hand():
    # alone, cancelled, louder in phase, weaker in phase, in quadrature, opposed, silent target
    target = torch.tensor([3, 1, 4, 1, 3j, -1, 0], dtype=torch.complex128).reshape(1, 1, -1)
    other = torch.tensor([0, -1, 2, 3, 4, 4, 5], dtype=torch.complex128).reshape(1, 1, -1)
    expected = {
        "ibm": [1, 0, 1, 0, 1, 0, 0],
        "irm1": [1, 1 / 2, 2 / 3, 1 / 4, 3 / 7, 1 / 5, 0],
        "irm2": [1, 1 / 2, 4 / 5, 1 / 10, 9 / 25, 1 / 17, 0],
        "psm": [1, 0, 2 / 3, 1 / 4, 9 / 25, 0, 0],
        "crm": [1, 0, 2 / 3, 1 / 4, 3j / (4 + 3j), -1 / 3, 0],
    }
    for kind in KINDS:
        mask = oracle_mask(kind, target, target + other, other)
        np.testing.assert_allclose(mask.flatten().numpy(), expected[kind], atol=1e-15, err_msg=kind)
    untruncated = oracle_mask("psm", target, target + other, other, truncate=False)
    assert untruncated.flatten()[5].item() == pytest.approx(-1 / 3)
    assert ideal_binary(target, other).flatten().tolist() == [
        True,
        False,
        True,
        False,
        False,
        False,
        False,
    ]


def test_ratio_and_complex_masks_sum_to_one():
    sources = spectrograms()
    for kind in ("irm1", "irm2", "crm"):
        total = oracle_masks(kind, sources).sum(0)
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-9, rtol=0)
    wins = torch.stack(
        [ideal_binary(sources[k], [sources[i] for i in range(4) if i != k]) for k in range(4)]
    )
    assert (wins.sum(0) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_all_at_once_is_one_at_a_time(kind):
    sources = spectrograms(3)
    named = oracle_masks(kind, {name: s for name, s in zip("abc", sources)}, sources.sum(0))
    for index, name in enumerate("abc"):
        others = [s for k, s in enumerate(sources) if k != index]
        torch.testing.assert_close(
            named[name],
            oracle_mask(kind, sources[index], sources.sum(0), others),
            atol=1e-12,
            rtol=0,
        )


def test_the_rest_as_one_is_another_mask():
    target, one, two = spectrograms(3)
    rest = oracle_mask("irm1", target, target + one + two, one + two)
    expected = target.abs() / (target.abs() + (one + two).abs())
    torch.testing.assert_close(rest, expected)
    assert (rest - oracle_mask("irm1", target, target + one + two, [one, two])).abs().max() > 0.1


def test_complex_mask_recovers_the_target():
    for dtype, tolerance in ((torch.complex128, 1e-13), (torch.complex64, 1e-6)):
        sources = spectrograms(dtype=dtype)
        mixture = sources.sum(0)
        torch.testing.assert_close(
            oracle_masks("crm", sources) * mixture, sources, atol=tolerance, rtol=tolerance
        )


def test_power_ratio_is_the_wiener_gain():
    """It is the gain that brings g X nearest to S over uncorrelated sources of the given powers."""
    generator = torch.Generator().manual_seed(0)
    s, n = torch.randn(2, 200_000, generator=generator, dtype=torch.complex128) * torch.tensor(
        [[1.0], [2.0]]
    )
    best = ((s + n).conj() * s).real.sum() / ((s + n).abs() ** 2).sum()
    gain = oracle_mask(
        "irm2",
        torch.ones(1, 1, 1, dtype=torch.complex128),
        torch.ones(1, 1, 1),
        torch.full((1, 1, 1), 2 + 0j),
    )
    assert gain.item() == pytest.approx(best.item(), abs=5e-3)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_silence_and_faint_bins_never_make_nan(dtype):
    faint = torch.finfo(dtype.to_real()).tiny
    sizes = [0, faint / 8, faint, 1e-30, 1e-20, 1.0]
    target = torch.tensor([a for a in sizes for _ in sizes], dtype=dtype).reshape(1, 6, 6)
    other = torch.tensor([-b for _ in sizes for b in sizes], dtype=dtype).reshape(1, 6, 6)
    for kind in KINDS:
        for mixture in (target + other, torch.zeros_like(target), target):
            mask = oracle_mask(kind, target, mixture, other)
            assert torch.isfinite(torch.view_as_real(mask) if mask.is_complex() else mask).all()
            assert (mask[target == 0] == 0).all()
    both = oracle_masks("irm2", torch.stack([target, other])).sum(0)
    sounding = torch.maximum(target.abs(), other.abs()) >= faint
    torch.testing.assert_close(both[sounding], torch.ones_like(both[sounding]), atol=1e-5, rtol=0)
    assert (both[(target == 0) & (other == 0)] == 0).all()


def test_better_informed_oracles_separate_better():
    """Modulated noises: complex > phase-sensitive > ratio > nothing; soft beats binary."""
    stft = STFT(256, 64)
    totals = dict.fromkeys([*KINDS, "mixture"], 0.0)
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        gates = torch.rand(3, 1, 50, generator=generator).repeat_interleave(160, -1) ** 2
        audio = torch.randn(3, 1, 8000, generator=generator) * gates
        sources, mixture = stft(audio), audio.sum(0)
        for kind in KINDS:
            estimates = stft.inverse(
                oracle_masks(kind, sources, stft(mixture)) * stft(mixture), 8000
            )
            totals[kind] += sdr(audio, estimates).mean().item() / 4
        totals["mixture"] += sdr(audio, mixture.expand_as(audio)).mean().item() / 4
    assert totals["crm"] > 60
    assert totals["crm"] > totals["psm"] > totals["irm2"] > totals["irm1"] > totals["mixture"] + 3
    assert totals["irm2"] > totals["ibm"] > totals["mixture"] + 3


@pytest.mark.parametrize("weighted", [False, True])
def test_precision_and_recall_are_those_of_scikit_learn(weighted):
    generator = torch.Generator().manual_seed(0)
    # Many values equal to a threshold.
    mask = torch.rand(2, 33, 20, generator=generator).round(decimals=2)
    ideal = torch.rand(2, 33, 20, generator=generator) < mask
    weights = torch.rand(2, 33, 20, generator=generator) if weighted else None
    thresholds = [0.9, 0.0, 0.5, 0.25, 1.0]
    precision, recall = precision_recall(mask, ideal, thresholds, weights)
    for k, threshold in enumerate(thresholds):
        options = dict(sample_weight=None if weights is None else weights.flatten().numpy())
        taken = (mask >= threshold).flatten().numpy()
        truth = ideal.flatten().numpy()
        assert precision[k].item() == pytest.approx(
            sklearn.metrics.precision_score(truth, taken, **options), abs=1e-9
        )
        assert recall[k].item() == pytest.approx(
            sklearn.metrics.recall_score(truth, taken, **options), abs=1e-9
        )


def test_the_curve_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(500, generator=generator, dtype=torch.float64)
    ideal = torch.rand(500, generator=generator, dtype=torch.float64) < mask
    precision, recall, levels = sklearn.metrics.precision_recall_curve(ideal.numpy(), mask.numpy())
    ours = precision_recall(mask, ideal, levels)
    np.testing.assert_allclose(ours[0].numpy(), precision[:-1], atol=1e-12)
    np.testing.assert_allclose(ours[1].numpy(), recall[:-1], atol=1e-12)


def test_precision_and_recall_at_the_ends():
    mask, ideal = torch.tensor([0.2, 0.8]), torch.tensor([0, 1])
    precision, recall = precision_recall(mask, ideal, [0.5, 1.1, 0.0])
    assert precision.tolist() == [1, 1, 0.5] and recall.tolist() == [1, 0, 1]
    precision, recall = precision_recall(mask, torch.zeros(2), 0.5)
    assert precision.tolist() == [0] and recall.tolist() == [1]


def test_bad_input_is_told():
    s = spectrograms(2)
    with pytest.raises(SepkitError, match="unknown oracle mask 'irm': choose from ibm, irm1"):
        oracle_mask("irm", s[0], s.sum(0), s[1])
    with pytest.raises(SepkitError, match="mixture has shape .* the same STFT"):
        oracle_mask("ibm", s[0], s.sum(0)[..., :3], s[1])
    with pytest.raises(SepkitError, match="other source 1 has shape"):
        oracle_mask("irm1", s[0], s.sum(0), [s[1], s[1][..., :3]])
    with pytest.raises(SepkitError, match="must be of one shape"):
        precision_recall(torch.zeros(3), torch.zeros(4), 0.5)
    with pytest.raises(SepkitError, match="weights must be 0 or more"):
        precision_recall(torch.zeros(3), torch.zeros(3), 0.5, torch.tensor([1.0, -1.0, 0.0]))
