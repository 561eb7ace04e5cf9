import math
from functools import partial

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.sdr import SI_SDR_MODES, framewise_sdr, sdr, si_sar, si_sdr, silent_frames, usdr

RATE = 1000
FILTER_TAPS = 2  # taps of museval's filters, on which its SDR does not depend but its run time does


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(dtype)


def test_closed_forms():
    reference = torch.tensor([[3.0, 0.0], [0.0, 4.0]])  # energy 25
    estimate = torch.tensor([[3.0, 1.0], [1.0, 4.0]])  # error 2
    assert sdr(reference, estimate).item() == pytest.approx(10 * math.log10(25 / 2), abs=1e-12)
    assert sdr(reference, estimate, delta=3).item() == pytest.approx(
        10 * math.log10(28 / 5), abs=1e-12
    )
    assert usdr(reference, estimate).item() == pytest.approx(
        10 * math.log10((25 + 1e-7) / (2 + 1e-7)), abs=1e-12
    )
    assert sdr(reference, 0 * reference).item() == 0
    assert sdr(reference, 0.5 * reference).item() == pytest.approx(20 * math.log10(2))
    assert sdr(reference, reference).item() == math.inf
    assert sdr(0 * reference, reference).item() == -math.inf
    assert math.isnan(sdr(0 * reference, 0 * reference).item())
    assert usdr(reference, reference).item() == pytest.approx(10 * math.log10(25e7), abs=1e-6)
    for estimate in (reference, 0 * reference):
        assert math.isnan(
            usdr(0 * reference, estimate).item()
        )  # not -84 dB, which only delta decides
    assert usdr(reference, 0 * reference).item() == 0
    half = torch.stack([reference, 0 * reference])
    assert usdr(half, half).isnan().tolist() == [False, True]


def test_known_noise_level():
    reference = noise(2, 200_000)
    assert sdr(reference, reference + 0.1 * noise(2, 200_000, seed=1)).item() == pytest.approx(
        20, abs=0.05
    )
    assert si_sdr(reference, reference + 0.1 * noise(2, 200_000, seed=1)).item() == pytest.approx(
        20, abs=0.05
    )


@pytest.mark.parametrize("mode", SI_SDR_MODES)
@pytest.mark.parametrize("zero_mean", [False, True])
def test_si_sdr_does_not_change_with_the_level(mode, zero_mean):
    reference, estimate = noise(2, 500), noise(2, 500) + 0.3 * noise(2, 500, seed=1)
    value = si_sdr(reference, estimate, mode, zero_mean)
    for scaled in (
        si_sdr(reference, -7 * estimate, mode, zero_mean),
        si_sdr(0.01 * reference, estimate, mode, zero_mean),
    ):
        assert scaled.item() == pytest.approx(value.item(), abs=1e-9)
    offset = si_sdr(reference + 2, estimate + 5, mode, zero_mean)
    assert (abs(offset.item() - value.item()) < 1e-9) == zero_mean


def test_si_sdr_by_least_squares_and_in_its_modes():
    reference, estimate = noise(2, 400), noise(2, 400) + 0.4 * noise(2, 400, seed=1)
    estimate[1] *= 0.5

    def one(s, e):
        scale = np.linalg.lstsq(s.reshape(-1, 1), e.reshape(-1), rcond=None)[0]
        return 10 * math.log10(np.sum((scale * s) ** 2) / np.sum((scale * s - e) ** 2))

    s, e = reference.numpy(), estimate.numpy()
    assert si_sdr(s, e).item() == pytest.approx(one(s, e), abs=1e-9)
    assert si_sdr(s, e, "per_channel").item() == pytest.approx(
        (one(s[0], e[0]) + one(s[1], e[1])) / 2, abs=1e-9
    )
    assert si_sdr(s, e, "mono").item() == pytest.approx(one(s.mean(0), e.mean(0)), abs=1e-9)
    assert (
        si_sdr(s, e, "per_channel") - si_sdr(s, e) > 1
    )  # halving one channel costs only the joint one
    assert math.isnan(si_sdr(0 * reference, estimate).item()) and math.isnan(
        si_sdr(reference, 0 * estimate).item()
    )
    assert si_sdr(s[:1], s[:1] * 4).item() > 250


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "length, window, hop",
    [
        (4700, 1.0, 1.0),
        (4700, 1.0, 0.75),
        (4000, 2.0, 0.5),
        (1000, 1, 1),
        (1001, 1, 1),
        (300, 1, 1),
    ],
)
def test_framewise_equals_museval(museval, channels, dtype, length, window, hop):
    references = 0.1 * noise(3, channels, length, dtype=dtype)
    estimates = references + 0.05 * noise(3, channels, length, seed=1, dtype=dtype)
    ours = framewise_sdr(references, estimates, RATE, window, hop)
    theirs = museval(references, estimates, int(window * RATE), int(hop * RATE), FILTER_TAPS)[0]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-9, rtol=0)


