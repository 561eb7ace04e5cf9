"""log-WMSE and the multi-resolution STFT distance, beside values found in other ways."""

import importlib
import math

import numpy as np
import pytest
import torch
from scipy import signal

from sepkit.errors import SepkitError
from sepkit.metrics import log_wmse, mr_stft
from sepkit.metrics.log_wmse import weight_at
from sepkit.metrics.mr_stft import RESOLUTIONS
from sepkit.metrics.scoring import score_track

RATE = 44100


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sine(frequency, seconds=1.0, rate=RATE):
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * frequency * time)[None]


def gain_by_its_parts(frequency):
    """The weighting at one frequency from the analogue filters, by the bilinear transform."""

    def stretched(f):
        return math.tan(math.pi * f / RATE)

    gain = 1.0
    for centre, db, q, shelf in ((1500, 5, 0.5**0.5, True), (500, 2.5, 1.5 * 0.5**0.5, False)):
        s, a = 1j * stretched(frequency) / stretched(centre), 10 ** (db / 40)
        if shelf:
            gain *= a * (a * s * s + a**0.5 / q * s + 1) / (s * s + a**0.5 / q * s + a)
        else:
            gain *= (s * s + s * a / q + 1) / (s * s + s / (a * q) + 1)
    s = 1j * stretched(frequency) / stretched(120)
    gain *= s * s / (s * s + 2**0.5 * s + 1)
    s = 1j * stretched(frequency) / stretched(10_000)
    return abs(gain) / abs(1 + s) ** 2


def test_the_weighting_is_that_of_its_analogue_filters():
    frequencies = [20, 50, 120, 500, 1000, 1500, 3000, 10_000, 16_000, 20_000]
    expected = [gain_by_its_parts(f) for f in frequencies]
    np.testing.assert_allclose(weight_at(frequencies), expected, rtol=1e-9)
    assert weight_at([22_050, 30_000]).tolist() == [0, 0]


@pytest.mark.parametrize("rate", [22_050, RATE, 48_000])
def test_log_wmse_of_a_tone_is_its_weighted_level_against_the_mixtures(rate):
    # Both are sines, so the weighting is one gain for each; their ends are a hundredth of a second.
    mixture, error = sine(1000, 4, rate), 0.1 * sine(100, 4, rate)
    ratio = 0.1 * gain_by_its_parts(100) / gain_by_its_parts(1000)
    value = log_wmse(mixture, 0 * mixture, error, rate)
    assert value == pytest.approx(-8 * math.log(ratio), abs=0.05)


def test_log_wmse_of_silent_targets_and_of_what_cannot_be_heard():
    mixture = noise(2, RATE)
    silence = torch.zeros_like(mixture)
    # What is left is the mixture itself, 20 dB down, but for samples below the tolerance.
    assert log_wmse(mixture, silence, 0.1 * mixture, RATE) == pytest.approx(
        -4 * math.log(0.01 + 1e-8), abs=1e-6
    )
    best = -4 * math.log(1e-8)
    assert log_wmse(mixture, silence, silence, RATE) == pytest.approx(best, abs=1e-12)
    # 86 dB below the mixture no sample reaches the tolerance of -68 dB; at -56 dB most do.
    assert log_wmse(mixture, mixture, mixture + 5e-5 * noise(2, RATE, seed=1), RATE) == best
    assert log_wmse(mixture, mixture, mixture + 1.6e-3 * noise(2, RATE, seed=1), RATE) < best - 15
    assert log_wmse(silence, silence, mixture, RATE) == pytest.approx(best, abs=1e-12)


def test_log_wmse_of_two_channels_is_the_mean_of_the_channels():
    mixture, estimate = noise(2, 9000), 0.3 * noise(2, 9000, seed=1)
    both = log_wmse(mixture, 0 * mixture, estimate, RATE)
    each = [
        log_wmse(*(x[c : c + 1] for x in (mixture, 0 * mixture, estimate)), RATE) for c in (0, 1)
    ]
    assert both == pytest.approx(np.mean(each), abs=1e-9)
    assert log_wmse(7 * mixture, 0 * mixture, 7 * estimate, RATE) == pytest.approx(both, abs=1e-9)
    assert log_wmse(mixture, 0 * mixture, 2 * estimate, RATE) == pytest.approx(
        both - 8 * math.log(2), abs=1e-3
    )


