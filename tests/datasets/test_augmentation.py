"""Augmented data sets: what lands where, what is refused; an interruption leaves no trace."""

import json
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
import soundfile
import torch

from sepkit.datasets import augmentation, open_tracks
from sepkit.datasets.augmentation import augment, versions
from sepkit.datasets.augmentation.stretching import pitch_shift
from sepkit.datasets.chunks import Chunks
from sepkit.datasets.musdb18 import VALIDATION, ffmpeg_missing
from sepkit.errors import SepkitError

RATE = 8000
LABELS = ["pitch +2", "pitch -2", "shift +1s", "shift -1s", "speed 0.9", "speed 1.1"]
STEMS = ("vocals", "drums", "bass", "other")


def make_song(folder, seed=0, seconds=1.5, channels=2, level=0.05, mixture=True):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    stems = {
        name: rng.normal(0, level * 32768, (round(seconds * RATE), channels))
        .clip(-32768, 32767)
        .astype(np.int16)
        for name in STEMS
    }
    for name, samples in {**stems, **({"mixture": sum(stems.values())} if mixture else {})}.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="PCM_16")
    return stems


@pytest.fixture
def songs(tmp_path):
    """A data set in MUSDB18's layout: one song to train, one to validate, one to test with."""
    for number, place in enumerate(("train/A", "train/ANiMAL - Rockshow", "test/T")):
        make_song(tmp_path / "songs" / place, number)
    return tmp_path / "songs"


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(songs, tmp_path, said):
    """``make(**settings)`` augments the songs in this process and returns the folder."""
    return lambda **settings: augment(
        songs, tmp_path / "out", **{"workers": 1, "notice": said.append, **settings}
    )


def names(out, split):
    return [track.name for track in open_tracks(out, split)]


def samples_of(folder):
    return {
        path.stem: soundfile.read(path, dtype="int16", always_2d=True)[0].astype(int)
        for path in folder.glob("*.wav")
    }


