"""Checkpoints: one .safetensors file holds the weights and what rebuilds the network.

A file may come from anybody. What it says of itself is checked first, then the names, shapes
and types of its tensors against a network without weights; memory is taken only for a file
that fits, and the network is filled only with what the file's digest was made of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import SepkitError, unknown
from ..files import atomic_path, parse_json, shipped
from ..names import plain_name
from .registry import MODELS, build, outline

if TYPE_CHECKING:
    from .base import Model

#: In the metadata: a description in JSON, with the SHA-256 of the rest of it and of all tensors.
#: One entry, because safetensors writes several in any order, and equal runs make equal files.
KEY, DIGEST = "sepkit", "sha256"
#: 1 had no digest; the checkpoints that come with sepkit are of this format.
FORMAT = 2
SUFFIX = ".safetensors"
#: What the description holds, and as what.
_FIELDS = {"model": str, "settings": dict, "sample_rate": int, "targets": list, "extra": dict}


def save(
    path: str | Path, model: Model, extra: dict[str, Any] | None = None, half: bool = False
) -> Path:
    """Write a checkpoint, atomically.

    Parameters
    ----------
    path : str or Path
        Ends in ``.safetensors``.
    model : Model
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
        state = {
            k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in state.items()
        }
    _check_finite(state, f"{path}: not saved, because the model's")
    header = {
        "format": FORMAT,
        "model": model.name,
        "settings": model.settings,
        "sample_rate": model.sample_rate,
        "targets": list(model.targets),
        "extra": extra or {},
    }
    header = json.loads(json.dumps(header))  # as it will be read
    header[DIGEST] = _digest(header, state)
    with atomic_path(path) as temporary:
        try:
            save_file(state, temporary, metadata={KEY: json.dumps(header)})
        except SafetensorError as error:  # its own name for a full disk
            raise SepkitError(f"{path}: cannot be written ({error}); is the disk full?") from None
    return path


def load(
    name_or_path: str | Path,
    weights: str = "shipped",
    model: str | None = None,
    config: str | Path | None = None,
) -> Model | dict[str, Model]:
    """Load trained networks, in evaluation mode, on the CPU.

    Parameters
    ----------
    name_or_path : str or Path
        A checkpoint file; a folder with one checkpoint per target; a model's name, for its
        shipped checkpoints; one of the `shipped_sets`; or one of the published sets
        (``"umxhq"``, ...), downloaded on first use. Also a file of Demucs (.th,
        .safetensors) or a bag of them (.yaml), and weights that `config` describes.
    weights : {"shipped", "published"}
        Which weights a model's name stands for. Where none are shipped, published ones
        are taken for either, with a note on stderr.
    model : str, optional
        Refuse checkpoints of any other model than this.
    config : str or Path, optional
        The yaml file of the RoFormer whose weights the file holds.

    Returns
    -------
    Model, or dict of str to Model
        A dict {target: model} for a folder and for a name.

    Raises
    ------
    SepkitError
        Naming the file and what is wrong with it.
    """
    from . import downloads, foreign

    path = Path(name_or_path)
    name = str(name_or_path)
    if config is not None and not path.is_file():
        raise SepkitError(f"{name}: no such file; a config ({config}) goes with a file of weights")
    if path.is_file() and (config is not None or foreign.is_foreign(path)):
        return foreign.load_foreign(path, config)
    if path.is_file():
        return _load_file(path, model)
    if path.is_dir():
        return _load_folder(path, model)
    if name in downloads.manifest():
        return downloads.load_published(name)
    if name in shipped_sets():
        return _load_folder(shipped("checkpoints", name), model)
    if name not in MODELS:
        known = [*MODELS, *shipped_sets(), *downloads.manifest()]
        raise SepkitError(
            f"{name}: neither a checkpoint nor a model; give a file, a folder or one of "
            f"{', '.join(known)}"
        )
    folder = shipped("checkpoints", f"{name}-student")
    if weights == "published" or not folder.is_dir() and downloads.known(name):
        return downloads.load_published(downloads.default(name))
    if not folder.is_dir():
        raise SepkitError(
            f"{folder}: no checkpoints of {name} come with sepkit; train some: sepkit train "
            f"--model {name}"
        )
    return _load_folder(folder, model or name)


def shipped_sets() -> list[str]:
    """The names of the sets of checkpoints that come with sepkit, such as "open-unmix-voices"."""
    files = shipped("checkpoints").glob(f"*/*{SUFFIX}")
    return sorted({path.parent.name for path in files})


def read_header(path: str | Path) -> dict[str, Any]:
    """What a checkpoint says about itself: model, settings, sample_rate, targets, extra.

    Raises
    ------
    SepkitError
        If the file is no checkpoint, or describes no network. Its tensors are not looked at.
    """
    with _open(path) as file:
        header = _header(path, file)
    return {name: header[name] for name in _FIELDS}


def _load_folder(folder, model):
    files = sorted(
        path for path in Path(folder).glob(f"*{SUFFIX}") if not path.name.startswith(".")
    )
    if not files:
        raise SepkitError(f"{folder}: no checkpoint ({SUFFIX}) in this folder")
    bundle = {}
    for path in files:
        one = _load_file(path, model)
        if one.targets[0] in bundle:
            raise SepkitError(
                f"{path}: a second checkpoint for {one.targets[0]} in one folder; keep one a target"
            )
        bundle[one.targets[0]] = one
    return bundle


