"""A small course that tests run in batch."""

import pytest
import torch

from sepkit import audio
from tests.reproduce.course import WRITE, notebook


@pytest.fixture
def course(tmp_path):
    """Two chapters that work, one that fails and one that gathers; and a data set of one file."""
    notebooks, data = tmp_path / "note books {x}", tmp_path / "dätä"
    notebooks.mkdir()
    audio.write(data / "a" / "vocals.wav", torch.full((1, 4000), 0.1), 8000, subtype="PCM_16")
    notebook(notebooks, "01_one", WRITE)
    notebook(
        notebooks,
        "02_broken",
        "kept = 7\nprint(kept)",
        "raise RuntimeError('no such\\nluck')",
        WRITE,
    )
    notebook(notebooks, "03_tables", WRITE)
    return {
        "notebooks": notebooks,
        "data": [str(data)],
        "profile": "smoke",
        "out": tmp_path / "out",
        "device": "cpu",
    }