def tree(folder):
    """Everything below a folder but its lock: {path: bytes}."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".augment.lock"
    }


def test_every_training_song_comes_in_seven_versions_and_the_others_as_they_are(make, songs):
    out = make()
    assert names(out, "train") == ["A", *(f"A [{label}]" for label in LABELS)]
    assert names(out, "valid") == ["ANiMAL - Rockshow"] and names(out, "test") == ["T"]
    for song in ("train/A", "test/T"):
        for file in (songs / song).iterdir():
            assert file.samefile(out / song / file.name)  # a hard link
    assert (out / "valid/ANiMAL - Rockshow/vocals.wav").samefile(
        songs / "train/ANiMAL - Rockshow/vocals.wav"
    )


def test_the_mixture_is_the_exact_sum_and_lengths_follow_the_speed(make):
    out = make()
    for label in LABELS:
        files = samples_of(out / "train" / f"A [{label}]")
        length = {"speed 0.9": 13333, "speed 1.1": 10909}.get(label, 12000)
        assert set(files) == {*STEMS, "mixture"} and all(
            x.shape == (length, 2) for x in files.values()
        )
        assert np.array_equal(files["mixture"], sum(files[stem] for stem in STEMS))
        header = soundfile.info(out / "train" / f"A [{label}]" / "vocals.wav")
        assert (header.samplerate, header.subtype) == (RATE, "PCM_16")


def test_a_shifted_version_holds_the_same_16_bits_elsewhere(make, songs):
    before, after = samples_of(songs / "train/A"), samples_of(make() / "train/A [shift +1s]")
    for name in (*STEMS, "mixture"):
        assert (
            np.array_equal(after[name][RATE:], before[name][:-RATE])
            and not after[name][:RATE].any()
        )


def test_the_manifest_tells_how_everything_was_made(make):
    manifest = json.loads((make() / "augmented.json").read_text())
    assert manifest["complete"] and set(manifest["made_with"]) >= {
        "commit",
        "sepkit",
        "soxr",
        "scipy",
    }
    assert sorted(manifest["versions"]) == [f"train/A [{label}]" for label in LABELS]
    version = manifest["versions"]["train/A [speed 1.1]"]
    assert (
        version["song"],
        version["kind"],
        version["amount"],
        version["by"],
        version["gain_db"],
    ) == ("A", "speed", 1.1, "stretch", 0)
    assert version["mixture_against_sum_db"] is None  # the mixture is the sum


def test_chunks_are_cut_from_all_versions(make):
    tracks = open_tracks(make(), "train")
    chunks = Chunks(tracks, seconds=0.5, per_track=4, mix_prob=0.0)
    stems, _ = chunks[3]
    assert len(chunks) == 28 and stems.shape == (4, 2, 4000) and stems.std() > 0.03
    for track in tracks:
        total = sum(track.stem(stem) for stem in track.stems)
        assert torch.allclose(track.mixture(), total, atol=1e-6)


def test_a_version_beyond_full_scale_is_lowered_by_one_gain_and_this_is_said(tmp_path, said):
    stems = make_song(tmp_path / "songs/train/loud", level=0.3, mixture=False)
    make_song(tmp_path / "songs/valid/V")
    out = augment(
        tmp_path / "songs",
        tmp_path / "out",
        pitch=(1,),
        speed=(),
        shift=(),
        workers=1,
        notice=said.append,
    )
    (version,) = json.loads((out / "augmented.json").read_text())["versions"].values()
    gain = 10 ** (version["gain_db"] / 20)
    files = samples_of(out / "train/loud [pitch +1]")
    assert gain < 0.7 and np.array_equal(files["mixture"], sum(files[stem] for stem in STEMS))
    assert 32700 < max(np.abs(x).max() for x in files.values()) <= 32767  # no lower than it must be
    for stem in STEMS:
        expected = (
            pitch_shift(torch.from_numpy(stems[stem].T / np.float32(32768)), 1, RATE).numpy().T
            * gain
            * 32768
        )
        assert (
            np.abs(files[stem] - expected).max() < 6
        )  # one step for rounding, 0.0005 dB of 32768 for the gain as it stands in the file
    assert any(
        line.startswith(
            "1 versions would go beyond full scale and are lowered, all stems alike; most: "
            "train/loud [pitch +1], -"
        )
        for line in said
    )


def test_a_mixture_that_is_not_the_sum_of_its_stems_is_named(make, songs, said):
    mixture = soundfile.read(songs / "train/A/mixture.wav", dtype="int16")[0]
    soundfile.write(songs / "train/A/mixture.wav", mixture // 2, RATE, subtype="PCM_16")
    make(pitch=(), speed=())
    assert (
        "the mixture of 1 songs is not the sum of its stems (in their versions it is); most: A, 0 "
        "dB" in said
    )


@pytest.mark.parametrize(
    "labels", [{"pitch": [3.5]}, {"speed": [1.25], "speed_by": "resample"}, {"shift": [-0.25, 0.5]}]
)
def test_versions_are_what_was_asked_for(make, labels):
    out = make(**{"pitch": (), "speed": (), "shift": (), **labels})
    made = {
        "pitch": ["pitch +3.5"],
        "speed": ["speed 1.25"],
        "shift": ["shift +0.5s", "shift -0.25s"],
    }[next(iter(labels))]
    assert names(out, "train") == ["A", *(f"A [{label}]" for label in made)]


def test_versions_of_a_validation_song_are_made_only_when_asked_for(make, said):
    out = make(pitch=(), speed=(), with_valid=True)
    trained = ["A", "A [shift +1s]", "A [shift -1s]"]
    assert names(out, "train") == [
        name.replace("A", song, 1) for song in ("A", "ANiMAL - Rockshow") for name in trained
    ]
    assert names(out, "valid") == ["ANiMAL - Rockshow"]  # unknown to nobody, and so it is said
    assert any("validation songs are trained on too" in line for line in said)


def test_a_plain_folder_keeps_every_seventh_song_for_validation_and_has_no_test(tmp_path, said):
    for number in range(8):
        make_song(tmp_path / "songs" / f"song {number}", number, seconds=0.1)
    out = augment(
        tmp_path / "songs",
        tmp_path / "out",
        pitch=(),
        speed=(),
        shift=(0.02,),
        workers=1,
        notice=said.append,
    )
    valid = [track.name for track in open_tracks(tmp_path / "songs", "valid")]
    assert names(out, "valid") == valid == ["song 3"]
    assert (
        not any("song 3" in name for name in names(out, "train")) and len(names(out, "train")) == 14
    )
    with pytest.raises(SepkitError, match="no songs for test"):
        open_tracks(out, "test")
    assert "there are no test songs" in said


def test_a_single_song_is_trained_on_in_all_its_versions(tmp_path):
    make_song(tmp_path / "songs/only", mixture=False, channels=1)
    out = augment(
        tmp_path / "songs",
        tmp_path / "out",
        speed=(),
        shift=(),
        workers=1,
        notice=lambda line: None,
    )
    assert names(out, "train") == [
        "only",
        "only [pitch +2]",
        "only [pitch -2]",
    ]  # none of them is taken for validation
    assert samples_of(out / "train/only [pitch +2]")["vocals"].shape == (12000, 1)


@pytest.mark.slow  # ffmpeg is started for every stem
@pytest.mark.skipif(ffmpeg_missing() is not None, reason="ffmpeg is not installed")
def test_stem_mp4_files_are_linked_and_their_versions_written_as_wav(tmp_path):
    stempeg = pytest.importorskip("stempeg")
    audio = 0.1 * np.random.default_rng(0).standard_normal((5, 44100, 2))
    for place in ("train/A - B", f"train/{sorted(VALIDATION)[0]}"):
        (tmp_path / "songs" / place).parent.mkdir(parents=True, exist_ok=True)
        stempeg.write_stems(
            str(tmp_path / "songs" / f"{place}.stem.mp4"),
            audio,
            44100,
            writer=stempeg.StreamsWriter(),
        )
    out = augment(
        tmp_path / "songs",
        tmp_path / "out",
        pitch=(),
        speed=(),
        shift=(0.5,),
        workers=1,
        notice=lambda line: None,
    )
    version, original = open_tracks(out, "train")  # by file name: " [" comes before ".stem.mp4"
    assert (original.name, version.name) == ("A - B", "A - B [shift +0.5s]") and names(
        out, "valid"
    ) == [sorted(VALIDATION)[0]]
    assert version.stems == original.stems and version.samples == original.samples
    assert torch.allclose(
        version.stem("drums")[:, 22050:], original.stem("drums")[:, :-22050], atol=2 / 32768
    )


# Space, links and copies


def test_a_full_disk_is_noticed_before_anything_is_made(make, monkeypatch, tmp_path, said):
    monkeypatch.setattr(augmentation, "free_bytes", lambda path: 1_000_000)
    with pytest.raises(
        SepkitError,
        match=r"out: 0\.00 GB are needed, 0\.00 GB are free; free some space, "
        "choose another folder",
    ):
        make()
    # 4 versions of 12000 samples, 13333 and 10909; 2 channels, 2 bytes, 5 files
    assert said == [
        "augment: 6 versions of 1 songs need 0.00 GB, 0.0 GB are free; the songs themselves are "
        "linked, which takes no space"
    ]
    assert not (tmp_path / "out/train").exists()
    monkeypatch.setattr(augmentation, "free_bytes", lambda path: (4 * 12000 + 13333 + 10909) * 20)
    assert len(names(make(), "train")) == 7


def test_where_links_are_impossible_songs_are_copied_and_counted(make, monkeypatch, songs, said):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    size = sum(file.stat().st_size for file in songs.rglob("*.wav"))
    monkeypatch.setattr(augmentation, "free_bytes", lambda path: 2 * 12000 * 20 + size - 1)
    with pytest.raises(SepkitError, match="are needed"):
        make(pitch=(), speed=())
    monkeypatch.setattr(augmentation, "free_bytes", lambda path: 2 * 12000 * 20 + size)
    out = make(pitch=(), speed=())
    assert "copied, which is counted" in said[-1]
    assert (out / "test/T/bass.wav").read_bytes() == (songs / "test/T/bass.wav").read_bytes()
    assert not (out / "test/T/bass.wav").samefile(songs / "test/T/bass.wav")


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_half_written(make, monkeypatch, tmp_path):
    def write(path, *arguments, **settings):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(versions.soundfile, "write", write)
    with pytest.raises(
        SepkitError,
        match=r"A \[pitch -2\]: cannot be written \(No space left on device\); "
        r"is the disk full\? Run again",
    ):
        make()
    assert [path.name for path in (tmp_path / "out/train").iterdir()] == ["A"]


# Going on


def interrupted(songs, out, done):
    """Augment in a process of its own and kill it after `done` more versions."""
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=augment, args=(songs, out), kwargs={"workers": 1, "notice": lambda line: None}
    )
    before = len(list(out.glob("train/*/version.json")))
    process.start()
    while len(list(out.glob("train/*/version.json"))) < before + done and process.is_alive():
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_killed_twice_and_resumed_equals_uninterrupted_byte_for_byte(make, songs, tmp_path):
    out = tmp_path / "killed"
    for _ in range(2):
        interrupted(songs, out, 2)
        assert all(versions.is_complete(path.parent) for path in out.glob("train/*/version.json"))
        assert not json.loads((out / "augmented.json").read_text())["complete"]
    made = {path: path.stat().st_mtime_ns for path in out.glob("train/*/*.wav")}
    augment(songs, out, workers=1, notice=lambda line: None)
    assert len(made) >= 25 and made == {
        path: path.stat().st_mtime_ns for path in made
    }  # what was complete is not made again
    assert tree(out) == tree(make())


def test_ctrl_c_leaves_whole_versions_only(make, tmp_path):
    def progress(done, total):
        assert total == 6
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(progress=progress)
    assert sorted(path.name for path in (tmp_path / "out/train").iterdir()) == [
        "A",
        "A [pitch +2]",
        "A [pitch -2]",
    ]
    assert names(make(), "train") == ["A", *(f"A [{label}]" for label in LABELS)]


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(make, songs, tmp_path):
    assert tree(augment(songs, tmp_path / "two", workers=2, notice=lambda line: None)) == tree(
        make()
    )


def test_a_file_that_went_missing_is_made_again(make, tmp_path):
    before = tree(make())
    (tmp_path / "out/train/A [pitch +2]/drums.wav").unlink()
    (tmp_path / "out/test/T/drums.wav").unlink()
    assert tree(make()) == before


def test_songs_that_are_added_are_added(make, songs, said):
    make(pitch=(), speed=())
    make_song(songs / "train/B", 7)
    out = make(pitch=(), speed=())
    assert names(out, "train") == [
        "A",
        "A [shift +1s]",
        "A [shift -1s]",
        "B",
        "B [shift +1s]",
        "B [shift -1s]",
    ]
    assert any(line.startswith("augment: 2 versions of 1 songs") for line in said)
    make(pitch=(), speed=())
    assert said[-1] == f"augment: {out} is complete"


# Refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"pitch": (-3,)},
            "out: was made with shift -1s, shift [+]1s, now pitch -3, shift -1s, shift [+]1s; "
            "choose another folder",
        ),
        (
            {"with_valid": True},
            "out: was made with with_valid=False, now with_valid=True; choose another folder",
        ),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(make, settings, message):
    make(pitch=(), speed=())
    with pytest.raises(SepkitError, match=message):
        make(**{"pitch": (), "speed": (), **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pitch": (0,)}, "pitch 0: give a number from -12 to 12 other than 0"),
        ({"pitch": (float("nan"),)}, "pitch nan: give a number from -12"),
        ({"speed": (1.0,)}, "speed 1: give a number from 0.5 to 2 other than 1"),
        ({"speed": (0.4,)}, "speed 0.4: give"),
        ({"shift": (61,)}, "shift 61: give"),
        (
            {"pitch": (2, 2.0)},
            "versions pitch [+]2, pitch [+]2, .*: give at least one pitch, speed or shift, and "
            "each once",
        ),
        ({"pitch": (), "speed": (), "shift": ()}, "versions none: give at least one"),
        (
            {"speed_by": "wishing"},
            "unknown way to change the speed 'wishing': choose from stretch, resample",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, tmp_path, settings, message):
    with pytest.raises(SepkitError, match=message):
        make(**settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sample", [0, 6000, 11999])
def test_versions_of_a_changed_song_are_made_again(make, songs, said, tmp_path, sample):
    make_song(songs / "train/B", 7)
    out = make(pitch=())
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    stems = soundfile.read(songs / "train/B/vocals.wav", dtype="int16")[0]
    stems[sample, 0] ^= 1
    soundfile.write(songs / "train/B/new.wav", stems, RATE, subtype="PCM_16")
    (songs / "train/B/new.wav").rename(songs / "train/B/vocals.wav")  # the link's other end stays
    make(pitch=())
    again = {path for path in made if path.stat().st_mtime_ns != made[path]}
    assert {path.parent.name for path in again} == {"B", *(f"B [{label}]" for label in LABELS[2:])}
    told = "1 songs have changed (train/B ...): they and their versions are made again"
    assert f"augment: {told}" in said
    assert tree(out) == tree(augment(songs, tmp_path / "fresh", (), workers=1, notice=said.append))
    make(pitch=())
    assert said[-1] == f"augment: {out} is complete"


def test_a_stop_while_changed_songs_are_made_again_leaves_nothing_old(make, songs, tmp_path):
    make(pitch=(), speed=())
    stems = soundfile.read(songs / "train/A/vocals.wav", dtype="int16")[0]
    # In place: the link's other end changes too.
    soundfile.write(songs / "train/A/vocals.wav", stems[::-1], RATE, subtype="PCM_16")

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(pitch=(), speed=(), progress=stop)
    fresh = augment(songs, tmp_path / "fresh", (), (), workers=1, notice=lambda line: None)
    assert tree(make(pitch=(), speed=())) == tree(fresh)


def test_what_was_made_when_less_was_recorded_is_kept_and_this_is_said(make, said):
    out = make(pitch=(), speed=())
    before, manifest = tree(out), json.loads((out / "augmented.json").read_text())
    manifest["songs"] = {name: "0123456789abcdef0123" for name in manifest["songs"]}
    (out / "augmented.json").write_text(json.dumps(manifest))
    assert tree(make(pitch=(), speed=())) == before
    assert sum("is taken to be made from them as they are" in line for line in said) == 1
    said.clear()
    make(pitch=(), speed=())
    assert said == [f"augment: {out} is complete"]


def test_missing_songs_are_named(make, songs):
    make(pitch=(), speed=())
    (songs / "test/T").rename(songs / "test/U")
    (songs / "train/A").rename(songs / "train/C")
    with pytest.raises(
        SepkitError,
        match="out: train/A, which it was made from, is not among the songs any more, "
        "or in another split",
    ):
        make(pitch=(), speed=())


def test_an_unreadable_song_is_named_before_anything_is_made(make, songs, spoil, tmp_path):
    (songs / "test/T/vocals.wav").unlink()
    spoil("text", songs / "test/T/vocals.wav")
    with pytest.raises(SepkitError, match="songs/test/T/vocals.wav: not readable as audio"):
        make()
    assert not (tmp_path / "out").exists()


def test_a_song_that_is_cut_off_is_named_before_anything_is_made(make, songs, spoil, tmp_path):
    spoil("truncated", songs / "train" / "vocals.flac")
    (songs / "train/B").mkdir()
    (songs / "train" / "vocals.flac").rename(songs / "train/B" / "vocals.flac")
    with pytest.raises(SepkitError, match="songs/train/B/vocals.flac: cut off or damaged"):
        make(shift=(0.1,))
    assert not (tmp_path / "out").exists()


def test_a_song_that_cannot_be_read_to_its_end_is_named_and_others_are_kept(make, songs, tmp_path):
    (songs / "train/B").mkdir()
    samples = np.full((8000, 2), 0.1)
    samples[4000] = np.nan
    soundfile.write(songs / "train/B/vocals.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(SepkitError, match="songs/train/B/vocals.wav: .*NaN"):
        make(shift=(0.1,))
    assert (tmp_path / "out/train/A [shift +0.1s]/version.json").is_file()
    assert not list((tmp_path / "out/train").glob("B [[]*")) and not list(
        (tmp_path / "out").rglob(".*.sepkit-*")
    )


def test_folders_that_cannot_be_meant_are_refused(make, songs, tmp_path):
    with pytest.raises(
        SepkitError,
        match="songs/new: lies in .*songs, the songs to augment; choose a folder elsewhere",
    ):
        augment(songs, songs / "new")
    out = make(pitch=(), speed=())
    with pytest.raises(
        SepkitError, match="out: is augmented already; give the songs that it was made from"
    ):
        augment(out, tmp_path / "again")
    make_song(tmp_path / "foreign/train/X", seconds=0.1)
    with pytest.raises(
        SepkitError, match="foreign: holds songs but no augmented.json; choose an empty folder"
    ):
        augment(songs, tmp_path / "foreign")
    make_song(songs / "train/A [pitch +2]", seconds=0.1)
    with pytest.raises(
        SepkitError,
        match=r"train/A \[pitch [+]2\]: 2 songs or versions would have this name; rename",
    ):
        augment(songs, tmp_path / "names")


def test_a_shift_longer_than_a_song_is_refused(make, songs):
    make_song(songs / "train/Short", seconds=0.5)
    with pytest.raises(
        SepkitError, match="train/Short: lasts 0.5 s, shift is -1 s; give a shorter one"
    ):
        make(pitch=(), speed=())


def test_a_folder_that_is_deleted_meanwhile_is_told(make, tmp_path):
    with pytest.raises(SepkitError, match="out: was deleted while it was written to; run again"):
        make(progress=lambda done, total: done == 6 and shutil.rmtree(tmp_path / "out"))
    assert len(names(make(), "train")) == 7


def test_a_call_that_failed_before_anything_was_made_may_be_corrected(
    make, songs, tmp_path, monkeypatch
):
    """Its folder holds links and a manifest of other settings: they do not stand in the way."""
    from sepkit.datasets import augmentation

    def broken(*_):
        raise SepkitError("no such luck")

    monkeypatch.setattr(augmentation, "render_all", broken)
    with pytest.raises(SepkitError, match="no such luck"):
        make(with_valid=True)
    monkeypatch.undo()
    with pytest.raises(
        SepkitError, match=r"train/A: lasts 1.5 s, shift is -1.5 s; give a shorter one"
    ):
        make(shift=(-1.5,))
    assert tree(make(shift=(0.5,))) == tree(
        augment(songs, tmp_path / "other", shift=(0.5,), workers=1, notice=lambda line: None)
    )
    assert names(tmp_path / "out", "train") == [
        "A",
        *(
            f"A [{label}]"
            for label in ("pitch +2", "pitch -2", "shift +0.5s", "speed 0.9", "speed 1.1")
        ),
    ]
