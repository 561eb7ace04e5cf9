"""Decoded tracks are exact and mapped; batches do not depend on workers, processes or interruptions."""

import gc
import multiprocessing
import os
import pickle
import types

import numpy as np
import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack, loading, open_tracks, remix
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.loading import decoded, loader
from sepkit.errors import SepkitError
from sepkit.training_recipe import Recipe

RATE = 1000
STEMS = ("vocals", "drums", "bass", "other")


def write_song(folder, seed=0, samples=5000, stems=("vocals", "other")):
    generator = torch.Generator().manual_seed(seed)
    for stem in stems:
        noise = torch.randint(-32768, 32768, (2, samples), generator=generator).float() / 32768
        audio.write(folder / f"{stem}.wav", noise, RATE, subtype="PCM_16")


# --- decoded tracks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_decoded_16_bit_tracks_are_exact(tmp_path, where):
    for seed in range(3):
        write_song(tmp_path / "data" / f"song{seed}", seed)
    tracks = open_tracks(tmp_path / "data")
    folder = None if where == "memory" else tmp_path / "cache"
    for _ in range(2):  # the second time from the cache
        for track, fast in zip(tracks, decoded(tracks, folder, notice=None), strict=True):
            assert (fast.name, fast.stems, fast.sample_rate, fast.samples, fast.channels) == (track.name, track.stems, RATE, 5000, 2)
            assert torch.equal(fast.stem("vocals", 17, 900), track.stem("vocals", 17, 900))
            assert torch.equal(fast.mixture(17, 900), track.mixture(17, 900))


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_decoded_tracks_beyond_full_scale_are_exact(tmp_path, where):
    track = MemoryTrack("t", {"vocals": torch.rand(2, 500), "other": 3 * torch.randn(2, 500)}, RATE)  # the second stem
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
        assert decoded([track], tmp_path, notice=None)[0].stem("vocals").unique().tolist() == [level]


def test_the_cache_notices_changed_files_of_the_same_size(tmp_path):
    for seed in (0, 1):
        write_song(tmp_path / "data" / "song", seed)
        tracks = open_tracks(tmp_path / "data")
        assert torch.equal(decoded(tracks, tmp_path / "cache", notice=None)[0].stem("other"), tracks[0].stem("other"))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_mapped_track_travels_without_its_samples(tmp_path):
    write_song(tmp_path / "data" / "song", samples=50_000)
    tracks = open_tracks(tmp_path / "data")
    (mapped,), (held,) = decoded(tracks, tmp_path / "cache", notice=None), decoded(tracks)
    assert len(pickle.dumps(mapped)) < 5000 < 400_000 < len(pickle.dumps(held))
    for fast in (mapped, held):
        assert torch.equal(pickle.loads(pickle.dumps(fast)).stem("other", 7, 99), tracks[0].stem("other", 7, 99))


def test_disk_space_is_told_and_checked_before_it_is_taken(tmp_path, monkeypatch):
    for seed in range(2):
        write_song(tmp_path / "data" / f"song{seed}", samples=250_000)
    tracks, cache = open_tracks(tmp_path / "data"), tmp_path / "cache"
    monkeypatch.setattr(loading, "free_bytes", lambda folder: 3_999_999)  # of 2 songs x 2 stems x 2 channels x 2 bytes x 250,000
    with pytest.raises(SepkitError, match=r"cache: 2 songs to decode need 0\.00 GB on disk; 0\.00 GB are free; free some space"):
        decoded(tracks, cache)
    assert not cache.exists()
    monkeypatch.setattr(loading, "free_bytes", lambda folder: 4_000_000)
    with pytest.warns(loading.DiskSpace, match="2 songs to decode need 0.00 GB"):
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
    with pytest.raises(SepkitError, match=f"{file.name}: a damaged file of decoded samples .*; delete it"):
        decoded(tracks, tmp_path / "cache")


def test_threads_stop_at_an_error():
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            raise SepkitError("no")
        return item

    assert loading.in_threads(str, range(20)) == [str(item) for item in range(20)]
    with pytest.raises(SepkitError):
        loading.in_threads(work, range(1000), workers=1)
    assert len(begun) < 1000


# --- batches ----------------------------------------------------------------------------------------------


