"""Masks by shape and by place: energy goes where it should."""

import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.separation import get
from sepkit.separation.blind import centre_mask, hpss_masks, loudness, wiener_masks
from sepkit.stft import STFT

RATE = 44100


def noise(channels, samples, seed=0):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def decibels(signal, error):
    return float(10 * torch.log10(signal.square().sum() / error.square().sum()))


# --- Wiener masks


def test_wiener_masks_are_shares_and_sum_to_one():
    m = torch.tensor([[[3.0, 0.0, 1e-30]], [[4.0, 0.0, 1e-30]]])
    masks = wiener_masks(m)
    torch.testing.assert_close(masks[0, 0], torch.tensor([9 / 25, 0.5, 0.5]))
    torch.testing.assert_close(wiener_masks(m, 1.0)[1, 0], torch.tensor([4 / 7, 0.5, 0.5]))
    torch.testing.assert_close(masks.sum(0), torch.ones(1, 3))


def test_loudness_does_not_cancel():
    x = STFT(256, 64)(noise(1, 2000))
    torch.testing.assert_close(loudness(torch.cat([x, -x])), x[0].abs())


# --- harmonic and percussive


def test_clicks_are_drums_and_a_held_note_is_not():
    samples = 4 * RATE
    note = 0.1 * torch.sin(2 * math.pi * 441 * torch.arange(samples) / RATE).expand(2, -1)
    clicks = torch.zeros(2, samples)
    clicks[:, RATE // 4 :: RATE // 2] = 1.0
    estimates = get("hpss").separate(note + clicks)
    inner = slice(RATE // 4 - 2000, -RATE // 4)
    assert decibels(note[:, inner], (estimates["harmonic"] - note)[:, inner]) > 15
    assert decibels(clicks[:, inner], (estimates["drums"] - clicks)[:, inner]) > 15


def test_hpss_is_medians_and_a_wiener_mask():
    from scipy.ndimage import median_filter

    magnitude = loudness(STFT(512, 128)(noise(2, 8000)))
    harmonic, percussive = hpss_masks(magnitude, (9, 13))
    h = median_filter(magnitude.double().numpy(), size=(1, 9), mode="reflect")
    p = median_filter(magnitude.double().numpy(), size=(13, 1), mode="reflect")
    np.testing.assert_allclose(harmonic.numpy(), h**2 / (h**2 + p**2), atol=1e-5)
    torch.testing.assert_close(harmonic + percussive, torch.ones_like(harmonic))


def test_turning_the_picture_exchanges_harmonic_and_percussive():
    magnitude = loudness(STFT(256, 64)(noise(2, 6000)))
    harmonic, percussive = hpss_masks(magnitude, 11)
    turned = hpss_masks(magnitude.T.contiguous(), 11)
    torch.testing.assert_close(turned[0], percussive.T)
    torch.testing.assert_close(turned[1], harmonic.T)


# --- the centre


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90])
def test_the_centre_mask_of_one_panned_source_is_its_closed_form(degrees):
    angle = math.radians(degrees)
    x = STFT(512, 128)(
        torch.tensor([[math.cos(angle)], [math.sin(angle)]], dtype=torch.float64) * noise(1, 5000)
    )
    expected = torch.full(x.shape[1:], math.sin(2 * angle) ** 3, dtype=torch.float64)
    torch.testing.assert_close(centre_mask(x, 3.0), expected, rtol=0, atol=1e-5)


def test_opposed_and_silent_channels_are_not_centred():
    x = STFT(512, 128)(noise(1, 5000))
    assert not centre_mask(torch.cat([x, -x])).any()
    assert not centre_mask(torch.zeros(2, 257, 10, dtype=torch.complex64)).any()


def test_a_voice_in_the_centre_is_taken_out_of_a_wide_band():
    samples, t = 3 * RATE, torch.arange(3 * RATE) / RATE
    tones = [
        sum(torch.sin(2 * math.pi * f * k * t) / k for k in range(1, 6)) for f in (310, 437, 553)
    ]
    vocals = 0.1 * tones[0].expand(2, -1)
    band = 0.1 * torch.stack([tones[1], 0.05 * tones[1]]) + 0.1 * torch.stack(
        [0.05 * tones[2], tones[2]]
    )
    bass = 0.2 * torch.sin(2 * math.pi * 70 * t).expand(2, -1)
    estimates = get("centre").separate(vocals + band + bass)
    assert decibels(vocals, estimates["vocals"] - vocals) > 15
    assert decibels(band + bass, estimates["accompaniment"] - band - bass) > 15
    assert samples == estimates["vocals"].shape[-1]


def test_equal_channels_have_no_centre_to_take_out():
    for x in (noise(1, 9000).expand(2, -1), torch.full((2, 9000), 0.3)):
        with pytest.raises(
            SepkitError, match="centre: both channels are equal.*use a stereo recording"
        ):
            get("centre").separate(x)
    with pytest.raises(SepkitError, match="centre takes 2 channel"):
        get("centre").separate(noise(1, 9000))
    with pytest.raises(SepkitError, match="expected a stereo spectrogram"):
        centre_mask(STFT(256, 64)(noise(1, 900)))
