"""The device a calculation runs on, and what a processor is told about faint numbers."""

import subprocess
import sys

import pytest
import torch

from sepkit.device import denormals_as_zero, resolve_device
from sepkit.errors import SepkitError
from sepkit.models.registry import MODELS


@pytest.fixture
def as_it_was():
    before = float(torch.tensor([1e-39]) * 1) == 0
    yield
    torch.set_flush_denormal(before)


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush denormal numbers"
)
@pytest.mark.parametrize("flushed", [False, True])
def test_faint_numbers_are_zero_meanwhile_and_afterwards_what_they_were(as_it_was, flushed):
    faint = torch.tensor([1e-39])
    torch.set_flush_denormal(flushed)
    before = float(faint * 1)
    with denormals_as_zero():
        with denormals_as_zero():
            assert float(faint * 1) == 0
        assert float(faint * 1) == 0  # the inner one does not end the outer one
    assert float(faint * 1) == before and (before == 0) is flushed


def test_every_file_of_networks_can_be_the_first_that_is_imported():
    files = {place.split(".")[0] for place in MODELS.values()} | {
        "checkpoints",
        "published_files",
        "registry",
        "resunet_published",
    }
    forget = "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('sepkit')]"
    code = "\n".join(
        ["import sys", *(f"{forget}; import sepkit.models.{file}" for file in sorted(files))]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cpu", "cpu"),
        ("cpu:0", "cpu"),
        ("cpu:1", None),
        ("cpu:", None),
        ("cuda:x", None),
        ("auto:0", None),
        ("", None),
    ],
)
def test_devices_have_numbers_only_where_there_are_several(name, kind):
    if kind is None:
        with pytest.raises(
            SepkitError, match=f"unknown device '{name}': choose from auto, cpu, cuda, mps"
        ):
            resolve_device(name)
    else:
        assert str(resolve_device(name)) == kind
