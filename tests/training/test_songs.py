"""A run goes on with the songs that it was begun with: the same bytes, whatever their names."""

import os
import shutil

import pytest
import torch
from typer.testing import CliRunner

from sepkit import audio, cli
from sepkit.datasets import MemoryTrack
from sepkit.datasets.speech import Speech
from sepkit.errors import Notice, SepkitError
from sepkit.training.checkpoint import read_state, write_state

from .tools import QUICK, RATE, Broken, assert_same_run, command, folder_of_songs, rows, run, songs


def other(track, place=0):
    """The same song but for one sample of one channel, by the least that is audible to a float."""
    audio = track.references()
    audio["other"][1, place] += 1e-4
    return MemoryTrack(track.name, audio, RATE)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda t, v: ([t[0], other(t[1]), t[2]], v), "train: changed song-0-1"),
        (lambda t, v: ([*t[:2], other(t[2], -1)], v), "train: changed song-0-2"),
        (lambda t, v: (t, [other(v[0], 6000), v[1]]), "valid: changed song-1-0"),
        (lambda t, v: ([other(x) for x in songs(5)], v), None),
        (lambda t, v: (t[:2], v), "train: removed song-0-2"),
        (lambda t, v: (songs(4), v), "train: added song-0-3"),
        (lambda t, v: (t[::-1], v), "train: the same songs in another order"),
        (
            lambda t, v: ([other(t[0]), *t[1:]], v[:1]),
            "train: changed song-0-0; valid: removed song-1-1",
        ),
    ],
)
def test_a_run_on_other_songs_is_refused_saying_which(tmp_path, change, told):
    run(tmp_path, QUICK.but(epochs=1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    train_on, valid = change(songs(3), songs(2, seed=1))
    with pytest.raises(SepkitError) as refused:
        run(tmp_path, tracks=train_on, valid=valid)
    told = told or "train: changed song-0-0, song-0-1, song-0-2; train: added song-0-3, song-0-4"
    remedy = "choose another folder, or bring back what it was begun with"
    assert str(refused.value) == f"{tmp_path}: holds a run on other audio ({told}); {remedy}"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(tmp_path)  # with the right ones it goes on
    assert len(rows(tmp_path)) == 3


def test_songs_of_other_names_that_hold_the_same_go_on(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "parts", QUICK.but(epochs=1))
    renamed = [MemoryTrack(f"{k} {t.name}", t.references(), RATE) for k, t in enumerate(songs(3))]
    run(tmp_path / "parts", tracks=renamed)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_song_that_is_left_out_may_be_mended_or_not(tmp_path):
    """It could not be read, the run does without it, and so nothing depends on what it holds."""
    tracks = songs(3)
    broken = [tracks[0], Broken(tracks[1]), tracks[2]]
    with pytest.warns(Notice, match="song-0-1: .*this song is left out"):
        run(tmp_path / "parts", QUICK.but(epochs=1), tracks=broken)
    run(tmp_path / "parts", tracks=songs(3))
    with pytest.warns(Notice):
        run(tmp_path / "whole", tracks=broken)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_state_of_before_audio_was_recorded_goes_on_with_a_note(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "old", QUICK.but(epochs=1))
    state = read_state(tmp_path / "old" / "last.pt")
    del state["about"]["audio"]
    write_state(tmp_path / "old" / "last.pt", state)
    with pytest.raises(SepkitError, match="train: removed song-0-2.; choose another folder"):
        run(tmp_path / "old", tracks=songs(2))
    with pytest.warns(Notice, match="recorded the names of songs alone; it goes on with what they"):
        run(tmp_path / "old")
    assert_same_run(tmp_path / "old", tmp_path / "whole")
    with pytest.raises(SepkitError, match="train: changed song-0-0.; choose another folder"):
        run(tmp_path / "old", QUICK.but(epochs=4), tracks=[other(songs(3)[0]), *songs(3)[1:]])


@pytest.mark.parametrize("place", [44, 8000, -1])  # the first sample, one in the middle, the last
@pytest.mark.parametrize("part", ["train", "valid"])
def test_sepkit_train_refuses_a_file_with_another_sample(tmp_path, part, place):
    data, out = folder_of_songs(tmp_path / "songs"), tmp_path / "run"

    def train_on(folder, steps):
        return CliRunner().invoke(cli.app, command(folder, out, "--max-steps", steps))

    first = train_on(data, 2)
    assert first.exit_code == 0, first.stderr
    file = sorted((data / part).iterdir())[1] / "other.wav"
    status, content = file.stat(), bytearray(file.read_bytes())
    shutil.copytree(data, tmp_path / "elsewhere")
    content[place] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    refused = train_on(data, 4)
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert f"holds a run on other audio ({part}: changed {file.parent.name})" in refused.stderr
    assert train_on(tmp_path / "elsewhere", 4).exit_code == 0  # a copy of what it was begun with


def test_other_speech_of_the_same_names_is_refused(tmp_path):
    for seed, name in enumerate(("one", "other")):
        (tmp_path / name).mkdir()
        noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(seed))
        audio.write(tmp_path / name / "1.wav", noise, RATE)
    recipe = QUICK.but(speech_prob=0.5, epochs=1)
    speech = {name: Speech([("a", tmp_path / name / "1.wav")], RATE) for name in ("one", "other")}
    run(tmp_path / "run", recipe, speech=speech["one"])
    with pytest.raises(SepkitError, match="holds a run on other audio .the speech has changed.; "):
        run(tmp_path / "run", recipe.but(epochs=2), speech=speech["other"])
    run(tmp_path / "run", recipe.but(epochs=2), speech=speech["one"])
