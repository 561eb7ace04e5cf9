"""Separators by name: baselines, oracles, blind methods and trained networks.

>>> get("open-unmix", residual=True)    # doctest: +SKIP
"""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .. import models
from ..errors import SepkitError, unknown
from ..models.downloads import manifest
from . import blind
from .base import Separator
from .mono_mask import MonoMaskSeparator, fits
from .networks import ModelSeparator
from .oracles import ORACLES, MixtureSeparator, OracleSeparator

#: name -> what makes it
METHODS: dict[str, Callable[..., Separator]] = {
    "mixture": MixtureSeparator,
    **{kind: partial(OracleSeparator, kind) for kind in ORACLES},
    **blind.METHODS,
}
_NETWORK_OPTIONS = ("niter", "softmask", "frames_per_window", "precision", "compile")


def known() -> list[str]:
    """Every name that `get` takes."""
    return [*METHODS, *models.MODELS, *models.shipped_sets(), *manifest()]


def get(
    name_or_path: str | Path,
    device: str | torch.device = "auto",
    weights: str = "shipped",
    config: str | Path | None = None,
    **options: Any,
) -> Separator:
    """A separator by its name, or from its checkpoints.

    Parameters
    ----------
    name_or_path : str or Path
        ``"mixture"``; an oracle (``"ibm"``, ``"irm1"``, ``"irm2"``, ``"psm"``,
        ``"crm"``, ``"mwf"``); a method of `sepkit.separation.blind`, such as ``"ica"``; a
        model's name, such as ``"open-unmix"``, for its checkpoints; a set of them that comes
        with sepkit, such as ``"open-unmix-voices"``; a published set of weights, such as
        ``"umxhq"``; a checkpoint file; or a folder of them, one per target. A mono network of a
        lower rate, or one for each stem, becomes a `MonoMaskSeparator`, which takes stereo at
        44.1 kHz.
    device : str or torch.device
        For networks; ``"auto"`` takes the fastest there is.
    weights : {"shipped", "published"}
        Which checkpoints a model's name stands for.
    config : str or Path, optional
        The yaml file of a RoFormer whose weights the file holds.
    **options
        Of the separator's class: ``name``, ``residual`` (True means ``"spread"``); for
        networks also ``niter``, ``softmask``, ``frames_per_window``, ``precision`` and
        ``compile``, which the others ignore; for oracles ``n_fft`` and ``hop``; for blind
        methods those of their classes.

    Raises
    ------
    SepkitError
        For unknown names and options, listing what exists; for checkpoints that
        are missing or damaged.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name in METHODS:
        if config is not None:
            raise SepkitError(f"{name}: no file of weights, which a config ({config}) goes with")
        make = METHODS[name]
        options = {key: value for key, value in options.items() if key not in _NETWORK_OPTIONS}
    elif path.exists() or name in known():
        options = {"name": _checkpoint_name(path) if path.exists() else name, **options}
        networks = models.load(name_or_path, weights, config=config)
        bundle = networks if isinstance(networks, dict) else {"": networks}
        kind = MonoMaskSeparator if fits(list(bundle.values())) else ModelSeparator
        make = partial(kind, networks, device=device)
    else:
        raise SepkitError(
            f"{unknown('separator', name, known())}; or give a checkpoint file or a folder of them"
        )
    allowed = [
        p for p in inspect.signature(make).parameters if p not in ("kind", "models", "device")
    ]
    for option in options:
        if option not in allowed:
            raise unknown(f"option of {name}", option, allowed)
    return make(**options)


def _checkpoint_name(path):
    """What tables call a checkpoint: a folder's name, or folder/file without suffix."""
    path = path.resolve()
    return path.name if path.is_dir() else f"{path.parent.name}/{path.stem}"
