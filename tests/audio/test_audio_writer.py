"""Files as they are written: formats, equal bytes, tags, and nothing that was cut short."""

import hashlib
import io
import json
import math
import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile
import torch

from sepkit import audio
from sepkit.audio import writer
from sepkit.audio.tags import id3, read_tags
from sepkit.audio.writer import remove_stamps
from sepkit.errors import SepkitError
from sepkit.formats import ogg

TAGS = {
    "title": "Größe – ☃ 日本",
    "artist": "A'\"r%s",
    "album": "Two\nlines",
    "date": "1999",
    "tracknumber": "3/12",
    "genre": "Rock",
    "copyright": "(c) 🎵",
}
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffprobe")


def noise(channels=2, samples=4410, seed=0, level=0.1):
    return level * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "subtype, tolerance",
    [("PCM_16", 2**-16), ("pcm_24", 2**-24), ("PCM_32", 2**-25), ("FLOAT", 0), ("DOUBLE", 0)],
)
def test_wav_holds_the_samples_to_half_a_step_of_its_bit_depth(tmp_path, subtype, tolerance):
    x = noise().clamp(-0.99, 0.99)
    audio.write(tmp_path / "x.wav", x, 44100, subtype)
    assert soundfile.info(tmp_path / "x.wav").subtype == subtype.upper()
    assert (audio.read(tmp_path / "x.wav")[0] - x).abs().max() <= tolerance


