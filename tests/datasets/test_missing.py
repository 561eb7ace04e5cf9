"""Songs without one of the stems."""

import pickle

import pytest
import torch

from sepkit.datasets import MemoryTrack
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.sources import with_the_same_stems
from sepkit.errors import SepkitError


def song(name, *stems):
    generator = torch.Generator().manual_seed(len(name))
    return MemoryTrack(
        name, {stem: 0.1 * torch.randn(2, 800, generator=generator) for stem in stems}, 8000
    )


FULL = [song("a", "vocals", "drums"), song("bb", "vocals", "drums")]
INSTRUMENTAL = song("ccc", "drums")


def test_songs_that_are_alike_are_left_as_they_are():
    for missing in ("refuse", "silent", "skip"):
        assert with_the_same_stems([FULL[:1], FULL[1:]], "vocals", missing) == [FULL[:1], FULL[1:]]


def test_by_default_songs_and_options_are_named():
    with pytest.raises(
        SepkitError,
        match=(
            r"\(vocals, drums\): ccc lacks vocals; add them, or choose --missing silent "
            r".*--missing skip"
        ),
    ):
        with_the_same_stems([[*FULL, INSTRUMENTAL], FULL], "vocals")
    many = [song(f"song {number}", "vocals", "drums", "horns") for number in range(5)]
    with pytest.raises(
        SepkitError, match="song 0 also has horns; .*song 2 also has horns, and 2 more songs differ"
    ):
        with_the_same_stems([FULL * 4, many], "vocals")


def test_silent_reads_zeros_and_leaves_the_rest_exactly():
    (train,) = with_the_same_stems([[*FULL, INSTRUMENTAL]], "vocals", "silent")
    filled = pickle.loads(pickle.dumps(train[2]))  # tracks travel to processes
    assert filled.stems == ("vocals", "drums") and filled.samples == 800
    assert torch.equal(filled.stem("vocals", 5, 20), torch.zeros(2, 20))
    assert torch.equal(filled.stem("drums", 5, 20), INSTRUMENTAL.stem("drums", 5, 20))
    assert torch.equal(filled.mixture(), INSTRUMENTAL.mixture())
    with pytest.raises(SepkitError, match="asked for samples 790 to 810"):
        filled.stem("vocals", 790, 20)
    assert Chunks(train, seconds=0.05, per_track=2).stack([0, 1, 2, 3]).shape == (4, 2, 2, 400)


def test_skip_keeps_the_most_frequent_stems_that_have_the_target():
    train, valid = with_the_same_stems([[*FULL, INSTRUMENTAL], FULL], "vocals", "skip")
    assert [track.name for track in train] == ["a", "bb"] and valid == FULL
    instrumentals = [song("d" * number, "drums") for number in range(4, 9)]
    (train,) = with_the_same_stems([[*instrumentals, *FULL]], "vocals", "skip")
    assert train == FULL
    with pytest.raises(
        SepkitError,
        match=(
            "--missing skip: leaves none of ccc, which all lack a stem; .*songs with vocals, "
            "drums there"
        ),
    ):
        with_the_same_stems([FULL, [INSTRUMENTAL]], "vocals", "skip")


def test_a_mistyped_way():
    with pytest.raises(
        SepkitError, match="unknown way with missing stems 'fill': choose from refuse, silent, skip"
    ):
        with_the_same_stems([FULL], "vocals", "fill")
