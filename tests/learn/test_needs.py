"""Odd folders of songs: every chapter takes them or says in its first cell what it needs."""

import os
import re
import subprocess
import sys

import pytest
import torch

from sepkit import audio
from sepkit.errors import SepkitError
from sepkit.files import repo_root
from sepkit.learn import chapter
from sepkit.learn.listening import sounding_middle
from sepkit.learn.needs import NEEDS
from sepkit.reproduce.notebook import find_chapters
from sepkit.stems import STEMS

RATE = 8000
CHAPTERS = sorted(NEEDS)
ALL = {name[:2] for name in CHAPTERS}


def noise(seconds, channels=2, seed=0, rate=RATE):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, int(seconds * rate), generator=generator)


@pytest.fixture
def folder(tmp_path):
    """Write songs, {name: {stem: audio}}, and return their folder."""

    def write(songs, rate=RATE, name="odd"):
        for song, stems in songs.items():
            for stem, sound in stems.items():
                audio.write(tmp_path / name / song / f"{stem}.wav", sound, rate)
        return tmp_path / name

    return write


def songs(number=3, stems=STEMS, seconds=8.0, channels=2):
    return {
        f"song {n}": {s: noise(seconds, channels, 10 * n + k) for k, s in enumerate(stems)}
        for n in range(number)
    }


def panned_alike():
    """Songs of two channels, the second of which is half of the first."""
    halves = torch.tensor([[1.0], [0.5]])
    return {
        song: {name: stem[:1] * halves for name, stem in stems.items()}
        for song, stems in songs().items()
    }


@pytest.fixture
def begin(tmp_path):
    def make(name, data, profile="smoke"):
        return chapter.begin(
            name, profile=profile, data=str(data), device="cpu", out_dir=tmp_path, show=False
        )

    return make


def test_every_chapter_states_its_needs():
    assert [found.name for found in find_chapters() if found.name[:2] != "00"] == CHAPTERS


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_takes_three_songs_of_the_usual_four_stems(begin, folder, name):
    assert len(begin(name, folder(songs()), "paper").tracks("test")) == 3


#: what is odd about a folder -> the chapters that take it all the same
TAKEN = {
    "two stems of other names": (songs(stems=("strings", "winds")), {"01", "02"}),
    "one stem": (songs(stems=("vocals",)), {"01"}),
    "a stem too many": (songs(stems=(*STEMS, "guitar")), ALL - {"08"}),
    "one song": (songs(1), {"01", "02", "12"}),
    "two-second songs": (songs(seconds=2), {"01"}),
    "mono": (songs(channels=1), ALL - {"03"}),
    "stems that differ": (
        {**songs(2), **{"song 2": {"vocals": noise(8), "keys": noise(8, seed=1)}}},
        {"01", "05", "06", "12"},
    ),
}


@pytest.mark.parametrize("odd", TAKEN)
@pytest.mark.parametrize("name", CHAPTERS)
def test_an_odd_folder_is_taken_or_refused_with_what_is_needed_and_what_is_there(
    begin, folder, name, odd
):
    content, taken = TAKEN[odd]
    data = folder(content)
    if name[:2] in taken:
        assert all(track.channels == 2 for track in begin(name, data).tracks("test"))
        return
    with pytest.raises(SepkitError) as refused:
        begin(name, data)
    says = str(refused.value)
    assert "\n" not in says
    if odd == "one song" and NEEDS[name].train:
        assert "at least two are needed" in says  # to train and to validate
    else:
        assert re.search(f"folder:odd: chapter {name} needs .* songs.*; here: .*data='band'", says)


def test_what_is_there_is_said_in_the_folders_own_terms(begin, folder):
    for name, content, says in (
        ("08_sdr", songs(stems=("strings", "winds")), "here: song 0 with strings, winds"),
        ("08_sdr", songs(1), "here: 1 to test with"),
        ("03_ica", songs(channels=1), "here: song 0 in mono"),
        ("03_ica", panned_alike(), "here: song 0 in mono"),
        ("02_masking", songs(seconds=2), "at least 4 s with 2 stems.*here: song 0 of 2.0 s"),
        ("04_open_unmix", songs(stems=("voice", "rest")), "stems vocals.*here: song 0 with rest"),
    ):
        with pytest.raises(SepkitError, match=says):
            begin(name, folder(content, name=name + says[-3:]))


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_silent_song_is_left_out_and_named(begin, folder, name, capsys):
    content = songs(4)
    content["song 0"] = {stem: torch.zeros(2, 8 * RATE) for stem in STEMS}
    run = begin(name, folder(content))
    assert [track.name for track in run.tracks("test")] == ["song 1", "song 2", "song 3"]
    assert "left out" in capsys.readouterr().out and run.silent == ("song 0",)


