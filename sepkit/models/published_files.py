"""Files that other programs saved their weights in: read without running anything in them.

Training scripts wrap a state dict in many ways, for example ``{"state_dict": {"model.fc1.weight":
...}}``. Here the wrapping is taken off; what the names then mean, the network says
(`sepkit.models.base.Model.rename_published`).
"""

import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import SepkitError
from .tensor_bundle import is_archive, read_archive

#: Under what training scripts keep the weights, the best ones first.
WRAPPERS = ("best_state", "state_dict", "model_state_dict", "state", "model")
#: What Lightning and data-parallel training put before every name.
PREFIXES = ("module.", "model.")
#: Classes that the files of Demucs name beside their weights. The weights do not need them.
NAMED = ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "fractions.Fraction")


class _Named:
    """Stands for a class that a file names: keeps nothing, does nothing."""

    def __init__(self, *arguments):
        pass


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The state dict in a foreign file: PyTorch's (.pth, .pt, .th, .ckpt), a .safetensors, or
    the TensorFlow checkpoint in a wheel or a .tar.gz.

    Numbers stay in the file's precision. `sepkit.models.fill` compares names and shapes with a
    network's and turns half precision into the network's own.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to Tensor
        Without what training scripts wrap it in: of ``{"state": ..., "best_state": ...,
        "optimizer": ...}`` the first of `WRAPPERS` that holds a dict, again and again; then
        without prefixes that all names have (`PREFIXES`).

    Raises
    ------
    SepkitError
        If the file holds code, is damaged, or holds no state dict.
    """
    path = Path(path)
    if is_archive(path):
        return read_archive(path)
    try:
        state = _read(path)
    except pickle.UnpicklingError as error:
        reason = str(error).split("Please file")[0].strip().splitlines()[0][:100]
        raise SepkitError(
            f"{path}: refused, it holds more than weights or is damaged ({reason})"
        ) from None
    except Exception as error:  # torch.load raises whatever a damaged file makes it stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise SepkitError(f"{path}: cannot be read ({reason})") from None
    state = _unwrapped(state)
    if not isinstance(state, dict) or not state or not all(map(_is_weight, state.items())):
        raise SepkitError(
            f"{path}: a state dict (names and tensors) was expected, alone or as one of "
            f"{', '.join(WRAPPERS)}"
        )
    return state


def _read(path):
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # behind its length, the header of a .safetensors is JSON
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"damaged: {error}") from None
    _check_archive(path)
    with (
        warnings.catch_warnings(),
        torch.serialization.safe_globals([(_Named, name) for name in NAMED]),
    ):
        warnings.simplefilter("ignore")  # about pickle versions, on the way to a refusal
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(state):
    for _ in WRAPPERS:  # no `while`: a hostile file may hold itself
        inner = [state[key] for key in WRAPPERS if _holds_dict(state, key)]
        state = inner[0] if inner else state
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        return state
    for prefix in 2 * PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _holds_dict(state, key):
    return isinstance(state, dict) and isinstance(state.get(key), dict)


def _is_weight(entry):
    """Whether it is a name and numbers that lie in memory: not sparse, quantised or without any."""
    name, value = entry
    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and (value.device.type, value.layout) == ("cpu", torch.strided)
        and not value.is_quantized
    )


def _check_archive(path):
    """PyTorch's archives keep a checksum for each tensor, which PyTorch itself does not look at."""
    if not zipfile.is_zipfile(path):  # of PyTorch before 1.6
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed, as weights never are")
        if broken := archive.testzip():
            raise ValueError(f"{broken[:60]} in it is damaged")
