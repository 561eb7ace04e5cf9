"""Files are written whole or not at all, and importing sepkit stays cheap."""

import json
import math
import os
import subprocess
import sys

import pytest

from sepkit import files
from sepkit.device import resolve_device
from sepkit.errors import SepkitError


def test_importing_sepkit_loads_nothing_heavy():
    heavy = ["torch", "librosa", "museval", "musdb", "pandas", "matplotlib", "scipy", "soundfile"]
    code = f"import sys, sepkit, sepkit.files; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        with files.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_finished_write_has_the_usual_permissions(tmp_path):
    with files.atomic_path(tmp_path / "x.txt") as temporary:
        temporary.write_text("new")
    plain = tmp_path / "plain.txt"
    plain.write_text("new")
    assert (tmp_path / "x.txt").stat().st_mode == plain.stat().st_mode


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SepkitError, match="cannot be written"):
        with files.atomic_path(tmp_path / "file" / "x.txt"):
            pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(SepkitError, match="disk is full"):
        with files.atomic_path(tmp_path / "x.txt"):
            with open("/dev/full", "w") as full:
                full.write("x" * 100_000)


def test_json_has_no_bare_nan(tmp_path):
    files.write_json(tmp_path / "x.json", {"a": [math.nan, math.inf, 1.5], "b": tmp_path})
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": [None, None, 1.5],
        "b": str(tmp_path),
    }


@pytest.mark.parametrize(
    "content, expected", [(None, "no such file"), ("{broken", "not a JSON file")]
)
def test_unreadable_json_is_named(tmp_path, content, expected):
    if content:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(SepkitError, match=f"x.json: {expected}"):
        files.read_json(tmp_path / "x.json")


def test_data_root_prefers_argument_then_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path / "env"))
    assert files.data_root(tmp_path / "arg") == tmp_path / "arg"
    assert files.data_root() == tmp_path / "env"


def test_free_space_is_found_for_folders_that_do_not_exist_yet(tmp_path):
    assert files.free_bytes(tmp_path / "a" / "b" / "c") > 0


def test_provenance_says_what_is_needed():
    facts = files.provenance("sepkit evaluate", seed=3)
    assert facts["command"] == "sepkit evaluate" and facts["seed"] == 3
    assert {"sepkit", "commit", "python", "torch", "machine", "date"} <= facts.keys()


def test_devices():
    import torch

    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(SepkitError, match="unknown device 'gpu'.*auto"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(SepkitError, match="--device cpu"):
            resolve_device("cuda")


@pytest.mark.parametrize(
    "count, text", [(0, "0.0 kB"), (400_000, "400.0 kB"), (1_500_000, "1.5 MB"), (2.34e9, "2.3 GB")]
)
def test_sizes_in_messages_are_never_zero_of_a_large_unit(count, text):
    assert files.size_text(count) == text