@pytest.mark.parametrize("name", CHAPTERS)
def test_an_instrumental_is_left_out_where_the_voice_is_what_counts(begin, folder, name):
    content = songs(4)
    content["song 0"]["vocals"].zero_()
    assert begin(name, folder(content)).silent == (("song 0",) if NEEDS[name].voice else ())


@pytest.mark.parametrize("name", CHAPTERS)
def test_songs_that_are_all_silent_are_refused(begin, folder, name):
    data = folder({f"song {n}": {s: torch.zeros(2, 8 * RATE) for s in STEMS} for n in range(3)})
    with pytest.raises(SepkitError, match="here: 3 to test with, and in song 0.* silent"):
        begin(name, data)


@pytest.mark.parametrize("name", [name for name in CHAPTERS if NEEDS[name].train])
def test_songs_to_train_on_without_a_voice_are_refused(begin, folder, name):
    content = songs(3)  # the first of them is trained on
    content["song 0"]["vocals"].zero_()
    with pytest.raises(SepkitError, match="here: the voice of all songs to train on is silent"):
        begin(name, folder(content))


def test_a_silent_second_makes_no_song_silent(begin, folder):
    content = songs(2)
    for stems in content.values():
        for sound in stems.values():
            sound[:, :RATE] = 0
    assert begin("08_sdr", folder(content)).silent == ()


def melody(lowest, notes_a_second):
    """Six seconds of decaying notes with five harmonics, (1, samples) at 44.1 kHz."""
    time = torch.arange(6 * 44100) / 44100
    note = (time * notes_a_second).floor()
    pitch = lowest * 2 ** ((note * 5 % 12) / 12)
    phase = 2 * torch.pi * torch.cumsum(pitch.double(), 0) / 44100
    tones = sum(torch.sin(k * phase) / k for k in range(1, 6))
    return (0.2 * tones * torch.exp(-4 * (time * notes_a_second - note))).float()[None]


def test_an_excerpt_is_from_the_middle_unless_the_stem_is_silent_there(folder, begin):
    content = songs(1, ("vocals", "rest"))
    sound = content["song 0"]["vocals"]
    sound[:, 2 * RATE : 6 * RATE] = 0
    sound[:, 7 * RATE :] *= 3
    track = begin("01_stft", folder(content)).tracks("test")[0]
    assert sounding_middle(track, "rest", 4 * RATE) == 2 * RATE
    assert sounding_middle(track, "vocals", 2 * RATE) == 6 * RATE


def run_smoke(name, data, out):
    command = [sys.executable, "-m", "sepkit", "reproduce", name, "--profile", "smoke"]
    done = subprocess.run(
        [*command, "--data", str(data), "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=repo_root(),
        env={**os.environ, "PYTHONPATH": str(repo_root())},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01", pytest.param("02", marks=pytest.mark.long)])
def test_the_chapter_runs_on_one_mono_song_of_two_stems_with_a_silent_second(
    folder, tmp_path, name
):
    stems = {"strings": melody(196.0, 2), "winds": melody(523.3, 3)}
    for sound in stems.values():
        sound[:, 88200:132300] = 0
    data = folder({"song": stems}, 44100)
    run_smoke(name, data, tmp_path / "out")


@pytest.mark.long
@pytest.mark.slow
def test_chapter_02_runs_on_a_voice_that_sings_at_the_end_only(folder, tmp_path):
    stems = {"vocals": melody(392.0, 2), "drums": melody(98.0, 4)}
    stems["vocals"][:, : 5 * 44100] = 0  # nor in the first five seconds, nor in the middle four
    run_smoke("02", folder({"song": stems}, 44100), tmp_path / "out")
