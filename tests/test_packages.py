"""The packages that sepkit asks for exist, for every Python that it promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OFFLINE = ("error sending request", "Failed to fetch", "dns error", "timed out")


def resolve(*arguments, given=None):
    """The versions that uv finds at PyPI, {name: version}; skips where there is no network."""
    pytest.importorskip("uv", reason="uv is not installed; pip install uv")
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True)
    if done.returncode and any(words in done.stderr for words in OFFLINE):
        pytest.skip("PyPI cannot be reached")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE))


def pinned():
    """{name: version} of the constraints that hold for every Python."""
    text = (ROOT / "constraints.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_the_constraints_hold_on_every_promised_python(python):
    extras = ["--extra", "all", "--extra", "docs"]
    wanted = ["--python-version", python, *extras, "--constraint", "constraints.txt"]
    found = resolve(*wanted, "pyproject.toml")
    pins = {name.replace("_", "-").replace(".", "-"): version for name, version in pinned().items()}
    some = {"torch", "jupyterlab", "museval", "pyworld-prebuilt", "ruff", "mypy", "mkdocs"}
    assert some <= set(found)
    assert [(name, found[name]) for name in pins if found.get(name, pins[name]) != pins[name]] == []


def test_the_promised_pythons_are_those_of_the_metadata():
    text = (ROOT / "pyproject.toml").read_text()
    assert tuple(re.findall(r"Python :: (3\.\d+)", text)) == PYTHONS
    assert f'requires-python = ">={PYTHONS[0]}"' in text


def test_the_version_stands_in_one_place_and_the_citation_agrees():
    from sepkit import __version__

    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
