"""Decoded tracks are exact, mapped, made again when songs change, and never half-written."""

import pickle

import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, loader, open_tracks
from sepkit.datasets.loader import decoded
from sepkit.errors import SepkitError

RATE = 1000


def write_song(folder, seed=0, samples=5000, stems=("vocals", "other")):
    generator = torch.Generator().manual_seed(seed)
    for stem in stems:
        noise = torch.randint(-32768, 32768, (2, samples), generator=generator).float() / 32768
        audio.write(folder / f"{stem}.wav", noise, RATE, subtype="PCM_16")


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_decoded_16_bit_tracks_are_exact(tmp_path, where):
    for seed in range(3):
        write_song(tmp_path / "data" / f"song{seed}", seed)
    tracks = open_tracks(tmp_path / "data")
    folder = None if where == "memory" else tmp_path / "cache"
    for _ in range(2):  # the second time from the cache
        for track, fast in zip(tracks, decoded(tracks, folder, notice=None), strict=True):
            assert (fast.name, fast.stems, fast.sample_rate, fast.samples, fast.channels) == (
                track.name,
                track.stems,
                RATE,
                5000,
                2,
            )
            assert torch.equal(fast.stem("vocals", 17, 900), track.stem("vocals", 17, 900))
            assert torch.equal(fast.mixture(17, 900), track.mixture(17, 900))


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_decoded_tracks_beyond_full_scale_are_exact(tmp_path, where):
    track = MemoryTrack(
        "t", {"vocals": torch.rand(2, 500), "other": 3 * torch.randn(2, 500)}, RATE
    )  # the second stem
    (fast,) = decoded([track], None if where == "memory" else tmp_path / "cache", notice=None)
    assert all(torch.equal(fast.stem(stem), track.stem(stem)) for stem in track.stems)


def test_resampled_tracks_are_rounded_to_16_bits(tmp_path):
    write_song(tmp_path / "song")
    (track,) = open_tracks(tmp_path, sample_rate=1470)
    quiet = MemoryTrack("t", {stem: x / 2 for stem, x in track.references().items()}, 1470)
    difference = decoded([quiet])[0].stem("other") - quiet.stem("other")
    assert 0 < difference.abs().max() <= 0.5 / 32768 + 1e-9


def test_the_cache_notices_changed_songs(tmp_path):
    for level in (0.25, 0.5):
        track = MemoryTrack("t", {"vocals": torch.full((1, 5000), level)}, RATE)
        assert decoded([track], tmp_path, notice=None)[0].stem("vocals").unique().tolist() == [
            level
        ]


def test_the_cache_notices_changed_files_of_the_same_size(tmp_path):
    for seed in (0, 1):
        write_song(tmp_path / "data" / "song", seed)
        tracks = open_tracks(tmp_path / "data")
        assert torch.equal(
            decoded(tracks, tmp_path / "cache", notice=None)[0].stem("other"),
            tracks[0].stem("other"),
        )
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_mapped_track_travels_without_its_samples(tmp_path):
    write_song(tmp_path / "data" / "song", samples=50_000)
    tracks = open_tracks(tmp_path / "data")
    (mapped,), (held,) = decoded(tracks, tmp_path / "cache", notice=None), decoded(tracks)
    assert len(pickle.dumps(mapped)) < 5000 < 400_000 < len(pickle.dumps(held))
    for fast in (mapped, held):
        assert torch.equal(
            pickle.loads(pickle.dumps(fast)).stem("other", 7, 99), tracks[0].stem("other", 7, 99)
        )


def test_disk_space_is_told_and_checked_before_it_is_taken(tmp_path, monkeypatch):
    for seed in range(2):
        write_song(tmp_path / "data" / f"song{seed}", seed, samples=250_000)
    tracks, cache = open_tracks(tmp_path / "data"), tmp_path / "cache"
    monkeypatch.setattr(
        loader, "free_bytes", lambda folder: 3_999_999
    )  # of 2 songs x 2 stems x 2 channels x 2 bytes x 250,000
    with pytest.raises(
        SepkitError,
        match=r"cache: 2 songs to decode need 0\.00 GB on disk; 0\.00 GB are free; free some space",
    ):
        decoded(tracks, cache)
    assert not cache.exists()
    monkeypatch.setattr(loader, "free_bytes", lambda folder: 4_000_000)
    with pytest.warns(loader.DiskSpace, match="2 songs to decode need 0.00 GB"):
        decoded(tracks, cache)
    used = sum(path.stat().st_size for path in cache.iterdir())
    assert 4_000_000 <= used < 4_001_000
    told = []
    decoded(tracks, cache, notice=told.append)  # nothing left to do
    assert told == []


def test_a_song_that_fails_leaves_no_half_written_file(tmp_path):
    write_song(tmp_path / "data" / "song")
    (track,) = open_tracks(tmp_path / "data")
    whole = (tmp_path / "data" / "song" / "vocals.wav").read_bytes()
    (tmp_path / "data" / "song" / "vocals.wav").write_bytes(whole[:9000])
    with pytest.raises(SepkitError, match="vocals.wav"):
        decoded([track], tmp_path / "cache", notice=None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_cache_is_named(tmp_path):
    write_song(tmp_path / "data" / "song")
    tracks = open_tracks(tmp_path / "data")
    decoded(tracks, tmp_path / "cache", notice=None)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(
        SepkitError, match=f"{file.name}: a damaged file of decoded samples .*; delete it"
    ):
        decoded(tracks, tmp_path / "cache")


def test_threads_stop_at_an_error():
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            raise SepkitError("no")
        return item

    assert loader.in_threads(str, range(20)) == [str(item) for item in range(20)]
    with pytest.raises(SepkitError):
        loader.in_threads(work, range(1000), workers=1)
    assert begun == [0]
