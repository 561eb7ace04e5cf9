"""Formats: all the samples that are in a file, from any sample on, or an error that names it."""

import io
import os
import pickle
import socket
import struct
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from sepkit import audio, cli, formats
from sepkit.datasets.folders import FolderTrack
from sepkit.errors import SepkitError
from sepkit.formats import mpeg

from . import audio_corpus

RATE = audio_corpus.RATE
DELAY = 1105  # LAME's 576 samples and a decoder's 529
needs_ffmpeg = pytest.mark.skipif(not audio_corpus.HAVE_FFMPEG, reason="ffmpeg is not installed")


def encoded(format, subtype=None, seconds=1.5, seed=0, channels=2, rate=RATE, **options):
    """The bytes of a file of music."""
    file = io.BytesIO()
    x = audio_corpus.music(seconds, seed, channels)
    soundfile.write(file, x, rate, format=format, subtype=subtype, **options)
    return file.getvalue()


def mp3(**options):
    return encoded("MP3", bitrate_mode="VARIABLE", **options)


def frames_of(data):
    """The MPEG frames of a file without tags, its Xing header first."""
    found, at = [], 0
    while frame := mpeg.frame_at(data, at):
        found.append(data[at : at + frame.bytes])
        at += frame.bytes
    return found


def samples(path):
    return audio.read(path)[0]


