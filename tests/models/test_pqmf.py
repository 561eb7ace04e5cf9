"""The filter bank: what goes in comes out, and the bands hold what they should."""

import numpy as np
import pytest
import scipy.signal
import torch

from sepkit.errors import SepkitError
from sepkit.models.pqmf import PQMF, modulated, prototype

RATE = 44100


def level(x):
    return 10 * torch.log10(x.double().square().mean())


@pytest.mark.parametrize("bands", [2, 4, 8])
@pytest.mark.parametrize("samples", [1, 3, 4, 63, 64, 65, 1001, 44100])
def test_round_trip_loses_less_than_90_db(bands, samples):
    torch.manual_seed(samples)
    bank, audio = PQMF(bands), torch.randn(2, 3, samples)
    parts = bank.analysis(audio)
    assert parts.shape == (2, 3, bands, -(-samples // bands) + 16)
    back = bank.synthesis(parts, samples)
    assert back.shape == audio.shape
    assert level(audio) - level(back - audio) > 100


def test_no_sample_is_delayed_or_treated_otherwise():
    # The system repeats every 4 samples: impulses at 4 places are all that there is to know.
    bank = PQMF(4)
    impulses = torch.eye(400)[200:204]
    assert (bank.synthesis(bank.analysis(impulses), 400) - impulses).abs().max() < 3e-6


def test_aliases_of_a_tone_are_below_120_db():
    bank, time = PQMF(4), torch.arange(RATE, dtype=torch.float64) / RATE
    window = torch.from_numpy(scipy.signal.get_window(("kaiser", 20.0), RATE - 2000))
    for frequency in (1000, 5512.5, 5600, 8000, 11025, 16300, 20000):
        tone = torch.sin(2 * torch.pi * frequency * time)
        back = bank.synthesis(bank.analysis(tone), RATE)
        heard, wanted = (torch.fft.rfft(x[1000:-1000] * window).abs() for x in (back, tone))
        near = (torch.arange(len(heard)) - frequency * (RATE - 2000) / RATE).abs() <= 20
        assert 20 * torch.log10(heard[~near].max() / wanted.max()) < -120
        torch.testing.assert_close(heard[near].max(), wanted.max(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("bands", [2, 4, 8])
def test_bands_that_are_no_neighbours_hear_nothing(bands):
    bank, time = PQMF(bands), torch.arange(20000, dtype=torch.float64) / RATE
    for band in range(bands):
        tone = torch.sin(2 * torch.pi * (band + 0.5) * RATE / (2 * bands) * time)
        levels = torch.stack([level(part[50:-50]) for part in bank.analysis(tone)])
        assert levels[band] == pytest.approx(-3.01, abs=0.05)  # a sine's level: the gain is one
        others = [k for k in range(bands) if k != band]
        assert levels[others].max() < -80


def test_analysis_is_filtering_and_decimation():
    """Against SciPy, in double precision."""
    torch.manual_seed(0)
    audio, bank = torch.randn(1000, dtype=torch.float64), PQMF(4)
    filters, _ = modulated(prototype(4))
    parts = bank.analysis(audio)
    for band in range(4):
        full = np.convolve(audio.numpy(), filters[band].numpy())
        np.testing.assert_allclose(
            parts[band, :250], full[3::4][:250], atol=1e-6
        )  # the filters are stored in single precision


def test_the_prototype_is_a_symmetric_low_pass():
    p = prototype(4)
    assert len(p) == 64 and torch.equal(p, p.flip(0))
    frequency, response = scipy.signal.freqz(p.numpy(), worN=4096)
    response = np.abs(response)
    assert response[0] == pytest.approx(1, abs=1e-3)
    assert 20 * np.log10(response[frequency > np.pi / 4].max()) < -80
    # Half the power where two bands meet, so that together they have all of it.
    assert np.interp(np.pi / 8, frequency, response) ** 2 == pytest.approx(0.5, abs=1e-3)


def test_odd_bands_are_reversed():
    bank, time = PQMF(4), torch.arange(40000, dtype=torch.float64) / RATE
    offset = 1000
    for band in range(4):
        tone = torch.sin(2 * torch.pi * (band * RATE / 8 + offset) * time)
        part = bank.analysis(tone)[band, 50:-50]
        heard = (
            torch.fft.rfft(part * torch.hann_window(len(part), dtype=part.dtype)).abs().argmax()
            / len(part)
            * RATE
            / 4
        )
        assert float(heard) == pytest.approx(offset if band % 2 == 0 else RATE / 8 - offset, abs=3)


def test_gradients_pass_through_unchanged():
    bank, audio = PQMF(4), torch.randn(1, 2, 300, requires_grad=True)
    weight = torch.randn(1, 2, 300)
    (bank.synthesis(bank.analysis(audio), 300) * weight).sum().backward()
    torch.testing.assert_close(audio.grad, weight, atol=1e-4, rtol=0)


def test_mixed_precision_leaves_the_bank_alone():
    bank = PQMF(4)
    audio = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    exact = bank.analysis(audio)
    with torch.autocast("cpu", torch.bfloat16):
        parts = bank.analysis(audio)
        back = bank.synthesis(exact, 3000)
        of_16_bits = bank.synthesis(exact.bfloat16(), 3000)
    assert torch.equal(parts, exact) and torch.equal(back, bank.synthesis(exact, 3000))
    assert of_16_bits.dtype == torch.float32
    torch.testing.assert_close(of_16_bits, bank.synthesis(exact.bfloat16().float(), 3000))


def test_filters_travel_with_the_state_dict():
    one, other = PQMF(4), PQMF(4)
    other.analysis_filters.zero_()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.analysis_filters, other.analysis_filters)
    assert {k: tuple(v.shape) for k, v in one.state_dict().items()} == {
        "analysis_filters": (4, 1, 64),
        "synthesis_filters": (4, 4, 16),
    }


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: PQMF(1), "PQMF bands=1: expected a whole number of at least 2"),
        (lambda: PQMF(2.5), "PQMF bands=2.5"),
        (lambda: PQMF(4).analysis(torch.zeros(2, 0)), "the audio is empty"),
        (lambda: PQMF(4).synthesis(torch.zeros(2, 3, 40), 10), r"expected \(..., 4 bands, 19\)"),
        (lambda: PQMF(4).synthesis(torch.zeros(2, 4, 18), 10), "cannot make 10 samples"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