def test_silent_frames_are_musevals(museval):
    references = 0.1 * noise(3, 2, 6500)
    estimates = references + 0.05 * noise(3, 2, 6500, seed=1)
    references[0, :, 1000:2000] = 0  # a silent reference
    references[1, 1, 2000:3000] = -references[1, 0, 2000:3000]  # one in opposite phase
    estimates[2, :, 3000:4000] = 0  # a silent estimate
    references[1, 0, 4000:5000] = 0  # one silent channel is not silence
    references[2, :, 5000:5999] = 0  # neither is all but one sample
    ours = framewise_sdr(references, estimates, RATE)
    assert ours.isnan().tolist() == [[False, True, True, True, False, False]] * 3
    np.testing.assert_allclose(
        ours.numpy(), museval(references, estimates, RATE, RATE, FILTER_TAPS)[0], atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("change", [-700, -1, 400])
def test_estimates_are_fitted_to_the_reference_as_musevals(museval, change):
    references = noise(2, 1, 3000)
    estimates = torch.cat([references + 0.1 * noise(2, 1, 3000, seed=1), noise(2, 1, 500)], -1)[
        ..., : 3000 + change
    ]
    ours = framewise_sdr(references, estimates, RATE)
    np.testing.assert_allclose(
        ours.numpy(), museval(references, estimates, RATE, RATE, FILTER_TAPS)[0], atol=1e-9, rtol=0
    )
    fitted = torch.nn.functional.pad(estimates, (0, 700))[..., :3000]
    assert torch.equal(usdr(references, estimates), usdr(references, fitted))


def test_frames_by_hand():
    references, estimates = noise(1, 2, 5 * RATE + 999), noise(1, 2, 5 * RATE + 999, seed=1)
    ours = framewise_sdr(references, estimates, RATE)
    assert ours.shape == (1, 5)  # the last 999 samples are dropped
    third = sdr(references[0, :, 2000:3000], estimates[0, :, 2000:3000])
    assert ours[0, 2].item() == pytest.approx(third.item(), abs=1e-12)
    many = framewise_sdr(
        references, estimates, RATE, 0.1, 0.05
    )  # more frames than are computed at once
    assert many.shape == (1, 118)
    last = sdr(references[0, :, 5850:5950], estimates[0, :, 5850:5950])
    assert many[0, -1].item() == pytest.approx(last.item(), abs=1e-12)
    assert (framewise_sdr(references, references, RATE) == math.inf).all()


def test_silent_throughout_is_nan_not_an_error():
    references = torch.stack([torch.zeros(2, 2500), noise(2, 2500)])
    assert framewise_sdr(references, references + 1, RATE).isnan().all()


def test_batches_arrays_and_gradients():
    references, estimates = noise(3, 4, 2, 50), noise(3, 4, 2, 50, seed=1)
    for metric in (sdr, usdr, si_sdr, lambda r, e: si_sdr(r, e, "per_channel", True)):
        together = metric(references, estimates)
        assert together.shape == (3, 4) and together.dtype == torch.float64
        assert together[2, 1].item() == pytest.approx(
            metric(references[2, 1].numpy(), estimates[2, 1].numpy()).item(), abs=1e-9
        )
        leaf = estimates[0, :2].clone().requires_grad_()
        assert torch.autograd.gradcheck(partial(metric, references[0, :2]), leaf)


@pytest.mark.parametrize("metric", [sdr, usdr, si_sdr, lambda r, e: framewise_sdr(r, e, RATE)])
@pytest.mark.parametrize(
    "reference, estimate, message",
    [
        (
            torch.ones(1, 2, 9),
            torch.ones(1, 1, 9),
            r"the reference has shape \(1, 2, 9\), the estimate \(1, 1, 9\)",
        ),
        (torch.ones(1, 2, 0), torch.ones(1, 2, 9), "the reference is empty"),
        (torch.ones(1, 2, 9) * math.nan, torch.ones(1, 2, 9), "the reference holds NaN"),
        (torch.ones(1, 2, 9), torch.ones(1, 2, 9) * math.inf, "the estimate holds NaN or infinity"),
        (
            np.ones((1, 2, 9), dtype=np.int16),
            torch.ones(1, 2, 9),
            "the reference is of type torch.int16",
        ),
        (torch.ones(9), torch.ones(9), "expected .*channels, samples"),
    ],
)
def test_bad_input_is_told(metric, reference, estimate, message):
    with pytest.raises(SepkitError, match=message):
        metric(reference, estimate)


def test_framewise_takes_batches_and_silence_stays_in_its_example(museval):
    references, estimates = noise(2, 3, 2, 2, 3500), noise(2, 3, 2, 2, 3500, seed=1)
    references[1, 2, 0, :, 1000:2000] = 0
    together = framewise_sdr(references, estimates, RATE)
    assert (
        together.shape == (2, 3, 2, 3)
        and together.isnan().sum() == 2
        and together[1, 2, :, 1].isnan().all()
    )
    for place in ((0, 0), (1, 2)):
        np.testing.assert_allclose(
            together[place].numpy(),
            museval(references[place], estimates[place], RATE, RATE, FILTER_TAPS)[0],
            atol=1e-9,
            rtol=0,
        )
    leaf = estimates[0, :1].float().requires_grad_()  # for training curves, and as a loss
    framewise_sdr(references[0, :1].float(), leaf, RATE).sum().backward()
    assert (
        leaf.grad.isfinite().all()
        and leaf.grad[..., 3000:].abs().sum() == 0
        and leaf.grad[..., :3000].abs().min() > 0
    )


def test_silent_frames_by_hand():
    audio = noise(2, 2, 3500).float()
    audio[0, :, 1000:2000] = 0
    audio[1, 1, 2000:3000] = -audio[1, 0, 2000:3000]
    assert silent_frames(audio, RATE).tolist() == [[False, True, False], [False, False, True]]
    assert silent_frames(audio[:1], RATE, 0.5, 0.25)[0].nonzero().flatten().tolist() == [4, 5, 6]


def test_bad_options_are_told():
    with pytest.raises(
        SepkitError, match="si_sdr mode 'stereo': choose from joint, per_channel, mono"
    ):
        si_sdr(noise(1, 9), noise(1, 9), "stereo")
    with pytest.raises(SepkitError, match="hop 0.0 s at 1000 Hz: expected at least one sample"):
        framewise_sdr(noise(1, 1, 9), noise(1, 1, 9), RATE, 1.0, 0.0)
    with pytest.raises(SepkitError, match=r"expected \(..., sources, channels, samples\)"):
        framewise_sdr(noise(1, 9), noise(1, 9), RATE)


def test_si_sar_by_least_squares_over_all_stems():
    references = noise(3, 2, 400)
    estimates = references + 0.4 * noise(3, 2, 400, seed=1) + 0.3 * references.flip(0)
    estimates[:, 1] *= 0.5
    stems = references.reshape(3, -1).numpy().T
    for j, estimate in enumerate(estimates.reshape(3, -1).numpy()):
        rest = estimate - stems @ np.linalg.lstsq(stems, estimate, rcond=None)[0]
        target = stems[:, j] * (stems[:, j] @ estimate) / (stems[:, j] @ stems[:, j])
        expected = 10 * math.log10(np.sum(target**2) / np.sum(rest**2))
        assert si_sar(references, estimates)[j].item() == pytest.approx(expected, abs=1e-9)


def test_si_sar_counts_neither_level_nor_leakage_but_what_is_in_no_stem():
    references = noise(2, 2, 200_000)
    foreign = 0.1 * noise(2, 2, 200_000, seed=1)
    value = si_sar(references, references + foreign)
    assert value.tolist() == pytest.approx([20, 20], abs=0.1)
    leaking = references + foreign + 0.5 * references.flip(0)
    assert si_sar(references, leaking).tolist() == pytest.approx(value.tolist(), abs=0.1)
    assert si_sar(references, 7 * leaking).tolist() == pytest.approx(
        si_sar(references, leaking).tolist(), abs=1e-9
    )
    assert (si_sar(references, references.sum(0).expand(2, -1, -1)) > 150).all()
    silent = torch.stack([references[0], 0 * references[1]])
    assert si_sar(silent, references).isnan().tolist() == [False, True]
    assert si_sar(references, silent).isnan().tolist() == [False, True]


def test_si_sar_and_si_sir_make_up_si_sdr_when_the_stems_are_at_right_angles():
    # Le Roux et al. 2019: 10^(-SDR/10) = 10^(-SIR/10) + 10^(-SAR/10)
    stems = torch.linalg.qr(noise(500, 2))[0].T.reshape(2, 1, 500)
    estimate = stems[0] + 0.3 * stems[1] + 0.05 * noise(1, 500, seed=1)
    gain = (stems[0] * estimate).sum()
    leak = (stems[1] * estimate).sum().square() / gain.square()
    artefacts = 10 ** (-si_sar(stems, torch.stack([estimate, stems[1]]))[0] / 10)
    distortion = 10 ** (-si_sdr(stems[0], estimate) / 10)
    assert distortion.item() == pytest.approx((leak + artefacts).item(), rel=1e-9)
