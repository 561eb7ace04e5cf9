"""Networks from files of other programs: what they are is told by a config, a bag or the weights.

- a RoFormer's weights with the yaml file of its training (`sepkit.models.roformer_configs`);
- one file of Demucs (.th, .safetensors), whose sizes show in its shapes;
- a bag of Demucs: a yaml file that names several, one for each stem or to be averaged.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import SepkitError
from .base import Model
from .ensemble import Ensemble
from .htdemucs import SOURCES
from .published_files import read_weights
from .registry import build
from .roformer_configs import read_config
from .yaml_files import read_yaml

WEIGHTS, BAGS = (".th", ".pt", ".pth", ".ckpt"), (".yaml", ".yml")


def is_foreign(path: Path) -> bool:
    """Whether a file is not a checkpoint of sepkit, by its ending or, for .safetensors, its header.

    A .safetensors counts that the authors of Demucs have exported.
    """
    if path.suffix.lower() in (*WEIGHTS, *BAGS):
        return True
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return "klass" in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False


def load_foreign(path: Path, config: str | Path | None = None) -> Model | dict[str, Model]:
    """The network, or those of a bag by their targets, in evaluation mode.

    Parameters
    ----------
    path : Path
        Of the weights, or of a bag.
    config : str or Path, optional
        The yaml file of a RoFormer.

    Raises
    ------
    SepkitError
        If file and config do not fit together, or are of a network that sepkit does not know.
    """
    if config is not None:
        return _filled(path, *read_config(config))
    if path.suffix.lower() in BAGS:
        return _bag(path)
    return _demucs(path)


def _filled(path, name, settings, state=None):
    network = build(name, **settings)
    try:
        network.load_published(read_weights(path) if state is None else state)
    except SepkitError as error:
        raise SepkitError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    return network.eval()


def _demucs(path, targets=None, segment=None):
    """The network in a file of Demucs; an HTDemucs for these of its targets alone, if given.

    With a `segment`, in seconds, for pieces of that length; HTDemucs takes no longer ones than it
    was trained with.
    """
    state = read_weights(path)
    try:
        name, settings = demucs_settings(state)
    except (KeyError, IndexError):
        raise SepkitError(
            f"{path}: weights of Hybrid Demucs or HTDemucs were expected, as what they are does "
            "not say itself; for a RoFormer give its yaml file too: --config model.yaml"
        ) from None
    if targets and name == "htdemucs":
        settings["targets"] = list(targets)
    network = _filled(path, name, settings, state)
    if segment is not None and (name != "htdemucs" or segment < network.settings["segment"]):
        network = _filled(path, name, {**settings, "segment": segment}, state)
    return network


def demucs_settings(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]]:
    """Name and settings of a network of Demucs, from the shapes of its weights.

    How many heads its attention has does not show in them: the published networks have 8.

    Raises
    ------
    KeyError, IndexError
        For another network's.
    """
    depth = _count(state, "encoder")
    first, second = state["encoder.0.conv.weight"].shape, state["encoder.1.conv.weight"].shape
    channels = first[1] // 2
    outputs = len(state[f"tdecoder.{_count(state, 'tdecoder') - 1}.conv_tr.bias"]) // channels
    settings = {
        "width": first[0],
        "growth": second[0] // first[0],
        "depth": depth,
        "n_fft": 8 * len(state["freq_emb.embedding.weight"]),
        "channels": channels,
        "targets": list(SOURCES[outputs]),
    }
    layers = _count(state, "crosstransformer.layers")
    if not layers:
        return "hybrid-demucs", settings
    width = state.get("channel_upsampler.bias", ())
    return "htdemucs", {**settings, "layers": layers, "bottleneck": len(width)}


def _count(state, prefix):
    """How many numbers follow a prefix in the names."""
    depth = prefix.count(".") + 1
    return len({key.split(".")[depth] for key in state if key.startswith(f"{prefix}.")})


def _bag(path):
    """{targets: network}, of a yaml file with ``models`` and ``weights``: a row for each model.

    Where each target has one model, each network is for its targets alone; else it is an ensemble.
    """
    bag = read_yaml(path)
    names = bag.get("models")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise SepkitError(
            f"{path}: a bag of Demucs was expected, with a list of models; a RoFormer's config "
            "goes to --config, beside its weights"
        )
    files = [_file(path, name) for name in names]
    rows = _rows(path, bag.get("weights"), len(files))
    used = [(file, row) for file, row in zip(files, rows) if row != {}]
    segment = bag.get("segment")
    if not (segment is None or isinstance(segment, (int, float)) and 0 < segment < math.inf):
        raise SepkitError(f"{path}: segment {str(segment)[:40]}: seconds above 0 were expected")
    networks = [_demucs(file, row, segment) for file, row in used]
    weights = [row or dict.fromkeys(net.targets, 1.0) for net, (_, row) in zip(networks, used)]
    found = [target for network in networks for target in network.targets]
    if len(found) == len(set(found)):
        return {"+".join(network.targets): network for network in networks}
    try:
        ensemble = Ensemble(networks, weights).eval()
    except SepkitError as error:
        raise SepkitError(f"{path}: {error}") from None
    return {"+".join(ensemble.targets): ensemble}


def _rows(path, weights, models):
    """For each model, {target: weight} without zeros, or None where the bag has no weights."""
    if weights is None:
        return [None] * models
    rows = weights if isinstance(weights, list) else []
    stems = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    if (
        stems not in SOURCES
        or len(rows) != models
        or not all(isinstance(row, list) and len(row) == stems for row in rows)
        or not all(isinstance(w, (int, float)) and 0 <= w < math.inf for row in rows for w in row)
        or not all(any(column) for column in zip(*rows))
    ):
        raise SepkitError(
            f"{path}: weights of a bag are a row for each of its {models} models, with a number of "
            f"0 or more for each of {' or '.join(map(str, SOURCES))} stems, not all 0 for a stem"
        )
    return [{name: w for name, w in zip(SOURCES[stems], row) if w} for row in rows]


def _file(path, name):
    """The file beside a bag that has this signature."""
    if not name.isalnum():
        raise SepkitError(f"{path}: {name[:40]!r} is no signature of a model")
    found = sorted(
        file
        for file in path.parent.glob(f"{name}*")
        if file.suffix in (".th", ".safetensors") and file.is_file()
    )
    if not found:
        raise SepkitError(
            f"{path}: {name} is missing beside it ({name}.safetensors or {name}-*.th); download "
            "it too"
        )
    return found[0]
