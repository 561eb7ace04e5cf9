"""What all tests share: no user settings, few threads."""

import os

import pytest
import torch

torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch):
    """SEPKIT_... variables of whoever runs the tests must not decide their outcome."""
    for name in [name for name in os.environ if name.startswith("SEPKIT_")]:
        monkeypatch.delenv(name)
