"""Audio files: exact values both ways, and a clear refusal of what cannot be used."""

import math

import pytest
import torch

from sepkit import audio
from sepkit.errors import SepkitError


def noise(channels=2, samples=4410, seed=0, level=0.1):
    return level * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def test_float_wav_keeps_every_sample_and_what_lies_beyond_full_scale(tmp_path):
    x = noise(level=1.0)
    assert x.abs().max() > 1
    audio.write(tmp_path / "x.wav", x, 44100)
    y, rate = audio.read(tmp_path / "x.wav")
    assert rate == 44100 and torch.equal(x, y)


@pytest.mark.parametrize("suffix, tolerance", [(".flac", 2**-23), (".ogg", 0.02), (".mp3", 0.06)])
def test_other_formats_come_back_with_their_length(tmp_path, suffix, tolerance):
    t = torch.arange(44100) / 44100
    x = 0.5 * torch.stack([torch.sin(2 * math.pi * 440 * t), torch.sin(2 * math.pi * 660 * t)])
    audio.write(tmp_path / f"x{suffix}", x, 44100)
    y, _ = audio.read(tmp_path / f"x{suffix}")
    assert y.shape == x.shape
    assert (x - y)[:, 2000:-2000].abs().max() <= tolerance


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_part_equals_the_part_of_the_whole(tmp_path, suffix):
    audio.write(tmp_path / f"x{suffix}", noise(), 8000)
    whole, _ = audio.read(tmp_path / f"x{suffix}")
    part, _ = audio.read(tmp_path / f"x{suffix}", start=1234, frames=777)
    assert torch.equal(part, whole[:, 1234 : 1234 + 777])


@pytest.mark.parametrize("start, frames", [(-1, 10), (0, 0), (4400, 11), (4410, 1)])
def test_a_part_outside_the_file_is_refused(tmp_path, start, frames):
    audio.write(tmp_path / "x.wav", noise(), 8000)
    with pytest.raises(SepkitError, match="has 4410"):
        audio.read(tmp_path / "x.wav", start, frames)


@pytest.mark.parametrize(
    "from_rate, to_rate",
    [(44100, 16000), (48000, 44100), (8000, 44100), (192000, 44100), (44056, 44100)],
)
def test_resampling_keeps_a_sine_and_says_its_length(from_rate, to_rate):
    seconds = 0.5

    def sine(rate):
        return torch.sin(2 * math.pi * 1000 * torch.arange(int(rate * seconds)).double() / rate)[
            None
        ]

    y = audio.resample(sine(from_rate), from_rate, to_rate)
    assert y.shape[-1] == math.ceil(int(from_rate * seconds) * to_rate / from_rate)
    edge = to_rate // 20
    n = min(y.shape[-1], int(to_rate * seconds))
    assert (y[:, :n] - sine(to_rate)[:, :n])[:, edge:-edge].abs().max() < 2e-6


def test_channels_are_duplicated_and_averaged():
    mono = noise(1)
    assert torch.equal(audio.to_channels(mono, 2), torch.cat([mono, mono]))
    stereo = noise(2)
    assert torch.allclose(audio.to_channels(stereo, 1)[0], (stereo[0] + stereo[1]) / 2)
    with pytest.raises(SepkitError, match="3 channels"):
        audio.to_channels(noise(3), 2)


def test_clipping_happens_only_when_asked_for(tmp_path):
    x = noise(level=1.0)
    with pytest.raises(SepkitError, match="--clip"):
        audio.write(tmp_path / "x.flac", x, 44100)
    assert list(tmp_path.iterdir()) == []  # neither the file nor a half of it
    audio.write(tmp_path / "x.flac", x, 44100, clip=True)
    y, _ = audio.read(tmp_path / "x.flac")
    assert (y - x.clamp(-1, 1)).abs().max() <= 2**-22


def test_blocks_make_the_same_file_as_one_write(tmp_path):
    x = noise(samples=200_000)
    with audio.Writer(tmp_path / "x.wav", 44100, 2) as out:
        for block in x.split(70_001, dim=-1):
            out.write(block)
        assert not (tmp_path / "x.wav").exists()  # its final name comes last
    assert torch.equal(audio.read(tmp_path / "x.wav")[0], x)


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path):
    x = noise()
    audio.write(tmp_path / "x.wav", x, 44100)
    with pytest.raises(KeyboardInterrupt):
        with audio.Writer(tmp_path / "x.wav", 44100, 2) as out:
            out.write(2 * x)
            raise KeyboardInterrupt
    assert torch.equal(audio.read(tmp_path / "x.wav")[0], x)
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]


@pytest.mark.parametrize(
    "name, rate, expected",
    [
        ("x.aiff", 44100, "cannot write .aiff"),
        ("x", 44100, "without suffix"),
        ("x.mp3", 192000, "MP3 does not know 192000 Hz"),
    ],
)
def test_formats_that_cannot_be_written(tmp_path, name, rate, expected):
    with pytest.raises(SepkitError, match=expected):
        audio.write(tmp_path / name, noise(), rate)


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("missing", "no such file"),
        ("folder", "is a folder"),
        ("empty", "is empty"),
        ("text", "not readable as audio"),
        ("zero length", "zero length"),
        ("six channels", "6 channels"),
        ("nan", "NaN"),
        ("inf", "infinite"),
        ("truncated", "cut off"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, spoil, kind, expected):
    path = tmp_path / ("a song, höher.flac" if kind == "truncated" else "a song, höher.wav")
    spoil(kind, path)
    with pytest.raises(SepkitError, match=expected) as error:
        audio.read(path)
    assert path.name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [8000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_unusual_rates_and_mono_are_welcome(tmp_path, rate, channels):
    x = noise(channels)
    audio.write(tmp_path / "x.wav", x, rate)
    y, new_rate = audio.read(tmp_path / "x.wav", sample_rate=44100, channels=2)
    assert new_rate == 44100 and y.shape == (2, math.ceil(4410 * 44100 / rate))
