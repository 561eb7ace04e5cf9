"""last.pt: damage of any kind is told, never trained on."""

import random
import zipfile

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.training.checkpoint import read_state, write_state

from .tools import FULL, run


@pytest.fixture(scope="module")
def last(tmp_path_factory):
    """The state of a real run, with all that has one."""
    out = tmp_path_factory.mktemp("run")
    run(out, FULL.but(epochs=1))
    return out / "last.pt"


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(equal, a, b)) if isinstance(a, list) else a == b


def test_a_state_is_read_as_it_was_written(last, tmp_path):
    state = torch.load(last, weights_only=True)
    state.pop("version")
    assert equal(read_state(last), state) and equal(state["model"], read_state(last)["model"])
    write_state(tmp_path / "again.pt", state)
    assert equal(read_state(tmp_path / "again.pt"), state)


def test_flipped_bits_anywhere_are_told(last, tmp_path):
    """One to three bits, in weights, in their names, in the digest; pieces missing; zeros."""
    whole, wanted, generator = last.read_bytes(), read_state(last), random.Random(0)
    path, refused = tmp_path / "last.pt", 0
    for number in range(200):
        content, where = bytearray(whole), generator.randrange(len(whole))
        if number % 4 == 0:
            where = len(whole) - 1 - generator.randrange(200)
        if number % 10 < 7:
            for _ in range(1 + number % 3):
                content[(where + generator.randrange(5000)) % len(whole)] ^= (
                    1 << generator.randrange(8)
                )
        elif number % 10 < 9:
            del content[where : generator.choice([where + 1, where + 100, len(whole)])]
        else:
            content[where : where + 50] = bytes(len(content[where : where + 50]))
        path.write_bytes(content)
        try:
            state = read_state(path)
        except SepkitError as error:
            assert str(error).startswith(f"{path}: cannot be resumed from (") and "\n" not in str(
                error
            )
            refused += 1
        else:
            assert equal(state, wanted), number
    assert refused > 180


def test_states_of_earlier_versions_are_checked_by_their_archive(last, tmp_path):
    state, path = read_state(last), tmp_path / "last.pt"
    torch.save(state, path)
    assert equal(read_state(path), state)
    whole, generator = path.read_bytes(), random.Random(0)
    entry = max(zipfile.ZipFile(path).infolist(), key=lambda entry: entry.file_size)
    for _ in range(20):
        content = bytearray(whole)
        content[entry.header_offset + 200 + generator.randrange(entry.file_size - 200)] ^= (
            1 << generator.randrange(8)
        )
        path.write_bytes(content)
        with pytest.raises(SepkitError, match="last.pt: cannot be resumed from"):
            read_state(path)


@pytest.mark.parametrize("change", ["digest lost", "newer", "not a state", "no file"])
def test_what_is_no_state_of_this_version_is_told(last, tmp_path, change):
    path = tmp_path / "last.pt"
    message = "damaged, its contents are not those that were saved"
    if change == "digest lost":
        path.write_bytes(last.read_bytes()[:-78])
    elif change == "newer":
        torch.save({"version": 3}, path)
        message = "written by a newer sepkit"
    elif change == "not a state":
        torch.save([1, 2], path)
        message = "cannot be resumed from"
    else:
        message = "No such file"
    with pytest.raises(SepkitError, match=message):
        read_state(path)
