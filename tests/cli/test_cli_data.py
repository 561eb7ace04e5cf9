"""``sepkit data augment``: what the command line makes of its options."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sepkit import cli

RATE = 8000


def sepkit(*arguments):
    return CliRunner().invoke(
        cli.app, [str(argument) for argument in arguments], env={"COLUMNS": "200"}
    )


@pytest.fixture
def songs(tmp_path):
    for number, place in enumerate(("train/A", "valid/B", "test/C")):
        folder = tmp_path / "songs" / place
        folder.mkdir(parents=True)
        for stem in ("vocals", "drums"):
            noise = np.random.default_rng(number).normal(0, 0.1, (RATE // 2, 2))
            soundfile.write(folder / f"{stem}.wav", noise, RATE, subtype="PCM_16")
    return tmp_path / "songs"


def test_augment_prints_the_folder_and_says_what_it_needs(songs, tmp_path):
    out = tmp_path / "out"
    options = ("--pitch", "-2,0.5", "--speed", "none", "--shift", "0.25", "--workers", 1)
    said = sepkit("data", "augment", "--data", songs, "--out", out, *options)
    assert said.exit_code == 0 and said.stdout.strip() == str(out)
    assert said.stderr.startswith("sepkit: note: augment: 3 versions of 1 songs need 0.00 GB, ")
    assert len(said.stderr.splitlines()) == 1  # no progress bar in a pipe
    assert sorted(path.name for path in (out / "train").iterdir()) == [
        "A",
        "A [pitch +0.5]",
        "A [pitch -2]",
        "A [shift +0.25s]",
    ]
    changes = json.loads((out / "augmented.json").read_text())["settings"]["changes"]
    assert [(change["kind"], change["amount"]) for change in changes] == [
        ("pitch", -2),
        ("pitch", 0.5),
        ("shift", 0.25),
    ]


def test_augment_resamples_and_takes_the_validation_songs_when_asked_to(songs, tmp_path):
    out = tmp_path / "out"
    options = (
        "--pitch",
        "none",
        "--speed",
        "2",
        "--shift",
        "none",
        "--speed-by",
        "resample",
        "--with-valid",
        "--workers",
        1,
    )
    said = sepkit("data", "augment", "--data", songs, "--out", out, *options)
    assert (
        said.exit_code == 0
        and "the validation loss says nothing about unknown songs" in said.stderr
    )
    assert sorted(path.name for path in (out / "train").iterdir()) == [
        "A",
        "A [speed 2]",
        "B",
        "B [speed 2]",
    ]
    assert (
        json.loads((out / "augmented.json").read_text())["versions"]["train/B [speed 2]"]["by"]
        == "resample"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pitch", "high"), "--pitch high: give numbers with commas between them, or none"),
        (("--speed", "0.9,,1.1"), "--speed 0.9,,1.1: give numbers with commas"),
        (("--shift", "0"), "shift 0: give a number from -60 to 60 other than 0"),
        (
            ("--speed-by", "magic"),
            "unknown way to change the speed 'magic': choose from stretch, resample",
        ),
        (("--data", "nowhere"), "nowhere: neither a folder nor one of the data sets"),
    ],
)
def test_augment_answers_mistakes_in_one_line(songs, tmp_path, options, message):
    said = sepkit("data", "augment", "--data", songs, "--out", tmp_path / "out", *options)
    assert (
        said.exit_code == 1
        and said.stderr.startswith(f"sepkit: error: {message}")
        and len(said.stderr.splitlines()) == 1
    )
    assert not (tmp_path / "out").exists()


def test_augment_needs_a_folder_and_explains_itself():
    assert sepkit("data", "augment").exit_code == 2
    help_text = sepkit("data", "augment", "--help").output
    assert "Example: sepkit data augment" in help_text and "default: -2,2" in help_text
