"""Chunks: where examples come from, and that only (seed, epoch, index) decides."""

import numpy as np
import pytest
import torch

from sepkit.datasets import MemoryTrack, activity
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.remix import Draws
from sepkit.errors import SepkitError

RATE = 1000
STEMS = ("vocals", "drums", "bass", "other")


def numbered(tracks=5, samples=4000):
    """Tracks whose samples say where they are from: track + stem/10 left, the place right."""
    made = []
    for track in range(tracks):
        place = torch.arange(float(samples))
        parts = {
            stem: torch.stack([torch.full_like(place, track + k / 10), place])
            for k, stem in enumerate(STEMS)
        }
        made.append(MemoryTrack(f"t{track}", parts, RATE))
    return made


def sources(stems):
    """What numbered stems (S, C, T) tell: [(track, stem number, first sample)]."""
    return [(int(x[0, 0]), round(float(x[0, 0] % 1) * 10), int(x[1, 0])) for x in stems]


def all_of(chunks):
    return [sources(stems) for stems in chunks.stack(range(len(chunks)))]


def test_an_example_holds_every_stem_as_it_is_in_its_track():
    tracks = [
        MemoryTrack(f"t{i}", {s: torch.randn(2, 3000) for s in STEMS}, RATE) for i in range(3)
    ]
    chunks = Chunks(tracks, 1.0, per_track=8)
    for index in range(len(chunks)):
        stems, number = chunks[index]
        assert number == index and stems.shape == (4, 2, 1000) and stems.dtype == torch.float32
        for stem, name, (track, start) in zip(
            stems, chunks.stems, chunks.places([index])[0], strict=True
        ):
            assert torch.equal(stem, tracks[track].stem(name, start, 1000))
    assert torch.equal(chunks.stack([5, 2])[1], chunks[2][0])


@pytest.mark.parametrize("mix_prob", [0.0, 0.25, 1.0])
def test_so_many_examples_are_remixes(mix_prob):
    chunks = Chunks(numbered(), 1.0, per_track=400, mix_prob=mix_prob)
    drawn = all_of(chunks)
    assert all(
        [number for _, number, _ in example] == [0, 1, 2, 3] for example in drawn
    )  # all stems, always
    real = np.array(
        [len({(track, start) for track, _, start in example}) == 1 for example in drawn]
    )
    assert (
        abs((1 - real.mean()) - mix_prob)
        < 4 * np.sqrt(mix_prob * (1 - mix_prob) / len(drawn)) + 1e-3
    )
    assert (
        ~real == Draws(42, 0, range(len(drawn)), mix_prob).remixed.numpy()
    ).all()  # as the augmentations see it


@pytest.mark.parametrize("mix_prob", [0.5, 1.0])
def test_an_accompaniment_stays_together(mix_prob):
    """Drums, bass and other from one track and place, the vocals from another; real songs whole."""
    chunks = Chunks(
        numbered(), 1.0, per_track=60, mix_prob=mix_prob, target="vocals", accompaniment=True
    )
    apart = 0
    for vocals, *others in all_of(chunks):
        assert len({(track, start) for track, _, start in others}) == 1
        assert [number for _, number, _ in others] == [1, 2, 3]
        apart += vocals[::2] != others[0][::2]
    assert apart == int(Draws(42, 0, range(len(chunks)), mix_prob).remixed.sum())


def test_layers_are_added_up_and_the_first_is_as_without():
    """Mix-audio: a remix has two excerpts of each stem, a real song one."""
    plain, both = (Chunks(numbered(), 1.0, per_track=40, mix_prob=0.5, layers=n) for n in (1, 2))
    indices, remixed = range(len(both)), Draws(42, 0, range(200), 0.5).remixed
    added = both.stack(indices) - plain.stack(indices)
    assert (added[~remixed] == 0).all()
    for example, index in zip(added[remixed], remixed.nonzero().flatten().tolist()):
        assert sources(example) == [
            (track, number, start)
            for number, (track, start) in enumerate(both.places([index], layer=1)[0])
        ]
    assert both.places([3], 1) != both.places([3], 0)


