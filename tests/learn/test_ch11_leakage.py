"""The split of an estimate, against signals whose parts are known beforehand."""

import math

import numpy as np
import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.learn.ch11 import leakage
from sepkit.stft import STFT

RATE = 16000


def noise(seed, channels=2, samples=32000):
    return torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def sources():
    unequal = torch.tensor([[1.0], [0.3]])
    return {"vocals": noise(0), "other": unequal * noise(1), "drums": 0.5 * noise(2)}


def test_a_weighted_sum_of_the_sources_has_their_parts(sources):
    estimate = 0.9 * sources["vocals"] - 0.25 * sources["other"]
    found = leakage.split(estimate, sources, RATE)
    assert found.passed("vocals") == pytest.approx(20 * math.log10(0.9), abs=1e-3)
    assert found.passed("other") == pytest.approx(20 * math.log10(0.25), abs=1e-3)
    assert found.passed("drums") == leakage.FLOOR
    # STFTs count the ends of a signal less than its middle
    energy = [float((g * sources[s]).square().sum()) for s, g in (("other", 0.25), ("vocals", 0.9))]
    wanted = 10 * math.log10(energy[0] / sum(energy))
    assert found.leak("other") == pytest.approx(wanted, abs=0.1)


def test_what_no_source_explains_is_in_no_part(sources):
    strange = noise(7)
    found = leakage.split(sources["vocals"] + strange, sources, RATE)
    frames = STFT(leakage.N_FFT, leakage.HOP)(strange).shape[-1] * 2  # two channels
    # by chance, a source explains one of so many dimensions
    assert found.leak("drums") == pytest.approx(10 * math.log10(0.5 / frames), abs=2)
    assert found.passed("vocals") == pytest.approx(0, abs=0.3)


def test_parts_are_those_of_least_squares_by_numpy(sources):
    estimate = sources["vocals"].cumsum(-1) / 50 + 0.3 * sources["other"] * sources["drums"]
    found = leakage.split(estimate, sources, RATE)
    stft = STFT(leakage.N_FFT, leakage.HOP)
    for f in (3, 500, 1024):
        matrix = np.stack([stft(s.double())[:, f].flatten() for s in sources.values()], 1)
        target = stft(estimate.double())[:, f].flatten().numpy()
        gains = np.linalg.lstsq(matrix, target, rcond=None)[0]
        wanted = np.abs(gains) ** 2 * (np.abs(matrix) ** 2).sum(0)
        np.testing.assert_allclose([found.parts[s][f] for s in sources], wanted, rtol=1e-6)


def test_scaling_the_estimate_changes_no_leak_and_shifts_what_passes(sources):
    estimate = sources["vocals"] + 0.5 * sources["other"]
    one, ten = (leakage.split(g * estimate, sources, RATE) for g in (1, -10))
    assert ten.leak("other") == pytest.approx(one.leak("other"), abs=1e-6)
    assert ten.passed("other") == pytest.approx(one.passed("other") + 20, abs=1e-6)


def test_a_shared_melody_is_not_counted_as_horns(sources):
    # other has half of the voice in it; an estimate of the voice alone holds nothing of other
    sources["other"] = 0.5 * sources["vocals"] + sources["other"]
    found = leakage.split(sources["vocals"], sources, RATE)
    assert found.leak("other") < -60
    alone = leakage.split(sources["vocals"], {"other": sources["other"]}, RATE)
    assert alone.leak("other") > -10


def test_silent_sources_and_estimates(sources):
    sources["drums"] = torch.zeros_like(sources["drums"])
    found = leakage.split(0.5 * sources["vocals"], sources, RATE)
    assert found.passed("vocals") == pytest.approx(20 * math.log10(0.5), abs=1e-3)
    assert math.isnan(found.passed("drums")) and found.leak("drums") == leakage.FLOOR
    assert math.isnan(leakage.split(torch.zeros(2, 32000), sources, RATE).leak("other"))


def test_a_source_of_another_length_is_refused(sources):
    with pytest.raises(SepkitError, match=r"source 'other' has shape \(2, 10\)"):
        leakage.split(sources["vocals"], {"other": torch.zeros(2, 10)}, RATE)


@pytest.mark.parametrize("samples", [8000, 8001])
def test_energies_of_bands_add_up_to_the_sum_of_squares(samples):
    x = noise(3, samples=samples) + 0.2  # with a constant part
    parts = [leakage.band_energy(x, RATE, *pair) for pair in ((0, 200), (200, 6000), (6000, 1e9))]
    assert sum(parts) == pytest.approx(float(x.double().square().sum()), rel=1e-9)


def test_a_tone_lies_in_its_band_only():
    time = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time)[None]
    mixture = tone + torch.sin(2 * torch.pi * 100 * time)[None]
    assert leakage.kept(mixture, -0.1 * tone, RATE, 500, 2000) == pytest.approx(-20, abs=1e-3)
    assert leakage.kept(mixture, tone, RATE, 0, 500) == leakage.FLOOR
    assert leakage.kept(mixture, mixture, RATE) == pytest.approx(0, abs=1e-9)
    assert math.isnan(leakage.kept(torch.zeros(1, 100), torch.ones(1, 100), RATE))
