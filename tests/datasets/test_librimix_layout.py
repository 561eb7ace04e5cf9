"""LibriMix's layout: what is found in it, what is read of it, and what is missing."""

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from sepkit.datasets import open_tracks
from sepkit.datasets.augmentation import augment
from sepkit.datasets.librimix.layout import counts_by_split
from sepkit.errors import Notice, SepkitError

RATE = 8000


def put(folder, name, frames=800, seed=0, types=("mix_both",), speakers=2):
    """One mixture in a subset's folder; returns its parts, (samples,) int16."""
    rng = np.random.default_rng(seed)
    voices = [f"s{number + 1}" for number in range(speakers)]
    parts = {part: rng.integers(-900, 900, frames, np.int16) for part in (*voices, "noise")}
    mixed = {
        "mix_both": sum(parts.values()),
        "mix_clean": sum(parts[voice] for voice in voices),
        "mix_single": parts["s1"] + parts["noise"],
    }
    for part, samples in {**parts, **{kind: mixed[kind] for kind in types}}.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / part / f"{name}.wav", samples, RATE, subtype="PCM_16")
    return parts


@pytest.fixture
def place(tmp_path):
    """wav8k/min of two speakers: two train subsets, dev and test."""
    place = tmp_path / "librimix" / "Libri2Mix" / "wav8k" / "min"
    for number, subset in enumerate(("train-360", "train-100", "dev", "test")):
        put(place / subset, f"{number}-1_9-1", 800 + number, seed=number)
    return place


def test_subsets_become_splits_and_mixtures_become_tracks(place):
    for level in (place, place.parents[2], place.parents[1]):
        splits = {
            split: [track.name for track in open_tracks(level, split)]
            for split in ("train", "valid", "test")
        }
        assert splits == {
            "train": ["0-1_9-1", "1-1_9-1"],
            "valid": ["2-1_9-1"],
            "test": ["3-1_9-1"],
        }
    (track,) = open_tracks(place, "test")
    assert (track.stems, track.samples, track.sample_rate) == (("s1", "s2", "noise"), 803, RATE)


def test_it_is_opened_by_name_and_counted(place):
    root = place.parents[3]
    assert len(open_tracks("librimix", root=root)) == 4
    assert counts_by_split(root / "librimix") == {"train": 2, "valid": 1, "test": 1}


def test_the_samples_are_those_of_the_files(place):
    parts = put(place / "test", "7-1_8-1", 900, seed=7)
    track = open_tracks(place, "test")[1]
    for name, samples in parts.items():
        assert torch.equal(track.stem(name)[0] * 32768, torch.from_numpy(samples).float())
    assert torch.equal(track.mixture(), sum(track.references().values()))


def test_torchaudios_reader_finds_the_same_files(place):
    theirs = torchaudio.datasets.LibriMix(place.parents[2], "test", 2, RATE, "sep_noisy", "min")
    rate, mixture, voices = theirs.get_metadata(0)
    (track,) = open_tracks(place, "test")
    assert rate == track.sample_rate
    assert [place.parents[1] / path for path in (mixture, *voices)] == list(track.paths[:3])


@pytest.mark.parametrize(
    "kind, stems", [("mix_clean", ("s1", "s2", "s3")), ("mix_single", ("s1", "noise"))]
)
def test_the_stems_are_those_of_the_type(tmp_path, kind, stems):
    subset = tmp_path / "Libri3Mix" / "wav8k" / "max" / "dev"
    put(subset, "1_2_3", types=(kind,), speakers=3)
    (track,) = open_tracks(subset)
    assert track.stems == stems
    assert torch.equal(track.mixture(), sum(track.references().values()))


def test_of_several_types_one_is_read_and_this_is_said(place):
    put(place / "test", "3-1_9-1", 803, seed=3, types=("mix_clean",))
    with pytest.warns(Notice, match="holds mix_both and mix_clean; mix_both is read"):
        (track,) = open_tracks(place / "test")
    assert "noise" in track.stems
    (track,) = open_tracks(place / "test" / "mix_clean")
    assert track.stems == ("s1", "s2")


def test_several_rates_or_modes_are_refused_and_named(place):
    put(place.parent / "max" / "dev", "1_2")
    with pytest.raises(SepkitError, match=r"several sets of mixtures \(wav8k/max, wav8k/min\)"):
        open_tracks(place.parents[1])


@pytest.mark.parametrize("part", ["s2", "noise", "mix_both"])
def test_a_missing_file_is_named(place, part):
    missing = place / "dev" / part / "2-1_9-1.wav"
    missing.unlink()
    with pytest.raises(SepkitError, match=f"{missing}: no such file, but others of this mixture"):
        open_tracks(place, "valid")
    assert len(open_tracks(place, "test")) == 1


def test_a_missing_speaker_of_libri3mix_is_named(tmp_path):
    subset = tmp_path / "Libri3Mix" / "wav8k" / "min" / "dev"
    put(subset, "1_2", speakers=2)
    with pytest.raises(SepkitError, match=r"s3/1_2.wav: no such file.*needs s1, s2, s3, noise"):
        open_tracks(subset)


def test_parts_of_other_length_are_refused(place):
    short = np.zeros(700, np.int16)
    soundfile.write(place / "dev" / "s1" / "2-1_9-1.wav", short, RATE, subtype="PCM_16")
    with pytest.raises(SepkitError, match=r"differ in length \(700, 802 samples\)"):
        open_tracks(place, "valid")


def test_mixtures_are_not_augmented_as_songs(place, tmp_path):
    with pytest.raises(SepkitError, match="holds mixtures of LibriMix; songs were expected"):
        augment(place, tmp_path / "out")
