"""Backgrounds for speech: their level, what they are made of, and their seeds."""

import numpy as np
import pytest

from sepkit.band.noises import KINDS, RATE, render_noise
from sepkit.errors import SepkitError


def noise(kind, seconds=1.5, split="test", seed=0):
    return render_noise(kind, seconds, split, seed, "dsp", "dsp")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "babble"])
def test_a_noise_has_its_length_and_level_and_belongs_to_its_seed(kind):
    wave = noise(kind)
    assert len(wave) == 1.5 * RATE
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(0.08)
    assert np.array_equal(wave, noise(kind))
    assert abs(np.corrcoef(wave, noise(kind, seed=1))[0, 1]) < 0.9


def test_a_hum_is_mains_and_its_harmonics():
    wave = noise("hum", 4.0)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    near = {
        mains: power[np.abs(frequency - mains * np.round(frequency / mains)) < 2].sum()
        for mains in (50, 60)
    }
    assert max(near.values()) > 0.85 * power.sum()
    assert power[frequency < 1250].sum() > 0.9 * power.sum()


def test_a_babble_fluctuates_less_than_one_speaker():
    babble = render_noise("babble", 4.0, "test", 0)
    from sepkit.band.speech import draw_speaker, say

    alone, _ = say(draw_speaker(0, "test", 0), 4.0, np.random.default_rng(0))

    def fluctuation(wave):
        level = np.sqrt(np.mean(wave[: len(wave) // 800 * 800].reshape(-1, 800) ** 2, axis=1))
        return level.std() / level.mean()

    assert fluctuation(babble) < 0.6 * fluctuation(alone)


def test_a_crowd_lies_where_hands_and_voices_do():
    wave = noise("crowd", 3.0)
    power, frequency = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / RATE)
    assert power[(frequency > 300) & (frequency < 4500)].sum() > 0.8 * power.sum()


@pytest.mark.parametrize(
    "kind, split, words",
    [("rain", "test", "unknown noise 'rain': choose from hum"), ("hum", "dev", "unknown split")],
)
def test_unknown_names_are_refused(kind, split, words):
    with pytest.raises(SepkitError, match=words):
        render_noise(kind, 1.0, split, 0)
