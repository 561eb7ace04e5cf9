"""Weights in the files of other programs: every wrapping that is known, and nothing that runs."""

import pickle
import sys
import types
from fractions import Fraction

import pytest
import torch
from safetensors.torch import save_file

from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.published_files import read_weights

WEIGHTS = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}
TINY = dict(filters=4, length=4, width=4, hidden=4, layers=1, stacks=1, sample_rate=8000)
OTHERS = {name: value + 1 for name, value in WEIGHTS.items()}


def under(prefix, state=WEIGHTS):
    return {prefix + name: value for name, value in state.items()}


def equal(state, expected=WEIGHTS):
    return list(state) == list(expected) and all(
        torch.equal(state[name], value) for name, value in expected.items()
    )


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"model": WEIGHTS},
        {"state": WEIGHTS, "optimizer": {"state": {}, "param_groups": [1]}},
        {"model_state_dict": WEIGHTS, "epoch": 3},
        {"epoch": 3, "state_dict": under("model."), "hyper_parameters": {"lr": 1e-3}},
        {"state": OTHERS, "best_state": under("module."), "best_nsdr": 8.7, "optimizer": {}},
        {"state": WEIGHTS, "best_state": None},
        {"state_dict": under("model.module.")},
        {"model": {"state_dict": WEIGHTS}},
    ],
    ids=lambda content: "+".join(content),
)
def test_the_wrapping_of_training_scripts_is_taken_off(tmp_path, content):
    torch.save(content, tmp_path / "theirs.th")
    assert equal(read_weights(tmp_path / "theirs.th"))


def test_a_prefix_that_only_some_names_have_is_part_of_the_name(tmp_path):
    state = {**under("model."), "loss.weight": torch.ones(1)}
    torch.save({"state_dict": state}, tmp_path / "theirs.ckpt")
    assert equal(read_weights(tmp_path / "theirs.ckpt"), state)


def test_safetensors_are_known_by_what_is_in_them(tmp_path):
    save_file(WEIGHTS, tmp_path / "theirs.bin", metadata={"klass": "demucs.htdemucs.HTDemucs"})
    state = read_weights(tmp_path / "theirs.bin")
    assert equal(dict(sorted(state.items(), reverse=True)))


def test_old_files_of_pytorch_are_read(tmp_path):
    torch.save(WEIGHTS, tmp_path / "theirs.pth", _use_new_zipfile_serialization=False)
    assert equal(read_weights(tmp_path / "theirs.pth"))


@pytest.mark.parametrize("kind", ["th", "safetensors"])
def test_half_precision_becomes_the_networks_own(tmp_path, kind):
    net, other = build("conv-tasnet", **TINY), build("conv-tasnet", **TINY)
    half = {f"module.{name}": value.half() for name, value in net.state_dict().items()}
    path = tmp_path / f"theirs.{kind}"
    save_file(half, path) if kind == "safetensors" else torch.save({"state": half}, path)
    other.rename_published = dict  # the names are ours already
    other.load_published(read_weights(path))
    for name, value in other.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, half[f"module.{name}"].float())


# ---- files that hold more than weights


def test_a_file_of_demucs_is_read_without_demucs(tmp_path, monkeypatch):
    """Its files name the class of the network, and a fraction among its arguments."""
    named = type("HTDemucs", (), {"__module__": "demucs.htdemucs"})
    with monkeypatch.context() as patch:
        for name in ("demucs", "demucs.htdemucs"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules["demucs.htdemucs"].HTDemucs = named
        content = {"klass": named, "kwargs": {"segment": Fraction(39, 5)}, "state": WEIGHTS}
        torch.save(content, tmp_path / "theirs.th")
    assert equal(read_weights(tmp_path / "theirs.th"))
    with pytest.raises(pickle.UnpicklingError, match="demucs"):  # what PyTorch alone says to it
        torch.load(tmp_path / "theirs.th", weights_only=True)


class Malicious:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("place", ["weights", "best_state", "kwargs"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, place):
    trap = tmp_path / "trap"
    content = {"state": WEIGHTS, place: Malicious(open, str(trap), "w")}
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        path = tmp_path / "weights.pth"
        write(content, path)
        with pytest.raises(SepkitError, match="refused, it holds more than weights"):
            read_weights(path)
    assert not trap.exists()


def test_a_number_that_would_take_all_memory_is_not_computed(tmp_path):
    """As a fraction, this text alone would be a number of a thousand million digits."""
    content = {"state": WEIGHTS, "segment": Malicious(Fraction, "1e1000000000")}
    torch.save(content, tmp_path / "theirs.th")
    assert equal(read_weights(tmp_path / "theirs.th"))


def holds_itself():
    state = {}
    state["state"] = state
    return state


@pytest.mark.parametrize(
    "content",
    [
        [1],
        {},
        {"state": {}},
        {"state": {0: torch.ones(1)}},
        {"fc.weight": torch.ones(1), "names": ["a"]},
        holds_itself(),
        {"fc.weight": torch.empty(10**6, 10**6, device="meta")},
        {"fc.weight": torch.eye(2).to_sparse()},
        {"fc.weight": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
    ],
    ids=["list", "nothing", "empty", "numbers", "names", "itself", "meta", "sparse", "quantised"],
)
def test_what_is_no_state_dict_is_named(tmp_path, content):
    torch.save(content, tmp_path / "theirs.pth")
    with pytest.raises(SepkitError, match="theirs.pth: a state dict .* was expected") as error:
        read_weights(tmp_path / "theirs.pth")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["nothing", "text", "header", "truncated", "no file"])
def test_damaged_files_are_named_in_one_line(tmp_path, content):
    path = tmp_path / "theirs.safetensors"
    save_file(WEIGHTS, path)
    whole = path.read_bytes()
    path.write_bytes(
        {"nothing": b"", "text": b"<html>", "header": whole[:40], "truncated": whole[:-1]}.get(
            content, b""
        )
    )
    if content == "no file":
        path.unlink()
    with pytest.raises(SepkitError, match="theirs.safetensors: (cannot be read|refused)") as error:
        read_weights(path)
    assert "\n" not in str(error.value)