def songs(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [MemoryTrack(f"t{i}", {s: torch.randn(2, 3000, generator=generator) for s in STEMS}, RATE) for i in range(count)]


def recipe(batch=4, workers=0):
    return Recipe(batch=batch, workers=workers)


def epoch(chunks, number=0, **options):
    """The batches of an epoch as [(stems, indices)]."""
    chunks.set_epoch(number)
    given = {name: options.pop(name) for name in ("batch", "workers") if name in options}
    return [(stems.clone(), indices.tolist()) for stems, indices in loader(chunks, recipe(**given), **options)]


def same(some, others):
    return len(some) == len(others) and all(a[1] == b[1] and torch.equal(a[0], b[0]) for a, b in zip(some, others))


def test_batches_hold_every_example_once_in_order():
    chunks = Chunks(songs(), 1.0, per_track=6)
    batches = epoch(chunks)
    assert [indices for _, indices in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [16, 17]]
    for stems, indices in batches:
        assert torch.equal(stems, torch.stack([chunks[index][0] for index in indices])) and stems.dtype == torch.float32


def test_workers_stay_and_change_nothing():
    plain, working = (Chunks(songs(), 1.0, per_track=6, mix_prob=0.5) for _ in range(2))
    here = set(multiprocessing.active_children())
    assert same(epoch(working, 0, workers=2), epoch(plain, 0))
    processes = set(multiprocessing.active_children()) - here
    assert len(processes) == 2
    for number in (1, 5, 0):  # other epochs, from the same processes
        assert same(epoch(working, number, workers=2), epoch(plain, number))
    assert same(epoch(working, 5, workers=2, skip=3), epoch(plain, 5)[3:])
    assert set(multiprocessing.active_children()) - here == processes
    working.itself = working  # a cycle, as in a class that keeps its bound methods
    del working
    gc.collect()
    for process in processes:
        process.join(10)
    assert not any(process.is_alive() for process in processes)


def test_an_epoch_that_is_broken_off_leaves_nothing_behind():
    plain, working = (Chunks(songs(), 1.0, per_track=6) for _ in range(2))
    working.set_epoch(0)
    for _ in loader(working, recipe(workers=2)):
        break
    assert same(epoch(working, 1, workers=2), epoch(plain, 1))


def test_what_a_worker_does_can_be_sent_to_a_fresh_process():
    """On macOS and Windows workers are not copies of the process that starts them."""
    chunks = Chunks(songs(), 1.0, per_track=6)
    epoch(chunks, workers=1)
    stems, indices = pickle.loads(pickle.dumps(loading._Fetch(chunks)))[2, [3, 4]]
    chunks.set_epoch(2)
    assert torch.equal(stems, chunks.stack([3, 4])) and indices.tolist() == [3, 4]


@pytest.mark.parametrize("skip", [0, 1, 4, 5])
def test_an_interrupted_epoch_goes_on_where_it_stopped(skip):
    chunks = Chunks(songs(), 1.0, per_track=6)
    assert same(epoch(chunks, 3, skip=skip), epoch(chunks, 3)[skip:])


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_batch_of_one(world):
    chunks = Chunks(songs(), 1.0, per_track=9)  # 27 examples
    ranks = [epoch(chunks, 0, batch=2, rank=rank, world=world) for rank in range(world)]
    whole = epoch(chunks, 0, batch=2 * world)
    assert len({len(batches) for batches in ranks}) == 1 and len(ranks[0]) == 27 // (2 * world)
    for number, parts in enumerate(zip(*ranks)):
        assert same([(torch.cat([stems for stems, _ in parts]), sum((indices for _, indices in parts), []))], [whole[number]])
    assert same(epoch(chunks, 0, batch=2, rank=1, world=world, skip=2), ranks[1][2:])


def test_workers_leave_the_random_numbers_of_the_loop_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    epoch(Chunks(songs(), 1.0, per_track=2), workers=1)
    assert torch.equal(torch.rand(1), expected)


class Broken(MemoryTrack):
    """A track that cannot be read from sample `first` on; `end` says how."""

    def _read_file(self, name, start, frames):
        if start >= 1500:
            self.end()
        return super()._read_file(name, start, frames)

    def end(self):
        error = SepkitError("song.wav: broken off; copy it again")
        error.number = 7
        raise error


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_is(workers):
    chunks = Chunks([Broken("t", {"vocals": torch.randn(1, 3000)}, RATE)], 1.0, per_track=16)
    with pytest.raises(SepkitError) as caught:
        epoch(chunks, workers=workers)
    assert str(caught.value) == "song.wav: broken off; copy it again" and caught.value.number == 7


class Killed(Broken):
    def end(self):
        os._exit(9)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torch also complains while it tidies up
def test_the_death_of_a_worker_is_explained():
    chunks = Chunks([Killed("t", {"vocals": torch.randn(1, 3000)}, RATE)], 1.0, per_track=16)
    with pytest.raises(SepkitError, match=r"a process that prepares batches died.*use fewer workers \(now 1\) or a smaller batch \(now 4\)"):
        epoch(chunks, workers=1)


def test_less_than_a_batch_for_each_process_is_refused():
    with pytest.raises(SepkitError, match="an epoch of 6 examples is less than a batch of 4 for each of 2 processes"):
        epoch(Chunks(songs(), 1.0, per_track=2), world=2)


def test_single_examples_are_those_of_the_batches():
    plan = Recipe(batch=4, chunk_seconds=1.0, samples_per_track=4, silence=0.2)
    chunks = Chunks(songs(), plan.chunk_seconds, plan.samples_per_track, plan.seed)
    mix = remix.pipeline(plan, chunks.stems, "bass", RATE)
    examples = loading.Examples(chunks, mix)
    singles = [examples[index] for index in range(len(examples))]
    for stems, indices in loader(chunks, plan):
        for index, *pair in zip(indices.tolist(), *mix(stems, indices, 0)):
            assert all(torch.equal(one, other) for one, other in zip(singles[index], pair, strict=True))


# --- throughput -------------------------------------------------------------------------------------------


def test_throughput_counts_examples_and_the_share_of_the_step(monkeypatch):
    """With a clock that only the step and the reading of an example move, the figures are known."""
    now = [0.0]
    monkeypatch.setattr(loading, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(Chunks, "stack", lambda self, indices, allocate: now.__setitem__(0, now[0] + 0.25 * len(indices)) or torch.zeros(len(indices), 1))
    def step(stems):
        now[0] += 1.0

    rows = loading.throughput(songs(), workers=(0,), batches=(1, 4), seconds=1.0, step=step, lasting=20.0)
    assert [(row["workers"], row["batch"]) for row in rows] == [(0, 1), (0, 4)]
    assert [row["examples_per_second"] for row in rows] == pytest.approx([1 / 1.25, 4 / 2.0])
    assert [row["busy"] for row in rows] == pytest.approx([1 / 1.25, 1 / 2.0])
    (alone,) = loading.throughput(songs(), workers=(0,), batches=(2,), seconds=1.0, lasting=20.0)
    assert alone["examples_per_second"] == pytest.approx(4.0) and np.isnan(alone["busy"])