def test_real_songs_come_from_one_place_and_every_track_equally_often():
    drawn = all_of(Chunks(numbered(), 1.0, per_track=200, mix_prob=0.0))
    tracks, places = zip(*(example[0][::2] for example in drawn))
    assert np.bincount(tracks).tolist() == [200] * 5
    assert list(tracks) != sorted(tracks)  # shuffled: a batch is not one song
    assert (
        np.histogram(places, 5, (0, 3001))[0].min() > 150 and max(places) <= 3000
    )  # 200 each on average


def test_remixes_draw_every_stem_the_target_included_from_a_track_and_place_of_its_own():
    drawn = np.array(all_of(Chunks(numbered(), 1.0, per_track=200)))  # (examples, stems, 3)
    for stem in range(4):
        assert np.bincount(drawn[:, stem, 0], minlength=5).min() > 150  # 200 each on average
        assert np.histogram(drawn[:, stem, 2], 5, (0, 3001))[0].min() > 150
    for what in (0, 2):
        between = np.corrcoef(drawn[:, :, what].T)
        assert np.abs(between - np.eye(4)).max() < 0.13  # 4 standard errors


def test_only_seed_epoch_and_index_decide():
    def epoch(seed, number, indices=range(12)):
        chunks = Chunks(numbered(3), 1.0, per_track=4, seed=seed, mix_prob=0.5)
        chunks.set_epoch(number)
        return [sources(chunks[index][0]) for index in indices]

    reference = epoch(1, 2)
    assert (
        epoch(1, 2, range(6, 12)) == reference[6:]
        and epoch(1, 2, range(11, -1, -1)) == reference[::-1]
    )
    assert epoch(1, 3) != reference and epoch(2, 2) != reference


def test_fixed_excerpts_are_the_same_in_every_epoch_and_evenly_spread():
    def epoch(number, mix_prob):
        chunks = Chunks(
            numbered(2, samples=12_000), 6.0, per_track=3, mix_prob=mix_prob, random_start=False
        )
        chunks.set_epoch(number)
        return all_of(chunks)

    for number in (0, 1):
        assert sorted(example[0][::2] for example in epoch(number, 0.0)) == [
            (t, p) for t in (0, 1) for p in (0, 3000, 6000)
        ]
    mixed = [epoch(number, 1.0) for number in range(20)]
    assert {place for examples in mixed for example in examples for _, _, place in example} == {
        0,
        3000,
        6000,
    }
    assert mixed[0] != mixed[1]  # the combinations are new
    assert (
        sources(Chunks(numbered(1), 1.0, 1, random_start=False)[0][0])[0][2] == 1500
    )  # a single one: the middle


def test_short_tracks_are_padded():
    track = MemoryTrack("t", {"vocals": torch.ones(2, 300), "other": torch.ones(2, 300)}, RATE)
    for mix_prob in (0.0, 1.0):
        stems, _ = Chunks([track], 1.0, mix_prob=mix_prob)[0]
        assert (
            stems[..., :300].eq(1).all()
            and stems[..., 300:].eq(0).all()
            and stems.shape == (2, 2, 1000)
        )


def test_chunks_do_not_change_the_tracks():
    track = MemoryTrack("t", {s: torch.randn(2, 1500) for s in STEMS}, RATE)
    before = track.references()
    chunks = Chunks([track], 2.0)
    for index in range(4):
        chunks[index][0].zero_()
    assert all(torch.equal(before[s], track.stem(s)) for s in before)


# --- activity -------------------------------------------------------------------------


