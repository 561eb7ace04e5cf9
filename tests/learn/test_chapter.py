"""How a chapter begins and ends: parameters, seeds, scores and their provenance."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sepkit import audio
from sepkit.band import VERSION
from sepkit.errors import SepkitError
from sepkit.learn import chapter, default, drive, listening
from sepkit.metrics import MetricCard, Score, load_scores, score_track


@pytest.fixture
def song(tmp_path):
    """A folder of one song, two noisy stems of a second."""
    generator = torch.Generator().manual_seed(0)
    for stem in ("vocals", "other"):
        audio.write(
            tmp_path / "songs" / "test" / "noise" / f"{stem}.wav",
            0.1 * torch.randn(2, 44100, generator=generator),
            44100,
        )
    return tmp_path / "songs"


@pytest.fixture
def begin(song, tmp_path):
    def make(**changes):
        given = {
            "profile": "smoke",
            "data": str(song),
            "device": "cpu",
            "seed": 3,
            "out_dir": tmp_path / "out",
            "show": False,
        }
        return chapter.begin("01_stft", **{**given, **changes})

    return make


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"profile": "huge"}, "unknown profile 'huge': choose from smoke, student, paper"),
        ({"weights": "none"}, "choose from shipped, published, train"),
        ({"data": "musdb19"}, "band, musdb7s, musdb18, musdb18hq"),
        ({"device": "tpu"}, "choose from auto, cpu"),
        ({"seed": "one"}, "whole number"),
        ({"seed": 1.5}, "whole number"),
    ],
)
def test_parameters_that_do_not_exist_are_refused_with_those_that_do(begin, changes, says):
    with pytest.raises(SepkitError, match=says):
        begin(**changes)


def test_defaults_come_from_the_environment(monkeypatch):
    for name in ("PROFILE", "WEIGHTS", "DATA_NAME", "DEVICE", "SEED", "OUT"):
        monkeypatch.delenv(f"SEPKIT_{name}", raising=False)
    plain = [default(name) for name in ("profile", "weights", "data", "device", "seed")]
    assert plain == ["student", "shipped", "band", "auto", 0] and default("out_dir").endswith(
        "build"
    )
    monkeypatch.setenv("SEPKIT_PROFILE", "smoke")
    monkeypatch.setenv("SEPKIT_SEED", "7")
    monkeypatch.setenv("SEPKIT_OUT", "elsewhere")
    assert (default("profile"), default("seed"), default("out_dir")) == ("smoke", 7, "elsewhere")
    monkeypatch.setenv("SEPKIT_SEED", "seven")
    with pytest.raises(SepkitError, match="SEPKIT_SEED"):
        default("seed")
    with pytest.raises(SepkitError, match="profile, weights, data"):
        default("colour")


def test_the_seed_fixes_every_generator(begin):
    drawn = []
    for _ in range(2):
        begin()
        drawn.append((torch.rand(1).item(), np.random.rand()))
    begin(seed=4)
    assert drawn[0] == drawn[1] != (torch.rand(1).item(), np.random.rand())


def test_scores_are_written_with_their_provenance_and_no_path(begin, tmp_path, capsys):
    run = begin()
    (track,) = run.tracks("test")
    references = track.references()
    run.score(
        score_track(references, references, 44100, ("usdr",)),
        track=track.name,
        separator="perfect",
        note="a fact",
    )
    run.score(
        ("vocals", "above_16k", -44.0, "a definition in words"), track=track.name, separator="as is"
    )
    theirs = {
        "device": None,
        "seed": None,
        "command": "kernel -f /home/me/x.json",
        "checkpoint": "abc",
    }
    run.score(
        Score(
            "noise",
            "vocals",
            "usdr",
            1.0,
            "other program",
            run.dataset,
            MetricCard("usdr", "MDX song SDR"),
            theirs,
        )
    )
    run.finish()

    path = tmp_path / "out" / "results" / "01_stft.json"
    scores = load_scores(path)
    assert [s.separator for s in scores] == ["perfect", "perfect", "as is", "other program"]
    assert {s.dataset for s in scores} == {"folder:songs"}
    assert scores[2].card == MetricCard("above_16k", "a definition in words")
    assert scores[0].provenance["note"] == "a fact" and scores[3].provenance["checkpoint"] == "abc"
    assert all(s.provenance["seed"] == 3 and s.provenance["device"] == "cpu" for s in scores)
    assert all(
        s.provenance["command"].startswith("sepkit reproduce 01_stft --profile smoke")
        for s in scores
    )
    assert "band" not in scores[0].provenance and begin(data="band").provenance()["band"] == VERSION
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "4 scores written to results/01_stft.json" in said
    assert str(tmp_path) not in said + json.dumps([s.provenance for s in scores])


def test_a_cell_that_is_run_twice_leaves_its_scores_once(begin):
    run = begin()
    for value, seconds in ((1.0, 3.0), (2.0, 4.0)):
        rows = [("vocals", "usdr", value, "words"), ("other", "usdr", value, "words")]
        run.score(rows, track="a", separator="mine", step_seconds=seconds)
        for turn in (1, 2):  # measured twice, and meant to be
            run.score(rows[0], track="b", separator="mine", turn=turn)
    assert [(s.track, s.target, s.value) for s in run.scores] == [
        ("a", "vocals", 2.0),
        ("a", "other", 2.0),
        ("b", "vocals", 2.0),
        ("b", "vocals", 2.0),
    ]
    assert [s.provenance.get("turn") for s in run.scores] == [None, None, 1, 2]


def test_rows_without_a_track_are_refused(begin):
    with pytest.raises(SepkitError, match="track=... and separator=..."):
        begin().score([("vocals", "usdr", 1.0, "words")])


def test_the_header_shows_each_profiles_budget(begin, monkeypatch, tmp_path):
    budgets = {
        "01_stft": {
            "smoke": {"seconds": 12.4, "peak_mb": 900, "machine": "a <laptop>"},
            "paper": {"seconds": 7200, "peak_mb": 4000, "machine": "b"},
        }
    }
    (tmp_path / "budgets.json").write_text(json.dumps(budgets))
    monkeypatch.setattr(chapter, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    header = chapter._Header(begin())
    text, markup = repr(header), header._repr_html_()
    assert (
        "smoke: 12 s, 0.9 GB of memory  <- this run" in text
        and "student: not measured yet" in text
        and "2.0 h" in text
    )
    assert "smoke: only checks that it runs" in text and "smoke: only checks" in markup
    assert "GPU" not in text
    run = begin()
    run.device = torch.device("cuda")
    assert 'There is a GPU: profile = "paper"' in repr(chapter._Header(run))
    run.profile = "paper"
    assert "There is a GPU" not in repr(chapter._Header(run))
    assert "a &lt;laptop&gt;" in markup and "(this run)" in markup and "folder:songs" in markup


def test_each_profile_picks_its_own_value(begin):
    assert [
        begin(profile=profile).pick(smoke=1, student=2, paper=3)
        for profile in ("smoke", "student", "paper")
    ] == [1, 2, 3]


def test_example_music_without_a_network_is_a_song_of_the_data_set(begin, monkeypatch):
    monkeypatch.setattr(
        listening, "recorded", lambda name: pytest.fail("smoke never asks the network")
    )
    excerpt = begin().example_music(seconds=0.5)
    assert excerpt.audio.shape == (1, 22050) and float(excerpt.audio.abs().max()) <= 0.9
    assert excerpt.dataset == "folder:songs" and "'noise'" in excerpt.description

    monkeypatch.setenv("SEPKIT_OFFLINE", "1")
    assert begin(profile="student").example_music(seconds=0.5).name == "noise"
    monkeypatch.delenv("SEPKIT_OFFLINE")
    monkeypatch.setattr(listening, "recorded", lambda name: None)  # no network
    assert begin(profile="student").example_music(seconds=0.5).name == "noise"


def test_example_music_is_a_recording_when_there_is_one(begin, monkeypatch, tmp_path):
    path = audio.write(
        tmp_path / "song.ogg",
        0.2 * torch.randn(2, 3 * 22050, generator=torch.Generator().manual_seed(1)),
        22050,
    )
    monkeypatch.setattr(listening, "recorded", lambda name: path)
    monkeypatch.delenv("SEPKIT_OFFLINE", raising=False)
    excerpt = begin(profile="student").example_music(seconds=1.0)
    assert (
        excerpt.audio.shape == (1, 44100)
        and excerpt.dataset == "librosa-example"
        and "CC BY" in excerpt.description
    )


def test_the_sweep_rises_evenly():
    tone = listening.sweep(100, 1100, seconds=2, sample_rate=8000)[0]
    crossings = torch.nonzero((tone[:-1] < 0) & (tone[1:] >= 0)).flatten()
    assert tone.shape == (16000,) and float(tone.abs().max()) <= 0.5
    assert abs(len(crossings) - 1200) <= 2  # 600 Hz on average, for 2 s
    assert abs(int((crossings < 8000).sum()) - 350) <= 2  # 350 Hz on average in the first


def test_the_readers_own_song_is_heard_in_part_and_as_it_is(tmp_path):
    sound = 0.2 * torch.randn(2, 3 * 8000, generator=torch.Generator().manual_seed(1))
    path = audio.write(tmp_path / "mine.wav", sound, 8000)
    song = listening.own_song(str(path), first=1.0, seconds=0.5)
    assert song.sample_rate == 8000 and song.name == "mine" and "second 1" in song.description
    assert torch.equal(song.audio, sound[:, 8000:12000])
    end = listening.own_song(str(path), first=30.0, seconds=2.0)  # it is shorter than that
    assert torch.equal(end.audio, sound[:, 8000:])
    assert torch.equal(listening.own_song(str(path), first=0, seconds=60.0).audio, sound)
    with pytest.raises(SepkitError, match="gone.mp3"):
        listening.own_song("gone.mp3", 0, 1)


def test_a_folder_on_google_drive_is_for_colab_alone(monkeypatch):
    with pytest.raises(SepkitError, match="only Google Colab"):
        drive()
    mounted, made = [], []
    colab = SimpleNamespace(drive=SimpleNamespace(mount=mounted.append))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr("pathlib.Path.mkdir", lambda path, exist_ok: made.append(str(path)))
    assert drive("course") == "/content/drive/MyDrive/course"
    assert mounted == ["/content/drive"] and made == ["/content/drive/MyDrive/course"]
