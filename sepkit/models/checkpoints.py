"""Checkpoints: one .safetensors file holds the weights and what rebuilds the network."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import SepkitError
from ..files import atomic_path, shipped
from .registry import MODELS, build

KEY = "sepkit"
SUFFIX = ".safetensors"


def save(path, model, extra=None, half=False):
    """Write a checkpoint, atomically.

    Parameters
    ----------
    path : str or Path
        Ends in ``.safetensors``.
    model : Module
        With ``name`` and ``settings``, as `build` makes it.
    extra : dict, optional
        Anything JSON can hold: provenance, scores.
    half : bool
        Store matrices as float16. Vectors (biases, normalisation statistics)
        stay float32: they are small, and half precision would hurt them.

    Returns
    -------
    Path

    Raises
    ------
    SepkitError
        If a weight is NaN or infinite, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise SepkitError(f"{path}: a checkpoint's name must end in {SUFFIX}")
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in state.items()}
    _check_finite(state, f"{path}: not saved, because the model's")
    header = {
        "format": 1, "model": model.name, "settings": model.settings, "sample_rate": model.sample_rate,
        "targets": list(model.targets), "extra": extra or {},
    }
    with atomic_path(path) as temporary:
        try:
            save_file(state, temporary, metadata={KEY: json.dumps(header)})
        except SafetensorError as error:  # its own name for a full disk
            raise SepkitError(f"{path}: cannot be written ({error}); is the disk full?") from None
    return path


def load(name_or_path, weights="shipped", model=None):
    """Load trained networks, in evaluation mode, on the CPU.

    Parameters
    ----------
    name_or_path : str or Path
        A checkpoint file; a folder with one checkpoint a target; a model's
        name, for its shipped checkpoints; or one of the published sets
        (``"umxhq"``, ...), downloaded on first use.
    weights : {"shipped", "published"}
        Which weights a model's name stands for.
    model : str, optional
        Refuse checkpoints of any other model than this.

    Returns
    -------
    Module, or dict of str to Module
        A dict {target: model} for a folder and for a name.

    Raises
    ------
    SepkitError
        Naming the file and what is wrong with it.
    """
    from . import downloads

    path = Path(name_or_path)
    name = str(name_or_path)
    if path.is_file():
        return _load_file(path, model)
    if path.is_dir():
        return _load_folder(path, model)
    if name in downloads.manifest():
        return downloads.load_published(name)
    if name not in MODELS:
        known = [*MODELS, *downloads.manifest()]
        raise SepkitError(f"{name}: neither a checkpoint nor a model; give a file, a folder or one of {', '.join(known)}")
    if weights == "published":
        return downloads.load_published(downloads.default(name))
    folder = shipped("checkpoints", f"{name}-student")
    if not folder.is_dir():
        raise SepkitError(f"{folder}: no checkpoints of {name} come with sepkit; train some: sepkit train --model {name}")
    return _load_folder(folder, model or name)


def read_header(path):
    """What a checkpoint says about itself: model, settings, sample_rate, targets, extra."""
    with _open(path) as file:
        return _header(path, file)


def _load_folder(folder, model):
    files = sorted(path for path in Path(folder).glob(f"*{SUFFIX}") if not path.name.startswith("."))
    if not files:
        raise SepkitError(f"{folder}: no checkpoint ({SUFFIX}) in this folder")
    bundle = {}
    for path in files:
        one = _load_file(path, model)
        if one.targets[0] in bundle:
            raise SepkitError(f"{path}: a second checkpoint for {one.targets[0]} in one folder; keep one a target")
        bundle[one.targets[0]] = one
    return bundle


def _load_file(path, expected=None):
    with _open(path) as file:
        header = _header(path, file)
        if expected and header["model"] != expected:
            raise SepkitError(f"{path}: a checkpoint of {header['model']}, where one of {expected} was expected")
        try:
            state = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError) as error:
            raise SepkitError(f"{path}: damaged ({error}); copy it or train it again") from None
    try:
        net = build(header["model"], **header["settings"])
    except SepkitError as error:
        raise SepkitError(f"{path}: {error}; the checkpoint is of another version of sepkit") from None
    fill(net, state, path)
    return net.eval()


def fill(model, state, source):
    """Load a state dict, strictly, into a model of the same layout.

    Parameters
    ----------
    model : Module
    state : dict of str to Tensor
    source : object
        What the error message calls the state dict: its path, mostly.

    Raises
    ------
    SepkitError
        Naming missing or unexpected weights, those of another shape, and
        those that are NaN or infinite.
    """
    wanted = model.state_dict()
    missing, left = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or left:
        parts = [f"{what} {_some(keys)}" for what, keys in (("lacks", missing), ("has unexpected", left)) if keys]
        raise SepkitError(f"{source}: does not fit {model.name}: {', '.join(parts)}; is it another model's?")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise SepkitError(
                f"{source}: {key} has shape {tuple(state[key].shape)}, but these settings of {model.name} "
                f"need {tuple(value.shape)}"
            )
    _check_finite(state, f"{source}:")
    model.load_state_dict({key: state[key].to(value.dtype) for key, value in wanted.items()})


def _open(path):
    path = Path(path)
    try:
        return safe_open(path, framework="pt", device="cpu")
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise SepkitError(f"{path}: not a checkpoint, or truncated ({error}); copy it or train it again") from None


def _header(path, file):
    try:
        header = json.loads((file.metadata() or {})[KEY])
        return {key: header[key] for key in ("model", "settings", "sample_rate", "targets", "extra")}
    except (KeyError, TypeError, json.JSONDecodeError):
        raise SepkitError(f"{path}: holds weights but not what model they are for; it was not saved by sepkit") from None


def _check_finite(state, subject):
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise SepkitError(f"{subject} {key} holds NaN or infinite values; use an earlier checkpoint")


def _some(keys, at_most=3):
    return ", ".join(keys[:at_most]) + (f" and {len(keys) - at_most} more" if len(keys) > at_most else "")
