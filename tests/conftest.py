"""What all tests share: no user settings, one thread, which small tensors prefer, broken files."""

import os
import signal

import sepkit  # noqa: F401  # isort: skip  (before torch, which reads what it sets)

import numpy as np
import pytest
import soundfile
import torch

torch.set_num_threads(1)
# A shell that runs tests in the background makes them ignore Ctrl-C, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as nohup does with this one


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch, tmp_path_factory):
    """SEPKIT_... variables must not decide a test's outcome, nor tests fill the user's cache."""
    for name in [name for name in os.environ if name.startswith("SEPKIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def _spoil(kind, path):
    """Write a file that is broken in the way `kind` says."""
    good = 0.1 * np.random.default_rng(0).standard_normal((8000, 2))
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no music\n" * 50)
    elif kind == "folder":
        path.mkdir()
    elif kind == "zero length":
        soundfile.write(path, np.zeros((0, 2)), 44100)
    elif kind == "six channels":
        soundfile.write(path, np.zeros((100, 6)), 44100)
    elif kind in ("nan", "inf", "-3e38"):
        good[4000, 1] = float(kind)
        soundfile.write(path, good, 44100, subtype="FLOAT")
    elif kind == "truncated":
        soundfile.write(path, good, 44100, format="FLAC")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def spoil():
    """``spoil(kind, path)`` writes a file that is broken in a named way."""
    return _spoil


def _alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def alive():
    """``alive(process)``: whether it runs; one that has ended and was not waited for does not."""
    return _alive