@pytest.mark.parametrize(
    "name, options, expected",
    [
        (
            "x.wav",
            {"subtype": "PCM_12"},
            "unknown subtype of .wav 'PCM_12': choose from FLOAT, PCM_16",
        ),
        (
            "x.flac",
            {"subtype": "FLOAT"},
            "unknown subtype of .flac 'FLOAT': choose from PCM_24, PCM_16",
        ),
        ("x.mp3", {"subtype": "PCM_16"}, "choose from MPEG_LAYER_III"),
        ("x.wav", {"bitrate": 192}, "bit rate 192: only .mp3 takes one, not .wav"),
        (
            "x.mp3",
            {"bitrate": 100},
            "unknown bit rate of .mp3 at 44100 Hz, in kbit/s 100: choose from 64, 80",
        ),
        ("x.ogg", {"subtype": "OPUS"}, "Opus does not know 44100 Hz"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_what_it_can(tmp_path, name, options, expected):
    with pytest.raises(SepkitError, match=expected):
        audio.Writer(tmp_path / name, 44100, 2, **options)


@pytest.mark.parametrize("name, rate", [("x.ogg", 300_000), ("x.flac", 96_001), ("x.mp3", 96_000)])
def test_rates_that_would_crash_or_spoil_a_format_are_refused(tmp_path, name, rate):
    """libsndfile ends the process at Vorbis of 300 kHz."""
    with pytest.raises(SepkitError, match=f"does not know {rate} Hz; write .wav"):
        audio.Writer(tmp_path / name, rate, 2)


def test_a_bit_rate_is_checked_before_the_sample_rate_is_known():
    assert writer.output_format("x.mp3", bitrate=144) == ("MP3", "MPEG_LAYER_III")  # 24 kHz has it
    with pytest.raises(SepkitError, match="bit rate"):
        writer.output_format("x.mp3", bitrate=100)
    with pytest.raises(SepkitError, match="24000 Hz.*320"):
        writer.output_format("x.mp3", bitrate=320, sample_rate=24000)


@needs_ffmpeg
@pytest.mark.parametrize("rate", [44100, 22050, 11025])
def test_bit_rates_of_mp3_are_what_ffmpeg_finds(tmp_path, rate):
    rates = next(rates for low, rates in writer.BITRATES.items() if rate >= low)
    for bitrate in (rates[0], rates[2], rates[-1]):
        path = audio.write(tmp_path / f"{bitrate}.mp3", noise(samples=rate), rate, bitrate=bitrate)
        command = [
            "ffprobe",
            "-v",
            "error",
            "-show_entries",
            "stream=bit_rate,sample_rate",
            "-of",
            "json",
            str(path),
        ]
        (stream,) = json.loads(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )["streams"]
        assert (int(stream["bit_rate"]), int(stream["sample_rate"])) == (1000 * bitrate, rate)
        assert audio.info(path).samples == rate


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3", "x.ogg"])
def test_equal_audio_makes_equal_files_at_any_time(tmp_path, monkeypatch, name):
    """Files written within a second may be equal by chance: the stamp is looked for."""
    stamps = {}
    monkeypatch.setattr(
        writer,
        "remove_stamps",
        lambda path, kind: (stamps.update({kind: stamp(path)}), remove_stamps(path, kind)),
    )
    x = noise(samples=30_000)
    files = [audio.write(tmp_path / str(k) / name, x, 44100, tags=TAGS) for k in range(2)]
    assert digest(files[0]) == digest(files[1])
    assert all(set(found) != {0} for found in stamps.values() if found)  # as libsndfile leaves it
    assert stamp(files[0]) in (b"", bytes(4))
    raw = io.BytesIO()
    soundfile.write(
        raw,
        x.T.numpy(),
        44100,
        format=files[0].suffix[1:].upper(),
        subtype=writer.FORMATS[files[0].suffix][1][0],
    )
    raw.seek(0)
    assert torch.equal(
        audio.read(files[0])[0], torch.from_numpy(soundfile.read(raw, dtype="float32")[0].T)
    )


def stamp(path):
    """The time in PEAK, or the serial number of Ogg."""
    data = path.read_bytes()
    if data[:4] == b"OggS":
        return data[14:18]
    at = data.find(b"PEAK", 0, data.find(b"data"))
    return data[at + 12 : at + 16] if at > 0 else b""


def test_checksums_of_ogg_are_those_of_libogg(tmp_path):
    """Computed again over pages that libsndfile wrote, of unequal lengths."""
    soundfile.write(tmp_path / "x.ogg", noise(samples=100_000).T.numpy(), 44100)
    data, pages, stated = (tmp_path / "x.ogg").read_bytes(), [], []
    while data:
        length = 27 + data[26] + sum(data[27 : 27 + data[26]])
        page, data = bytearray(data[:length]), data[length:]
        stated.append(struct.unpack("<I", page[22:26])[0])
        page[22:26] = bytes(4)
        pages.append(page)
    assert len({len(page) for page in pages}) > 2
    assert [ogg.checksum(page) for page in pages] == stated


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3", "x.ogg"])
def test_tags_come_back_in_every_format(tmp_path, name):
    path = audio.write(
        tmp_path / name, noise(samples=30_000), 44100, tags={**TAGS, "license": "CC BY"}
    )
    license = {"license": "CC BY"} if path.suffix in (".flac", ".ogg") else {}
    assert read_tags(path) == {**TAGS, **license}
    assert audio.info(path).samples == 30_000


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3", "x.ogg"])
def test_tags_are_what_ffmpeg_finds(tmp_path, name):
    path = audio.write(tmp_path / name, noise(samples=30_000), 44100, tags=TAGS)
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format_tags:stream_tags",
        "-of",
        "json",
        str(path),
    ]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    tags = {**found["format"].get("tags", {}), **found["streams"][0].get("tags", {})}
    tags = {name.lower(): text for name, text in tags.items()}
    assert {**tags, "tracknumber": tags["track"]}.items() >= TAGS.items()


def test_tags_that_are_none_are_left_behind(tmp_path):
    assert read_tags(audio.write(tmp_path / "x.wav", noise(), 44100)) == {} and id3({}) == b""
    (tmp_path / "x.txt").write_text("no music")
    assert read_tags(tmp_path / "x.txt") == {} and read_tags(tmp_path / "missing") == {}
    path = audio.write(
        tmp_path / "x.flac", noise(), 44100, tags={"title": "x" * 1001, "album": " "}
    )
    assert read_tags(path) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_never_written(tmp_path, value):
    x = noise()
    x[1, 7] = value
    with pytest.raises(SepkitError, match="x.wav: NaN or infinite"):
        audio.write(tmp_path / "x.wav", x, 44100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3", "x.ogg"])
def test_a_file_that_lost_samples_on_closing_does_not_get_its_name(tmp_path, monkeypatch, name):
    """libsndfile tells nobody when the last bytes find no room."""
    close = soundfile.SoundFile.close

    def full(file):
        close(file)
        with open(file.name, "r+b") as cut:
            cut.truncate(len(cut.read()) // 2)

    monkeypatch.setattr(soundfile.SoundFile, "close", full)
    writer = audio.Writer(tmp_path / name, 44100, 2)
    with pytest.raises(
        SepkitError, match=rf"{name}: not all of its samples could be written; is the disk full"
    ):
        with writer as out:
            out.write(np.asarray(noise(samples=30_000)))
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())


@needs_ffmpeg
def test_tags_of_what_only_ffmpeg_reads(tmp_path):
    audio.write(tmp_path / "x.wav", noise(samples=44100), 44100)
    metadata = [
        part
        for tag, text in (
            ("title", "Größe 日本"),
            ("artist", "A"),
            ("track", "3/12"),
            ("comment", "no"),
        )
        for part in ("-metadata", f"{tag}={text}")
    ]
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(tmp_path / "x.wav"),
        *metadata,
        str(tmp_path / "x.m4a"),
    ]
    subprocess.run(command, check=True)
    assert read_tags(tmp_path / "x.m4a") == {
        "title": "Größe 日本",
        "artist": "A",
        "tracknumber": "3/12",
    }
