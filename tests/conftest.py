"""What all tests share: no settings of whoever runs them, and one thread, which small tensors prefer."""

import os

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch):
    """SEPKIT_... variables must not decide the outcome of a test."""
    for name in [name for name in os.environ if name.startswith("SEPKIT_")]:
        monkeypatch.delenv(name)