def _load_file(path, expected=None):
    with _open(path) as file:
        header = _header(path, file)
        if expected and header["model"] != expected:
            raise SepkitError(
                f"{path}: a checkpoint of {header['model']}, where one of {expected} was expected"
            )
        try:
            empty = outline(header["model"], **header["settings"])
        except SepkitError as error:
            raise SepkitError(
                f"{path}: {error}; the checkpoint is damaged or of another version of sepkit"
            ) from None
        if (list(empty.targets), empty.sample_rate) != (header["targets"], header["sample_rate"]):
            raise SepkitError(
                f"{path}: says one thing of targets and sample rate, and another in the "
                "settings; it is damaged"
            )
        try:
            _check_layout(path, file, empty)
            state = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError, RuntimeError) as error:
            raise SepkitError(
                f"{path}: damaged ({_line(error)}); copy it or train it again"
            ) from None
    if header["format"] > 1 and header.get(DIGEST) != _digest(header, state):
        raise SepkitError(
            f"{path}: damaged, its contents are not those that were saved; copy it or train it "
            "again"
        )
    net = build(header["model"], **header["settings"])
    fill(net, state, path)
    return net.eval()


def _check_layout(path, file, model):
    """Compare names, shapes and types of a file's tensors with a model's, without reading them."""
    found = {key: file.get_slice(key) for key in file.keys()}
    expected = model.state_dict()
    _check_shapes(
        expected, {key: tuple(part.get_shape()) for key, part in found.items()}, model.name, path
    )
    for key, value in expected.items():
        kind = found[key].get_dtype()
        allowed = ("F16", "BF16", "F32", "F64") if value.is_floating_point() else ("I64",)
        if kind not in allowed:
            raise SepkitError(
                f"{path}: {key} holds {kind}, where {' or '.join(allowed)} was expected; it is "
                "damaged"
            )


def fill(model: Model, state: Mapping[str, torch.Tensor], source: object) -> None:
    """Load a state dict, strictly, into a model of the same layout.

    Parameters
    ----------
    model : Model
    state : dict of str to Tensor
    source : object
        What the error message calls the state dict: its path, mostly.

    Raises
    ------
    SepkitError
        Naming missing or unexpected weights, those of another shape, and
        those that are NaN or infinite.
    """
    expected = model.state_dict()
    _check_shapes(
        expected, {key: tuple(value.shape) for key, value in state.items()}, model.name, source
    )
    for key, value in expected.items():
        if state[key].is_floating_point() != value.is_floating_point() or state[key].is_complex():
            raise SepkitError(
                f"{source}: {key} holds {state[key].dtype}, where {value.dtype} was expected"
            )
    _check_finite(state, f"{source}:")
    model.load_state_dict({key: state[key].to(value.dtype) for key, value in expected.items()})


def _check_shapes(expected, shapes, name, source):
    """Compare a state dict with {key: shape}."""
    missing, left = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
    if missing or left:
        parts = [
            f"{what} {_some(keys)}"
            for what, keys in (("lacks", missing), ("has unexpected", left))
            if keys
        ]
        raise SepkitError(
            f"{source}: does not fit {name}: {', '.join(parts)}; is it another model's?"
        )
    for key, value in expected.items():
        if shapes[key] != tuple(value.shape):
            raise SepkitError(
                f"{source}: {key} has shape {shapes[key]}, but these settings of {name} need "
                f"{tuple(value.shape)}"
            )


def _open(path):
    path = Path(path)
    try:
        return safe_open(path, framework="pt", device="cpu")
    except FileNotFoundError:
        raise SepkitError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise SepkitError(
            f"{path}: not a checkpoint, or truncated ({_line(error)}); copy it or train it again"
        ) from None


def _header(path, file):
    """The description: fields of the right type, and targets that may become file names."""
    text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise SepkitError(
            f"{path}: holds weights but not what model they are for; it was not saved by sepkit"
        )
    header = parse_json(text, f"{path}: its description")
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise SepkitError(
            f"{path}: its description has no format number; copy it or train it again"
        )
    if header["format"] > FORMAT:
        raise SepkitError(
            f"{path}: of format {header['format']}, this sepkit reads up to {FORMAT}; install a "
            "newer sepkit"
        )
    for name, kind in _FIELDS.items():
        if not isinstance(header.get(name), kind):
            raise SepkitError(
                f"{path}: its description has no usable {name}; copy it or train it again"
            )
    if header["model"] not in MODELS:
        raise SepkitError(
            f"{path}: {unknown('model', header['model'][:60], MODELS)}; the checkpoint is "
            "damaged or of another version of sepkit"
        )
    if not header["targets"]:
        raise SepkitError(f"{path}: is for no target; copy it or train it again")
    for target in header["targets"]:
        plain_name(target, "target", path)
    return header


def hash_weights(entries, start=b""):
    """The SHA-256 of weights: of each a label, and its bytes.

    Parameters
    ----------
    entries : iterable of (str, Tensor)
        The label says what else counts: a name, a type, a shape.
    start : bytes
        What is hashed before them.
    """
    sha256 = hashlib.sha256(start)
    for label, value in entries:
        value = value.detach().cpu().contiguous().reshape(-1)
        sha256.update(label.encode())
        sha256.update(memoryview(value.view(torch.uint8).numpy()))
    return sha256.hexdigest()


def _digest(header, state):
    """The SHA-256 of a description without its digest, and of names, types, shapes and bytes."""
    described = json.dumps({key: value for key, value in header.items() if key != DIGEST})
    entries = (
        (f"\n{key} {value.dtype} {tuple(value.shape)}\n", value)
        for key, value in sorted(state.items())
    )
    return hash_weights(entries, described.encode())


def _check_finite(state, subject):
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise SepkitError(
                f"{subject} {key} holds NaN or infinite values; use an earlier checkpoint"
            )


def _some(keys, at_most=3):
    shown = ", ".join(
        key if key.isprintable() and len(key) <= 80 else ascii(key[:80]) for key in keys[:at_most]
    )
    return shown + (f" and {len(keys) - at_most} more" if len(keys) > at_most else "")


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
