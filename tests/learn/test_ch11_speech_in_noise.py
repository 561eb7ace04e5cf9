"""Study 3: levels against their closed form, and what is mixed with what."""

import math

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.learn.ch11 import leakage
from sepkit.learn.ch11.speech_in_noise import RATE, at_snr, in_noise, pairs, speakers
from sepkit.metrics import si_sdr


def noise(seed, samples=8000):
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def level(a, b):
    return 10 * math.log10(float(a.double().square().sum() / b.double().square().sum()))


@pytest.mark.parametrize("snr", [-5.0, 0.0, 12.5])
def test_the_snr_is_the_one_that_was_asked_for(snr):
    scaled = at_snr(noise(0), 7.3 * noise(1), snr)
    assert level(noise(0), scaled) == pytest.approx(snr, abs=1e-4)
    assert torch.corrcoef(torch.cat([scaled, noise(1)]))[0, 1] == pytest.approx(1)


def test_silence_has_no_snr():
    with pytest.raises(SepkitError, match="at_snr: a sound is silent"):
        at_snr(noise(0), torch.zeros(1, 8000), 0)


def test_every_utterance_is_put_into_every_noise_at_every_level():
    voices = {"a": noise(0, 16000), "b": noise(1, 12000)}
    examples = in_noise(voices, ("hum", "crowd"), (-5, 10))
    asked = [(s, k, snr) for s in voices for k in ("hum", "crowd") for snr in (-5, 10)]
    assert [(one.speaker, one.other, one.snr) for one in examples] == asked
    for one in examples:
        assert level(one.voice, one.rest) == pytest.approx(one.snr, abs=1e-4)
        # noise and speech are all but orthogonal, so the mixture's SI-SDR is its SNR
        assert float(si_sdr(one.voice, one.mixture)) == pytest.approx(one.snr, abs=0.3)
    loud, quiet = examples[:2]
    assert torch.allclose(loud.rest / loud.rest.std(), quiet.rest / quiet.rest.std(), atol=1e-5)
    assert not torch.allclose(examples[0].rest[:, :12000], examples[4].rest)


def test_of_pairs_everybody_talks_first_once_and_both_are_equally_loud():
    found = pairs({"a": noise(0), "b": noise(1), "c": 0.1 * noise(2, 7000)})
    assert [(one.speaker, one.other) for one in found] == [("a", "b"), ("b", "c"), ("c", "a")]
    assert all(level(one.voice, one.rest) == pytest.approx(0, abs=1e-4) for one in found)
    assert found[1].mixture.shape == (1, 7000)


def test_speakers_are_different_and_the_same_again():
    said = speakers(3, seconds=1.5)
    assert len(said) == 3 and all(8000 < wave.shape[-1] <= 1.5 * RATE for wave in said.values())
    assert all(torch.equal(wave, speakers(3, seconds=1.5)[name]) for name, wave in said.items())


def test_the_parts_of_an_example_can_be_found_again_in_an_estimate():
    one = pairs({"a": noise(0, 32000), "b": noise(1, 32000)})[0]
    found = leakage.split(0.5 * one.voice + 0.1 * one.rest, one.parts, RATE)
    assert found.passed("voice") == pytest.approx(20 * math.log10(0.5), abs=0.01)
    assert found.passed("rest") == pytest.approx(-20, abs=0.05)
