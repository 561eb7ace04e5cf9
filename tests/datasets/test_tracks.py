"""Tracks: every layout opens, any part reads exactly, bad songs are refused by name."""

import subprocess

import numpy as np
import pytest
import soundfile
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, data_set_name, open_tracks
from sepkit.datasets.musdb18 import VALIDATION, ffmpeg_missing
from sepkit.datasets.track import left_of_mixture, not_the_sum, rest_level
from sepkit.errors import Notice, SepkitError

RATE = 44100


def noise(seed, samples=30000, channels=2, level=0.1):
    return level * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def make_song(folder, stems=("vocals", "drums"), samples=30000, mixture=False, rate=RATE):
    parts = {stem: noise(i, samples) for i, stem in enumerate(stems)}
    for stem, x in parts.items():
        audio.write(folder / f"{stem}.wav", x, rate)
    if mixture:
        audio.write(folder / "mixture.wav", sum(parts.values()), rate)
    return parts


def test_a_part_of_a_stem_equals_the_part_of_the_whole(tmp_path):
    parts = make_song(tmp_path / "song")
    (track,) = open_tracks(tmp_path)
    assert torch.equal(track.stem("vocals", 1000, 500), parts["vocals"][:, 1000:1500])
    assert torch.equal(track.mixture(20, 30), (parts["vocals"] + parts["drums"])[:, 20:50])
    assert (track.samples, track.sample_rate, track.channels, track.stems) == (
        30000,
        RATE,
        2,
        ("vocals", "drums"),
    )


def test_only_the_asked_part_is_read(tmp_path, monkeypatch):
    make_song(tmp_path / "song")
    (track,) = open_tracks(tmp_path)
    asked = []
    real = audio.read
    monkeypatch.setattr(
        audio,
        "read",
        lambda path, start, frames, **k: asked.append(frames) or real(path, start, frames, **k),
    )
    track.stem("vocals", 5, 10)
    assert asked == [10]


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_a_resampled_part_equals_the_part_of_the_resampled_whole(tmp_path, rate):
    parts = make_song(tmp_path / "song")
    (track,) = open_tracks(tmp_path, sample_rate=rate)
    whole = audio.resample(parts["drums"], RATE, rate)
    assert track.sample_rate == rate and track.samples == whole.shape[-1]
    for start, frames in [(0, 100), (777, 2001), (track.samples - 50, 50)]:
        part = track.stem("drums", start, frames)
        assert (part - whole[:, start : start + frames]).abs().max() < 1e-6
    assert (track.stem("drums") - whole).abs().max() < 1e-6


def test_mono_is_made_stereo_only_on_request(tmp_path):
    audio.write(tmp_path / "song" / "speech.wav", noise(0, channels=1), 16000)
    audio.write(tmp_path / "song" / "noise.wav", noise(1, channels=1), 16000)
    (mono,) = open_tracks(tmp_path)
    (stereo,) = open_tracks(tmp_path, channels=2)
    assert mono.stems == ("speech", "noise") and mono.mixture().shape == (1, 30000)
    assert torch.equal(stereo.stem("speech"), mono.stem("speech").repeat(2, 1))


def test_float_samples_beyond_full_scale_are_kept(tmp_path):
    loud = noise(0, level=1.0)
    audio.write(tmp_path / "song" / "vocals.wav", loud, RATE)
    assert torch.equal(open_tracks(tmp_path)[0].stem("vocals"), loud)


def test_a_mixture_file_is_used_as_it_is(tmp_path):
    make_song(tmp_path / "song")
    mastered = noise(9)
    audio.write(tmp_path / "song" / "mixture.wav", mastered, RATE)
    (track,) = open_tracks(tmp_path)
    assert track.has_mixture and torch.equal(track.mixture(), mastered)


def test_splits_of_a_train_and_test_layout(tmp_path):
    for i in range(14):
        make_song(tmp_path / "train" / f"song {i:02d}", samples=100)
    make_song(tmp_path / "test" / "last", samples=100)
    names = {
        split: [t.name for t in open_tracks(tmp_path, split)]
        for split in ("train", "valid", "test")
    }
    assert names["test"] == ["last"] and len(names["valid"]) == 2 and len(names["train"]) == 12
    assert not set(names["train"]) & set(names["valid"])
    assert len(open_tracks(tmp_path)) == 15


