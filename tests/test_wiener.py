import norbert
import numpy as np
import pytest
import torch
from openunmix import filtering

from sepkit.errors import SepkitError
from sepkit.wiener import _BLOCK, expectation_maximization, wiener


def scene(channels=2, sources=4, bins=9, frames=40, seed=0, level=20.0, dtype=torch.complex128):
    """True sources with places between the channels, their mixture, and noisy magnitudes."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.randn(sources, channels, bins, 1, generator=generator, dtype=torch.complex128)
    signal = torch.randn(sources, 1, bins, frames, generator=generator, dtype=torch.complex128)
    diffuse = 0.2 * torch.randn(
        sources, channels, bins, frames, generator=generator, dtype=torch.complex128
    )
    truth = (
        level
        * (place * signal + diffuse)
        * torch.rand(sources, 1, bins, frames, generator=generator)
    )
    magnitudes = truth.abs() * (0.7 + 0.6 * torch.rand(truth.shape, generator=generator))
    return truth.to(dtype), truth.sum(0).to(dtype), magnitudes.to(dtype.to_real())


def by_norbert(magnitudes, mixture, niter, softmask):
    v = magnitudes.permute(3, 2, 1, 0).numpy().copy()
    y = norbert.wiener(
        v, mixture.permute(2, 1, 0).numpy().copy(), niter, use_softmask=softmask, eps=1e-10
    )
    return torch.from_numpy(y).permute(3, 2, 1, 0)


def by_open_unmix(magnitudes, mixture, niter, softmask, residual):
    x = torch.view_as_real(mixture.permute(2, 1, 0)).contiguous()
    y = filtering.wiener(
        magnitudes.permute(3, 2, 1, 0).contiguous(), x, niter, softmask=softmask, residual=residual
    )
    return torch.view_as_complex(y.movedim(3, -1).contiguous()).permute(3, 2, 1, 0)


def assert_near(ours, theirs, tolerance):
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


# Norbert adds eps once more for mono.
@pytest.mark.parametrize("channels, tolerance", [(1, 1e-7), (2, 1e-12), (3, 1e-10)])
@pytest.mark.parametrize("niter", [0, 1, 3])
@pytest.mark.parametrize("softmask", [False, True])
def test_equals_norbert(channels, tolerance, niter, softmask):
    _, mixture, magnitudes = scene(channels)
    ours = wiener(magnitudes, mixture, niter, softmask, frames_per_window=None)
    assert_near(ours, by_norbert(magnitudes, mixture, niter, softmask), tolerance)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("softmask", [False, True])
def test_equals_open_unmix(channels, softmask):
    """What the regularisation leaves over goes to the residual, so that the sum is exact."""
    _, mixture, magnitudes = scene(channels)
    for residual, tolerance in ((False, 1e-7), (True, 1e-3)):
        ours = wiener(magnitudes, mixture, 1, softmask, residual)
        assert_near(ours, by_open_unmix(magnitudes, mixture, 1, softmask, residual), tolerance)


@pytest.mark.parametrize("niter", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_with_the_residual_the_sum_is_the_mixture(niter, channels):
    _, mixture, magnitudes = scene(channels)
    y = wiener(magnitudes, mixture, niter, residual=True)
    assert len(y) == 5
    assert_near(y.sum(0), mixture, 1e-12)


def test_without_it_only_the_regularisation_is_missing():
    _, mixture, magnitudes = scene()
    y = wiener(magnitudes, mixture, 1)
    assert 0 < (y.sum(0) - mixture).abs().max() < 1e-2 * mixture.abs().max()


@pytest.mark.parametrize("niter", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("softmask", [False, True])
def test_inputs_stay_and_silence_stays_silent(niter, channels, softmask):
    _, mixture, magnitudes = scene(channels)
    mixture[:, :, 5:8] = 0
    mixture[:, 3] = 0
    magnitudes[:, :, :, 6] = 0
    before = mixture.clone(), magnitudes.clone()
    y = wiener(magnitudes, mixture, niter, softmask, residual=True)
    assert torch.equal(mixture, before[0]) and torch.equal(magnitudes, before[1])
    assert (y[..., 5:8] == 0).all() and (y[:, :, 3] == 0).all()
    assert torch.isfinite(torch.view_as_real(y)).all()
    expectation_maximization(y, mixture, niter)
    y_before = y.clone()
    assert torch.equal(y, y_before) and torch.equal(mixture, before[0])


def test_scaling_the_mixture_scales_the_estimates():
    _, mixture, magnitudes = scene()  # peaks far above 10: eps is then relative to the level
    y = wiener(magnitudes, mixture, 2)
    assert_near(wiener(8 * magnitudes, 8 * mixture, 2), 8 * y, 1e-12)
    rotated = mixture * torch.exp(torch.tensor(1j, dtype=torch.complex128))
    assert_near(
        wiener(magnitudes, rotated, 2),
        y * torch.exp(torch.tensor(1j, dtype=torch.complex128)),
        1e-9,
    )


def test_the_order_of_sources_and_channels_does_not_matter():
    _, mixture, magnitudes = scene()
    y = wiener(magnitudes, mixture, 2)
    assert_near(wiener(magnitudes[[2, 0, 3, 1]], mixture, 2), y[[2, 0, 3, 1]], 1e-9)
    assert_near(wiener(magnitudes.flip(1), mixture.flip(0), 2), y.flip(1), 1e-9)


def test_each_window_is_filtered_by_itself():
    _, mixture, magnitudes = scene(frames=50)
    y = wiener(magnitudes, mixture, 2, frames_per_window=20)
    for start, stop in ((0, 20), (20, 40), (40, 50)):
        alone = wiener(
            magnitudes[..., start:stop], mixture[..., start:stop], 2, frames_per_window=None
        )
        assert_near(y[..., start:stop], alone, 1e-12)
    assert (y - wiener(magnitudes, mixture, 2)).abs().max() > 1e-3


def test_batches_blocks_and_shared_magnitudes(monkeypatch):
    scenes = [scene(seed=seed, level=level) for seed, level in ((0, 20.0), (1, 0.1))]
    mixtures, magnitudes = (torch.stack([s[k] for s in scenes]) for k in (1, 2))
    together = wiener(magnitudes, mixtures, 2)
    monkeypatch.setitem(_BLOCK, "cpu", 700)  # two bins at a time
    for k in (0, 1):
        assert_near(wiener(magnitudes[k], mixtures[k], 2), together[k], 1e-12)
    shared = magnitudes[0].mean(1, keepdim=True)
    assert torch.equal(wiener(shared, mixtures[0]), wiener(shared.expand(4, 2, 9, 40), mixtures[0]))


def test_single_precision_is_nearly_as_good():
    """Also where channels are equal: covariances are singular but for the regularisation."""
    _, mixture, magnitudes = scene()
    mono = mixture[:1].expand(2, -1, -1), magnitudes[:, :1].expand(-1, 2, -1, -1)
    for x, v in ((mixture, magnitudes), mono):
        y = wiener(v.float(), x.to(torch.complex64), 1)
        assert y.dtype == torch.complex64
        assert_near(y, wiener(v, x, 1).to(torch.complex64), 1e-4)


def test_knowing_the_places_beats_masking():
    """One round from the true sources (the oracle MWF) and from true magnitudes, against a mask."""
    truth, mixture, _ = scene(frames=200)

    def error(estimates):
        return float((estimates - truth).abs().square().sum())

    power = truth.abs() ** 2
    mask = error(power / power.sum(0) * mixture)
    assert error(expectation_maximization(truth, mixture, 1)) < 0.6 * mask
    assert error(wiener(truth.abs(), mixture, 1)) < mask


def test_gradients_reach_the_magnitudes():
    _, mixture, magnitudes = scene(bins=2, frames=5)
    magnitudes.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(wiener(v, mixture, 1)), magnitudes)


def test_bad_input_is_told():
    _, mixture, magnitudes = scene()
    with pytest.raises(SepkitError, match="magnitude is negative or NaN"):
        wiener(-magnitudes, mixture)
    with pytest.raises(SepkitError, match="magnitude is negative or NaN"):
        wiener(magnitudes * np.nan, mixture)
    with pytest.raises(SepkitError, match=r"expected real \(..., sources, channels"):
        wiener(magnitudes[..., 1:], mixture)
    with pytest.raises(
        SepkitError, match="got torch.float64 magnitudes .* and torch.float64 mixture"
    ):
        wiener(magnitudes, mixture.real)
    with pytest.raises(SepkitError, match="niter -1 must be 0 or more"):
        wiener(magnitudes, mixture, -1)