def partly_silent():
    """Four songs of 60 s: vocals at 20-40 s in one, in one none, in two throughout."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number, (first, last) in enumerate([(20, 40), (0, 0), (0, 60), (0, 60)]):
        parts = {
            stem: 0.1 * torch.randn(1, 60 * RATE, generator=generator)
            for stem in ("vocals", "other")
        }
        parts["vocals"][:, : first * RATE] = 0
        parts["vocals"][:, last * RATE :] = 0
        made.append(MemoryTrack(f"t{number}", parts, RATE))
    return made


@pytest.mark.parametrize("seconds", [3.0, 6.0, 9.0])
def test_active_excerpts_of_remixes(seconds):
    tracks = partly_silent()
    chunks = Chunks(tracks, seconds, per_track=100, activity=activity.find(tracks))
    places = np.array(chunks.places(range(len(chunks))))  # (examples, stems, 2)
    vocals, other = places[:, 0], places[:, 1]
    assert (
        np.bincount(vocals[:, 0], minlength=4)[1] == 0
        and np.bincount(other[:, 0], minlength=4).min() > 60
    )
    assert (
        np.bincount(vocals[:, 0], minlength=4)[[0, 2, 3]].min() > 90
    )  # songs, not segments, are equally likely: 133
    in_first = vocals[vocals[:, 0] == 0, 1] / RATE
    heard = np.clip(np.minimum(in_first + seconds, 40) - np.maximum(in_first, 20), 0, None)
    assert heard.mean() > 0.8 * min(seconds, 6) and (heard > 0).mean() > 0.97
    sounding = chunks.stack(range(400))[:, 0].square().mean((1, 2)) > 0
    without = (
        Chunks(tracks, seconds, per_track=100).stack(range(400))[:, 0].square().mean((1, 2)) > 0
    )
    assert sounding.float().mean() > 0.97 and without.float().mean() < 0.75


def test_active_excerpts_of_real_songs_follow_the_target():
    tracks = partly_silent()
    found = activity.find(tracks)
    chunks = Chunks(tracks, 3.0, per_track=100, mix_prob=0.0, activity=found, target="vocals")
    places = np.array(chunks.places(range(len(chunks))))[:, 0]
    assert np.bincount(places[:, 0]).tolist() == [100] * 4
    in_first, in_silent = (places[places[:, 0] == number, 1] / RATE for number in (0, 1))
    assert in_first.min() >= 17 and in_first.max() <= 40
    assert (
        in_silent.min() < 10 and in_silent.max() > 47
    )  # the target is silent throughout: any place
    # A longer chunk holds an active segment.
    longer = Chunks(
        tracks[:1],
        12.0,
        per_track=50,
        mix_prob=0.0,
        activity=activity.find(tracks[:1]),
        target="vocals",
    )
    for (_, start), _ in longer.places(range(50)):
        assert any(
            start <= segment and segment + 6 * RATE <= start + 12 * RATE
            for segment in found.starts[0]["vocals"]
        )


def test_fixed_excerpts_of_active_segments_begin_with_them():
    tracks = partly_silent()[:1]
    found = activity.find(tracks)
    chunks = Chunks(
        tracks,
        3.0,
        per_track=len(found.starts[0]["vocals"]),
        mix_prob=0.0,
        activity=found,
        random_start=False,
        target="vocals",
    )
    assert (
        sorted(places[0][1] for places in chunks.places(range(len(chunks))))
        == found.starts[0]["vocals"]
    )


# --- mistakes -------------------------------------------------------------------------


def silent():
    return [MemoryTrack("t", {"vocals": torch.zeros(1, 9000), "other": torch.ones(1, 9000)}, RATE)]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(tracks=[]), "no training tracks"),
        (dict(target="voice"), "unknown target 'voice': choose from vocals, drums, bass, other"),
        (dict(seconds=0), "both must be positive"),
        (dict(per_track=0), "both must be positive"),
        (
            dict(
                tracks=[
                    *numbered(1),
                    MemoryTrack("odd", {s: torch.ones(2, 99) for s in STEMS}, 8000),
                ]
            ),
            "odd: sample rate 8000, but t0 has 1000",
        ),
        (
            dict(tracks=[*numbered(1), MemoryTrack("odd", {"vocals": torch.ones(2, 99)}, RATE)]),
            "odd: stems",
        ),
        (
            dict(tracks=silent(), activity=activity.find(silent()), mix_prob=0.5),
            "say by target=... which stem",
        ),
        (
            dict(tracks=silent(), activity=activity.find(silent()), target="vocals"),
            "vocals: no active segment in any of the 1 tracks",
        ),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(SepkitError, match=message):
        Chunks(**{**dict(tracks=numbered(1)), **change})
