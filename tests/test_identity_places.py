"""Whatever is kept for songs is made again when one sample of one has changed, and only then."""

import os
import shutil
import time

import pytest
import torch

from sepkit import audio, files, separation
from sepkit.datasets import activity, augmentation, loader, open_tracks
from sepkit.datasets.augmentation import augment
from sepkit.datasets.loader import decoded
from sepkit.evaluation import evaluate, evaluate_folders, jobs
from sepkit.files import hashes

RATE, SAMPLES, HEADER = 4000, 13000, 44
SONGS, STEMS = ("a", "b", "c", "d"), ("vocals", "other")


@pytest.fixture
def data(tmp_path):
    """Four songs of two stems, 16-bit."""
    for number, name in enumerate(SONGS):
        for k, stem in enumerate(STEMS):
            generator = torch.Generator().manual_seed(10 * number + k)
            noise = 0.1 * torch.randn(1, SAMPLES, generator=generator)
            path = tmp_path / "data" / name / f"{stem}.wav"
            audio.write(path, noise, RATE, subtype="PCM_16")
    return tmp_path / "data"


@pytest.fixture
def hashed(monkeypatch):
    """Files are taken to be long at rest; what is hashed, that is: read to the end, is listed."""
    read, sha256 = [], files.sha256

    def noted(path):
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(hashes, "SETTLED", -(10**18))
    monkeypatch.setattr(hashes, "sha256", noted)
    return read


def in_another_process():
    hashes._here.clear()


def flip(path, sample):
    """Change the lowest bit of one sample; size, inode and time of modification stay."""
    time.sleep(0.02)  # the file system's clock goes in steps of up to 10 ms
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(HEADER + 2 * sample)
        byte = file.read(1)[0]
        file.seek(HEADER + 2 * sample)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = path.stat()
    for what in ("st_size", "st_ino", "st_mtime_ns"):
        assert getattr(after, what) == getattr(status, what)


def counted(monkeypatch, place, name, song):
    """A list of the songs for which a function is called; ``song(*arguments)`` tells which."""
    calls, function = [], getattr(place, name)

    def watched(*arguments, **options):
        calls.append(song(*arguments))
        return function(*arguments, **options)

    monkeypatch.setattr(place, name, watched)
    return calls


class Evaluating:
    """``sepkit evaluate --out``: a separator over songs."""

    def __init__(self, data, out, monkeypatch):
        self.out = out
        self.calls = counted(monkeypatch, jobs, "found_in", lambda *a: a[2])

    def __call__(self, data):
        mixture = separation.get("mixture")
        scores = evaluate(mixture, open_tracks(data), self.out, ["usdr"], notice=None)
        return [(s.track, s.target, s.value) for s in scores]


class EvaluatingReferences(Evaluating):
    """``sepkit evaluate --out``: folders of stems, which are the references here."""

    def __init__(self, data, out, monkeypatch):
        super().__init__(data, out, monkeypatch)
        self.estimates = shutil.copytree(data, out / "estimates")

    def __call__(self, data):
        found = evaluate_folders(data, self.estimates, self.out / "scores", ["usdr"], notice=None)
        return [(s.track, s.target, s.value) for s in found]


class EvaluatingEstimates(EvaluatingReferences):
    """The same with references and estimates exchanged."""

    def __call__(self, data):
        self.out.mkdir(exist_ok=True)
        found = evaluate_folders(
            self.estimates, data, self.out / "scores", ["usdr"], notice=None, separator="x"
        )
        return [(s.track, s.target, s.value) for s in found]


class Decoding:
    """``sepkit train --cache FOLDER``"""

    def __init__(self, data, out, monkeypatch):
        self.out = out
        self.calls = counted(monkeypatch, loader, "_write", lambda track, path: track.name)

    def __call__(self, data):
        found = decoded(open_tracks(data), self.out, workers=1, notice=None)
        return [(track.name, track.stem("vocals").tolist()) for track in found]


class Indexing:
    """``sepkit data activity``"""

    def __init__(self, data, out, monkeypatch):
        self.out = out
        monkeypatch.setattr(activity, "SECONDS", 1.0)
        self.calls = counted(monkeypatch, activity, "chunk_energies", lambda t, stem: t.name)

    def __call__(self, data):
        return activity.find(open_tracks(data), self.out, workers=1).starts


class Augmenting:
    """``sepkit data augment``"""

    def __init__(self, data, out, monkeypatch):
        self.out = out
        self.calls = counted(monkeypatch, augmentation, "make_version", lambda *a: a[1].name)

    def __call__(self, data):
        options = dict(pitch=(), speed=(), shift=(0.5, -0.5), workers=1, notice=lambda line: None)
        augment(data, self.out, **options)
        kept = self.out.glob("train/*/*.wav")
        return sorted((str(path.relative_to(self.out)), path.read_bytes()) for path in kept)


PLACES = (Evaluating, EvaluatingReferences, EvaluatingEstimates, Decoding, Indexing, Augmenting)


@pytest.mark.skipif(os.name != "posix", reason="no time of the last change")
@pytest.mark.parametrize("sample", [0, SAMPLES // 2, SAMPLES - 1])
@pytest.mark.parametrize("kind", PLACES)
def test_one_sample_anywhere_is_enough_and_concerns_its_song_alone(
    data, tmp_path, monkeypatch, hashed, kind, sample
):
    place = kind(data, tmp_path / "out", monkeypatch)
    before = place(data)
    assert set(place.calls) >= {"a", "c"}  # "d" validates where songs are augmented
    for _ in range(2):  # twice, for the hard links of augmented songs change the files' state
        place.calls.clear(), hashed.clear(), in_another_process()
        assert place(data) == before and place.calls == []
    assert hashed == []  # a second look reads no file

    flip(data / "c" / "vocals.wav", sample)
    place.calls.clear(), in_another_process()
    after = place(data)
    assert set(place.calls) == {"c"}
    fresh = kind(data, tmp_path / "fresh", monkeypatch)
    if kind is not EvaluatingReferences and kind is not EvaluatingEstimates:  # those copy the data
        assert fresh(data) == after
    place.calls.clear(), in_another_process()
    assert place(data) == after and place.calls == []


@pytest.mark.parametrize("kind", PLACES)
def test_touching_and_copying_songs_makes_nothing_again(data, tmp_path, monkeypatch, hashed, kind):
    place = kind(data, tmp_path / "out", monkeypatch)
    before = place(data)
    for path in data.glob("*/*.wav"):
        os.utime(path)
    elsewhere = shutil.copytree(data, tmp_path / "elsewhere" / "data")
    for folder in (data, elsewhere):
        place.calls.clear(), in_another_process()
        assert place(folder) == before and place.calls == []


@pytest.mark.parametrize("kind", PLACES)
def test_without_a_memory_on_disk_all_are_right(data, tmp_path, monkeypatch, hashed, kind):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "file"))
    place = kind(data, tmp_path / "out", monkeypatch)
    before = place(data)
    place.calls.clear(), in_another_process()
    assert place(data) == before and place.calls == [] and hashed != []
