"""One mixture: levels against closed forms, exact sums, lengths, peaks."""

import math

import numpy as np
import pytest
import torch
import torchaudio

from sepkit.datasets.librimix.mixing import PEAK, SOURCE_RATE, continued, mix
from sepkit.errors import SepkitError

LEVELS = (-28.0, -31.5, -33.25)


def tone(seconds, frequency=997.0, level=0.3):
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * SOURCE_RATE)) / 16000)


def noisy(seconds, seed, level=0.1):
    return level * np.random.default_rng(seed).standard_normal(int(seconds * SOURCE_RATE))


def test_levels_of_tones_are_those_of_the_closed_form():
    # ITU-R BS.1770: a 997 Hz sine of amplitude a reads 20 log10(a) - 3.01 LUFS.
    parts = mix([tone(3), tone(3, level=0.01)], tone(4, level=0.7), LEVELS, 16000, "min")
    for name, level in zip(("s1", "s2", "noise"), LEVELS):
        amplitude = np.sqrt(2 * np.mean((parts[name] / 32767.0) ** 2))
        assert 20 * math.log10(amplitude) - 3.01 == pytest.approx(level, abs=0.05)


@pytest.mark.parametrize("asked", [-5.0, 0.0, 7.5])
def test_signals_of_one_spectrum_have_the_snr_that_was_asked_for(asked):
    parts = mix([tone(3), tone(3)], tone(3), (-28.0, -28.0, -28.0 - asked), 16000, "min")
    power = {name: np.mean(wave.astype(float) ** 2) for name, wave in parts.items()}
    assert 10 * math.log10(power["s1"] / power["noise"]) == pytest.approx(asked, abs=0.02)


def test_loudness_agrees_with_torchaudios():
    parts = mix([noisy(3, 0), noisy(5, 1)], noisy(5, 2), LEVELS, 16000, "max")
    for name, level in zip(("s2", "noise"), LEVELS[1:]):
        wave = torch.from_numpy(parts[name] / 32767)[None]
        theirs = float(torchaudio.functional.loudness(wave, 16000))
        assert theirs == pytest.approx(level, abs=0.2)  # its filters are 0.12 LU off at this rate


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_mixtures_are_the_exact_sums_and_as_long_as_their_mode_says(rate, mode):
    voices = [noisy(1.0, 0), noisy(1.7, 1), noisy(1.3, 2)]
    parts = mix(voices, noisy(2.5, 3), (-28, -29, -30, -33), rate, mode)
    lengths = [math.ceil(len(voice) * rate / SOURCE_RATE) for voice in voices]
    expected = min(lengths) if mode == "min" else max(lengths)
    assert {name: len(wave) for name, wave in parts.items()} == dict.fromkeys(parts, expected)
    whole = {name: wave.astype(int) for name, wave in parts.items()}
    assert np.array_equal(whole["mix_clean"], whole["s1"] + whole["s2"] + whole["s3"])
    assert np.array_equal(whole["mix_both"], whole["mix_clean"] + whole["noise"])
    assert np.array_equal(whole["mix_single"], whole["s1"] + whole["noise"])


def test_the_mode_min_is_the_beginning_of_the_mode_max_which_ends_in_silence():
    voices = [noisy(1.0, 0), noisy(1.7, 1)]
    shorter, longer = (mix(voices, noisy(2, 3), LEVELS, 16000, mode) for mode in ("min", "max"))
    assert all(np.array_equal(shorter[name], longer[name][:16000]) for name in shorter)
    assert not longer["s1"][16000:].any() and longer["noise"][16000:].any()


def test_a_sum_beyond_the_peak_is_lowered_as_a_whole():
    clicks = noisy(2, 0, 0.001)
    clicks[::4000] = 1.0  # quiet, with high peaks
    parts = mix([clicks, clicks], noisy(2, 1), (-25.0, -25.0, -30.0), 16000, "max")
    peak = max(int(np.abs(wave.astype(int)).max()) for wave in parts.values())
    assert peak == pytest.approx(PEAK * 32767, abs=3)
    assert np.abs(parts["s1"].astype(int) - parts["s2"]).max() <= 1


def test_without_noise_there_is_only_the_clean_mixture():
    assert set(mix([noisy(1, 0), noisy(1, 1)], None, LEVELS[:2], 16000, "min")) == {
        "s1",
        "s2",
        "mix_clean",
    }


def test_a_silent_utterance_is_refused():
    with pytest.raises(SepkitError, match="s2: is silent"):
        mix([noisy(1, 0), np.zeros(16000)], None, LEVELS[:2], 16000, "min")


def test_a_short_noise_goes_on_without_a_seam():
    noise = noisy(1.5, 0)
    long = continued(noise, 70000)
    assert len(long) == 70000 and np.array_equal(long[:8000], noise[:8000])
    assert np.allclose(continued(np.full(30000, 0.2), 100000), 0.2)  # the fades sum to one
    assert np.array_equal(continued(long, 1000), long[:1000])
