"""Names from files, before they become paths."""

import json
import os

import pytest

from sepkit.errors import SepkitError
from sepkit.names import plain_name, plain_path

PLAIN = (
    "vocals",
    "no_vocals",
    "A - Ü (live) [take 2]",
    "Let's Go Fishin'",
    "a.b",
    "con1",
    "console",
    "日本語",
    "x" * 180,
    "ä" * 90,
    "50 % & more",
    "$x$",
    "#1",
)
OTHERS = (
    "",
    " ",
    ".",
    "..",
    "...",
    ".hidden",
    "a.",
    "a ",
    " a",
    "/etc/x",
    "../x",
    "a/b",
    "a\\b",
    "C:",
    "C:\\x",
    "a:stream",
    "a*",
    "a?",
    "<a>",
    "a|b",
    '"a"',
    "con",
    "CON",
    "nul.wav",
    "Com1",
    "lpt9.tar.gz",
    "com¹",
    "aux .txt",
    "conin$",
    "a\0",
    "a\n",
    "a\x7f",
    "a\x1b[31m",
    "a\u202eb",
    "a\ud800",
    "\u2028",
    "x" * 181,
    "ä" * 91,
    None,
    7,
    True,
    b"x",
    ["a"],
    {},
)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names_become_files(tmp_path, name):
    assert plain_name(name, "target", "a.json") == name
    (tmp_path / f".{name}.1234567.part.safetensors").write_text(
        "x"
    )  # with all that is put around it
    (tmp_path / f"{name}.wav").write_text("x")
    assert f"{name}.wav" in os.listdir(tmp_path)


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_refused_in_one_line(name):
    with pytest.raises(
        SepkitError,
        match="^a.json: the target .*; expected a plain name such as 'vocals', without folders$",
    ) as error:
        plain_name(name, "target", "a.json")
    assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_paths_have_plain_parts():
    assert plain_path("train/a song", "song", "a.json") == "train/a song"
    for path in ("train/../x", "/x", "a//b", "a/", "train/.x", 7, ""):
        with pytest.raises(SepkitError, match="a.json: the song"):
            plain_path(path, "song", "a.json")


@pytest.mark.parametrize(
    "name",
    [
        "../precious",
        "train/../../precious",
        "/precious",
        "train",
        "train/a/../../../precious",
        "elsewhere/x",
    ],
)
def test_a_manifest_of_others_removes_nothing_outside_its_folder(tmp_path, name):
    """Augmentation clears away the songs of a call that failed, by the names in the manifest."""
    import soundfile
    import torch

    from sepkit.datasets.augmentation import MANIFEST, augment

    precious, song, out = (
        tmp_path / "precious",
        tmp_path / "songs" / "train" / "a",
        tmp_path / "out",
    )
    for folder in (precious, song, out):
        folder.mkdir(parents=True)
    (precious / "thesis.txt").write_text("years of work")
    for stem in ("vocals", "other"):
        soundfile.write(song / f"{stem}.wav", 0.1 * torch.randn(8000, 2).numpy(), 8000)
    name = str(precious) if name == "/precious" else name
    (out / MANIFEST).write_text(json.dumps({"settings": {}, "songs": {name: ""}}))
    with pytest.raises(
        SepkitError, match=f"{MANIFEST}: .* (expected a plain name|is no song of this folder)"
    ):
        augment(tmp_path / "songs", out, pitch=(1,), speed=(), shift=())
    assert (precious / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "content", ["{", "[]", "7", '"x"', '{"ENTRY": []}', '{"ENTRY": 7}', '{"ENTRY": "x"}']
)
def test_manifests_of_another_kind_are_named(tmp_path, content):
    from sepkit.band import dataset, speech
    from sepkit.datasets import augmentation
    from sepkit.datasets.augmentation import versions
    from sepkit.reproduce import manifest as batch_manifest

    settings = dict.fromkeys(speech._FIXED)
    for read, name, entry in (
        (lambda: augmentation._read_manifest(tmp_path), augmentation.MANIFEST, "songs"),
        (lambda: dataset._read_manifest(tmp_path), dataset.MANIFEST, "songs"),
        (lambda: speech._known(tmp_path, settings), speech.MANIFEST, "speakers"),
        (lambda: batch_manifest.load_manifest(tmp_path), "manifest.json", "chapters"),
        (lambda: versions.is_complete(tmp_path), versions.FACTS, "files"),
    ):
        wrong = content.replace("ENTRY", entry).replace(
            "[]", "{}" if entry == "files" and "ENTRY" in content else "[]"
        )
        (tmp_path / name).write_text(wrong)
        with pytest.raises(SepkitError, match=f"{name}: ") as error:
            read()
        assert "\n" not in str(error.value)


def test_entries_of_manifests_are_named(tmp_path):
    from sepkit.band import dataset
    from sepkit.datasets.augmentation import versions
    from sepkit.reproduce import manifest as batch_manifest

    (tmp_path / dataset.MANIFEST).write_text('{"songs": {"train/../../x": {}}}')
    with pytest.raises(SepkitError, match="expected a plain name"):
        dataset._read_manifest(tmp_path)
    (tmp_path / versions.FACTS).write_text('{"files": ["../x.wav"]}')
    with pytest.raises(SepkitError, match="expected a plain name"):
        versions.is_complete(tmp_path)
    for entry in (
        7,
        {},
        {"status": "failed"},
        {"status": "done", "profile": "smoke", "parameters": 7},
        {"status": "failed", "profile": "x", "error": 7},
    ):
        (tmp_path / "manifest.json").write_text(json.dumps({"chapters": {"01_stft": entry}}))
        with pytest.raises(
            SepkitError,
            match="manifest.json: the entry of chapter '01_stft' is not one that sepkit wrote",
        ):
            batch_manifest.load_manifest(tmp_path)
