"""The doctor's remedies: each is a command that exists, and what it installs exists too."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sepkit import cli
from sepkit.cli import doctor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nothing_there(monkeypatch, tmp_path):
    """A machine that lacks all that the doctor looks for; the checks that it makes of it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *names: None)
    monkeypatch.setattr(doctor, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(doctor, "free_bytes", lambda path: 1e9)
    (tmp_path / "band" / "smoke").mkdir(parents=True)
    return [*doctor.examine(tmp_path), broken_torch(monkeypatch)]


def broken_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    return doctor.Check("packages", "", *doctor._matched())


def commands(checks, first):
    """The commands in the remedies that begin with a word, split as a shell splits them."""
    pattern = rf"(?:: |; )({first} .*?)(?=;|$| \()"
    return [shlex.split(part) for check in checks for part in re.findall(pattern, check.remedy)]


def test_all_gaps_have_a_remedy(nothing_there):
    gaps = {check.topic for check in nothing_there if check.status != "ok"}
    assert gaps >= {"packages", "ffmpeg", "checkpoints", "disk", "data: musdb18"}
    assert gaps >= {"data: band/smoke"} | {f"extra: {name}" for name in doctor.EXTRAS}
    assert all(check.remedy for check in nothing_there if check.status != "ok")


def test_what_is_to_be_installed_are_packages_of_pyproject(nothing_there):
    asked = commands(nothing_there, "pip")
    assert len(asked) >= 6  # packages, the pair, four extras
    declared = re.findall(r'"([\w-]+)[<>=]+[\d.]+"', (ROOT / "pyproject.toml").read_text())
    for command in asked:
        assert command[:2] == ["pip", "install"] and len(command) > 2
        names = {re.split("[<>=]", word)[0] for word in command[2:]} - {"", "--upgrade"}
        assert names and names <= set(declared), names - set(declared)


def test_commands_of_the_kit_exist(nothing_there):
    from typer.testing import CliRunner

    asked = commands(nothing_there, "sepkit")
    assert len(asked) >= 3
    for command in asked:
        said = CliRunner().invoke(cli.app, [*command[1:], "--help"])
        assert said.exit_code == 0, command
    assert ["make", "checkpoints"] in commands(nothing_there, "make")
    assert "\ncheckpoints: " in (ROOT / "Makefile").read_text()


def test_a_torchaudio_of_another_number_that_loads_is_no_gap(monkeypatch):
    """torchaudio 2.11.1 fits torch 2.15, and there is no torchaudio 2.15."""
    given = {"torch": "2.15.0", "torchaudio": "2.11.1"}
    monkeypatch.setattr(doctor, "_version", lambda package: given.get(package, "1.0"))
    packages = next(check for check in doctor._versions() if check.topic == "packages")
    assert packages.status == "ok" and "torch 2.15.0, torchaudio 2.11.1" in packages.found


def test_a_torchaudio_that_does_not_load_is_told(monkeypatch):
    broken = broken_torch(monkeypatch)
    assert broken.status == "gap"
    assert broken.remedy.endswith("run: pip install --upgrade torch torchaudio")


@pytest.mark.parametrize("home", [None, "/proc/none", "readonly"])
def test_a_bare_machine_gets_a_report_and_no_traceback(tmp_path, home):
    """No ffmpeg, no git, no home or one that cannot be written."""
    (tmp_path / "readonly").mkdir(mode=0o555)
    bare = {k: v for k, v in os.environ.items() if k in ("SYSTEMROOT", "PYTHONPATH")} | {"PATH": ""}
    bare |= {} if home is None else {"HOME": str(tmp_path / home)}
    command = [sys.executable, "-m", "sepkit", "doctor", "--json", "--root", str(tmp_path)]
    done = subprocess.run(command, env=bare, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    checks = {check["topic"]: check for check in json.loads(done.stdout)}
    assert checks["ffmpeg"]["status"] == "note" and checks["disk"]["found"].endswith(str(tmp_path))


@pytest.mark.slow
def test_what_it_says_to_install_can_be_had_at_pypi(nothing_there):
    pytest.importorskip("uv", reason="uv is not installed; pip install uv")
    for command in commands(nothing_there, "pip"):
        wanted = "\n".join(word for word in command[2:] if not word.startswith("--"))
        compile = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "-"]
        done = subprocess.run(compile, input=wanted, capture_output=True, text=True)
        if re.search("error sending request|dns error|Failed to fetch", done.stderr):
            pytest.skip("PyPI cannot be reached")
        assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("apt-cache"), reason="no apt here")
def test_the_debian_package_has_the_name_that_is_told():
    package = re.search("apt-get install (\\S+)", doctor.FFMPEG).group(1)
    known = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True)
    if known.returncode and not list(Path("/var/lib/apt/lists").glob("*Packages*")):
        pytest.skip("apt has no lists; apt-get update")
    assert f"Package: {package}\n" in known.stdout
