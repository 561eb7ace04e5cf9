"""``sepkit separate`` as it is typed: albums, names, formats, repeated, stopped, mistaken calls."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sepkit import cli
from sepkit.audio.tags import read_tags


def separate(*arguments, model="mixture"):
    arguments = ["separate", *map(str, arguments), "--model", model, "--device", "cpu"]
    return CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200"})


def write_song(path, seed=0, seconds=0.5, rate=44100, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    x = 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * rate), 2))
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for tag, text in tags.items():
            setattr(file, tag, text)
        file.write(x)
    return path


@pytest.fixture
def albums(tmp_path, monkeypatch):
    """Two albums with songs of equal names, and what lies beside songs."""
    monkeypatch.chdir(tmp_path)
    for seed, album in enumerate(("One", "Two")):
        write_song(tmp_path / "music" / album / "01 Intro.flac", seed, title="Intro", album=album)
    write_song(tmp_path / "music" / "One" / "02.ogg", 2)
    (tmp_path / "music" / "One" / "cover.jpg").write_text("a picture")
    return tmp_path / "music"


def stems(folder):
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.suffix != ".json"
    )


def test_two_albums_with_songs_of_one_name(albums, tmp_path):
    said = separate(albums)
    assert said.exit_code == 1 and said.stdout == "" and not (tmp_path / "separated").exists()
    assert (
        "Two/01 Intro.flac: its stems would be written to separated/01 Intro, like those of"
        in said.stderr
    )
    said = separate(albums, "--name", "{parent}/{stem}", "--two-stems", "vocals", "--ext", "flac")
    assert said.exit_code == 0, said.stderr
    expected = [
        f"{song}/{stem}.flac"
        for song in ("One/01 Intro", "One/02", "Two/01 Intro")
        for stem in ("no_vocals", "vocals")
    ]
    assert stems(tmp_path / "separated") == expected and said.stdout.count("\n") == 6
    assert read_tags(tmp_path / "separated" / "Two" / "01 Intro" / "vocals.flac") == {
        "title": "Intro",
        "album": "Two",
    }


def test_two_calls_for_songs_of_one_name(albums, tmp_path):
    assert separate(albums / "One" / "01 Intro.flac").exit_code == 0
    before = {p: p.read_bytes() for p in (tmp_path / "separated").rglob("*") if p.is_file()}
    said = separate(albums / "Two" / "01 Intro.flac")
    assert said.exit_code == 1 and said.stderr.count("\n") == 1
    assert (
        "of 01 Intro.flac, which is not this 01 Intro.flac" in said.stderr
        and "--name" in said.stderr
    )
    # Of another model.
    assert separate(albums / "One" / "01 Intro.flac", model="centre").exit_code == 1
    assert {p: p.read_bytes() for p in (tmp_path / "separated").rglob("*") if p.is_file()} == before
    assert separate(albums / "One" / "01 Intro.flac", "--overwrite", model="centre").exit_code == 0
    assert stems(tmp_path / "separated") == ["01 Intro/accompaniment.wav", "01 Intro/vocals.wav"]


def test_the_same_call_goes_on_where_the_first_stopped(albums, tmp_path):
    pattern = str(albums / "*" / "*.flac"), "--name", "{index}"
    first = separate(*pattern)
    assert first.exit_code == 0 and len(stems(tmp_path / "separated")) == 8
    (tmp_path / "separated" / "2" / "bass.wav").unlink()
    changed = {p: p.stat().st_mtime_ns for p in (tmp_path / "separated").rglob("*.wav")}
    again = separate(*pattern)
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    kept = {p for p, when in changed.items() if p.stat().st_mtime_ns == when}
    assert {p.parent.name for p in kept} == {"1"} and len(stems(tmp_path / "separated")) == 8


@pytest.mark.parametrize(
    "options, expected",
    [
        (
            ["--ext", "flac", "--subtype", "FLOAT"],
            "unknown subtype of .flac 'FLOAT': choose from PCM_24, PCM_16",
        ),
        (["--bitrate", "192"], "bit rate 192: only .mp3 takes one, not .wav"),
        (["--ext", "mp3", "--bitrate", "100"], "choose from 32, 40"),
        (
            ["--name", "{title}"],
            "unknown field of --name 'title': choose from stem, parent, ext, model, index",
        ),
        (["--name", "../{stem}"], "expected a folder below the output folder"),
        (["none*.wav"], "none*.wav: no file matches this pattern"),
        (["empty"], "empty: no audio in this folder or below (readable: WAV"),
    ],
)
def test_mistakes_are_one_line_before_any_work(albums, tmp_path, options, expected):
    (tmp_path / "empty").mkdir()
    said = separate(albums / "One" / "02.ogg", *options)
    assert said.exit_code == 1 and said.stdout == "" and not (tmp_path / "separated").exists()
    assert (
        said.stderr.startswith("sepkit: error: ")
        and expected in said.stderr
        and said.stderr.count("\n") == 1
    )


def test_a_rate_that_the_format_lacks_names_the_song_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_song(tmp_path / "songs" / "fast.wav", rate=96000)
    write_song(tmp_path / "songs" / "slow.wav", rate=16000)
    said = separate("songs", "--ext", "mp3", "--bitrate", "64")
    assert said.exit_code == 1 and said.stdout.count("\n") == 4
    assert said.stderr.startswith(
        "sepkit: error: songs/fast.wav: separated/fast/*.mp3: MP3 does not know 96000 Hz; "
        "write .wav or .flac"
    )


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs file size limits")
@pytest.mark.parametrize("ext", ["wav", "flac", "mp3", "ogg"])
def test_a_disk_that_fills_up_leaves_no_half_file_in_any_format(tmp_path, monkeypatch, ext):
    write_song(tmp_path / "song.wav", seconds=5)
    import resource

    monkeypatch.chdir(tmp_path)
    before, (soft, hard) = (
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
        resource.getrlimit(resource.RLIMIT_FSIZE),
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        said = separate("song.wav", "--ext", ext, "--two-stems", "bass")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert said.exit_code == 1 and said.stdout == ""
    assert (
        said.stderr.startswith("sepkit: error: song.wav: separated/song") and "disk" in said.stderr
    )
    assert said.stderr.count("\n") == 1 and not list((tmp_path / "separated").rglob("*"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_a_killed_call_leaves_is_swept_by_the_next(tmp_path):
    write_song(tmp_path / "long.wav", seconds=300)
    write_song(tmp_path / "short.wav")
    command = [sys.executable, "-m", "sepkit", "separate", "--device", "cpu", "--out", "out"]
    process = subprocess.Popen([*command, "long.wav", "--model", "repet"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/.long*/.vocals*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)  # however fast the machine is, it does not end by itself
    beside = subprocess.run(
        [*command, "short.wav", "--model", "mixture"], cwd=tmp_path, capture_output=True
    )
    assert beside.returncode == 0 and len(list(tmp_path.glob("out/.long*"))) == 1  # it lives
    process.kill()
    process.wait()
    again = subprocess.run(
        [*command, "short.wav", "--model", "mixture"], cwd=tmp_path, capture_output=True
    )
    assert again.returncode == 0 and os.listdir(tmp_path / "out") == ["short"]
