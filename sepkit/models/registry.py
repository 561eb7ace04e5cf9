"""Which networks there are: a new one is a file in this folder, and a line in `MODELS`."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from ..errors import SepkitError, unknown
from .settings import checked_settings

if TYPE_CHECKING:
    from .base import Model, ModelCard

#: name -> "file.Class" in this folder. What a network is stands in its class, as `Model.card`.
MODELS = {
    "open-unmix": "open_unmix.OpenUnmix",
    "open-unmix-transformer": "open_unmix_variants.OpenUnmixTransformer",
    "open-unmix-waveform": "open_unmix_variants.OpenUnmixWaveform",
    "bsrnn": "bsrnn.BSRNN",
    "tfc-tdf": "tfc_tdf.TFCTDF",
    "scnet": "scnet.SCNet",
    "resunet-ismir2021": "resunet.ResUNetISMIR2021",
    "resunet-subbandtime": "resunet.ResUNetSubbandtime",
    "resunet-mobilenet": "resunet.ResUNetMobileNet",
    "wave-u-net": "wave_u_net.WaveUNet",
    "conv-tasnet": "conv_tasnet.ConvTasNet",
    "hybrid-demucs": "hybrid_demucs.HybridDemucs",
    "htdemucs": "htdemucs.HTDemucs",
    "bs-roformer": "roformer.BSRoFormer",
    "mel-roformer": "roformer.MelRoFormer",
    "moises-light": "moises_light.MoisesLight",
    "spleeter": "spleeter.Spleeter",
    "deep-conv-sep": "deep_conv_sep.DeepConvSep",
}
#: The most weights a network may have: ten times those of the largest one here.
LARGEST = 1_000_000_000


def model_class(name: str) -> type[Model]:
    """The class behind a model's name."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    file, kind = MODELS[name].split(".")
    return getattr(import_module(f"{__package__}.{file}"), kind)


def card(name: str) -> ModelCard:
    """What a network is: paper, domain, sizes and recipes."""
    return model_class(name).card


def build(name: str, **settings: Any) -> Model:
    """A new network with random weights.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    **settings
        The arguments of its class; those left out have the paper's values.

    Returns
    -------
    Model

    Raises
    ------
    SepkitError
        For an unknown name or setting, listing what exists; for settings of the wrong kind or
        range, that do not go together, or that make a network of more than `LARGEST` weights.
    """
    settings = known_settings(name, settings)
    weights = sum(value.numel() for value in _made(name, settings, "meta").state_dict().values())
    if weights > LARGEST:
        raise SepkitError(
            f"{name} with {_shown(settings)} would have {weights / 1e9:.3g} billion weights; at "
            f"most {LARGEST / 1e9:g} were expected"
        )
    return _made(name, settings)


def outline(name: str, **settings: Any) -> Model:
    """The network that `build` would make, but on PyTorch's meta device: shapes without memory.

    Raises
    ------
    SepkitError
        As `build`, but for the number of weights.
    """
    return _made(name, known_settings(name, settings), "meta")


def known_settings(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a model after a look at their names, kinds and ranges."""
    network = model_class(name)
    known = list(inspect.signature(network).parameters)
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known)
    return checked_settings(settings, network.kinds)


def _made(name, settings, device=None):
    try:
        with torch.device(device) if device else nullcontext():
            return model_class(name)(**settings)
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AssertionError,
        RuntimeError,
        MemoryError,
    ) as error:
        if isinstance(error, SepkitError):
            raise
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise SepkitError(f"{name} cannot be built with {_shown(settings)}: {reason}") from None


def _shown(settings):
    shown = ", ".join(f"{setting}={value!r}" for setting, value in settings.items())
    return shown[:200] or "its usual settings"