@pytest.fixture
def file(tmp_path):
    """``file(name, bytes)`` writes a file and returns its path."""

    def written(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return written


def test_a_variable_mp3_without_its_header_is_read_to_its_end(file):
    whole = mp3()
    header, *frames = frames_of(whole)
    assert b"Xing" in header
    bare = samples(file("bare.mp3", b"".join(frames)))
    assert bare.shape[-1] == 1152 * len(frames)
    x = samples(file("whole.mp3", whole))
    assert x.shape[-1] == int(1.5 * RATE)  # delay and padding are left out
    assert torch.allclose(bare[:, DELAY:][:, : x.shape[-1]], x, atol=1e-6)


def test_joined_mp3_files_are_read_to_the_end_of_the_last(file):
    first, second = mp3(seed=0), encoded("MP3", seed=1, bitrate_mode="CONSTANT")
    tag = b"TAG" + b"Song".ljust(125, b"\0")
    x = samples(file("joined.mp3", first + tag + second))
    audio_frames = len(frames_of(first)) + len(frames_of(second)) - 2  # without the headers
    assert x.shape[-1] == 1152 * audio_frames - DELAY
    alone = samples(file("alone.mp3", first))
    assert torch.allclose(x[:, : alone.shape[-1]], alone, atol=1e-6)
    last = samples(file("last.mp3", second))
    start = x.shape[-1] - 1152 * (len(frames_of(second)) - 1) + DELAY
    assert torch.allclose(x[:, start:][:, : last.shape[-1]], last, atol=1e-6)


def test_an_mp3_that_lacks_frames_of_its_header_is_refused(file):
    whole = mp3()
    with pytest.raises(SepkitError, match=r"cut\.mp3: cut off .* frames are there"):
        audio.info(file("cut.mp3", whole[: len(whole) // 2]))


def test_damage_between_mp3_frames_is_told_and_costs_no_more_than_a_frame(file):
    _, *frames = frames_of(mp3())
    broken = [b"".join(frames[:20]), b"\0\1" + frames[20][2:], b"".join(frames[21:])]
    path = file("broken.mp3", b"".join(broken))
    with pytest.warns(audio.AudioWarning, match="broken.mp3: .* no MPEG frames"):
        assert samples(path).shape[-1] == 1152 * (len(frames) - 1)


def test_joined_mp3_files_of_different_rates_are_refused(file):
    with pytest.raises(SepkitError, match="44100 Hz, 2 channel.* to 48000 Hz"):
        audio.info(file("rates.mp3", mp3() + mp3(rate=48000)))


def test_an_mp3_inside_a_wav_file(file):
    _, *frames = frames_of(encoded("MP3", bitrate_mode="CONSTANT"))
    data = b"".join(frames)
    extra = struct.pack("<HIHHH", 1, 2, len(frames[0]), 1, 1393)
    fmt = struct.pack("<HHIIHHH", 0x55, 2, RATE, 16000, 1, 0, len(extra)) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", len(data)) + data
    wav = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    assert torch.equal(samples(file("mp3.wav", wav)), samples(file("same.mp3", data)))


@pytest.mark.parametrize("name, subtype", [("x.ogg", "VORBIS"), ("x.opus", "OPUS")])
def test_chained_ogg_streams_are_read_one_after_another(file, name, subtype):
    rate = 48000 if subtype == "OPUS" else RATE
    parts = [encoded("OGG", subtype, seed=seed, rate=rate) for seed in (0, 1)]
    alone = [samples(file(f"{seed}{name}", part)) for seed, part in enumerate(parts)]
    assert torch.equal(samples(file(name, b"".join(parts))), torch.cat(alone, dim=-1))


def test_every_flipped_bit_of_an_ogg_file_is_noticed(file):
    data = encoded("OGG", "VORBIS", seconds=0.5)
    rng = np.random.default_rng(0)
    for at in (*range(30), *rng.integers(0, len(data), 40)):
        broken = bytearray(data)
        broken[at] ^= 1 << rng.integers(8)
        with pytest.raises(SepkitError, match=r"x\.ogg"):
            audio.info(file("x.ogg", broken))


def test_a_flac_file_from_a_pipe_is_read_to_its_end(file):
    data = bytearray(encoded("FLAC", "PCM_16"))
    whole = samples(file("whole.flac", data))
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])  # the number of samples: unknown
    assert torch.equal(samples(file("pipe.flac", data)), whole)
    part = audio.read(file("pipe.flac", data), 40000, 9000)[0]
    assert torch.equal(part, whole[:, 40000:49000])
    with pytest.raises(SepkitError, match="pipe.flac: cut off"):
        audio.info(file("pipe.flac", data[: len(data) // 2]))


def test_a_flac_header_that_promises_too_little_is_refused(file):
    data = bytearray(encoded("FLAC", "PCM_16"))
    data[25] ^= 0x40
    with pytest.raises(SepkitError, match="x.flac: cut off or damaged, 66150 of"):
        audio.info(file("x.flac", data))


@pytest.mark.parametrize(
    "name, head, filling",
    [
        ("x.wav", b"RIFF\xff\xff\xff\x7fWAVE", b"LIST\0\0\0\0"),
        ("x.aiff", b"FORM\x7f\xff\xff\xffAIFF", b"NAME\0\0\0\0"),
        ("x.mp3", b"", b"\xff"),
    ],
)
def test_a_file_that_is_made_to_waste_time_is_given_up(file, name, head, filling):
    frames = b"".join(frames_of(mp3())) if name == "x.mp3" else b""
    tail = encoded("WAV", "PCM_16")[12:] if name == "x.wav" else frames
    with pytest.raises(SepkitError, match=rf"{name}: (cut off or damaged|damaged, little)"):
        audio.info(file(name, head + frames + filling * (5_000_000 // len(filling)) + tail))


def test_a_wav_file_whose_count_of_bytes_has_overflowed_is_refused(file):
    path = file("long.wav", encoded("WAV", "PCM_16"))
    os.truncate(path, path.stat().st_size + (1 << 32))  # takes no room
    with pytest.raises(SepkitError, match=r"long\.wav: larger than 4 GiB"):
        audio.info(path)


def test_what_is_known_about_a_file_travels_to_other_processes(file):
    for name, data in [("x.mp3", mp3()), ("x.opus", encoded("OGG", "OPUS", rate=48000))]:
        known = audio.info(file(name, data))
        there = pickle.loads(pickle.dumps(known))
        assert there == known
        x, y = (audio.read(known.path, 500, 900, header=header)[0] for header in (known, there))
        assert torch.equal(x, y)


CUT = [
    ("x.wav", "WAV", "PCM_16"),
    ("x.wav", "WAV", "FLOAT"),
    ("x.wav", "WAV", "IMA_ADPCM"),
    ("x.wav", "RF64", "PCM_24"),
    ("x.w64", "W64", "PCM_16"),
    ("x.aiff", "AIFF", "PCM_24"),
    ("x.caf", "CAF", "PCM_16"),
    ("x.caf", "CAF", "ALAC_16"),
    ("x.au", "AU", "FLOAT"),
    ("x.flac", "FLAC", "PCM_16"),
    ("x.ogg", "OGG", "VORBIS"),
    ("x.opus", "OGG", "OPUS"),
    ("x.mp3", "MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize("name, format, subtype", CUT)
def test_a_file_that_was_cut_off_is_refused_by_name_before_it_is_read(file, name, format, subtype):
    data = encoded(format, subtype, rate=48000)
    whole = audio.info(file(name, data))
    assert whole.samples >= int(1.5 * RATE) and samples(whole.path).isfinite().all()
    for share in (0.3, 0.7, 0.99):
        with pytest.raises(SepkitError, match=rf"{name}: cut off"):
            audio.info(file(name, data[: int(share * len(data))]))


WHOLE = [*CUT, ("x.wav", "WAV", "ULAW"), ("x.wav", "WAV", "MS_ADPCM"), ("x.wav", "WAV", "GSM610")]


@pytest.mark.parametrize("name, format, subtype", WHOLE)
def test_every_part_equals_the_part_of_the_whole(file, name, format, subtype):
    channels = 1 if subtype in ("GSM610", "IMA_ADPCM") else 2
    path = file(name, encoded(format, subtype, seconds=3, channels=channels, rate=48000))
    whole, _ = audio.read(path)
    rng, n = np.random.default_rng(0), whole.shape[-1]
    starts = [*rng.integers(0, n, 12), n - 1, n - 700, n - 5000]  # also in the last page
    for start in map(int, starts):
        frames = int(rng.integers(1, min(n - start, 30000) + 1))
        part, _ = audio.read(path, start, frames)
        assert torch.equal(part, whole[:, start : start + frames]), (start, frames)


def test_a_part_of_an_mp3_that_borrows_from_many_frames_before(file):
    path = file(
        "low.mp3",
        encoded(
            "MP3",
            seconds=12,
            channels=1,
            rate=16000,
            bitrate_mode="CONSTANT",
            compression_level=0.99,
        ),
    )
    whole, _ = audio.read(path)
    for start in range(50_000, whole.shape[-1] - 3000, 40_000):
        assert torch.equal(audio.read(path, start, 3000)[0], whole[:, start : start + 3000])


def test_samples_far_beyond_full_scale_are_told_once(file, tmp_path):
    x = torch.zeros(1, 1000)
    x[0, 500] = 99
    audio.write(tmp_path / "loud.wav", x, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(samples(tmp_path / "loud.wav"), x)
    audio.write(tmp_path / "damaged.wav", 2 * x, RATE)
    with pytest.warns(audio.AudioWarning, match="damaged.wav: .*40 dB beyond full scale"):
        assert torch.equal(samples(tmp_path / "damaged.wav"), 2 * x)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    "kind, expected",
    [
        ("link", "broken link to nowhere.wav"),
        ("pipe", "is a pipe"),
        ("socket", "is a socket"),
        ("device", "is a device"),
    ],
)
def test_what_is_no_regular_file_is_named_alone_and_among_stems(
    tmp_path, monkeypatch, kind, expected
):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    audio.write("vocals.wav", torch.zeros(1, 100), RATE)
    if kind == "link":
        os.symlink("nowhere.wav", "drums.wav")
    elif kind == "device":
        os.symlink("/dev/zero", "drums.wav")
    elif kind == "pipe":
        os.mkfifo("drums.wav")
    else:
        socket.socket(socket.AF_UNIX).bind("drums.wav")
    for reading in (lambda: audio.info("drums.wav"), lambda: FolderTrack(tmp_path)):
        with pytest.raises(
            SepkitError, match=rf"drums\.wav: is .*{expected}|drums\.wav: {expected}"
        ):
            reading()


def test_stems_may_have_any_readable_format(tmp_path):
    for name, format, subtype in [
        ("vocals.aiff", "AIFF", "PCM_24"),
        ("drums.caf", "CAF", "PCM_16"),
        ("bass.oga", "OGG", "VORBIS"),
    ]:
        (tmp_path / name).write_bytes(encoded(format, subtype))
    track = FolderTrack(tmp_path)
    assert track.stems == ("vocals", "drums", "bass")
    assert torch.equal(track.stem("vocals", 100, 50), samples(tmp_path / "vocals.aiff")[:, 100:150])


def test_the_page_and_the_help_name_the_formats_that_are_read():
    page = Path(__file__).resolve().parents[2] / "docs" / "pages" / "command-line.md"
    assert f"What can be read:** {formats.READABLE}." in page.read_text(encoding="utf-8")
    said = CliRunner().invoke(cli.app, ["separate", "--help"], env={"COLUMNS": "300"}).stdout
    assert formats.READABLE in " ".join(said.replace("│", " ").split())


def test_one_sample_of_stereo_is_resampled():
    x = torch.tensor([[0.5], [-0.25]])
    for rate in (22050, 48000, 192000):
        assert audio.resample(x, RATE, rate).shape == (2, audio.resampled_length(1, RATE, rate))
    assert audio.resample(x[:, :0], RATE, 48000).shape == (2, 0)
    mono = audio.resample(x[:1], RATE, 48000)
    assert torch.allclose(audio.resample(x, RATE, 48000), torch.cat([mono, -mono / 2]))


def test_without_ffmpeg_its_formats_are_refused_with_the_remedy(file, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SepkitError, match="x.m4a: .*without ffmpeg.*install ffmpeg") as error:
        audio.info(file("x.m4a", b"\0\0\0\x20ftypM4A " + bytes(100)))
    assert formats.READABLE in str(error.value) and "\n" not in str(error.value)


@needs_ffmpeg
@pytest.mark.parametrize(
    "name", ["aac.m4a", "alac.m4a", "wma2.wma", "opus.webm", "f32.w64", "alac.caf"]
)
def test_what_ffmpeg_reads_for_us_has_its_samples(tmp_path, name):
    path = audio_corpus.make(tmp_path, names=(name,))[name]
    expected, rate, _ = audio_corpus.reference(path)
    x, its_rate = audio.read(path)
    assert its_rate == rate and x.shape[-1] == len(expected) >= 65536
    assert np.abs(x.numpy().T - expected).max() < 4e-3 * ("opus" in name) + 1e-6
    assert torch.equal(audio.read(path, 30000, 777)[0], x[:, 30000:30777])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(SepkitError, match=name):
        audio.info(path)


@needs_ffmpeg
def test_what_ffmpeg_decodes_is_decoded_once(tmp_path, monkeypatch):
    path = audio_corpus.make(tmp_path, names=("alac.m4a",))["alac.m4a"]
    whole = samples(path)
    monkeypatch.setenv("PATH", "")  # no ffmpeg any more
    for start in range(0, 60000, 7000):
        assert torch.equal(audio.read(path, start, 7000)[0], whole[:, start : start + 7000])


@needs_ffmpeg
def test_a_playlist_under_the_name_of_a_song_opens_no_other_file(file, tmp_path):
    audio.write(tmp_path / "secret.wav", torch.zeros(1, 50000), RATE)
    list_of_one = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{tmp_path / 'secret.wav'}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(SepkitError, match=r"song\.m4a: not readable as audio \(readable: WAV, "):
        audio.info(file("song.m4a", list_of_one.encode()))


@needs_ffmpeg
def test_ffmpeg_that_does_not_come_to_an_end_is_stopped(file, monkeypatch):
    def slow(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(SepkitError, match="x.m4a: ffmpeg took more than"):
        audio.info(file("x.m4a", b"\0\0\0\x20ftypM4A " + bytes(100)))