def mr_stft_by_scipy(reference, estimate):
    """The distance by scipy's spectrogram, all frames at once."""
    terms = []
    for window, hop, size in RESOLUTIONS:
        edge = (size - window) // 2
        shape = np.pad(signal.get_window("hann", window), (edge, size - window - edge))
        frames = reference.shape[-1] // hop + 1
        magnitudes = []
        for x in (reference, estimate):
            padded = np.pad(x.numpy(), ((0, 0), (size // 2, size // 2 + hop)))
            pieces = np.lib.stride_tricks.sliding_window_view(padded, size, -1)[:, ::hop][
                :, :frames
            ]
            magnitudes.append(np.maximum(np.abs(np.fft.rfft(pieces * shape)), 1e-4))
        s, e = magnitudes
        terms.append(np.linalg.norm(s - e) / np.linalg.norm(s) + np.abs(np.log(s / e)).mean())
    return np.mean(terms)


@pytest.mark.parametrize("samples", [1, 700, 44_100])
def test_mr_stft_equals_one_transform_of_the_whole_by_numpy(samples):
    reference, estimate = 0.1 * noise(2, samples), 0.1 * noise(2, samples, seed=1)
    estimate[:, : samples // 3] = 0
    assert mr_stft(reference, estimate) == pytest.approx(
        mr_stft_by_scipy(reference, estimate), rel=1e-9
    )


def test_mr_stft_is_a_distance_of_magnitudes():
    reference = 0.1 * noise(2, 30_000)
    assert mr_stft(reference, reference) == mr_stft(reference, -reference) == 0
    # A gain g: |1 - g| for the convergence, |ln g| for the logarithms, at every resolution.
    assert mr_stft(reference, 0.5 * reference) == pytest.approx(0.5 + math.log(2), abs=1e-4)
    near, far = (
        mr_stft(reference, reference + level * noise(2, 30_000, seed=1)) for level in (1e-3, 1e-2)
    )
    assert 0 < near < far
    assert math.isnan(mr_stft(0 * reference, reference))


@pytest.mark.parametrize("metric", ["log_wmse", "mr_stft"])
def test_values_do_not_depend_on_the_parts_in_which_a_song_is_read(metric, monkeypatch):
    references = {"vocals": noise(2, 20_000), "drums": noise(2, 20_000, seed=1)}
    estimates = {name: x + 0.3 * noise(2, 20_000, seed=2) for name, x in references.items()}

    def values():
        return [row[2] for row in score_track(references, estimates, RATE, [metric])]

    whole = values()
    module = importlib.import_module(f"sepkit.metrics.{metric}")
    name = {"log_wmse": "BLOCK", "mr_stft": "_SAMPLES_AT_ONCE"}[metric]
    monkeypatch.setattr(module, name, 1700)
    assert values() == pytest.approx(whole, abs=1e-9)


def test_the_mixture_is_all_stems_even_if_one_is_estimated():
    references = {"vocals": noise(2, 9000), "drums": 3 * noise(2, 9000, seed=1)}
    estimate = {"vocals": references["vocals"] + 0.2 * noise(2, 9000, seed=2)}
    ((*_, value, card),) = score_track(references, estimate, RATE, ["log_wmse"])
    mixture = sum(references.values())
    assert value == pytest.approx(
        log_wmse(mixture, references["vocals"], estimate["vocals"], RATE), abs=1e-9
    )
    assert (card.unit, card.better) == ("", "higher")
    references["drums"] = references["drums"][:, :8000]
    with pytest.raises(SepkitError, match="'vocals' and 'drums' differ in shape"):
        score_track(references, estimate, RATE, ["log_wmse"])


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(SepkitError, match="equal channels"):
        log_wmse(noise(1, 500), noise(2, 500), noise(2, 500), RATE)
    with pytest.raises(SepkitError, match="the estimate holds NaN or infinity"):
        mr_stft(noise(1, 500), math.nan * noise(1, 500))
