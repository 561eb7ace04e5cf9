"""Making mixtures: only what is asked for, its need said first, resumable, from known sources."""

import csv
import hashlib
import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sepkit import cli
from sepkit.datasets import open_tracks
from sepkit.datasets.librimix import making
from sepkit.datasets.librimix.making import MANIFEST, make_librimix
from sepkit.datasets.librimix.sources import BandSpeech
from sepkit.errors import SepkitError

RATE = 16000


def make(root, *types, notice=lambda text: None, **options):
    options = {"subsets": ["test"], "mixtures": 3, "noises": ["hum"], "workers": 1, **options}
    return make_librimix(root, types or ("mix_both",), notice=notice, **options)


def contents(folder):
    """{place: hash} of all visible files but the manifest, which says when a call was made."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != MANIFEST
    }


def put(path, seconds, seed, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).normal(0, 0.1, (int(seconds * RATE), channels))
    soundfile.write(path, wave, RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """LibriSpeech's dev-clean, three speakers of three utterances, one too short; WHAM!'s cv."""
    root = tmp_path_factory.mktemp("recorded")
    for speaker in (84, 174, 251):
        folder = root / "LibriSpeech" / "dev-clean" / str(speaker) / "7"
        seconds = (3.1, 3.4, 2.9 if speaker == 84 else 3.2)
        names = [f"{speaker}-7-{number:04d}" for number in range(3)]
        for number, name in enumerate(names):
            put(folder / f"{name}.flac", seconds[number], 10 * speaker + number)
        lines = "".join(f"{name} SOME WORDS\n" for name in names)
        (folder / f"{speaker}-7.trans.txt").write_text(lines)
    noises = [f"01{letter}_1.2_02{letter}_-1.2" for letter in "abc"]
    for number, name in enumerate(noises):
        put(root / "wham_noise" / "cv" / f"{name}.wav", 3.0 + number, number, channels=2)
    listing = root / "wham_noise" / "metadata" / "noise_meta_cv.csv"
    listing.parent.mkdir()
    listing.write_text("utterance_id,Level\n" + "".join(f"{name}.wav,1\n" for name in noises))
    return root


@pytest.mark.parametrize(
    "kind, folders",
    [
        ("mix_both", {"s1", "s2", "noise", "mix_both"}),
        ("mix_clean", {"s1", "s2", "mix_clean"}),
        ("mix_single", {"s1", "noise", "mix_single"}),
    ],
)
def test_only_what_a_type_needs_is_written(tmp_path, kind, folders):
    place = make(tmp_path, kind, mixtures=1, rate="8k", mode="max")
    assert place == tmp_path / "Band2Mix" / "wav8k" / "max"
    assert {path.name for path in (place / "test").iterdir()} == folders
    assert {path.name for path in place.iterdir() if path.name[0] != "."} == {
        "test",
        "metadata",
        MANIFEST,
    }
    (track,) = open_tracks(tmp_path, "test")
    assert (track.sample_rate, set(track.stems)) == (8000, folders - {kind})
    assert (track.mixture() == sum(track.references().values())).all()


def test_another_seed_gives_other_mixtures(tmp_path):
    first, other = (contents(make(tmp_path / str(seed), seed=seed)) for seed in (0, 1))
    assert not set(first.values()) & set(other.values())


@pytest.mark.slow  # it starts two processes
def test_a_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    options = {"noises": None, "mixtures": 4}
    one, two = (contents(make(tmp_path / str(n), workers=n, **options)) for n in (1, 2))
    assert one == two


def test_more_mixtures_subsets_and_types_only_add_files(tmp_path):
    first = contents(make(tmp_path, mixtures=2))
    place = make(tmp_path, "mix_clean", mixtures=3, subsets=["test", "dev"])
    after = contents(place)
    assert {name: after[name] for name in first if "metadata" not in name} == {
        name: found for name, found in first.items() if "metadata" not in name
    }
    assert len(list((place / "test" / "mix_clean").iterdir())) == 3
    manifest = json.loads((place / MANIFEST).read_text())
    assert manifest["types"] == ["mix_both", "mix_clean"]
    assert {name: facts["mixtures"] for name, facts in manifest["subsets"].items()} == {
        "test": 3,
        "dev": 3,
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_call_goes_on_and_ends_with_the_same_bytes(tmp_path):
    def killed_in_the_middle_of_a_file(*arguments, written=itertools.count(1), **options):
        if next(written) == 7:  # s1, s2, noise, mix_both, s1, s2, and then the noise
            Path(arguments[0]).write_bytes(b"RIFF and not much more")
            os.kill(os.getpid(), signal.SIGKILL)
        write(*arguments, **options)

    write, child = soundfile.write, os.fork()
    if child == 0:
        soundfile.write = killed_in_the_middle_of_a_file
        make(tmp_path / "a")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    place = tmp_path / "a" / "Band2Mix" / "wav16k" / "min"
    made = {path: path.stat().st_mtime_ns for path in place.glob("test/*/[!.]*")}
    assert len(made) == 6 and all(soundfile.info(path).frames for path in made)
    assert contents(make(tmp_path / "a")) == contents(make(tmp_path / "b"))
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert not list(place.glob("test/*/.*"))


def test_the_need_is_said_before_anything_is_written_and_holds(tmp_path, monkeypatch):
    said = []

    def note(text):
        said.append((text, (tmp_path / "Band2Mix").exists()))

    place = make(tmp_path, notice=note)
    assert "speech of the band's speakers, noise: rendered hum; 3 mixtures" in said[0][0]
    assert "3 of them are to be made; they need up to" in said[1][0]
    assert not any(written for _, written in said)
    need = float(said[1][0].split("need up to ")[1].split(" MB")[0]) * 1e6
    taken = sum(-(-p.stat().st_size // 4096) * 4096 for p in place.glob("test/*/*.wav"))
    assert 0.6 * need < taken <= need
    said.clear()
    make(tmp_path, notice=note)
    assert "0 of them are to be made; they need up to 0.0 kB" in said[1][0]


def test_too_small_a_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "free_bytes", lambda path: 100_000)
    command = ["data", "librimix", "--root", str(tmp_path / "out"), "--mixtures", "30"]
    said = CliRunner().invoke(cli.app, command, env={"COLUMNS": "500"})
    assert said.exit_code == 1
    assert "are needed, 100.0 kB are free; nothing was written: ask for fewer types" in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_is_named_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def write(path, *arguments, **options):
        Path(path).write_bytes(b"RIFF")
        raise soundfile.LibsndfileError(2, "Error writing: ")

    monkeypatch.setattr(soundfile, "write", write)
    with pytest.raises(SepkitError, match=r"s1/.*.wav: cannot be written .* is the disk full"):
        make(tmp_path)
    assert not list(tmp_path.rglob("*.wav"))


def test_a_manifest_that_somebody_else_wrote_is_refused(tmp_path):
    place = make(tmp_path, mixtures=1)
    known = json.loads((place / MANIFEST).read_text())
    for subsets, words in (
        ({"test": {"mixtures": -1}}, "mixtures=-1: a whole number from 0"),
        ({"test": {"mixtures": 1, "speech": "x"}}, "made with other recordings of test"),
        ([], "not a file that sepkit wrote"),
    ):
        (place / MANIFEST).write_text(json.dumps({**known, "subsets": subsets}))
        with pytest.raises(SepkitError, match=words):
            make(tmp_path, mixtures=1)


def test_the_recordings_of_librispeech_and_wham_make_libri2mix(tmp_path, recorded):
    options = {"subsets": None, "noises": None, "librispeech": recorded, "mixtures": 4}
    place = make(tmp_path, wham=recorded / "wham_noise", **options)
    assert place == tmp_path / "Libri2Mix" / "wav16k" / "min"
    with open(place / "metadata" / "dev.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["mixture"] for row in rows}) == 4
    for row in rows:
        speakers = [Path(row[part]).parts[1] for part in ("s1", "s2")]
        assert len(set(speakers)) == 2
        assert row["mixture"] == "_".join(Path(row[part]).stem for part in ("s1", "s2"))
        assert row["noise"].startswith("cv/01")
    assert "84-7-0002" not in (place / "metadata" / "dev.csv").read_text()  # 2.9 s
    manifest = json.loads((place / MANIFEST).read_text())["settings"]
    assert manifest["speech"] == {"source": "LibriSpeech"}
    assert manifest["noise"] == {"source": "WHAM!"}
    track = open_tracks(tmp_path, "valid")[0]
    row = next(row for row in rows if row["mixture"] == track.name)
    first = soundfile.read(recorded / "LibriSpeech" / row["s1"])[0][: track.samples]
    ours = track.stem("s1")[0].numpy()
    assert np.corrcoef(first, ours)[0, 1] > 0.9999
    left = soundfile.read(recorded / "wham_noise" / row["noise"])[0][: 3 * RATE, 0]
    assert np.corrcoef(left, track.stem("noise")[0, : 3 * RATE].numpy())[0, 1] > 0.999


def test_rendered_noise_under_librispeech_is_not_called_librimix(tmp_path, recorded):
    options = {"subsets": None, "librispeech": recorded, "mixtures": 1}
    assert make(tmp_path, **options).parts[-3] == "Band2Mix"
    clean = make(tmp_path, "mix_clean", **{**options, "noises": None})
    assert clean.parts[-3] == "Libri2Mix" and not (clean / "dev" / "noise").exists()


def test_recordings_that_have_changed_are_not_mixed_with_others(tmp_path, recorded):
    options = {"subsets": None, "librispeech": tmp_path / "speech", "mixtures": 1}
    corpus = tmp_path / "speech" / "LibriSpeech"
    corpus.parent.mkdir()
    subprocess.run(["cp", "-r", recorded / "LibriSpeech", corpus], check=True)
    make(tmp_path, **options)
    put(corpus / "dev-clean" / "84" / "7" / "84-7-0000.flac", 4.0, 0)
    with pytest.raises(SepkitError, match="was made with other recordings of dev; choose another"):
        make(tmp_path, **options)


@pytest.mark.parametrize(
    "lacking, words",
    [
        ("folder", r"wham_noise/cv: no noises found, which dev needs; unpack wham_noise.zip"),
        ("file", r"1 of 3 noises that noise_meta_cv.csv lists are missing \(01b_1.2_02b_-1.2.wav"),
    ],
)
def test_a_wham_folder_with_missing_files_is_refused(tmp_path, recorded, lacking, words):
    wham = tmp_path / "wham_noise"
    subprocess.run(["cp", "-r", recorded / "wham_noise", wham], check=True)
    if lacking == "file":
        next((wham / "cv").glob("01b*")).unlink()
    else:
        (wham / "cv").rename(wham / "tt")
    with pytest.raises(SepkitError, match=words):
        make(tmp_path / "out", subsets=["dev"], noises=None, librispeech=recorded, wham=wham)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"types": ("mix",)}, "unknown type 'mix': choose from mix_both, mix_clean, mix_single"),
        ({"types": ()}, "no type was asked for"),
        ({"rate": "44k"}, "unknown rate '44k': choose from 8k, 16k"),
        ({"mode": "mean"}, "unknown mode 'mean': choose from min, max"),
        ({"speakers": 4}, "unknown number of speakers 4: choose from 2, 3"),
        ({"noises": ["rain"]}, "unknown noise 'rain'"),
        ({"subsets": ["train-100"]}, "unknown subset of the band's speakers 'train-100'"),
        ({"seed": 2**32}, "seed=4294967296: a whole number from 0"),
        ({"mixtures": 0}, "mixtures=0: a whole number from 1"),
        ({"wham": "w", "noises": ["hum"]}, "wham and noises are both given"),
        ({"librispeech": "."}, "none of LibriSpeech's train-clean-360, .* found"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(SepkitError, match=words):
        make_librimix(tmp_path / "out", **options, notice=lambda text: None)
    assert not (tmp_path / "out").exists()


def test_more_mixtures_than_utterances_allow_are_refused(tmp_path, recorded):
    options = {"subsets": None, "noises": None, "librispeech": recorded, "mixtures": 999}
    with pytest.raises(SepkitError, match="dev: 999 mixtures .* make up 21 of 2 different"):
        make(tmp_path / "out", "mix_clean", **options)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"seed": 3}, "was made with seed 0, now 3; choose another root or delete this one"),
        ({"noises": ["crowd"]}, r"was made with noise .*\['hum'\].*, now .*\['crowd'\]"),
    ],
)
def test_a_folder_of_other_settings_is_refused_and_left_alone(tmp_path, change, words):
    before = contents(make(tmp_path, mixtures=1))
    with pytest.raises(SepkitError, match=words):
        make(tmp_path, mixtures=1, **change)
    assert contents(tmp_path / "Band2Mix" / "wav16k" / "min") == before


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    put(tmp_path / "Band2Mix" / "wav16k" / "min" / "test" / "s1" / "a.wav", 1, 0)
    with pytest.raises(SepkitError, match=f"holds files but no {MANIFEST}; choose another root"):
        make(tmp_path)


def test_no_speaker_is_in_two_subsets_and_nobody_talks_over_themselves():
    speech, heard = BandSpeech("dsp"), {}
    for subset in speech.subsets:
        groups = list(itertools.islice(speech.groups(subset, 2, seed=0), 200))
        assert all(len({one.name for one in group}) == 2 for group in groups)
        heard[subset] = {one.name for group in groups for one in group}
    assert set(heard) == {"train", "dev", "test"}
    assert sum(map(len, heard.values())) == len(set.union(*heard.values())) == 96


def test_the_command_refuses_a_seed_out_of_range_as_a_usage_error(tmp_path):
    command = ["data", "librimix", "--root", str(tmp_path / "out"), "--seed", str(2**32)]
    said = CliRunner().invoke(cli.app, command, env={"COLUMNS": "200"})
    assert said.exit_code == 2 and "a whole number from 0 to 4294967295" in said.stderr
    assert not (tmp_path / "out").exists() and os.listdir(tmp_path) == []
