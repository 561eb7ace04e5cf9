"""Mixtures of real recordings, where the recordings are."""

import os

import pytest
import torch

from sepkit import audio
from sepkit.datasets import real_mixes
from sepkit.errors import SepkitError

SAMPLES = os.environ.get(real_mixes.VARIABLE)  # tests run without a user's settings


def test_without_the_recordings_the_variable_is_named(tmp_path, monkeypatch):
    with pytest.raises(SepkitError, match=r"\$SEPKIT_SAMPLES.*vocadito_1.wav"):
        real_mixes.real_mixes()
    monkeypatch.setenv("SEPKIT_SAMPLES", str(tmp_path))
    with pytest.raises(SepkitError, match="SEPKIT_SAMPLES"):
        real_mixes.real_mixes()


def test_no_stretch_of_the_band_is_used_twice():
    stretches = sorted((band, band + last - first) for _, first, last, band, _ in real_mixes.MIXES)
    assert all(end <= begin for (_, end), (begin, _) in zip(stretches, stretches[1:]))
    horns = {(singer, horns) for singer, *_, horns in real_mixes.MIXES}
    assert len(horns) == 6


@pytest.mark.skipif(
    not real_mixes.available(), reason="SEPKIT_SAMPLES names no folder of recordings"
)
def test_every_mixture_is_the_sum_of_recordings_with_the_voice_below_the_band(monkeypatch):
    monkeypatch.setenv(real_mixes.VARIABLE, SAMPLES)
    mixes = real_mixes.real_mixes()
    assert len({track.name for track in mixes}) == len(mixes) >= 8
    for track in mixes:
        stems = track.references()
        assert list(stems) == ["vocals", "drums", "bass", "other"] and track.sample_rate == 44100
        assert torch.allclose(track.mixture(), sum(stems.values()), atol=1e-6)
        assert stems["vocals"].square().mean().sqrt().item() == pytest.approx(0.08, rel=1e-4)
        level = {name: x.square().mean().sqrt().item() for name, x in stems.items()}
        assert all(1e-3 < value < 0.5 for value in level.values())


@pytest.mark.skipif(not SAMPLES, reason="SEPKIT_SAMPLES has no recordings")
def test_they_come_at_another_rate_and_in_mono(monkeypatch):
    monkeypatch.setenv(real_mixes.VARIABLE, SAMPLES)
    (wide, *_), (narrow, *_) = real_mixes.real_mixes(), real_mixes.real_mixes(16_000, 1)
    assert narrow.name == wide.name and narrow.sample_rate == 16_000
    for stem in wide.stems:
        expected = audio.resample(wide.stem(stem).mean(0, keepdim=True), 44_100, 16_000)
        torch.testing.assert_close(narrow.stem(stem), expected)