def test_musdb_validation_songs_are_recognised(tmp_path):
    for name in [*sorted(VALIDATION)[:3], *"abcdefgh"]:
        make_song(tmp_path / "train" / name, samples=100)
    assert {t.name for t in open_tracks(tmp_path, "valid")} == set(sorted(VALIDATION)[:3])


def test_a_song_folder_itself_opens(tmp_path):
    make_song(tmp_path / "my song", stems=("vocals", "kazoo"), mixture=True)
    (track,) = open_tracks(tmp_path / "my song", "test")
    assert track.name == "my song" and track.stems == ("vocals", "kazoo")


@pytest.mark.parametrize(
    "other, expected",
    [
        (
            dict(samples=30000 + RATE // 2 + 1, rate=RATE),
            f"30000 samples differ from {30001 + RATE // 2} in vocals.wav, by more than 0.5 s",
        ),
        (dict(samples=30000, rate=48000), "sample rate 48000 differs from 44100"),
    ],
)
def test_stems_that_do_not_match_are_refused_naming_both(tmp_path, other, expected):
    audio.write(tmp_path / "song" / "bass.wav", noise(0), RATE)
    audio.write(tmp_path / "song" / "vocals.wav", noise(1, other["samples"]), other["rate"])
    with pytest.raises(SepkitError, match=expected) as told:
        open_tracks(tmp_path)
    assert "vocals.wav" in str(told.value) and "bass.wav" in str(told.value)


def test_stems_of_nearly_one_length_are_padded_with_a_note(tmp_path):
    short, long = noise(0), noise(1, 30000 + RATE // 2)
    for song in ("one", "two"):
        audio.write(tmp_path / song / "bass.wav", short, RATE)
        audio.write(tmp_path / song / "vocals.wav", long, RATE)
    with pytest.warns(Notice) as told:
        one, _ = open_tracks(tmp_path)
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path / 'one'}: padded with silence to the length of vocals.wav: bass.wav by 22050 "
        "samples (and 1 songs more like this)"
    ]
    padded = torch.nn.functional.pad(short, (0, RATE // 2))
    assert (
        one.samples == 52050
        and torch.equal(one.stem("bass"), padded)
        and torch.equal(one.stem("vocals"), long)
    )
    assert torch.equal(one.mixture(), padded + long)
    for start, frames in ((29990, 20), (30000, 5), (40000, 100)):
        assert torch.equal(one.stem("bass", start, frames), padded[:, start : start + frames])


def test_a_mixture_that_is_not_the_sum_is_told_with_its_level(tmp_path):
    stems = {"a": noise(0), "b": noise(1)}
    mixture = sum(stems.values())
    rest = noise(2) * mixture.norm() / noise(2).norm()
    for gain, told in ((0, False), (0.09, False), (0.11, True), (10 ** (-15 / 20), True)):
        track = MemoryTrack("song", stems, RATE, mixture + gain * rest)
        level = left_of_mixture(track)
        assert level == pytest.approx(rest_level(mixture + gain * rest, stems.values()), abs=1e-9)
        if gain:
            assert level == pytest.approx(20 * np.log10(gain / np.sqrt(1 + gain**2)), abs=0.05)
        text = not_the_sum([MemoryTrack("fine", stems, RATE), track, track])
        assert (text is not None) == told
    assert text.startswith(
        "song: the mixture is not the sum of its stems: what they leave of it lies at -15.1 dB of "
        "the mixture"
    )
    assert (
        text.endswith("the sum is used")
        and left_of_mixture(MemoryTrack("sum", stems, RATE)) == -np.inf
    )
    late = MemoryTrack("late", stems, RATE, torch.cat([mixture[:, :20000], rest[:, 20000:]], -1))
    assert (
        left_of_mixture(late) > -10 and left_of_mixture(late, seconds=0.1) < -100
    )  # its middle is in order


@pytest.mark.parametrize(
    "call, expected",
    [
        (lambda p: open_tracks(p), "no songs found"),
        (
            lambda p: open_tracks(p / "nowhere"),
            "neither a folder nor one of the data sets band, musdb7s",
        ),
        (lambda p: open_tracks("musdb18hq", root=p), "MUSDB18-HQ.*zenodo.*use another data set"),
        (lambda p: open_tracks(p, "dev"), "unknown split 'dev': choose from train, valid, test"),
    ],
)
def test_nothing_to_open_is_an_error_that_says_what_to_do(tmp_path, call, expected):
    with pytest.raises(SepkitError, match=expected):
        call(tmp_path)


def test_a_song_without_stems_and_a_doubled_stem(tmp_path):
    audio.write(tmp_path / "song" / "mixture.wav", noise(0), RATE)
    with pytest.raises(SepkitError, match="no stems found"):
        open_tracks(tmp_path)
    audio.write(tmp_path / "song" / "vocals.wav", noise(0), RATE)
    audio.write(tmp_path / "song" / "vocals.flac", noise(0), RATE)
    with pytest.raises(SepkitError, match="keep one file a stem"):
        open_tracks(tmp_path)


def test_unknown_stem_and_parts_outside_the_track(tmp_path):
    track = MemoryTrack("demo", {"vocals": noise(0), "drums": noise(1)}, RATE)
    with pytest.raises(
        SepkitError, match="unknown stem of demo 'piano': choose from vocals, drums"
    ):
        track.stem("piano")
    with pytest.raises(SepkitError, match="has 30000"):
        track.mixture(29999, 2)
    with pytest.raises(SepkitError, match="one shape"):
        MemoryTrack("odd", {"a": noise(0), "b": noise(1, 10)}, RATE)


def test_names_under_which_scores_are_kept(tmp_path):
    assert data_set_name("band") == "band"
    assert data_set_name(tmp_path / "My songs") == "folder:My songs"


@pytest.mark.skipif(ffmpeg_missing() is not None, reason="ffmpeg is not installed")
def test_stem_mp4_reads_parts_exactly_and_keeps_what_decodes(tmp_path):
    stempeg = pytest.importorskip("stempeg")
    t = np.arange(2 * RATE) / RATE
    data = (
        np.stack([np.stack([np.sin(2 * np.pi * f * t)] * 2, -1) for f in (200, 300, 400, 500, 600)])
        * 0.2
    )
    (tmp_path / "test").mkdir()
    stempeg.write_stems(
        str(tmp_path / "test" / "A - B.stem.mp4"), data, RATE, writer=stempeg.StreamsWriter()
    )
    (track,) = open_tracks(tmp_path, "test")
    whole = track.stem("vocals")
    assert track.name == "A - B" and whole.shape == (2, track.samples) and track.samples >= 2 * RATE
    assert torch.equal(track.stem("vocals", 30001, 1000), whole[:, 30001:31001])
    peak = torch.fft.rfft(track.stem("bass")[0, :RATE]).abs().argmax()
    assert abs(int(peak) - 400) <= 1  # bass is the third stream


@pytest.mark.skipif(ffmpeg_missing() is not None, reason="ffmpeg is not installed")
def test_a_stem_mp4_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "A.stem.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=4"]
    maps = [word for _ in range(5) for word in ("-map", "0")]
    command = ["ffmpeg", "-v", "error", *tone, *maps, "-ac", "2", "-movflags", "+faststart"]
    subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL)
    (track,) = open_tracks(tmp_path)
    assert track.samples >= 4 * RATE and track.stem("vocals").abs().max() > 0.05
    path.write_bytes(path.read_bytes()[:-20_000])
    (track,) = open_tracks(tmp_path)
    with pytest.raises(SepkitError, match=r"A\.stem\.mp4: (cut off|damaged)"):
        track.mixture()


def test_stem_mp4_without_ffmpeg_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "A.stem.mp4").write_bytes(b"0")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SepkitError, match="apt install ffmpeg"):
        open_tracks(tmp_path)


def test_a_file_that_only_looks_like_wav_is_named(tmp_path):
    make_song(tmp_path / "song")
    (tmp_path / "song" / "vocals.wav").write_text("no audio here")
    with pytest.raises(SepkitError, match="vocals.wav: not readable as audio"):
        open_tracks(tmp_path)
    soundfile.write(
        tmp_path / "song" / "vocals.wav", np.full((30000, 2), np.nan), RATE, subtype="FLOAT"
    )
    with pytest.raises(SepkitError, match="vocals.wav: holds NaN"):
        open_tracks(tmp_path)[0].mixture()
