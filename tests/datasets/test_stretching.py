"""Pitch, speed and shift against closed forms; stereo image, attacks and levels survive them."""

import math

import numpy as np
import pytest
import torch
from scipy import signal

from sepkit.datasets.augmentation import stretching
from sepkit.datasets.augmentation.stretching import (
    pitch_shift,
    resample_speed,
    time_shift,
    time_stretch,
)
from sepkit.errors import SepkitError

RATE = 44100


def tone(frequency, seconds, channels=1, rate=RATE):
    return (
        torch.sin(
            2
            * math.pi
            * frequency
            * torch.arange(round(seconds * rate), dtype=torch.float64)
            / rate
        )
        .float()
        .repeat(channels, 1)
    )


def noise(seconds, channels=2, seed=0):
    return 0.1 * torch.randn(
        channels, round(seconds * RATE), generator=torch.Generator().manual_seed(seed)
    )


def peak(audio, rate=RATE):
    """(frequency, amplitude) of a tone, by a Fourier sum over its middle; 0.01 Hz apart."""
    middle = audio[0, audio.shape[-1] // 4 : 3 * audio.shape[-1] // 4].double().numpy()
    window = np.hanning(len(middle))
    coarse = np.abs(np.fft.rfft(middle * window)).argmax() * rate / len(middle)
    grid = coarse + np.arange(-1, 1, 0.01)
    sums = np.abs(
        np.exp(-2j * np.pi * grid[:, None] * np.arange(len(middle)) / rate) @ (middle * window)
    )
    return grid[sums.argmax()], 2 * sums.max() / window.sum()


@pytest.mark.parametrize("semitones", [-2, -0.5, 2, 7])
def test_pitch_moves_by_semitones_and_level_and_length_stay(semitones):
    shifted = pitch_shift(tone(440, 1.0), semitones, RATE)
    frequency, amplitude = peak(shifted)
    assert abs(1200 * math.log2(frequency / 440) - 100 * semitones) < 0.5  # cents
    assert abs(20 * math.log10(amplitude)) < 0.05
    assert shifted.shape == (1, RATE)


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.5])
def test_stretching_keeps_the_pitch(speed):
    stretched = time_stretch(tone(440, 1.0), speed, RATE)
    frequency, amplitude = peak(stretched)
    assert abs(1200 * math.log2(frequency / 440)) < 0.5 and abs(20 * math.log10(amplitude)) < 0.05
    assert stretched.shape == (1, round(RATE / speed))


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_a_resampled_speed_moves_the_pitch_along(speed):
    faster = resample_speed(tone(440, 1.0), speed, RATE)
    frequency, amplitude = peak(faster)
    assert (
        abs(1200 * math.log2(frequency / 440 / speed)) < 0.5
        and abs(20 * math.log10(amplitude)) < 0.05
    )
    assert faster.shape == (1, round(RATE / speed))


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_the_partials_of_a_bass_note_stay_apart(speed):
    low_e = sum(tone(41.2 * k, 2.0) / k for k in range(1, 16))
    stretched = time_stretch(low_e, speed, RATE)[0, RATE // 2 : RATE // 2 + RATE].double().numpy()
    power = np.abs(np.fft.rfft(stretched * np.hanning(RATE))) ** 2  # 1 Hz a bin
    near = np.zeros(len(power), bool)
    for k in range(1, 16):
        near[round(41.2 * k) - 4 : round(41.2 * k) + 5] = True
    assert 10 * np.log10(power[near].sum() / power[~near].sum()) > 35


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_panning_and_polarity_survive_exactly(speed):
    mono = noise(1.0, 1)
    stretched = time_stretch(torch.cat([mono, 0.25 * mono, -mono]), speed, RATE)
    assert torch.allclose(stretched[1], 0.25 * stretched[0], atol=1e-6) and torch.allclose(
        stretched[2], -stretched[0], atol=1e-6
    )


@pytest.mark.parametrize(
    "change", [lambda x: time_stretch(x, 0.9, RATE), lambda x: pitch_shift(x, 2, RATE)]
)
def test_a_delay_between_the_channels_survives(change):
    mono = noise(2.0, 1)
    stereo = torch.cat(
        [mono, torch.roll(mono, 20, -1)]
    )  # half a millisecond, as between two microphones
    together = change(stereo).numpy()
    apart = np.concatenate([change(channel[None]).numpy() for channel in stereo])

    def coherence(left, right):
        return signal.coherence(left, right, RATE, nperseg=1024)[1][:300].mean()  # below 13 kHz

    assert coherence(*together) > 0.98
    assert coherence(*apart) < 0.9  # what comes of treating the channels one by one
    lags = signal.correlate(together[1], together[0])
    assert abs(lags.argmax() - (together.shape[1] - 1) - 20) <= 3


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_attacks_stay_sharp_and_come_on_time(speed):
    times = np.arange(0.3, 2.6, 0.25)
    clicks = torch.zeros(2, 3 * RATE)
    clicks[:, np.rint(times * RATE).astype(int)] = 0.8
    energy = time_stretch(clicks, speed, RATE).square().sum(0)
    places = np.rint(times / speed * RATE).astype(int)
    near = sum(float(energy[place - 220 : place + 221].sum()) for place in places)  # 5 ms
    before = sum(float(energy[place - 4000 : place - 220].sum()) for place in places)
    assert near > 0.93 * float(energy.sum()) and before < 0.02 * float(energy.sum())


@pytest.mark.parametrize("speed", [0.89, 1.12])
def test_noise_keeps_its_level_within_a_decibel(speed):
    audio = noise(2.0)
    assert abs(20 * math.log10(time_stretch(audio, speed, RATE).std() / audio.std())) < 0.8


def test_long_audio_is_stretched_without_seams(monkeypatch):
    audio = noise(2.0)
    whole = time_stretch(audio, 1.1, RATE)
    monkeypatch.setattr(stretching, "_BLOCK", 7)
    assert torch.equal(time_stretch(audio, 1.1, RATE), whole)


def test_speed_one_changes_nothing():
    audio = noise(1.0)
    assert torch.allclose(time_stretch(audio, 1.0, RATE), audio, atol=1e-6)


def test_silence_stays_silent_and_short_audio_is_stretched_too():
    assert time_stretch(torch.zeros(2, 5000), 0.9, RATE).abs().max() == 0
    short = time_stretch(noise(0.01), 0.9, RATE)
    assert short.shape == (2, 490) and short.isfinite().all() and short.std() > 0.03


@pytest.mark.parametrize(("seconds", "place"), [(0.25, 2000 + 11025), (-0.03, 2000 - 1323)])
def test_a_shift_moves_every_sample_and_leaves_silence(seconds, place):
    audio = torch.zeros(2, RATE)
    audio[:, 2000] = torch.tensor([0.5, -0.25])
    shifted = time_shift(audio, seconds, RATE)
    assert shifted.shape == audio.shape and shifted[:, place].tolist() == [0.5, -0.25]
    assert shifted.count_nonzero() == 2
    ones = time_shift(torch.ones(1, RATE), seconds, RATE)
    gap = ones[:, :11025] if seconds > 0 else ones[:, -1323:]
    assert (
        gap.abs().max() == 0 and ones.sum() == RATE - gap.shape[-1]
    )  # silence, not what fell off the other end


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: time_shift(x, -1.0, RATE),
            "shift -1 s: the song lasts 1.0 s; give a shorter shift",
        ),
        (lambda x: time_stretch(x, 3.0, RATE), "speed 3.0: give a number from 0.5 to 2"),
        (lambda x: resample_speed(x, math.nan, RATE), "speed nan: give a number from 0.5 to 2"),
        (lambda x: pitch_shift(x, 13, RATE), "pitch 13: give a number from -12 to 12"),
    ],
)
def test_what_cannot_be_done_is_refused(call, message):
    with pytest.raises(SepkitError, match=f"^{message}$"):
        call(noise(1.0))
