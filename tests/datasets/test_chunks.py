"""Chunks and random mixing: where examples come from, and that only (seed, epoch, index) decides."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sepkit import audio
from sepkit.datasets import MemoryTrack, open_tracks, remix
from sepkit.datasets.chunks import Chunks, decoded
from sepkit.errors import SepkitError

RATE = 1000
STEMS = ("vocals", "drums", "bass", "other")


def numbered(tracks=5, samples=4000):
    """Tracks whose samples say where they come from: track + stem/10 on the left, its negative on the right."""
    made = []
    for track in range(tracks):
        value = {stem: (track + 1) / 8 + (k + 1) / 128 for k, stem in enumerate(STEMS)}
        made.append(MemoryTrack(f"t{track}", {s: torch.tensor([[v], [-v]]).expand(2, samples) for s, v in value.items()}, RATE))
    return made


def plain(**changes):
    return {**dict(seconds=1.0, per_track=20, random_tracks=False, gains=None, swap=0.0), **changes}


def source_of(target):
    """(track, swapped) of a numbered target without gain."""
    return round(abs(float(target[0, 0])) * 8 - 1), bool(target[0, 0] < 0)


def test_real_mixtures_come_from_one_track_and_every_track_equally_often():
    chunks = Chunks(numbered(), "vocals", **plain())
    tracks = []
    for mixture, target in (chunks[i] for i in range(len(chunks))):
        track, _ = source_of(target)
        tracks.append(track)
        assert torch.allclose(mixture[0], torch.tensor(sum((track + 1) / 8 + (k + 1) / 128 for k in range(4))))
    assert len(chunks) == 100 and np.bincount(tracks).tolist() == [20] * 5
    assert tracks != sorted(tracks)  # shuffled: a batch is not one song


def test_real_mixtures_have_all_stems_from_one_place():
    ramp = torch.arange(4000.0).expand(2, -1) / 65536
    track = MemoryTrack("t", {"vocals": ramp, "other": 2 * ramp}, RATE)
    mixture, target = Chunks([track], "vocals", **plain())[3]
    assert torch.equal(mixture, 3 * target)


def test_random_tracks_draw_every_stem_target_included_from_its_own():
    chunks = Chunks(numbered(), "vocals", **plain(random_tracks=True, per_track=200))
    drawn = [source_of(target)[0] for _, target in (chunks[i] for i in range(len(chunks)))]
    assert np.bincount(drawn, minlength=5).min() > 150  # 200 each on average
    pairs = {(source_of(t)[0], round(float(m[0, 0] - t[0, 0]), 4)) for m, t in (chunks[i] for i in range(400))}
    assert len(pairs) > 40  # 5 targets, each with nearly all of the 13 sums of three other tracks


def test_gains_are_uniform_between_their_limits_and_drawn_for_each_stem():
    ones = torch.ones(1, 400)
    rng = np.random.default_rng(0)
    gains = np.array([float(remix.augment(ones, rng)[0, 0]) for _ in range(4000)])
    assert gains.min() >= 0.25 and gains.max() <= 1.25
    assert abs(gains.mean() - 0.75) < 0.02 and abs(gains.std() - 1 / np.sqrt(12)) < 0.01
    track = MemoryTrack("t", {"vocals": ones, "other": ones}, 400)
    chunks = Chunks([track], "vocals", **plain(gains=(0.25, 1.25)))
    ratios = {round(float(m[0, 0] / t[0, 0]), 5) for m, t in (chunks[i] for i in range(20))}
    assert len(ratios) == 20


def test_half_of_the_stems_have_their_channels_exchanged_and_mono_is_left_alone():
    chunks = Chunks(numbered(), "vocals", **plain(swap=0.5, per_track=200))
    swapped = [source_of(chunks[i][1])[1] for i in range(len(chunks))]
    assert 0.45 < np.mean(swapped) < 0.55
    mono = torch.arange(5.0)[None]
    assert torch.equal(remix.augment(mono, np.random.default_rng(0), None, swap=1.0), mono)


def test_augmentation_does_not_change_the_tracks():
    track = MemoryTrack("t", {"vocals": torch.randn(2, 2000), "other": torch.randn(2, 2000)}, RATE)
    before = track.references()
    chunks = Chunks([track], "vocals", seconds=2.0)
    for i in range(8):
        chunks[i]
    assert all(torch.equal(before[s], track.stem(s)) for s in before)


def test_only_seed_epoch_and_index_decide():
    tracks = [MemoryTrack(f"t{i}", {s: torch.randn(2, 3000) for s in STEMS}, RATE) for i in range(3)]

    def epoch(seed, number, workers=0, start=0):
        chunks = Chunks(tracks, "bass", 1.0, per_track=4, seed=seed)
        chunks.set_epoch(number)
        return torch.cat([m for m, _ in DataLoader(chunks, 3, sampler=range(start, len(chunks)), num_workers=workers)])

    reference = epoch(1, 2)
    assert torch.equal(epoch(1, 2, workers=2), reference)
    assert torch.equal(epoch(1, 2, start=6), reference[6:])
    assert not torch.equal(epoch(1, 3), reference) and not torch.equal(epoch(2, 2), reference)


def test_switching_one_option_off_leaves_the_others_draws():
    tracks = numbered()
    with_gains = Chunks(tracks, "vocals", 1.0, 4, swap=0.5)
    without = Chunks(tracks, "vocals", 1.0, 4, gains=None, swap=0.5)
    assert [source_of(without[i][1])[1] for i in range(20)] == [bool(with_gains[i][1][0, 0] < 0) for i in range(20)]


def test_short_tracks_are_padded():
    track = MemoryTrack("t", {"vocals": torch.ones(2, 300), "other": torch.ones(2, 300)}, RATE)
    mixture, target = Chunks([track], "vocals", **plain())[0]
    assert target[:, :300].eq(1).all() and target[:, 300:].eq(0).all() and mixture.shape == (2, 1000)


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_decoded_16_bit_tracks_are_exact(tmp_path, where):
    for song in ("a", "b"):
        for stem in ("vocals", "other"):
            noise = torch.randint(-32768, 32768, (2, 5000)).float() / 32768
            audio.write(tmp_path / "data" / song / f"{stem}.wav", noise, RATE, subtype="PCM_16")
    tracks = open_tracks(tmp_path / "data")
    folder = None if where == "memory" else tmp_path / "cache"
    for _ in range(2):  # the second time from the cache
        for track, fast in zip(tracks, decoded(tracks, folder), strict=True):
            assert (fast.name, fast.stems, fast.sample_rate, fast.samples) == (track.name, track.stems, RATE, 5000)
            assert torch.equal(fast.stem("vocals", 17, 900), track.stem("vocals", 17, 900))
            assert torch.equal(fast.mixture(17, 900), track.mixture(17, 900))


def test_decoded_tracks_beyond_full_scale_are_exact():
    track = MemoryTrack("t", {"vocals": 3 * torch.randn(2, 500), "other": torch.randn(2, 500)}, RATE)
    assert torch.equal(decoded([track])[0].stem("vocals"), track.stem("vocals"))


def test_the_cache_notices_changed_songs(tmp_path):
    for level in (0.25, 0.5):
        track = MemoryTrack("t", {"vocals": torch.full((1, 5000), level)}, RATE)
        assert decoded([track], tmp_path)[0].stem("vocals").unique().tolist() == [level]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(tracks=[]), "no training tracks"),
        (dict(target="voice"), "unknown target 'voice': choose from vocals, drums, bass, other"),
        (dict(seconds=0), "both must be positive"),
        (dict(tracks=[*numbered(1), MemoryTrack("odd", {s: torch.ones(2, 99) for s in STEMS}, 8000)]), "odd: sample rate 8000, but t0 has 1000"),
        (dict(tracks=[*numbered(1), MemoryTrack("odd", {"vocals": torch.ones(2, 99)}, RATE)]), "odd: stems"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(SepkitError, match=message):
        Chunks(**{**dict(tracks=numbered(1), target="vocals"), **change})
